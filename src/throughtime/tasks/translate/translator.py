"""The translator: sentences in, sentences of another language out."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from throughtime.data.text.parallel import Pairs, read_pairs, read_texts
from throughtime.data.text.parallel_units import JointSubwords, tidy
from throughtime.errors import ArgumentTypeError, DataError
from throughtime.models import EncoderDecoder, EncoderDecoderEnsemble
from throughtime.nn.arguments import check_size
from throughtime.tasks.estimator import Estimator, module_tensors
from throughtime.tasks.training import check_finite
from throughtime.tasks.translate import parameters, stored
from throughtime.tasks.translate.batches import PairSource, some_of
from throughtime.tasks.translate.evaluation import TranslationEvaluation, compare
from throughtime.tasks.translate.network import Trainee, build_net, pair_loss
from throughtime.tasks.translate.searching import Search, translate
from throughtime.tasks.translate.translation import Translation
from throughtime.training import Callback, RunFolder, TrainingConfig, TrainingResult, fingerprint, train

_logger = logging.getLogger("throughtime.tasks")
_STEPS, _LEAST_EPOCHS, _MOST_EPOCHS = 10_000, 5, 40  # where `epochs` is None
_WARM_UP = 0.05  # of all steps
_HELD_OUT, _MOST_HELD_OUT, _LEAST_PAIRS = 50, 1000, 20  # one pair of so many is validated on, of at least so many


class Translator(Estimator):
    """Learns from sentences and their translations, and translates.

    (1) m = a recurrent encoder over the subwords of a sentence, both ways
    (2) h_t = a recurrent decoder over the subwords written so far; context_t = Σ_s α_ts m_s, α by attention of h_t
    (3) p(next subword) = softmax over the subwords, which both languages share, and whose embedding is the output
        matrix, too

    See `EncoderDecoder` for where the attention stands. A character that training did not have is copied.

    Args:
        vocabulary_size: subwords of both languages together; None: 4,000, or as many as the texts have.
        min_count: characters that occur more rarely in the training texts are unknown. With 3, one that stands in a
            single pair, on both sides, is: from such pairs a net learns to copy.
        casing: "sentence": the first letter of a sentence is read as a small one and written as a large one, where it
            was; "keep": letters are what they are.
        cell: of the recurrent layers, one of `throughtime.nn.layers.LAYERS`.
        hidden_size: units of a decoder's layer, and of both ways of the encoder's together.
        embedding_size: numbers that a subword is read as.
        encoder_layers: on top of one another.
        decoder_layers: likewise.
        attention: "multiplicative" or "additive".
        decoder: "attention-between": the attention stands below the last layer, which reads contexts, too;
            "attention-above": above all layers; "input-feeding": above, and its vector is fed to the next step, which
            trains several times slower.
        dropout: share of numbers dropped of states and outputs, while training.
        embedding_dropout: of subwords' vectors.
        word_dropout: of whole subwords, read as zeros.
        recurrent_dropout: of h where it enters the next step.
        label_smoothing: share of each target that is spread over all subwords.
        members: nets, each from a seed of its own, that translate together.
        longest: subwords of a sentence. A longer training pair is left out; a longer sentence is translated in pieces.
        epochs: passes over the pairs; None: as many as make about 10,000 steps, from 5 to 40.
        batch_size: pairs a step, on average; pairs of like length are read together.
        learning_rate: Adam's at its peak, which is reached after a twentieth of the steps; half a cosine
            follows.
        ema: decay of a moving average over the weights of all steps, which is what is kept; None: none.
        bfloat16: train under autocast to bfloat16, about twice as fast where the processor has it.
        patience: epochs without a lower validation loss before training stops; None: never early.
        beam: live hypotheses of a sentence where `predict` is not told otherwise.
        length_penalty: of the beam, likewise.
        seed: of everything random.

    **Raises** from `fit`: ArgumentError for a value out of its range; DataError for sentences that cannot be used.

    **Source** [Sutskever2014], [Luong2015] for the attention, [Sennrich2016] for the subwords, [Press2017] for (3).

    >>> pairs = ["un chat", "un chien", "deux chats", "deux chiens"] * 8, ["a cat", "a dog", "two cats", "two dogs"] * 8
    >>> translator = Translator(hidden_size=16, embedding_size=8, epochs=1, beam=1).fit(*pairs)
    >>> len(translator.predict(["un chat", ""]))
    2
    """

    task = "translate"
    units_: JointSubwords
    model_: EncoderDecoderEnsemble

    def __init__(
        self,
        *,
        vocabulary_size: int | None = None,
        min_count: int = 3,
        casing: str = "sentence",
        cell: str = "lstm",
        hidden_size: int = 384,
        embedding_size: int = 256,
        encoder_layers: int = 1,
        decoder_layers: int = 2,
        attention: str = "multiplicative",
        decoder: str = "attention-between",
        dropout: float = 0.3,
        embedding_dropout: float = 0.3,
        word_dropout: float = 0.1,
        recurrent_dropout: float = 0.0,
        label_smoothing: float = 0.1,
        members: int = 1,
        longest: int = 100,
        epochs: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 1.5e-3,
        ema: float | None = 0.999,
        bfloat16: bool = False,
        patience: int | None = None,
        beam: int = 5,
        length_penalty: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.min_count = min_count
        self.casing = casing
        self.cell = cell
        self.hidden_size = hidden_size
        self.embedding_size = embedding_size
        self.encoder_layers = encoder_layers
        self.decoder_layers = decoder_layers
        self.attention = attention
        self.decoder = decoder
        self.dropout = dropout
        self.embedding_dropout = embedding_dropout
        self.word_dropout = word_dropout
        self.recurrent_dropout = recurrent_dropout
        self.label_smoothing = label_smoothing
        self.members = members
        self.longest = longest
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.ema = ema
        self.bfloat16 = bfloat16
        self.patience = patience
        self.beam = beam
        self.length_penalty = length_penalty
        self.seed = seed

    def fit(
        self,
        sources: Any,
        targets: Any = None,
        validation: Any = None,
        *,
        start: "Translator | None" = None,
        callbacks: Sequence[Callback] = (),
        run: RunFolder | None = None,
        max_seconds: float | None = None,
    ) -> Self:
        """Train on sentences and their translations.

        Args:
            sources: sentences; or a `pathlib.Path`, a file of them or of pairs; or
                `throughtime.data.text.parallel.ParallelFiles`. Files may be larger than memory.
            targets: the translation of each, or a path; None where `sources` holds both.
            validation: a pair (sources, targets), a path or pairs, to choose the epoch by; None holds out one pair of
                fifty, none where there are fewer than 20.
            start: a fitted translator of the same sizes, whose nets and subwords training begins with; it stays as it
                is. None draws nets and builds subwords. For more epochs, or other sentences than it was trained on.
            callbacks: told of every step and epoch.
            run: a folder for checkpoints, from which a training that was killed goes on.
            max_seconds: training ends after the first step that ends later than this.

        Raises:
            ArgumentError: a hyper-parameter out of its range, a `vocabulary_size` that the text does not allow, or a
                `start` of other sizes.
            ArgumentTypeError: something that is no text, or a `start` that is no translator.
            NotFittedError: `start` was not fitted.
            DataError: no pair that can be used, sources that are their own translations, files that do not fit.
            MissingExtraError: tokenizers is not installed.
        """
        parameters.check(self)
        who = "Translator.fit"
        pairs = read_pairs(sources, targets, who)
        later = None if validation is None else _validation(validation, f"{who}: validation")
        usable = _Usable(pairs, who)
        if start is None:
            units = JointSubwords.build(
                usable.texts(), size=self.vocabulary_size, min_count=self.min_count, casing=self.casing, who=who
            )
        else:
            parameters.check_start(self, start)
            units = start.units_
            for _ in usable:  # counted, and refused where none is left
                pass
        if usable.same == usable.count:
            raise DataError(
                f"{who}: expected translations, got sources that are their own in all {usable.count} pairs; name the "
                "other language's file or field as the target"
            )
        data, too_long = self._encoded(units, usable)
        if not len(data):
            raise DataError(
                f"{who}: expected a pair of at most {self.longest} subwords a side (longest), got {too_long} longer "
                "ones and no other; give shorter sentences, or a larger longest"
            )
        left_out = {"empty": usable.empty, "too long": too_long, "source equal to target": usable.same}
        _say(who, left_out, usable.count + usable.empty)
        if later is None:
            data, held, how = self._split(data)
        else:
            of_later = _Usable(later, f"{who}: validation")
            held = self._encoded(units, of_later)[0]
            if not len(held):
                raise DataError(f"{who}: validation: expected a pair that is not empty or too long, got none; give one")
            how = f"the given {len(held)} pairs"
        nets: list[EncoderDecoder] = []
        histories: list[TrainingResult] = []
        for number in range(self.members):
            seed = int(self.seed) + 1000 * number
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                net = build_net(parameters.design(self, len(units)))
            if start is not None:
                net.load_state_dict(start.model_.members[number].state_dict())
            config = replace(
                self._training_config(pairs=len(data), mean=data.mean_length, longest=int(data.lengths.max())),
                seed=seed,
                max_seconds=None if max_seconds is None else max_seconds / self.members,
            )
            trainee = Trainee(net, self.label_smoothing)
            folder = self._folder(run, units, number, start)
            history = train(trainee, pair_loss, data, held, config, callbacks, run=folder)
            check_finite(history, who)
            if history.best_epoch is None and nets:
                break  # interrupted: the nets that are whole do
            nets.append(net)
            histories.append(history)
            if history.stopped == "interrupted":
                break
        self.units_, self.histories_, self.validation_ = units, histories, how
        self.n_pairs_, self.left_out_ = usable.count + usable.empty, left_out
        source_ids, target_ids = data.sizes.sum(0, dtype=np.int64).tolist()
        self.n_tokens_ = (source_ids, target_ids)
        self.metrics_ = {
            "validation_loss": histories[0].best_loss if held is not None else None,
            "best_epoch": histories[0].best_epoch,
            "epochs": len(histories[0].history),
        }
        self.origin_: dict[str, str] = {}
        self.model_ = EncoderDecoderEnsemble(nets, frozen=True).eval()
        return self

    @property
    def history_(self) -> TrainingResult:
        """How the training of the last net went."""
        self._check_fitted("history_")
        return self.histories_[-1]

    def predict(self, sources: Any, n_best: int = 1, **options: Any) -> Any:
        """The translation of each sentence, or its n best as a list; of a single sentence its alone.

        Args:
            sources: a list of sentences, or one.
            n_best: translations of each.
            options: `beam`, `length_penalty`, `coverage_penalty`, `no_repeat`, see `Search`.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentTypeError: something that is no text.
            ArgumentError: an option out of its range.
        """
        found = self.translate([sources] if isinstance(sources, str) else sources, n_best, **options)
        texts = [[way.text for way in ways] if n_best > 1 else ways[0].text for ways in found]
        return texts[0] if isinstance(sources, str) else texts

    def translate(self, sources: Any, n_best: int = 1, **options: Any) -> list[list[Translation]]:
        """The n best translations of each sentence with scores, confidence and attention; else as `predict`."""
        self._check_fitted("translate")
        texts = read_texts(sources, "Translator.translate")
        return translate(self.model_, self.units_, texts, self._search(n_best=n_best, **options), longest=self.longest)

    def stream(self, sources: Iterable[str], *, at_once: int = 1024, **options: Any) -> Iterator[list[Translation]]:
        """What `translate` gives, of more sentences than memory holds, in order.

        Args:
            at_once: sentences that are read before the first comes; those of like length are translated together.

        Raises:
            As `predict`.
        """
        self._check_fitted("stream")
        check_size("Translator.stream", "at_once", at_once)
        self._search(**options)
        return self._stream(iter(sources), at_once, options)

    def _stream(self, sources: Iterator[str], at_once: int, options: dict[str, Any]) -> Iterator[list[Translation]]:
        while some := list(islice(sources, at_once)):
            yield from self.translate(some, **options)

    def evaluate(self, sources: Any, targets: Any = None, **options: Any) -> TranslationEvaluation:
        """BLEU and chrF against references, with their signatures, beside the source as it is.

        Args:
            sources: as in `fit`; the model should not have seen them.
            targets: the reference of each.
            options: as in `predict`.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentTypeError, DataError: as `fit`.
            MissingExtraError: sacrebleu is not installed.
        """
        self._check_fitted("evaluate")
        who = "Translator.evaluate"
        pairs = list(read_pairs(sources, targets, who))
        if not pairs:
            raise DataError(f"{who}: expected sentences and their translations, got none; give some")
        found = self.translate([pair.source for pair in pairs], **options)
        return compare(
            [pair.source for pair in pairs],
            [pair.target for pair in pairs],
            [ways[0].text for ways in found],
            [ways[0].confidence for ways in found],
        )

    @property
    def n_parameters_(self) -> int:
        """Trained numbers in all nets."""
        return sum(p.numel() for p in self.model_.parameters())

    def summary(self) -> str:
        """What was trained on what."""
        self._check_fitted("summary")
        best = f"best epoch {self.metrics_['best_epoch']} of {self.metrics_['epochs']}"
        if self.metrics_["validation_loss"] is not None:
            loss = self.metrics_["validation_loss"]
            best += f", validation loss {loss:.4f} nats, perplexity {np.exp(min(loss, 700.0)):.4g}"
        out = ", ".join(f"{count} {name}" for name, count in self.left_out_.items() if count and name != _KEPT)
        many = f"{len(self.model_.members)} nets, " if len(self.model_.members) > 1 else ""
        return "\n".join(
            (
                f"data        {self.n_pairs_} pairs{f' ({out} left out)' if out else ''}, {self.n_tokens_[0]} and "
                f"{self.n_tokens_[1]} subwords",
                f"vocabulary  {len(self.units_)} subwords of both languages",
                f"validation  {self.validation_}",
                f"model       {many}{self.cell}, encoder {self.encoder_layers} x {self.hidden_size} both ways, decoder "
                f"{self.decoder_layers} x {self.hidden_size}, {self.attention} {self.decoder}, {self.n_parameters_} "
                "parameters",
                f"training    {best}",
            )
        )

    def _encoded(self, units: JointSubwords, usable: "_Usable") -> tuple[PairSource, int]:
        """Pairs as ids, and how many were too long."""
        too_long = 0

        def short() -> Iterator[tuple[Any, Any]]:
            nonlocal too_long
            for source, target in units.pairs(usable):
                if max(len(source), len(target)) <= self.longest:
                    yield source, target
                else:
                    too_long += 1

        return PairSource(short()), too_long

    def _split(self, data: PairSource) -> tuple[Any, Any, str]:
        """What is trained on, what is validated on, and how they were parted, in words."""
        if len(data) < _LEAST_PAIRS:
            return data, None, f"none: there are fewer than {_LEAST_PAIRS} pairs"
        drawn = np.random.Generator(np.random.PCG64(int(self.seed))).permutation(len(data))
        count = min(-(-len(data) // _HELD_OUT), _MOST_HELD_OUT)
        training, held = (some_of(data, np.sort(rows)) for rows in (drawn[count:], drawn[:count]))
        return training, held, f"{count} of {len(data)} pairs"

    def _folder(
        self, run: RunFolder | None, units: JointSubwords, number: int, start: "Translator | None"
    ) -> RunFolder | None:
        """A net's own folder in that of the whole, with the translator's options in it."""
        if run is None:
            return None
        about = {f"{self.task} {name}": value for name, value in self.get_params().items()}
        about["subwords"] = fingerprint(units.to_json())
        if start is not None:
            about["start"] = fingerprint(dict(start.model_.state_dict()))
        run = replace(run, about={**run.about, **about})
        if self.members == 1:
            return run
        path = Path(run.path)
        path.mkdir(exist_ok=True)
        return replace(run, path=path / f"net{number}")

    def _search(self, n_best: int = 1, **options: Any) -> Search:
        known = ("beam", "length_penalty", "coverage_penalty", "no_repeat")
        for name in options:
            if name not in known:
                raise ArgumentTypeError(
                    f"Translator.predict: expected options among {', '.join(known)}, got {name!r}; pass one of these"
                )
        asked = {"beam": max(self.beam, n_best if type(n_best) is int else 1), "length_penalty": self.length_penalty}
        return Search(**{**asked, **options}, n_best=n_best)

    def _training_config(self, *, pairs: int, mean: float, longest: int) -> TrainingConfig:
        epochs = self.epochs
        if epochs is None:
            epochs = min(max(_STEPS * self.batch_size // max(1, pairs), _LEAST_EPOCHS), _MOST_EPOCHS)
        steps = epochs * (pairs // self.batch_size)
        return TrainingConfig(
            epochs=epochs,
            batch_size=128,
            max_tokens=max(round(self.batch_size * mean), longest, 1),
            learning_rate=self.learning_rate,
            schedule="cosine",
            warmup_steps=round(_WARM_UP * steps),
            clip_norm=1.0,
            ema=self.ema,
            bfloat16=self.bfloat16,
            patience=self.patience,
        )

    def _to_folder(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return module_tensors(self.model_), stored.sections(self)

    def _from_folder(self, tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        parameters.check(self)
        stored.read_sections(self, tensors, extra)


_KEPT = "source equal to target"  # counted, and trained on: names and numbers are


class _Usable:
    """Pairs with something on both sides, read anew at each iteration; what was passed over is counted."""

    def __init__(self, pairs: Pairs, who: str) -> None:
        self.pairs = pairs
        self.who = who
        self.count = self.empty = self.same = 0

    def texts(self) -> "_Texts":
        """Both sides of every pair."""
        return _Texts(self)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        self.count = self.empty = self.same = 0
        for source, target, _ in self.pairs:
            if not source.strip() or not target.strip() or not tidy(source) or not tidy(target):
                self.empty += 1
                continue
            self.count += 1
            self.same += source == target
            yield source, target
        if not self.count:
            raise DataError(
                f"{self.who}: expected sentences with translations, got {self.empty} pairs with an empty side and no "
                "other; give text on both sides"
            )


class _Texts:
    def __init__(self, usable: _Usable) -> None:
        self.usable = usable

    def __iter__(self) -> Iterator[str]:
        for source, target in self.usable:
            yield source
            yield target


def _say(who: str, left_out: Mapping[str, int], pairs: int) -> None:
    for name, count in left_out.items():
        if count and name != _KEPT:
            _logger.warning("%s: %d of %d pairs are left out: %s", who, count, pairs, name)
    same = left_out[_KEPT]
    if 2 * same > pairs:
        _logger.warning("%s: in %d of %d pairs the target is the source; check the files", who, same, pairs)


def _validation(given: Any, who: str) -> Pairs:
    if isinstance(given, tuple) and len(given) == 2:
        return read_pairs(*given, who)
    if isinstance(given, str | list) or not (isinstance(given, os.PathLike) or hasattr(given, "__iter__")):
        raise ArgumentTypeError(
            f"{who}: expected a pair (sources, targets), a path or pairs, got {given!r:.60}; pass one of these"
        )
    return read_pairs(given, None, who)
