"""The tagger: tagged sentences in, the labelled pieces of any text out."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Self
from zlib import crc32

import numpy as np
import torch

from throughtime.data.text.conll import TaggedSentence
from throughtime.data.text.tokens import Token, Tokenizer
from throughtime.data.text.vectors import read_vectors
from throughtime.errors import ArgumentTypeError, DataError
from throughtime.models.losses import SequenceLoss
from throughtime.nn.arguments import check_size
from throughtime.tasks.calibration import least_temperature, logistic, reliability
from throughtime.tasks.estimator import Estimator
from throughtime.tasks.tag import parameters, stored
from throughtime.tasks.tag.baselines import Baselines
from throughtime.tasks.tag.batches import TagBatch, TagSource
from throughtime.tasks.tag.decoding import Found, TagModel
from throughtime.tasks.tag.entities import Entity, entities, joined
from throughtime.tasks.tag.evaluation import MODEL, TagEvaluation
from throughtime.tasks.tag.network import TagDesign
from throughtime.tasks.tag.schemes import Span, convert, spans, tag_names
from throughtime.tasks.tag.scores import compare
from throughtime.tasks.tag.sentences import cut, held_out, is_tokens, read_sentences, shortened
from throughtime.tasks.tag.stored import MOST_LABELS, WORKING
from throughtime.tasks.tag.units import TagUnits, has_surrogate, word_form
from throughtime.tasks.training import check_finite
from throughtime.training import Callback, RunFolder, TrainingConfig, TrainingResult, train

# Where `epochs` is None: steps of the optimizer, and bounds on how often the data are seen.
_STEPS, _LEAST_EPOCHS, _MOST_EPOCHS = 5000, 8, 40
# Steps whose weights are averaged, at most, and as a part of all steps. Averaged weights score alike from one epoch to
# the next, so that the best epoch is no lucky one, whose probabilities promise too much.
_AVERAGED, _AVERAGED_PART = 200, 12
_PREDICTED_TOKENS = 4096  # in a batch, padding counted
_WORD_SIZE = 100
_FIRST_VECTORS = 50_000  # words at the beginning of a file of vectors that are kept although training never saw them


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
        dropout: share of features dropped before and after the recurrent layers, while training; a fifth of that share
            of words, and three fifths of pairs, are then read as unknown ones.
        word_size: features learned for a word; None: 100, or as many as the vectors that `fit` is given have.
        characters: "lstm" or "cnn" over each word's characters, "none", or "auto": "lstm", and "none" where tokens
            are single characters (whose neighbours' pairs are then read).
        character_size: features from a word's characters.
        crf: False: a softmax at every token.
        scheme: what the tags are written in: IOB1, BIO, BIOES or BMES, or "auto", which finds it. A tag that is
            impossible in a given scheme is refused; where the scheme was found, it is read by conlleval's rule.
        rule: how raw text is cut into tokens, see `throughtime.data.text.tokens`; "auto": "characters" where the
            training tokens are single characters, else "words".
        epochs: passes over the sentences; None: as many as make about 5,000 steps, at least 8 and at most 40.
        batch_tokens: tokens a step, padding counted.
        learning_rate: the peak of a one-cycle schedule of Adam, whose weights are averaged over the last steps.
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
        word_size: int | None = None,
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
        vectors: str | os.PathLike[str] | None = None,
        callbacks: Sequence[Callback] = (),
        run: RunFolder | None = None,
        max_seconds: float | None = None,
    ) -> Self:
        """Train on tagged sentences.

        Args:
            sentences: pairs (tokens, tags), or a file (`throughtime.data.text.tagged`).
            validation: the same, to choose the epoch and the temperature by; None holds out a tenth.
            vectors: a text file of GloVe, word2vec or fastText: words begin with these vectors and are trained further;
                of words that the sentences have not, the file's first 50,000 are kept as they are. All are stored in
                the model folder.
            callbacks: told of every step and epoch.
            run: a folder for checkpoints, from which a training that was killed goes on.
            max_seconds: training ends after the first step that ends later than this.

        Raises:
            ArgumentError: a hyper-parameter out of its range.
            DataError: sentences or vectors that cannot be used; the message names the first.
        """
        parameters.check(self)
        cut_by = "words" if self.rule == "auto" else Tokenizer(self.rule).rule
        given = read_sentences(sentences, "Tagger.fit", self.scheme, cut_by)
        if validation is None:
            training, held = held_out(given.sentences, self.seed)
            how = f"{len(held)} of the {len(given.sentences)} sentences"
        else:
            held = read_sentences(validation, "Tagger.fit: validation", self.scheme, cut_by).sentences
            training, how = given.sentences, f"the given {len(held)} sentences"
        labels = labels_of(training)
        training, held = shortened(training), shortened(held)
        units = TagUnits.build([sentence.tokens for sentence in training])
        single = units.pairs is not None
        rule = "characters" if single and self.rule == "auto" else cut_by
        trained = len(units.words)
        found = None
        if vectors is not None:
            words = list(units.words)[2:]
            found = read_vectors(vectors, words, form=word_form, first=_FIRST_VECTORS, size=self.word_size)
            units = units.with_words(found.words)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            size = int(self.word_size or _WORD_SIZE) if found is None else found.values.shape[1]
            design = self._design(units, labels, size, len(units.words) - trained)
            model = TagModel(design, tag_names(labels, WORKING), WORKING, crf=self.crf)
        if found is not None:
            model.net.take_vectors(torch.tensor(units.words.ids(found.words)), torch.from_numpy(found.values))
        model.net.learn_unknown(_rare(list(units.words)[:trained], training))
        numbers = _numbers(training, model.names)
        source = TagSource.of([sentence.tokens for sentence in training], units, numbers)
        held_source = TagSource.of([sentence.tokens for sentence in held], units, _numbers(held, model.names))
        config = self._training_config(
            tokens=int(source.lengths.sum()), longest=int(source.lengths.max()), max_seconds=max_seconds
        )
        if run is not None:
            options = {**self.get_params(), "vectors": found and crc32(found.values.tobytes())}
            run = replace(run, about={**run.about, **{f"{self.task} {k}": v for k, v in options.items()}})
        history = train(model, _loss, source, held_source, config, callbacks, run=run)
        check_finite(history, "Tagger.fit")
        model.eval()
        f1 = _calibrate(model, held_source)
        self.baselines_ = Baselines.fit(training, numbers, len(model.names), self.seed)
        self.history_: TrainingResult = history
        self.scheme_, self.labels_, self.units_, self.rule_ = given.scheme, labels, units, rule
        self.n_sentences_, self.n_repaired_, self.validation_ = len(given.sentences), given.repaired, how
        self.n_tokens_ = sum(len(sentence.tokens) for sentence in given.sentences)
        self.n_vectors_ = 0 if found is None else len(found.words)
        self.metrics_: dict[str, Any] = {
            "validation_f1": f1,
            "best_epoch": history.best_epoch,
            "epochs": len(history.history),
        }
        self.origin_: dict[str, str] = {}
        self.tokenizer_: Tokenizer | None = None
        self.model_ = model
        return self

    def predict(self, texts: Any) -> Any:
        """The labelled pieces of texts.

        A text of more than 512 tokens is read in parts that end with a sentence where one ends.

        Args:
            texts: a text, or a list of texts and of token lists; a list of str is a list of texts, so that the tokens
                of one sentence go into a list of their own: ``predict([tokens])``.

        Returns:
            A list of `Entity` for each; for a single text its list alone.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentTypeError: something that is neither a text nor a list of tokens.
        """
        if isinstance(texts, str):
            return next(self.stream([texts]))
        if not isinstance(texts, Iterable):
            raise ArgumentTypeError(f"Tagger.predict: expected a text or a list of texts, got {texts!r}; pass str")
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str | Sequence[str]], *, at_once: int = 2048) -> Iterator[list[Entity]]:
        """`predict` for more texts than memory holds: the pieces of each, in order.

        Args:
            at_once: texts that are read before the pieces of the first come; those of like length are tagged together.

        Raises:
            As `predict`.
        """
        self._check_fitted("predict")
        check_size("Tagger.stream", "at_once", at_once)
        return self._entities(iter(texts), at_once)

    def _entities(self, texts: Iterator[str | Sequence[str]], at_once: int) -> Iterator[list[Entity]]:
        while some := list(islice(texts, at_once)):
            read = [self._read(text) for text in some]
            found = self._find([[token.text for token in tokens] for _, tokens in read])
            for (text, tokens), one in zip(read, found, strict=True):
                yield entities(text, tokens, one)

    def predict_tags(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tag of every token, in the scheme of the training data.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentTypeError: something that is no list of tokens.
        """
        self._check_fitted("predict_tags")
        for sentence in sentences:
            if not is_tokens(sentence):
                raise ArgumentTypeError(
                    f"Tagger.predict_tags: expected lists of tokens, got {sentence!r}; pass a list of str for each"
                )
        found = self._find([list(sentence) for sentence in sentences], probabilities=False)
        return [convert(one.tags, self.scheme_) for one in found]

    def evaluate(
        self, sentences: Iterable[tuple[Sequence[str], Sequence[str]]] | str | os.PathLike[str]
    ) -> TagEvaluation:
        """Precision, recall and F1 as conlleval has them, beside the baselines, and how right the probabilities are.

        The baselines were fitted in `fit` on the same sentences as the model: each token's most frequent tag, and a
        linear classifier of each token over its word, affixes and casing and its neighbours'.

        Args:
            sentences: as in `fit`; the model should not have seen them.

        Raises:
            NotFittedError: nothing was fitted.
            DataError: sentences that cannot be used; the message names the first.
        """
        self._check_fitted("evaluate")
        given = read_sentences(sentences, "Tagger.evaluate", self.scheme, self.rule_)
        tokens = [sentence.tokens for sentence in given.sentences]
        found = self._find(tokens)
        true = [sentence.tags for sentence in given.sentences]
        tags = {MODEL: [one.tags for one in found]}
        names = self.model_.names
        for name, numbers in self.baselines_.predict(tokens, self.model_.constraints).items():
            tags[name] = [[names[k] for k in row] for row in numbers]
        pieces = [set(spans(row)) for row in true]
        sure = [p for one in found for p in one.probabilities]
        right = [piece in there for one, there in zip(found, pieces, strict=True) for piece in one.pieces]
        counts = Counter(piece.label for there in pieces for piece in there)
        return TagEvaluation(
            scores={name: compare(true, [convert(row, given.scheme) for row in rows]) for name, rows in tags.items()},
            reliability=reliability(sure, right),
            unseen={label: counts[label] for label in sorted(counts.keys() - set(self.labels_))},
            repaired=given.repaired,
        )

    def score(self, sentences: Any, y: None = None) -> float:
        """F1, 0 to 1: higher is better, as scikit-learn wants it. `y` is scikit-learn's; tags come with the tokens."""
        self._check_fitted("score")
        given = read_sentences(sentences, "Tagger.score", self.scheme, self.rule_).sentences
        found = self._find([sentence.tokens for sentence in given], probabilities=False)
        return compare([sentence.tags for sentence in given], [one.tags for one in found]).overall.f1 / 100

    def summary(self) -> str:
        """What was trained on what."""
        self._check_fitted("summary")
        d = self.model_.net.design
        repaired = f", {self.n_repaired_} tags repaired" if self.n_repaired_ else ""
        labels = ", ".join(self.labels_[:8]) + (", ..." if len(self.labels_) > 8 else "")
        best = f"best epoch {self.metrics_['best_epoch']} of {self.metrics_['epochs']}"
        if self.metrics_["validation_f1"] is not None:
            best += f", validation F1 {self.metrics_['validation_f1']:.2f}"
        ways = "both ways" if d.bidirectional else "one way"
        out = "CRF" if self.model_.crf is not None else "softmax"
        size = sum(p.numel() for p in self.model_.parameters())
        vectors = f", {self.n_vectors_} words' vectors given" if self.n_vectors_ else ""
        return "\n".join(
            (
                f"data        {self.n_sentences_} sentences, {self.n_tokens_} tokens, {self.scheme_}{repaired}",
                f"labels      {labels}",
                f"validation  {self.validation_}",
                f"model       {d.cell}, {d.num_layers} x {d.hidden_size}, {ways}, {out}, {size} parameters{vectors}",
                f"training    {best}",
            )
        )

    def _read(self, text: Any) -> tuple[str, list[Token]]:
        """A text and its tokens with their places."""
        if isinstance(text, str):
            if self.tokenizer_ is None:
                self.tokenizer_ = Tokenizer(self.rule_)
            return text, self.tokenizer_(text)
        if is_tokens(text):
            return joined(text)
        raise ArgumentTypeError(f"Tagger.predict: expected a text or a list of tokens, got {text!r}; pass str")

    def _find(self, sentences: Sequence[Sequence[str]], *, probabilities: bool = True) -> list[Found]:
        """What the model finds in sentences, cut where they are too long, batched by length."""
        parts = [(row, part) for row, tokens in enumerate(sentences) if len(tokens) for part in cut(tokens)]
        source = TagSource.of([sentences[row][part] for row, part in parts], self.units_, None)
        order = source.lengths.argsort(stable=True)
        of_parts: dict[int, Found] = {}
        for piece in _pieces(source.lengths[order]):
            rows = order[piece]
            batch = source.batch(rows)
            of_parts |= zip(rows.tolist(), self.model_.find(batch, probabilities=probabilities), strict=True)
        found = [Found([], [], []) for _ in sentences]
        for number, (row, part) in enumerate(parts):
            one, whole = of_parts[number], found[row]
            whole.tags.extend(one.tags)
            whole.pieces.extend(Span(p.start + part.start, p.end + part.start, p.label) for p in one.pieces)
            whole.probabilities.extend(one.probabilities)
        return found

    def _design(self, units: TagUnits, labels: Sequence[str], word_size: int, further: int) -> TagDesign:
        characters = self.characters
        if characters == "auto":
            characters = "lstm" if units.pairs is None else "none"
        return TagDesign(
            words=len(units.words),
            letters=len(units.letters),
            pairs=0 if units.pairs is None else len(units.pairs),
            tags=len(tag_names(labels, WORKING)),
            cell=self.cell,
            hidden_size=int(self.hidden_size),
            num_layers=int(self.num_layers),
            bidirectional=self.bidirectional,
            dropout=float(self.dropout),
            word_size=word_size,
            character_size=int(self.character_size),
            characters=characters,
            further=further,
        )

    def _training_config(self, *, tokens: int, longest: int, max_seconds: float | None) -> TrainingConfig:
        a_step = max(self.batch_tokens, longest)
        epochs: Any = self.epochs  # whatever a caller gave: TrainingConfig says what is wrong with it
        steps = max(1, tokens // a_step)
        if epochs is None:
            epochs = min(max(_STEPS // steps, _LEAST_EPOCHS), _MOST_EPOCHS)
        averaged = min(_AVERAGED, int(epochs) * steps // _AVERAGED_PART) if isinstance(epochs, int | np.integer) else 0
        return TrainingConfig(
            epochs=epochs,
            batch_size=128,
            max_tokens=a_step,
            learning_rate=self.learning_rate,
            schedule="onecycle",
            clip_norm=5.0,
            ema=1 - 1 / int(averaged) if averaged > 1 else None,
            patience=self.patience,
            seed=self.seed,
            max_seconds=max_seconds,
        )

    def _to_folder(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return stored.tensors(self), stored.sections(self)

    def _from_folder(self, tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        parameters.check(self)
        stored.read_sections(self, tensors, extra)


def labels_of(sentences: Sequence[TaggedSentence]) -> list[str]:
    """The labels of pieces in sentences, by the alphabet.

    Raises:
        DataError: there is none, or more than `MOST_LABELS`, or one that no file can hold.
    """
    labels = sorted({piece.label for sentence in sentences for piece in spans(sentence.tags)})
    who = "Tagger.fit"
    if not labels:
        raise DataError(
            f"{who}: expected at least one labelled piece, got {len(sentences)} sentences of O alone; tag some tokens"
        )
    if len(labels) > MOST_LABELS:
        raise DataError(
            f"{who}: expected at most {MOST_LABELS} labels, got {len(labels)} (the first, {labels[0]!r}); "
            "is the last column the tag?"
        )
    for label in labels:
        if has_surrogate(label):
            raise DataError(f"{who}: expected labels that UTF-8 can hold, got {label!r}; rename it")
    return labels


def _numbers(sentences: Sequence[TaggedSentence], names: Sequence[str]) -> list[list[int]]:
    """Each token's tag as a number. A label that training never saw counts as outside; the evaluation says so."""
    number = {name: i for i, name in enumerate(names)}
    return [[number.get(tag, 0) for tag in convert(sentence.tags, WORKING)] for sentence in sentences]


def _rare(words: Sequence[str], sentences: Sequence[TaggedSentence]) -> torch.Tensor:
    """(words,) True where a word occurs once."""
    counts = Counter(word_form(token) for sentence in sentences for token in sentence.tokens)
    return torch.tensor([counts[word] == 1 for word in words])


def _calibrate(model: TagModel, held: TagSource) -> float | None:
    """Calibrate on the validation sentences; their F1, None where nothing is there and nothing found.

    First the temperature by which the tags are most probable, then a and b by which the pieces' probabilities are.
    """
    order = held.lengths.argsort(stable=True)
    batches = [held.batch(order[rows]) for rows in _pieces(held.lengths[order])]
    with torch.inference_mode():
        read = [(batch, model.net(batch)) for batch in batches]

        def loss(temperature: float) -> float:
            model.temperature.fill_(temperature)
            return float(sum(model.calibrated_loss(batch, x_TBK).sum() for batch, x_TBK in read))

        model.temperature.fill_(least_temperature(loss))
        sure: list[float] = []
        right: list[bool] = []
        there = 0
        for batch, x_TBK in read:
            for one, true in zip(model.read(batch, x_TBK), model.true_pieces(batch), strict=True):
                sure += one.probabilities
                right += [piece in true for piece in one.pieces]
                there += len(true)
        model.logistic.copy_(torch.tensor(logistic(sure, right)))
    return 200 * sum(right) / (there + len(right)) if there + len(right) else None


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
