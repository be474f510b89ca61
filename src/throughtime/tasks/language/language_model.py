"""The language model: text in, text out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.data.text.units import TextUnits, build_units
from throughtime.errors import DataError
from throughtime.models import Sampler
from throughtime.tasks.estimator import Estimator, load_module_tensors, module_tensors
from throughtime.tasks.language import parameters, stored
from throughtime.tasks.language.baseline import Bigram
from throughtime.tasks.language.chunks import ChunkSource
from throughtime.tasks.language.corpus import Corpus, Source, build_corpus, labels_of, read_source
from throughtime.tasks.language.evaluation import MODEL, LanguageEvaluation, log_probs
from throughtime.tasks.language.net import LanguageNet, TextEncoder
from throughtime.tasks.language.trainee import Trainee, chunk_loss
from throughtime.tasks.language.writing import read_wish, written
from throughtime.tasks.training import check_finite
from throughtime.training import Callback, RunFolder, TrainingConfig, train


class EncoderPart(NamedTuple):
    """What another task starts from: `LanguageModel.encoder_part`."""

    encoder: TextEncoder
    """Embedding and recurrent layers, a copy with weights of its own: ids (T, B) to outputs (T, B, F) and a state."""
    units: TextUnits
    """The vocabulary: `units.encode(text)` gives ids."""


class LanguageModel(Estimator):
    """Learns which symbol comes next in text, and writes text.

    (1) h_t, state = recurrent layers over the symbols so far
    (2) p(symbol_{t+1} | symbols so far) = softmax(W h_t + b)

    What is one *text* begins anew, with a state of zeros: the one text given, each of several, a file, a record. Of a
    single text the net reads B rows beside one another, chunk by chunk, each going on from the state that the last one
    left, while the gradient stays inside a chunk. Several texts follow each other in the rows, in a new order each
    epoch, and each is ended by a symbol of its own; with labels, each begins with its label.

    Args:
        unit: "character", "word" (what stands between blanks), or "subword" (needs ``throughtime[text]``).
        vocabulary_size: symbols, at most; None: every one that occurs, or 8,000 subwords.
        min_count: characters and words that occur more rarely are all one symbol, the unknown.
        cell: a key of `throughtime.nn.layers.LAYERS`: "rnn", "gru", "lstm", "peephole-lstm", ...
        hidden_size: units a layer.
        num_layers: layers on top of one another.
        embedding_size: numbers a symbol; None: `hidden_size` with tied weights, else at most 128.
        tie_weights: the embedding is the output matrix, too; the last layer has `embedding_size` units.
        softmax: "full", "adaptive" (frequent symbols in full, rare ones in clusters), or "auto": adaptive from 20,000
            symbols on, where weights are not tied.
        condition: with labels, "every": a label is seen at every step, or "first": at the first alone.
        dropout: of inputs, between layers and of the last layer's outputs, while training.
        input_dropout: of inputs; None: half of `dropout`.
        output_dropout: of the last layer's outputs; None: `dropout`.
        embedding_dropout: of whole symbols.
        weight_dropout: of the recurrent matrices.
        recurrent_dropout: of h on its way into the next step.
        variational: a dropout's mask stays for a chunk, instead of changing at every step.
        activation_penalty: α of AR, see `Trainee`.
        change_penalty: β of TAR, see there.
        bptt: symbols a chunk, through which the gradient goes back.
        vary_bptt: chunks are cut elsewhere in each epoch, a quarter of `bptt` to either side.
        batch_size: rows read beside one another.
        epochs: passes over the text; None: as many as make about 3,000 steps, at most 100.
        learning_rate: the peak of `schedule`.
        schedule: "onecycle", "cosine", "constant" or "plateau".
        optimizer: "adam", "adamw" or "sgd".
        weight_decay: see `TrainingConfig`.
        clip_norm: the largest norm of a gradient; None clips nothing.
        ema: decay of a moving average of the weights, which is what is kept; None: none.
        bfloat16: train under autocast to bfloat16, about twice as fast where the processor has it.
        patience: epochs without a better validation loss before training stops; None: never early.
        seed: of everything random.

    **Raises** from `fit`: ArgumentError for a value out of its range; DataError for text that cannot be used.

    **Source** [Merity2018] for the dropouts.

    >>> model = LanguageModel(hidden_size=8, num_layers=1, bptt=8, epochs=1).fit("to be, or not to be. " * 9)
    >>> len(model.write(prefix="to ", length=5, seed=1)[0])
    8
    """

    task = "language"

    def __init__(
        self,
        *,
        unit: str = "character",
        vocabulary_size: int | None = None,
        min_count: int = 1,
        cell: str = "lstm",
        hidden_size: int = 256,
        num_layers: int = 2,
        embedding_size: int | None = None,
        tie_weights: bool = False,
        softmax: str = "auto",
        condition: str = "every",
        dropout: float = 0.0,
        input_dropout: float | None = None,
        output_dropout: float | None = None,
        embedding_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        variational: bool = True,
        activation_penalty: float = 0.0,
        change_penalty: float = 0.0,
        bptt: int = 128,
        vary_bptt: bool = False,
        batch_size: int = 32,
        epochs: int | None = None,
        learning_rate: float = 3e-3,
        schedule: str = "onecycle",
        optimizer: str = "adam",
        weight_decay: float = 0.0,
        clip_norm: float | None = 1.0,
        ema: float | None = None,
        bfloat16: bool = False,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.unit = unit
        self.vocabulary_size = vocabulary_size
        self.min_count = min_count
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.embedding_size = embedding_size
        self.tie_weights = tie_weights
        self.softmax = softmax
        self.condition = condition
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.output_dropout = output_dropout
        self.embedding_dropout = embedding_dropout
        self.weight_dropout = weight_dropout
        self.recurrent_dropout = recurrent_dropout
        self.variational = variational
        self.activation_penalty = activation_penalty
        self.change_penalty = change_penalty
        self.bptt = bptt
        self.vary_bptt = vary_bptt
        self.batch_size = batch_size
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.ema = ema
        self.bfloat16 = bfloat16
        self.patience = patience
        self.seed = seed

    def fit(
        self,
        texts: Any,
        labels: Any = None,
        validation: Any = None,
        validation_labels: Any = None,
        *,
        callbacks: Sequence[Callback] = (),
        run: RunFolder | None = None,
        max_seconds: float | None = None,
    ) -> Self:
        """Train on text.

        Args:
            texts: a text, a list of texts, a `pathlib.Path` or a list of them, or `throughtime.data.TextFiles`, whose
                files may be larger than memory.
            labels: of each text; the model then writes texts of a label. Files bring their own.
            validation: text to validate on; None holds out one text of twenty, or, of fewer than ten texts, the end of
                the longest: 5 % of all symbols, nothing where there are fewer than 200.
            validation_labels: of each of these.
            callbacks: told of every step and epoch (`throughtime.training.Callback`).
            run: a folder for checkpoints and a log, from which a training that was killed goes on.
            max_seconds: training ends after the first step that ends later than this, and one validation; None: never.

        Raises:
            ArgumentError: a hyper-parameter is out of its range, `vocabulary_size` is larger than the text has symbols,
                or labels do not fit the texts.
            DataError: no text, text of one symbol alone, a file that cannot be read (the message says where), or
                labels in validation that training has not.
            MissingExtraError: ``unit="subword"`` without tokenizers.
        """
        who = "LanguageModel.fit"
        parameters.check(self)
        source = read_source(who, texts, labels)
        labelled = source.labelled
        units = build_units(self.unit, source, size=self.vocabulary_size, min_count=self.min_count, who=who)
        names = labels_of(source) if labelled else None
        classes = parameters.classes(names, source, who)
        corpus = build_corpus(source, units, end=True if labelled else None, classes=classes, who=who)
        ends = labelled or corpus.texts > 1
        if validation is None:
            training, held_out, how = parameters.split(corpus, self.seed)
        else:
            later = read_source(f"{who}: validation", validation, validation_labels)
            classes = parameters.classes(names, later, f"{who}: validation")
            held_out = build_corpus(later, units, end=ends, classes=classes, who=f"{who}: validation")
            training, how = corpus, f"the given text: {len(held_out)} {self.unit}s"
        if len(training) < 2:
            raise DataError(
                f"{who}: expected at least 2 {self.unit}s to learn from, got {len(training)}; give more text"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            net = self._build(len(units), names)
        rows = ChunkSource(training, self.batch_size, self.bptt, vary=self.vary_bptt)
        held_rows = None if held_out is None else ChunkSource(held_out, self.batch_size, self.bptt)
        trainee = Trainee(
            net,
            rows.rows,
            activation_penalty=self.activation_penalty,
            change_penalty=self.change_penalty,
        )
        config = replace(self._training_config(len(rows)), max_seconds=max_seconds)
        if run is not None:
            about = {f"{self.task} {k}": v for k, v in self.get_params().items()}
            run = replace(run, about={**run.about, **about, "vocabulary": stored.short(units)})
        self.history_ = train(trainee, chunk_loss, rows, held_rows, config, callbacks, run=run)
        check_finite(self.history_, "LanguageModel.fit")
        self.units_, self.labels_, self.ends_, self.validation_ = units, names, ends, how
        self.bigram_ = Bigram.count(training, len(units))
        self.n_texts_, self.n_symbols_, self.n_rows_ = corpus.texts, len(corpus), rows.rows
        self.metrics_ = {
            "validation_loss": self.history_.best_loss if held_out is not None else None,
            "best_epoch": self.history_.best_epoch,
            "epochs": len(self.history_.history),
        }
        self.origin_: dict[str, str] = {}
        self.model_ = net.eval()
        return self

    def write(
        self,
        prefix: str | Sequence[str] | None = None,
        label: str | int | Sequence[str | int] | None = None,
        n: int = 1,
        *,
        length: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        repetition_penalty: float = 1.0,
        stop: str | Sequence[str] | None = None,
        seed: int = 0,
    ) -> list[str]:
        """Write n texts, or n for each of several prefixes or labels, each with its prefix.

        Args:
            prefix: what a text begins with; None: nothing.
            label: of the text, where the model was trained with labels.
            n: how many texts for each.
            length: symbols, at most, the prefix not counted. A text of many ends where the model ends it.
            temperature: below 1 the likely becomes likelier, above 1 the odd does.
            top_k: only the k likeliest symbols.
            top_p: only the likeliest symbols that have this probability together: the nucleus.
            greedy: always the likeliest symbol; nothing is drawn.
            repetition_penalty: from 1 on; symbols of the text so far become less likely.
            stop: a text ends before this text, or any of these.
            seed: text b draws with seed + b: the same texts for the same seed, whatever is written beside them.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentError: a prefix with symbols that the training text had not, a label where there were none or that
                was not there, no label where there were some, or an option out of its range.
            ArgumentTypeError: an argument of a wrong type.
        """
        wish = self._wish(
            "LanguageModel.write", prefix, label, n, length, temperature, top_k, top_p, greedy, repetition_penalty,
            stop, seed,
        )  # fmt: skip
        found = list(wish.prefixes)
        for shown in written(self.model_, self.units_, wish, ends=self.ends_):
            found = [text + more for text, more in zip(found, shown, strict=True)]
        return found

    def stream(
        self,
        prefix: str | None = None,
        label: str | int | None = None,
        *,
        length: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        repetition_penalty: float = 1.0,
        stop: str | Sequence[str] | None = None,
        seed: int = 0,
    ) -> Iterator[str]:
        """One text of `write`, piece by piece as it is written, its prefix first; arguments and errors as there."""
        wish = self._wish(
            "LanguageModel.stream", prefix, label, 1, length, temperature, top_k, top_p, greedy, repetition_penalty,
            stop, seed,
        )  # fmt: skip
        return self._pieces(wish)

    def _pieces(self, wish: Any) -> Iterator[str]:
        if wish.prefixes[0]:
            yield wish.prefixes[0]
        for (more,) in written(self.model_, self.units_, wish, ends=self.ends_):
            if more:
                yield more

    def predict(self, prefixes: Sequence[str], **options: Any) -> list[str]:
        """Each text gone on with: `write` with one text a prefix, greedily unless options say otherwise."""
        drawn = {"temperature", "top_k", "top_p"} & set(options)
        return self.write(list(prefixes), **({"greedy": not drawn} | options))

    def score_samples(self, texts: Any, labels: Any = None, *, steps: int = 512) -> NDArray[np.float64]:
        """log p of each text, in nats, its end included where the model writes ends.

        Args:
            texts: as in `fit`.
            labels: of each, where the model was trained with labels.
            steps: symbols computed at once: memory depends on it; the result does not, to rounding.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentError, DataError: text, files or labels that cannot be used.
        """
        self._check_fitted("score_samples")
        who = "LanguageModel.score_samples"
        return log_probs(self.model_, self._corpus(who, texts, labels), parameters.positive(who, "steps", steps))

    def score(self, texts: Any, labels: Any = None) -> float:
        """The mean log p of a symbol, in nats: higher is better, as scikit-learn wants it."""
        self._check_fitted("score")
        corpus = self._corpus("LanguageModel.score", texts, labels)
        return float(log_probs(self.model_, corpus, 512).sum()) / len(corpus)

    def evaluate(self, texts: Any, labels: Any = None, *, steps: int = 512) -> LanguageEvaluation:
        """Perplexity and bits per character over the whole of the texts, to the last symbol, beside simple counts.

        Each text is read from its beginning to its end with one state, whatever `steps` is. The baselines are how often
        each symbol occurs in the training text (unigram), and how often it follows another one (bigram).

        Args:
            texts: as in `fit`; the model should not have seen them.
            labels: of each, where the model was trained with labels.
            steps: symbols computed at once; see `score_samples`.

        Raises:
            As `score_samples`.
        """
        self._check_fitted("evaluate")
        who = "LanguageModel.evaluate"
        corpus = self._corpus(who, texts, labels)
        if len(corpus) == corpus.texts * self.ends_:
            raise DataError(f"{who}: expected text, got none in {corpus.texts} texts; give more text")
        mine = -float(log_probs(self.model_, corpus, parameters.positive(who, "steps", steps)).sum())
        unigram, bigram = self.bigram_.nats(corpus)
        return LanguageEvaluation(
            texts=corpus.texts,
            symbols=len(corpus),
            characters=corpus.characters,
            unknown=corpus.unknown,
            unit=self.unit,
            nats={MODEL: mine, "bigram": bigram, "unigram": unigram},
        )

    def encoder_part(self) -> EncoderPart:
        """The embedding and the recurrent layers with the vocabulary, for another task to start from.

        The layers are a copy: to train them further changes nothing here.

        >>> model = LanguageModel(hidden_size=8, num_layers=1, bptt=8, epochs=1).fit("to be, or not to be. " * 9)
        >>> encoder, units = model.encoder_part()
        >>> output, state = encoder(torch.from_numpy(units.encode("to be")).unsqueeze(1))
        >>> tuple(output.shape)
        (5, 1, 8)
        """
        self._check_fitted("encoder_part")
        with torch.random.fork_rng(devices=[]):
            own = self._build(len(self.units_), self.labels_)
        own.load_state_dict(self.model_.state_dict())
        return EncoderPart(own.encoder, self.units_)

    @property
    def n_parameters_(self) -> int:
        """Trained numbers in the net."""
        return sum(p.numel() for p in self.model_.parameters())

    def summary(self) -> str:
        """What was trained on what."""
        self._check_fitted("summary")
        best = f"best epoch {self.metrics_['best_epoch']} of {self.metrics_['epochs']}"
        if self.metrics_["validation_loss"] is not None:
            loss = self.metrics_["validation_loss"]
            best += f", validation loss {loss:.4f} nats, perplexity {np.exp(min(loss, 700.0)):.4g}"
        kinds = "" if self.labels_ is None else f", {len(self.labels_)} labels"
        return "\n".join(
            (
                f"data        {self.n_texts_} text{'s' * (self.n_texts_ > 1)}, {self.n_symbols_} {self.unit}s{kinds}",
                f"vocabulary  {len(self.units_)} symbols",
                f"validation  {self.validation_}",
                f"model       {self.cell}, {self.num_layers} x {self.hidden_size}, {self.n_parameters_} parameters; "
                f"{self.n_rows_} rows, chunks of {self.bptt}",
                f"training    {best}",
            )
        )

    def _wish(
        self, who: str, prefix: Any, label: Any, n: Any, length: Any, temperature: Any, top_k: Any, top_p: Any,
        greedy: Any, repetition_penalty: Any, stop: Any, seed: Any,
    ) -> Any:  # fmt: skip
        self._check_fitted(who.partition(".")[2])
        sampler = Sampler(temperature=temperature, top_k=top_k, top_p=top_p, greedy=greedy)
        return read_wish(
            self.units_, self.labels_, prefix=prefix, label=label, n=n, length=length, sampler=sampler,
            repetition_penalty=repetition_penalty, stop=stop, seed=seed, who=who,
        )  # fmt: skip

    def _corpus(self, who: str, texts: Any, labels: Any) -> Corpus:
        source: Source = read_source(who, texts, labels)
        classes = parameters.classes(self.labels_, source, who)
        return build_corpus(source, self.units_, end=self.ends_, classes=classes, who=who)

    def _training_config(self, chunks: int) -> TrainingConfig:
        return TrainingConfig(
            epochs=self.epochs or max(1, min(100, -(-3000 // chunks))),
            batch_size=1,  # a batch is a chunk
            learning_rate=self.learning_rate,
            schedule=self.schedule,  # type: ignore[arg-type]
            optimizer=self.optimizer,  # type: ignore[arg-type]
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            ema=self.ema,
            bfloat16=self.bfloat16,
            patience=self.patience,
            seed=self.seed,
        )

    def _build(self, symbols: int, labels: Sequence[str] | None) -> LanguageNet:
        encoder = TextEncoder(
            symbols,
            self.cell,
            parameters.widths(self),
            classes=None if labels is None else len(labels),
            condition=self.condition,
            dropouts=parameters.dropouts(self),
        )
        return LanguageNet(encoder, tied=self.tie_weights, cutoffs=parameters.cutoffs(self, symbols))

    def _to_folder(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return module_tensors(self.model_) | self.bigram_.tensors(), stored.sections(self)

    def _from_folder(self, tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        parameters.check(self)
        stored.read_sections(self, tensors, extra)
        with torch.device("meta"):  # shapes alone, so that no size in a damaged folder takes memory
            stored.check_model(self._build(len(self.units_), self.labels_), tensors)
        with torch.random.fork_rng(devices=[]):
            net = self._build(len(self.units_), self.labels_)
        load_module_tensors(net, tensors)
        self.model_ = net.eval()
