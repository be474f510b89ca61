"""How a classifier is trained: texts read, n-grams fitted, language learned, nets trained, and all of it calibrated.

Axes in names: N texts, K labels.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from throughtime.errors import DataError
from throughtime.tasks.classify.batches import TextSource
from throughtime.tasks.classify.evaluation import frequent, score
from throughtime.tasks.classify.grams import Features, Grams
from throughtime.tasks.classify.labels import Labels, class_weights, folds
from throughtime.tasks.classify.model import ClassModel, Trainee, mixture, negative_log_likelihood, net_scores
from throughtime.tasks.classify.network import ClassDesign, ClassNet
from throughtime.tasks.classify.ngrams import PENALTIES, NGramClassifier
from throughtime.tasks.classify.pretraining import Languages, check_pretraining, read_texts
from throughtime.tasks.classify.texts import TextReader
from throughtime.tasks.training import check_finite
from throughtime.training import Callback, RunFolder, TrainingConfig, TrainingResult, train

if TYPE_CHECKING:
    from throughtime.tasks.classify.classifier import Classifier

_logger = logging.getLogger("throughtime.tasks")
BASELINE_NGRAMS = 2  # words and pairs of words
_HELD_OUT = 10  # one text of so many, for each net
_HEAD_RATE = 2.0  # of the classifier's rate: for the head while the encoder is frozen
_THAWED_RATE = 0.25  # for all of it afterwards


class Pairs(NamedTuple):
    """Texts with their labels as numbers."""

    texts: Sequence[str]
    targets: Tensor
    """(N, K)"""


class Fitted(NamedTuple):
    """What `fit` found."""

    reader: TextReader
    model: ClassModel
    baseline: "_Linear"
    wide: NGramClassifier | None
    frequent: Tensor
    histories: list[TrainingResult]
    how: str
    pretrained: str
    metrics: dict[str, Any]


@dataclass
class _Read:
    """Texts, read."""

    features: list[Features]
    """For the baseline's n-grams, and for the model's own."""
    prepared: list[str]
    targets_NK: Tensor
    ids: list[NDArray[np.int32]]

    def source(self, rows: NDArray[np.int64]) -> TextSource:
        return TextSource([self.ids[row] for row in rows], self.targets_NK[rows])


def fit(
    classifier: "Classifier",
    given: Pairs,
    validation: Pairs | None,
    labels: Labels,
    *,
    pretrain_on: Any,
    callbacks: Sequence[Callback],
    run: RunFolder | None,
    max_seconds: float | None,
) -> Fitted:
    """Train a classifier's parts; arguments as `Classifier.fit` has them, checked."""
    c, who = classifier, "Classifier.fit"
    began = time.perf_counter()
    reader = TextReader(c.lower, c.longest)
    grams = [Grams(BASELINE_NGRAMS, 0), *([Grams(c.ngrams, c.spelling)] if c.wide else [])]
    data = _read(reader, given, c.unit, grams)
    held = None if validation is None else _read(reader, validation, c.unit, grams)
    blank = sum(not text for text in data.prepared)
    if blank == len(data.prepared):
        raise DataError(f"{who}: expected text, got {blank} empty texts; give texts with words in them")
    if blank:
        _logger.warning(
            "%s: %d of %d texts are empty; they teach how often each label is given", who, blank, len(data.prepared)
        )
    weights_K = class_weights(c.class_weight, labels, data.targets_NK, who)
    languages = _languages(c, reader, data, pretrain_on, callbacks=callbacks, run=run, max_seconds=max_seconds)
    if languages is None:
        reader.learn(c.unit, data.prepared, size=c.vocabulary_size, min_count=c.min_count, who=who)
    else:
        reader.units = languages.units
    for part in (data,) if held is None else (data, held):
        part.ids = [reader.ids(text) for text in part.prepared]
    members = c._members(sum(map(len, data.ids)), pretrained=languages is not None)
    everything = np.arange(len(data.ids))
    if held is None:
        count = max(members, _HELD_OUT)
        parts = folds(data.targets_NK, count, c.seed, several=labels.several)[:members]
    else:
        parts = [everything[:0]] * members
    baseline = _fit_ngrams(data, held, parts[:1], 0, weights_K, several=labels.several)
    wide = _fit_ngrams(data, held, parts, 1, weights_K, several=labels.several) if c.wide else None

    nets: list[ClassNet] = []
    histories: list[TrainingResult] = []
    scored: list[Tensor] = []
    for number, out in enumerate(parts):
        left = None if max_seconds is None else (max_seconds - time.perf_counter() + began) / (members - number)
        rows = np.setdiff1d(everything, out)
        source = data.source(rows)
        later = data.source(out) if held is None else held.source(np.arange(len(held.ids)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(c.seed + 1000 * number)
            net = ClassNet(_design(c, len(reader.units), len(labels), languages))
            if languages is not None:
                net.reader.start_from(languages.encoders())
        trainee = Trainee(net, weights_K, several=labels.several)
        config = c._training_config(
            texts=len(rows), mean=float(source.lengths.double().mean()), longest=int(source.lengths.max()),
            max_seconds=None if left is None else max(left, 1e-3),
        )  # fmt: skip
        config = replace(config, seed=c.seed + 1000 * number)
        name = f"net{number}" if members > 1 or languages is not None else ""
        history = _train(trainee, source, later, config, callbacks, _within(c, run, name), thaw=languages is not None)
        check_finite(history, who)
        if history.best_epoch is None and nets:
            break  # interrupted: the nets that are whole do
        nets.append(net.eval())
        histories.append(history)
        scored.append(net_scores(net, later.texts))
        if history.stopped == "interrupted":
            break
    return _joined(labels, reader, data, held, parts[: len(nets)], nets, scored, (baseline, wide), histories, languages)


def _languages(c: "Classifier", reader: TextReader, data: _Read, pretrain_on: Any, **how: Any) -> Languages | None:
    """What was learned from texts without labels, where that is wanted."""
    if not c.pretrain and pretrain_on is None:
        return None
    check_pretraining(c)
    if isinstance(pretrain_on, Languages):
        return pretrain_on
    who = "Classifier.fit: pretrain_on"
    further = [] if pretrain_on is None else [reader.prepared(text, c.unit) for text in read_texts(pretrain_on, who)]
    how["run"] = _within(c, how["run"], "pretraining")
    return Languages.learn(c, reader, [*data.prepared, *further], further=len(further), **how)


def _design(c: "Classifier", symbols: int, labels: int, languages: Languages | None) -> ClassDesign:
    sizes: dict[str, Any] = {
        "cell": c.cell,
        "hidden_size": int(c.hidden_size),
        "num_layers": int(c.num_layers),
        "embedding_size": int(c.embedding_size),
        "bidirectional": c.bidirectional,
    }
    return ClassDesign(
        symbols=symbols,
        labels=labels,
        pooling=("max" if languages is None else "concat") if c.pooling == "auto" else c.pooling,
        dropout=float(c.dropout),
        embedding_dropout=float(c.embedding_dropout),
        weight_dropout=float(c.weight_dropout),
        pretrained=languages is not None,
        **(sizes if languages is None else sizes | languages.sizes),
    )


def _joined(
    labels: Labels, reader: TextReader, data: _Read, held: _Read | None, parts: list[NDArray[np.int64]],
    nets: list[ClassNet], scored: list[Tensor], linear: "tuple[_Linear, _Linear | None]",
    histories: list[TrainingResult], languages: Languages | None,
) -> Fitted:  # fmt: skip
    """The parts put together and calibrated on what none of them has seen."""
    baseline, wide = linear
    model = ClassModel(nets, several=labels.several)
    if held is None:
        rows = np.concatenate(parts)
        net_NK, targets_NK = torch.cat(scored), data.targets_NK[rows]
        wide_NK = None if wide is None else wide.held_NK[rows]
        how = f"{len(rows)} of the {len(data.ids)} texts" if len(parts) == 1 else (
            f"each of {len(parts)} nets on the {len(data.ids)} texts' part that it has not seen"
        )  # fmt: skip
    else:
        net_NK, targets_NK = torch.stack(scored).mean(0), held.targets_NK
        wide_NK = None if wide is None else wide.held_NK
        how = f"the given {len(held.ids)} texts"
    model.calibrate(net_NK, wide_NK, targets_NK)
    p_NK = model.probability(model.mixed(net_NK, wide_NK))
    found = score(labels, targets_NK, p_NK)
    metrics = {
        "validation_accuracy": found.accuracy,
        "validation_nll": found.nll,
        "best_epoch": histories[0].best_epoch,
        "epochs": len(histories[0].history),
    }
    before = "" if languages is None else languages.how
    return Fitted(
        reader, model.eval(), baseline, None if wide is None else wide.model, frequent(data.targets_NK), histories,
        how, before, metrics,
    )  # fmt: skip


def _read(reader: TextReader, given: Pairs, unit: str, grams: Sequence[Grams]) -> _Read:
    prepared: list[str] = []
    rows: list[list[str]] = []
    same: dict[str, str] = {}  # a token is held once
    for text in given.texts:
        tokens = [same.setdefault(token, token) for token in reader.tokens(text)]
        rows.append(tokens)
        prepared.append(" ".join(tokens) if unit == "word" else reader.prepared(text, unit))
    return _Read([each.features(rows) for each in grams], prepared, given.targets, [])


class _Linear(NamedTuple):
    """N-grams, fitted."""

    model: NGramClassifier
    """Of all training texts."""
    held_NK: Tensor
    """What models that have not seen them say: of each text of `parts` (zeros elsewhere), or of the validation's."""
    scale: float
    """That z is multiplied by to be calibrated, found on the first part or on the validation texts."""


def _fit_ngrams(
    data: _Read,
    held: _Read | None,
    parts: Sequence[NDArray[np.int64]],
    which: int,
    weights_K: Tensor | None,
    *,
    several: bool,
) -> _Linear:
    """The penalty is chosen on the first part, or on the validation texts.

    Args:
        which: of the features that were read.
    """
    everything = np.arange(len(data.targets_NK))
    found = data.features[which]

    def fitted(rows: NDArray[np.int64], penalties: Sequence[float]) -> list[NGramClassifier]:
        return NGramClassifier.fit(
            found.take(rows), data.targets_NK[rows], several=several, penalties=penalties, weights_K=weights_K
        )

    def best(models: Sequence[NGramClassifier], seen: Features, targets_NK: Tensor) -> tuple[float, Tensor, float]:
        """Penalty, z and scale of the one with which the labels are likeliest."""
        told = []
        for model in models:
            z_NK = model.scores(seen)
            scale, _ = mixture(z_NK, None, targets_NK, several=several)
            nll = float(negative_log_likelihood(scale * z_NK, targets_NK, several=several).mean())
            told.append((nll, model.penalty, z_NK, scale))
        return min(told, key=lambda one: one[0])[1:]

    if held is not None:
        models = fitted(everything, PENALTIES)
        penalty, held_NK, scale = best(models, held.features[which], held.targets_NK)
        return _Linear(next(model for model in models if model.penalty == penalty), held_NK, scale)
    first = parts[0]
    models = fitted(np.setdiff1d(everything, first), PENALTIES)
    penalty, told_NK, scale = best(models, found.take(first), data.targets_NK[first])
    held_NK = torch.zeros_like(data.targets_NK)
    held_NK[first] = told_NK
    for part in parts[1:]:
        (own,) = fitted(np.setdiff1d(everything, part), (penalty,))
        held_NK[part] = own.scores(found.take(part))
    (whole,) = fitted(everything, (penalty,))
    return _Linear(whole, held_NK, scale)


def _train(
    trainee: Trainee,
    source: TextSource,
    later: TextSource,
    config: TrainingConfig,
    callbacks: Sequence[Callback],
    run: RunFolder | None,
    *,
    thaw: bool,
) -> TrainingResult:
    """Train a net; one with a pretrained encoder in two steps: the head alone for an epoch, then all of it, slowly."""
    if not thaw:
        return train(trainee, _loss, source, later, config, callbacks, run=run)
    trainee.net.reader.requires_grad_(False)
    head = replace(config, epochs=1, learning_rate=_HEAD_RATE * config.learning_rate, patience=None)
    began = time.perf_counter()
    first = train(trainee, _loss, source, later, head, callbacks, run=_below(run, "head"))
    trainee.net.reader.requires_grad_(True)
    if first.stopped != "epochs":
        return first
    seconds = config.max_seconds
    if seconds is not None:
        seconds = max(seconds - time.perf_counter() + began, 1e-3)
    thawed = replace(config, learning_rate=_THAWED_RATE * config.learning_rate, max_seconds=seconds)
    return train(trainee, _loss, source, later, thawed, callbacks, run=_below(run, "all"))


def _loss(model: nn.Module, batch: Any) -> Any:
    return model.loss(batch)  # type: ignore[operator]


def _within(c: "Classifier", run: RunFolder | None, name: str) -> RunFolder | None:
    """A training's own folder in that of the whole, with the classifier's options in it."""
    if run is None:
        return None
    about = {f"{c.task} {k}": v for k, v in c.get_params().items()}
    run = replace(run, about={**run.about, **about})
    return _below(run, name) if name else run


def _below(run: RunFolder | None, name: str) -> RunFolder | None:
    if run is None:
        return None
    path = Path(run.path)
    path.mkdir(exist_ok=True)
    return replace(run, path=path / name)
