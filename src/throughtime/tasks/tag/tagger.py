"""The tagger: tagged sentences in, the labelled pieces of any text out."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, Self

import numpy as np
import torch

from throughtime.data.conll import TaggedSentence
from throughtime.data.tokens import Tokenizer
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.models.losses import SequenceLoss
from throughtime.nn.layers import LAYERS
from throughtime.tasks.calibration import least_temperature
from throughtime.tasks.estimator import Estimator, load_module_tensors, module_tensors
from throughtime.tasks.tag.batches import TagBatch, TagSource
from throughtime.tasks.tag.decoding import Found, TagModel
from throughtime.tasks.tag.entities import Entity, entities, joined
from throughtime.tasks.tag.network import CHARACTERS, TagDesign
from throughtime.tasks.tag.schemes import convert, spans, tag_names
from throughtime.tasks.tag.sentences import held_out, read_sentences
from throughtime.tasks.tag.units import Forms, TagUnits, word_form
from throughtime.training import Callback, RunFolder, TrainingConfig, TrainingResult, train

# The scheme that every tagger works in, whatever its data are written in: an end has a tag of its own.
_SCHEME = "BIOES"
# Where `epochs` is None: steps of the optimizer, and bounds on how often the data are seen.
_STEPS, _LEAST_EPOCHS, _MOST_EPOCHS = 5000, 8, 40
_PREDICTED_TOKENS = 4096  # in a batch, padding counted
_PREDICTED_TEXTS = 2048  # at a time: what is sorted by length together


class Tagger(Estimator):
    """Finds labelled pieces in text: names, places, anything that tagged sentences show.

    (1) e_t = [word; characters; casing] of token t
    (2) h   = recurrent layers over e, both ways by default
    (3) p(tags | tokens) by a CRF over W h_t + b, or a softmax at every token

    Args:
        cell: of the recurrent layers, one of `throughtime.nn.layers.LAYERS`.
        hidden_size: units of a layer and direction.
        num_layers: layers on top of one another.
        bidirectional: both ways; False reads from left to right alone.
        dropout: share of features dropped before and after the recurrent layers, while training.
        word_size: features learned for a word.
        characters: "lstm" or "cnn" over each word's characters, "none", or "auto": "lstm", and "none" where tokens
            are single characters (whose neighbours' pairs are then read).
        character_size: features from a word's characters.
        crf: False: a softmax at every token.
        scheme: what the tags are written in: IOB1, BIO, BIOES or BMES, or "auto", which finds it. A tag that is
            impossible in a given scheme is refused; where the scheme was found, it is read by conlleval's rule.
        rule: how raw text is cut into tokens, see `throughtime.data.tokens`; "auto": "characters" where the training
            tokens are single characters, else "words".
        epochs: passes over the sentences; None: as many as make about 5,000 steps, at least 8 and at most 40.
        batch_tokens: tokens a step, padding counted.
        learning_rate: the peak of a one-cycle schedule of Adam.
        patience: epochs without a better F1 on the validation sentences before training stops; None: never early.
        seed: of everything random.

    **Raises** from `fit`: ArgumentError for a value out of its range; DataError for sentences that cannot be used.

    >>> sentences = [(["Ann", "lives", "in", "Rome"], ["B-PER", "O", "O", "B-LOC"])] * 8
    >>> tagger = Tagger(hidden_size=8, epochs=30, learning_rate=0.02).fit(sentences)
    >>> [(e.text, e.label) for e in tagger.predict("Ann lives in Rome")]
    [('Ann', 'PER'), ('Rome', 'LOC')]
    """

    task = "tag"

    def __init__(
        self,
        *,
        cell: str = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.5,
        word_size: int = 100,
        characters: str = "auto",
        character_size: int = 50,
        crf: bool = True,
        scheme: str = "auto",
        rule: str = "auto",
        epochs: int | None = None,
        batch_tokens: int = 512,
        learning_rate: float = 4e-3,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.word_size = word_size
        self.characters = characters
        self.character_size = character_size
        self.crf = crf
        self.scheme = scheme
        self.rule = rule
        self.epochs = epochs
        self.batch_tokens = batch_tokens
        self.learning_rate = learning_rate
        self.patience = patience
        self.seed = seed

    def fit(
        self,
        sentences: Iterable[tuple[Sequence[str], Sequence[str]]] | str | os.PathLike[str],
        validation: Iterable[tuple[Sequence[str], Sequence[str]]] | str | os.PathLike[str] | None = None,
        *,
        callbacks: Sequence[Callback] = (),
        run: RunFolder | None = None,
        max_seconds: float | None = None,
    ) -> Self:
        """Train on tagged sentences.

        Args:
            sentences: pairs (tokens, tags), or a file in columns (`throughtime.data.conll`).
            validation: the same, to choose the epoch and the temperature by; None holds out a tenth.
            callbacks: told of every step and epoch.
            run: a folder for checkpoints, from which a training that was killed goes on.
            max_seconds: training ends after the first step that ends later than this.

        Raises:
            ArgumentError: a hyper-parameter out of its range.
            DataError: sentences that cannot be used; the message names the first.
        """
        self._check_parameters()
        given = read_sentences(sentences, "Tagger.fit", self.scheme)
        if validation is None:
            training, held = held_out(given.sentences, self.seed)
        else:
            later = read_sentences(validation, "Tagger.fit: validation", given.scheme)
            training, held = given.sentences, later.sentences
        labels = sorted({piece.label for sentence in training for piece in spans(sentence.tags)})
        if not labels:
            raise DataError(
                f"Tagger.fit: expected at least one labelled piece, got {len(training)} sentences of O alone; "
                "tag some tokens"
            )
        self.scheme_, self.labels_ = given.scheme, labels
        self.units_ = TagUnits.build([sentence.tokens for sentence in training])
        self.rule_ = self._rule()
        self._tokenizer: Tokenizer | None = None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = self._build(self._design())
        model.net.learn_unknown(self._rare(training))
        source, held_source = self._source(training), self._source(held)
        self.model_ = model
        config = self._training_config(source, max_seconds)
        self.history_: TrainingResult = train(model, _loss, source, held_source, config, callbacks, run=run)
        if self.history_.best_epoch is None and self.history_.stopped == "non-finite":
            raise DataError(f"Tagger.fit: expected a finite loss, got none ({self.history_.message})")
        self._calibrate(held_source)
        self.n_sentences_, self.n_repaired_ = len(given.sentences), given.repaired
        self.metrics_ = {
            "validation_f1": 100 * (1 - self.history_.best_loss) if self.history_.best_loss is not None else None,
            "best_epoch": self.history_.best_epoch,
            "epochs": len(self.history_.history),
        }
        return self

    def predict(self, texts: Any) -> Any:
        """The labelled pieces of texts.

        Args:
            texts: a text, or a list of texts and of token lists.

        Returns:
            A list of `Entity` for each; for a single text its list alone.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentTypeError: something that is neither a text nor a list of tokens.
        """
        if isinstance(texts, str):
            return next(iter(self.stream([texts])))
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str | Sequence[str]]) -> Iterator[list[Entity]]:
        """`predict` for more texts than memory holds: the pieces of each, in order, some thousand texts at a time."""
        self._check_fitted("predict")
        rest = iter(texts)
        while some := list(islice(rest, _PREDICTED_TEXTS)):
            read = [self._read(text) for text in some]
            found = self._find([[token.text for token in tokens] for _, tokens in read])
            for (text, tokens), one in zip(read, found, strict=True):
                yield entities(text, tokens, one)

    def predict_tags(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tag of every token, in the scheme of the training data."""
        self._check_fitted("predict_tags")
        found = self._find([list(sentence) for sentence in sentences], probabilities=False)
        return [convert(one.tags, self.scheme_) for one in found]

    def _read(self, text: Any) -> Any:
        """A text and its tokens with their places."""
        if isinstance(text, str):
            if self._tokenizer is None:
                self._tokenizer = Tokenizer(self.rule_)
            return text, self._tokenizer(text)
        if isinstance(text, Sequence) and all(isinstance(token, str) for token in text):
            return joined(text)
        raise ArgumentTypeError(f"Tagger.predict: expected a text or a list of tokens, got {text!r}; pass str")

    def _find(self, sentences: Sequence[Sequence[str]], *, probabilities: bool = True) -> list[Found]:
        """What the model finds in sentences, batched by length."""
        found = [Found([], [], [])] * len(sentences)
        full = [row for row, sentence in enumerate(sentences) if len(sentence)]
        forms = Forms(self.units_)
        source = TagSource([self.units_.encode(sentences[row], forms) for row in full], forms, None)
        self.model_.eval()
        order = source.lengths.argsort(stable=True)
        for rows in _pieces(source.lengths[order]):
            indices = order[rows]
            batch = source.batch(indices)
            for row, one in zip(indices.tolist(), self.model_.find(batch, probabilities=probabilities), strict=True):
                found[full[row]] = one
        return found

    def _calibrate(self, held: TagSource) -> None:
        """Set the temperature by which the validation tags are most probable."""
        model = self.model_
        model.eval()
        batches = [held.batch(rows) for rows in torch.split(torch.arange(len(held)), 256)]
        with torch.inference_mode():
            read = [(batch, model.net(batch)) for batch in batches]

            def loss(temperature: float) -> float:
                model.temperature.fill_(temperature)
                return float(sum(model.calibrated_loss(batch, x_TBK).sum() for batch, x_TBK in read))

            model.temperature.fill_(least_temperature(loss))

    def _source(self, sentences: Sequence[TaggedSentence]) -> TagSource:
        forms = Forms(self.units_)
        number = {name: i for i, name in enumerate(tag_names(self.labels_, _SCHEME))}
        ids = [self.units_.encode(sentence.tokens, forms) for sentence in sentences]
        # A label that training never saw counts as outside; the evaluation says so.
        return TagSource(
            ids, forms, [[number.get(tag, 0) for tag in convert(sentence.tags, _SCHEME)] for sentence in sentences]
        )

    def _rare(self, sentences: Sequence[TaggedSentence]) -> torch.Tensor:
        counts = Counter(word_form(token) for sentence in sentences for token in sentence.tokens)
        return torch.tensor([counts.get(word, 2) == 1 for word in self.units_.words])

    def _rule(self) -> str:
        if self.rule != "auto":
            return Tokenizer(self.rule).rule
        return "words" if self.units_.pairs is None else "characters"

    def _design(self) -> TagDesign:
        single = self.units_.pairs is not None
        characters = ("none" if single else "lstm") if self.characters == "auto" else self.characters
        return TagDesign(
            words=len(self.units_.words),
            letters=len(self.units_.letters),
            pairs=0 if self.units_.pairs is None else len(self.units_.pairs),
            tags=len(tag_names(self.labels_, _SCHEME)),
            cell=self.cell,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            word_size=self.word_size,
            character_size=self.character_size,
            characters=characters,
        )

    def _build(self, design: TagDesign) -> TagModel:
        return TagModel(design, tag_names(self.labels_, _SCHEME), _SCHEME, crf=self.crf)

    def _training_config(self, source: TagSource, max_seconds: float | None) -> TrainingConfig:
        tokens = max(self.batch_tokens, int(source.lengths.max()))
        steps = max(1, int(source.lengths.sum()) // tokens)
        epochs = self.epochs or min(max(_STEPS // steps, _LEAST_EPOCHS), _MOST_EPOCHS)
        return TrainingConfig(
            epochs=epochs,
            batch_size=128,
            max_tokens=tokens,
            learning_rate=self.learning_rate,
            schedule="onecycle",
            clip_norm=5.0,
            patience=self.patience,
            seed=self.seed,
            max_seconds=max_seconds,
        )

    def _check_parameters(self) -> None:
        for name, among in (("cell", tuple(LAYERS)), ("characters", ("auto", *CHARACTERS))):
            if getattr(self, name) not in among:
                raise ArgumentError(
                    f"Tagger: expected {name} to be one of {', '.join(among)}, got {getattr(self, name)!r}; "
                    "pass one of these"
                )

    def _to_folder(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        design = asdict(self.model_.net.design)
        extra = {
            "design": design,
            "labels": self.labels_,
            "scheme": self.scheme_,
            "rule": self.rule_,
            "units": self.units_.to_json(),
            "metrics": self.metrics_,
            "sentences": self.n_sentences_,
            "repaired": self.n_repaired_,
        }
        return module_tensors(self.model_), extra

    def _from_folder(self, tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        self.labels_, self.scheme_, self.rule_ = list(extra["labels"]), str(extra["scheme"]), str(extra["rule"])
        self.units_ = TagUnits.from_json(extra["units"])
        self._tokenizer = None
        model = self._build(TagDesign(**extra["design"]))
        load_module_tensors(model, tensors)
        self.model_ = model
        self.metrics_ = dict(extra["metrics"])
        self.n_sentences_, self.n_repaired_ = int(extra["sentences"]), int(extra["repaired"])


def _loss(model: Any, batch: TagBatch) -> SequenceLoss:
    found: SequenceLoss = model.loss(batch)
    return found


def _pieces(lengths: torch.Tensor) -> Iterator[slice]:
    """Rows in order of length, as many at a time as stay below `_PREDICTED_TOKENS` with their padding."""
    first, lengths_list = 0, lengths.tolist()
    for row, length in enumerate(lengths_list):
        if row > first and (row + 1 - first) * length > _PREDICTED_TOKENS:
            yield slice(first, row)
            first = row
    if len(lengths_list) > first:
        yield slice(first, len(lengths_list))
