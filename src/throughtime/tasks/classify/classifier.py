"""The classifier: labelled texts in, the labels of any text out."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.data.text.labelled import read_labelled
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.nn.arguments import check_size
from throughtime.tasks.classify import fitting, parameters, stored
from throughtime.tasks.classify.evaluation import MODEL, ClassEvaluation, compare
from throughtime.tasks.classify.explanation import Contribution, Explanation, integrated_gradients, to_tokens
from throughtime.tasks.classify.grams import Grams
from throughtime.tasks.classify.labels import Labels, read_rows
from throughtime.tasks.classify.pretraining import Languages, check_pretraining, read_texts
from throughtime.tasks.classify.texts import ReadText, TextReader, check_texts
from throughtime.tasks.estimator import Estimator
from throughtime.training import Callback, RunFolder, TrainingConfig, TrainingResult

_logger = logging.getLogger("throughtime.tasks")
# Where `epochs` is None: steps of the optimizer, and bounds on how often the texts are seen.
_STEPS, _LEAST_EPOCHS, _MOST_EPOCHS = 1300, 4, 30
# Where `members` is None: as many nets as see so many ids an epoch together, but not more than so many.
_MEMBER_IDS, _MOST_MEMBERS = 1_000_000, 3


class Classifier(Estimator):
    """Says what a text is: what it is about, whether it is good news, how many stars it gives.

    (1) h = recurrent layers over the text's words, both ways by default
    (2) z_net = W p + b, p the largest of h over time
    (3) z = a z_net + b z_ngrams: beside the net stands a linear classifier of words, word pairs and pieces of words,
        see `NGramClassifier`; how much each counts is found on held-out texts
    (4) p = softmax z, calibrated by (3)

    Args:
        labels: "one" of them a text; "several", which are given as lists, or none; "ordered": one on a scale of
            numbers, such as stars, of which the median is predicted; "auto": "several" where labels are lists.
        unit: what the net reads: "word", "character", or "subword" (frequent sequences of bytes).
        vocabulary_size: units, at most.
        min_count: units that occur more rarely in the training texts are all one, the unknown.
        lower: read capitals as small letters.
        longest: units of a text that the net reads; of a longer text its beginning and its end, half of them each.
            N-grams are those of the whole text.
        cell: of the recurrent layers, one of `throughtime.nn.layers.LAYERS`.
        hidden_size: units of a layer and direction.
        num_layers: layers on top of one another.
        bidirectional: both ways; with `pretrain` there is a language model for each way.
        embedding_size: numbers that a unit is read as.
        pooling: p: "max", "mean", "last", "attention", or "concat" (last, mean and max side by side); "auto": "concat"
            after pretraining, else "max".
        dropout: share of numbers dropped before, between and after the recurrent layers, while training.
        embedding_dropout: share of the vocabulary that is not read in a step, while training.
        weight_dropout: of the recurrent matrices.
        members: nets that are trained, each on the texts but for a tenth of its own, by which it is judged and all of
            it is calibrated; z_net is their mean. None: up to 3 where there is little text, 1 from a million units on
            and after pretraining.
        wide: False: the net stands alone, b = 0.
        ngrams: tokens of the longest n-gram.
        spelling: characters of the pieces of words among the n-grams; 0: none.
        class_weight: what a label counts in the loss: None (each text the same), "balanced", or a number by label.
        pretrain: let the net first learn, as a language model, which word comes next in the texts.
        pretrain_epochs: passes over the texts for that; None: as `LanguageModel` has it.
        epochs: passes over the labelled texts; None: as many as make about 1,300 steps, at least 4 and at most 30.
        batch_size: texts a step, on average; texts of like length are read together.
        learning_rate: the peak of a one-cycle schedule of Adam; a quarter of it after pretraining.
        bfloat16: train under autocast to bfloat16, about twice as fast where the processor has it.
        patience: epochs without a lower validation loss before training stops; None: never early.
        seed: of everything random.

    **Raises** from `fit`: ArgumentError for a value out of its range; DataError for texts that cannot be used.

    **Source** [Wang2012] for the n-grams, [Howard2018] for pretraining, the pooling and how the encoder is thawed.

    >>> texts = ["a fine film", "a poor film", "fine acting", "poor acting", "so fine", "so poor"] * 4
    >>> classifier = Classifier(hidden_size=8, epochs=2).fit(texts, ["good", "bad"] * 12)
    >>> classifier.predict(["fine film"])
    ['good']
    """

    task = "classify"

    def __init__(
        self,
        *,
        labels: str = "auto",
        unit: str = "word",
        vocabulary_size: int = 30_000,
        min_count: int = 2,
        lower: bool = True,
        longest: int = 400,
        cell: str = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = True,
        embedding_size: int = 64,
        pooling: str = "auto",
        dropout: float = 0.5,
        embedding_dropout: float = 0.2,
        weight_dropout: float = 0.0,
        members: int | None = None,
        wide: bool = True,
        ngrams: int = 2,
        spelling: int = 4,
        class_weight: Any = None,
        pretrain: bool = False,
        pretrain_epochs: int | None = None,
        epochs: int | None = None,
        batch_size: int = 32,
        learning_rate: float = 4e-3,
        bfloat16: bool = False,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.labels = labels
        self.unit = unit
        self.vocabulary_size = vocabulary_size
        self.min_count = min_count
        self.lower = lower
        self.longest = longest
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.embedding_size = embedding_size
        self.pooling = pooling
        self.dropout = dropout
        self.embedding_dropout = embedding_dropout
        self.weight_dropout = weight_dropout
        self.members = members
        self.wide = wide
        self.ngrams = ngrams
        self.spelling = spelling
        self.class_weight = class_weight
        self.pretrain = pretrain
        self.pretrain_epochs = pretrain_epochs
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.bfloat16 = bfloat16
        self.patience = patience
        self.seed = seed

    def fit(
        self,
        X: Any,
        y: Any = None,
        validation: Any = None,
        *,
        pretrain_on: Any = None,
        callbacks: Sequence[Callback] = (),
        run: RunFolder | None = None,
        max_seconds: float | None = None,
    ) -> Self:
        """Train on labelled texts.

        Args:
            X: texts, or a file of labelled texts (`throughtime.data.text.labelled`).
            y: the label of each, text or a number, or a list of them; a file brings its own.
            validation: a pair (texts, labels) or a file, to choose the epoch and the calibration by; None holds out a
                tenth, so much of each label.
            pretrain_on: further texts to learn language from, beside X, without labels: a list, a `pathlib.Path` or
                `throughtime.data.TextFiles`; or what `learn_language` gave. Implies `pretrain`.
            callbacks: told of every step and epoch.
            run: a folder for checkpoints, from which a training that was killed goes on.
            max_seconds: training ends after the first step that ends later than this.

        Raises:
            ArgumentError: a hyper-parameter out of its range.
            ArgumentTypeError: something that is no text or no label.
            DataError: texts or labels that cannot be used; the message names the first.
        """
        parameters.check(self)
        who = "Classifier.fit"
        texts, given = read_pairs(X, y, who)
        labels = Labels.find(given, self.labels, who)
        targets_NK = labels.read(given, len(texts), who, strict=True).targets
        held: fitting.Pairs | None = None
        if validation is not None:
            later, later_given = read_pairs(*_pair(validation, who), f"{who}: validation")
            held = fitting.Pairs(later, labels.read(later_given, len(later), f"{who}: validation", strict=True).targets)
        found = fitting.fit(
            self, fitting.Pairs(texts, targets_NK), held, labels,
            pretrain_on=pretrain_on, callbacks=callbacks, run=run, max_seconds=max_seconds,
        )  # fmt: skip
        self.labels_, self.reader_, self.model_, self.wide_ = labels, found.reader, found.model, found.wide
        self.baseline_, self.baseline_scale_ = found.baseline.model, found.baseline.scale
        self.frequent_ = found.frequent
        self.histories_, self.validation_, self.n_texts_ = found.histories, found.how, len(texts)
        self.pretrained_, self.metrics_ = found.pretrained, found.metrics
        self.origin_: dict[str, str] = {}
        return self

    def learn_language(
        self,
        texts: Any,
        *,
        callbacks: Sequence[Callback] = (),
        run: RunFolder | None = None,
        max_seconds: float | None = None,
    ) -> Languages:
        """Language models of texts as this classifier would read them, for `fit(..., pretrain_on=...)` of several.

        Args:
            texts: a list, a `pathlib.Path` or `throughtime.data.TextFiles`.

        Raises:
            ArgumentError: a hyper-parameter out of its range.
            DataError: hardly any text.
        """
        parameters.check(self)
        check_pretraining(self)
        reader = TextReader(self.lower, self.longest)
        found = read_texts(texts, "Classifier.learn_language")
        prepared = [reader.prepared(text, self.unit) for text in found]
        return Languages.learn(
            self, reader, prepared, further=len(prepared), callbacks=callbacks, run=run, max_seconds=max_seconds
        )

    @property
    def history_(self) -> TrainingResult:
        """How the training of the last net went."""
        self._check_fitted("history_")
        return self.histories_[-1]

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels in the order of `predict_proba`'s columns."""
        self._check_fitted("classes_")
        return np.array(self.labels_.names)

    def predict(self, X: Any) -> Any:
        """The label of each text, or its labels where it may have several; of a single text its alone.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentTypeError: something that is no text.
        """
        self._check_fitted("predict")
        if isinstance(X, str):
            return self.predict([X])[0]
        texts = check_texts(X, "Classifier.predict", least=0)
        return self.labels_.named(self.labels_.decide(self._probability(texts)))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(N, K) the probability of each label, in the order of `classes_`, calibrated.

        Raises:
            As `predict`.
        """
        self._check_fitted("predict_proba")
        texts = check_texts(X, "Classifier.predict_proba", least=0)
        return self._probability(texts).double().numpy()

    def stream(self, texts: Iterable[str], *, at_once: int = 2048) -> Iterator[tuple[Any, NDArray[np.float64]]]:
        """Label (or labels) and probabilities (K,) of each of more texts than memory holds, in order.

        Args:
            at_once: texts that are read before the first comes; those of like length are read together.

        Raises:
            As `predict`.
        """
        self._check_fitted("stream")
        check_size("Classifier.stream", "at_once", at_once)
        return self._stream(iter(texts), at_once)

    def _stream(self, texts: Iterator[str], at_once: int) -> Iterator[tuple[Any, NDArray[np.float64]]]:
        while some := list(islice(texts, at_once)):
            p_NK = self._probability(check_texts(some, "Classifier.stream"))
            yield from zip(self.labels_.named(self.labels_.decide(p_NK)), p_NK.double().numpy(), strict=True)

    def explain(self, text: str, label: Any = None, *, steps: int = 64) -> Explanation:
        """Why a text gets its label: what each token adds to the label's score.

        What n-grams add is exact, an n-gram's weight shared out to its tokens; what the net adds is found by integrated
        gradients over the features of what it reads. `Explanation.remainder` says how much the sum misses.

        Args:
            label: what is explained; None: the label that is predicted, or the likeliest where there may be several.
            steps: points on the path of the gradients: the more, the smaller the remainder.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentTypeError: no text.
            ArgumentError: a label that is not there.
        """
        self._check_fitted("explain")
        who = "Classifier.explain"
        if not isinstance(text, str):
            raise ArgumentTypeError(f"{who}: expected a text, got {text!r:.60}; pass str")
        check_size(who, "steps", steps)
        labels = self.labels_
        read = self.reader_.read(text)
        net_1K = self.model_.scores([read.ids])
        wide_1K = None if self.wide_ is None else self.wide_.scores(self._grams().features([read.tokens]))
        p_K = self.model_.probability(self.model_.mixed(net_1K, wide_1K))[0]
        if label is None:
            chosen = int(p_K.argmax()) if labels.several else int(labels.decide(p_K[None]).int().argmax())
        else:
            there = [i for i, name in enumerate(labels.names) if str(name) == str(label)]
            if not there:
                raise ArgumentError(
                    f"{who}: expected a label among {labels.listed()}, got {label!r}; pass one of these"
                )
            chosen = there[0]
        direction_K = torch.zeros(len(labels))
        direction_K[chosen] = 1
        other: int | None = None
        if not labels.several:
            other = int(p_K.index_fill(0, torch.tensor(chosen), -1).argmax())
            direction_K[other] = -1
        a, b = self.model_.mixture.tolist()
        values_S, whole, nothing = integrated_gradients(
            self.model_.members, torch.from_numpy(read.ids).long(), direction_K, steps
        )
        of_net = to_tokens(values_S, self.reader_.spans(text), [(token.start, token.end) for token in read.places])
        of_grams, score, bias = [0.0] * len(of_net), a * whole, a * nothing
        if self.wide_ is not None and wide_1K is not None:
            of_grams = (self.wide_.contributions(read.tokens, self._grams()) @ direction_K).tolist()
            score += b * float(wide_1K[0] @ direction_K)
            bias += b * float(self.wide_.bias_K @ direction_K)
        parts = tuple(
            Contribution(token.text, token.start, token.end, a * x + b * g)
            for token, x, g in zip(read.places, of_net, of_grams, strict=True)
        )
        return Explanation(
            text=text,
            label=labels.names[chosen],
            probability=float(p_K[chosen]),
            against=None if other is None else labels.names[other],
            score=score,
            bias=bias,
            contributions=parts,
        )

    def evaluate(self, X: Any, y: Any = None) -> ClassEvaluation:
        """Accuracy, F1, confusion and calibration, beside the baselines.

        The baselines were fitted in `fit` on the same texts: how often each label occurs, and the linear classifier of
        words and word pairs with a temperature of its own. Where the model is made of both, the net alone is shown.

        Args:
            X: texts, or a file of labelled texts; the model should not have seen them.
            y: the label of each. A label that training never saw counts as missed.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentTypeError, DataError: as `fit`.
        """
        self._check_fitted("evaluate")
        who = "Classifier.evaluate"
        texts, given = read_pairs(X, y, who)
        targets_NK, unseen = self.labels_.read(given, len(texts), who, strict=False)
        model, read = self.model_, [self.reader_.read(text) for text in texts]
        net_NK, wide_NK = self._parts(read)
        probabilities = {MODEL: model.probability(model.mixed(net_NK, wide_NK))}
        if wide_NK is not None:
            a, b = model.mixture
            probabilities["net alone"] = model.probability((a + b) * net_NK)
            probabilities["n-grams alone"] = model.probability((a + b) * wide_NK)
        pairs_NK = self.baseline_.scores(Grams(fitting.BASELINE_NGRAMS, 0).features([one.tokens for one in read]))
        probabilities["words and pairs"] = model.probability(self.baseline_scale_ * pairs_NK)
        probabilities["most frequent"] = self.frequent_.float().expand(len(texts), -1)
        return compare(self.labels_, targets_NK, probabilities, unseen)

    def score(self, X: Any, y: Any = None) -> float:
        """The share of texts with the right label (or exactly the right ones), as scikit-learn wants it."""
        self._check_fitted("score")
        texts, given = read_pairs(X, y, "Classifier.score")
        targets_NK = self.labels_.read(given, len(texts), "Classifier.score", strict=False).targets
        chosen_NK = self.labels_.decide(self._probability(texts))
        return float((chosen_NK == targets_NK.bool()).all(1).double().mean())

    def summary(self) -> str:
        """What was trained on what."""
        self._check_fitted("summary")
        d = self.model_.net.design
        best = f"best epoch {self.metrics_['best_epoch']} of {self.metrics_['epochs']}"
        best += f", validation accuracy {self.metrics_['validation_accuracy']:.2f} %"
        ways = "both ways" if d.bidirectional else "one way"
        size = sum(p.numel() for p in self.model_.parameters())
        many = f"{len(self.model_.nets)} nets, " if len(self.model_.nets) > 1 else ""
        a, b = self.model_.mixture.tolist()
        beside = "" if self.wide_ is None else f"; {a:.2f} × net + {b:.2f} × {len(self.wide_.keys)} n-grams"
        before = f"\npretrained  {self.pretrained_}" if self.pretrained_ else ""
        return "\n".join(
            (
                f"data        {self.n_texts_} texts",
                f"labels      {len(self.labels_)} ({self.labels_.kind}): {self.labels_.listed()}",
                f"validation  {self.validation_}{before}",
                f"model       {many}{d.cell}, {d.num_layers} x {d.hidden_size}, {ways}, over {d.symbols} "
                f"{self.reader_.units.name}s, {size} parameters{beside}",
                f"training    {best}",
            )
        )

    def _grams(self) -> Grams:
        """What reads the n-grams beside the net."""
        return Grams(self.ngrams, self.spelling)

    def _parts(self, read: Sequence[ReadText]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """z of the nets and of the n-grams, (N, K) each; None where the nets stand alone."""
        net_NK = self.model_.scores([one.ids for one in read])
        if self.wide_ is None:
            return net_NK, None
        return net_NK, self.wide_.scores(self._grams().features([one.tokens for one in read]))

    def _probability(self, texts: Sequence[str]) -> torch.Tensor:
        return self.model_.probability(self.model_.mixed(*self._parts([self.reader_.read(text) for text in texts])))

    def _members(self, ids: int, *, pretrained: bool) -> int:
        """How many nets are trained on texts of so many ids in all."""
        if self.members is not None:
            return int(self.members)
        return 1 if pretrained else min(max(_MEMBER_IDS // max(ids, 1), 1), _MOST_MEMBERS)

    def _training_config(self, *, texts: int, mean: float, longest: int, max_seconds: float | None) -> TrainingConfig:
        epochs = self.epochs
        if epochs is None:
            epochs = min(max(_STEPS * self.batch_size // max(1, texts), _LEAST_EPOCHS), _MOST_EPOCHS)
        return TrainingConfig(
            epochs=epochs,
            batch_size=256,
            max_tokens=max(round(self.batch_size * mean), longest, 1),
            learning_rate=self.learning_rate,
            schedule="onecycle",
            clip_norm=5.0,
            bfloat16=self.bfloat16,
            patience=self.patience,
            seed=self.seed,
            max_seconds=max_seconds,
        )

    def _to_folder(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return stored.tensors(self), stored.sections(self)

    def _from_folder(self, tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        parameters.check(self)
        stored.read_sections(self, tensors, extra)


def read_pairs(X: Any, y: Any, who: str) -> tuple[list[str], list[Any]]:
    """Texts and their labels.

    Raises:
        ArgumentError: labels beside a file, or none beside texts.
        ArgumentTypeError, DataError: what is said there.
    """
    if isinstance(X, str | os.PathLike):
        path = Path(X)
        if y is not None:
            raise ArgumentError(f"{who}: expected no labels beside a file, got {y!r:.40}; the file brings its own")
        rows = list(read_labelled(path))
        return [row.text for row in rows], [row.label for row in rows]
    if y is None:
        raise ArgumentError(f"{who}: expected labels beside texts, got none; pass y, or a file that has them")
    texts, labels = check_texts(X, who), read_rows(y, who)
    if len(labels) != len(texts):
        raise DataError(
            f"{who}: expected a label for each of the {len(texts)} texts, got {len(labels)}; pass one for each"
        )
    return texts, labels


def _pair(validation: Any, who: str) -> tuple[Any, Any]:
    if isinstance(validation, str | os.PathLike):
        return validation, None
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        raise ArgumentTypeError(
            f"{who}: expected validation as a pair (texts, labels) or a file, got {validation!r:.60}; pass one"
        )
    return validation[0], validation[1]
