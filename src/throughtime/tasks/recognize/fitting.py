"""How a recognizer is trained: recordings read, some held out by groups, a net trained and calibrated.

Axes in names: N recordings, S steps, K labels.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from throughtime.data.recording import Recording
from throughtime.errors import ArgumentError, DataError
from throughtime.models.losses import SequenceLoss
from throughtime.tasks.calibration import least_temperature
from throughtime.tasks.recognize.augment import Augmentation, spaces_of
from throughtime.tasks.recognize.baseline import SECONDS, Baseline
from throughtime.tasks.recognize.batches import ClipBatch, ClipSource
from throughtime.tasks.recognize.labels import UNSEEN, ActivityLabels
from throughtime.tasks.recognize.network import ActivityDesign, ActivityNet
from throughtime.tasks.recognize.reading import Prepared, Reader
from throughtime.tasks.recognize.splits import grouped_folds
from throughtime.tasks.recognize.windows import radii_of, windowed
from throughtime.tasks.training import check_finite
from throughtime.training import Callback, RunFolder, TrainingConfig, TrainingResult, train

if TYPE_CHECKING:
    from throughtime.tasks.recognize.recognizer import Recognizer

_HELD_OUT = 8  # one part of so many
LONGEST = 600
"""Steps of a training clip, where no window is asked for."""
AROUND = 1.5
"""Seconds around a step whose figures are read, where every sample has a label and the net reads both ways."""
ROTATION = 20.0
"""Degrees that x, y and z of a sensor are turned by in training, at most."""
_STEPS, _LEAST_EPOCHS, _MOST_EPOCHS = 1500, 8, 300
# Clips a step: where every sample has a label, a clip teaches more; an encoder learns slowly from noisy gradients.
_BATCH, _FRAMES_BATCH, _ALIGNED_BATCH = 16, 32, 8
_RATE, _FRAMES_RATE = 3e-3, 2e-3


class Given(NamedTuple):
    """Recordings with their labels as numbers."""

    recordings: Sequence[Recording]
    targets: Sequence[NDArray[np.int64]]
    """Of each a number, or one of each sample."""


class Fitted(NamedTuple):
    """What `fit` found."""

    reader: Reader
    net: ActivityNet
    baseline: Baseline
    history: TrainingResult
    how: str
    metrics: dict[str, Any]
    typical: int
    """Steps of a recording, the median."""


class Trainee(nn.Module):
    """A net while it is trained."""

    def __init__(self, net: ActivityNet, weights_K: Tensor | None) -> None:
        super().__init__()
        self.net, self.weights_K = net, weights_K

    def loss(self, batch: ClipBatch) -> SequenceLoss:
        """−log p of each clip's label, or of each step's; weighted in training alone."""
        z_NK = self.net(batch.x, batch.lengths).flatten(0, -2)
        targets_N = batch.targets.flatten()
        weights_K = self.weights_K if self.training else None
        counted = targets_N != UNSEEN
        total = float(counted.sum() if weights_K is None else weights_K[targets_N[counted]].sum())
        loss = nn.functional.cross_entropy(z_NK.float(), targets_N, weights_K, ignore_index=UNSEEN, reduction="sum")
        return SequenceLoss(loss / total, total)


def _loss(model: nn.Module, batch: Any) -> Any:
    return model.loss(batch)  # type: ignore[operator]


def targets_of(prepared: Prepared, targets: NDArray[np.int64]) -> Tensor:
    """A label for each step: that of its last sample; of a step without any, that of the one before."""
    if targets.ndim == 0:
        return torch.tensor(int(targets))
    steps_S = np.full(len(prepared.x), -1, np.int64)
    steps_S[prepared.places] = np.arange(len(targets))
    return torch.from_numpy(targets[np.maximum.accumulate(steps_S)])


def fit(
    recognizer: "Recognizer", given: Given, validation: Given | None, groups: tuple[NDArray[np.int64], str],
    labels: ActivityLabels, *, callbacks: Sequence[Callback], run: RunFolder | None, max_seconds: float | None,
) -> Fitted:  # fmt: skip
    """Train; arguments as `Recognizer.fit` has them, checked."""
    r, who = recognizer, "Recognizer.fit"
    aligned = given.targets[0].ndim == 1
    group_N, found_how = groups
    if validation is None:
        out, how = _held_out(r, given, group_N, found_how, who)
    else:
        out, how = np.zeros(0, np.int64), f"the given {len(validation.recordings)} recordings"
    kept = np.setdiff1d(np.arange(len(given.recordings)), out)
    reader = Reader.find([given.recordings[i] for i in kept], r.rate, who)
    prepared = [reader.read(recording, who) for recording in given.recordings]
    targets = [targets_of(one, target) for one, target in zip(prepared, given.targets, strict=True)]
    if validation is None:
        held = [(prepared[i].x, targets[i]) for i in out]
    else:
        read = [reader.read(recording, f"{who}: validation") for recording in validation.recordings]
        held = [(one.x, targets_of(one, target)) for one, target in zip(read, validation.targets, strict=True)]
    x, y = [prepared[i].x for i in kept], [targets[i] for i in kept]
    window = LONGEST if r.window is None else max(2, round(r.window * reader.rate))
    scale = None if reader.is_frames else (torch.tensor(reader.mean).float(), torch.tensor(reader.deviation).float())
    source = ClipSource(x, y, window, _augmentation(r, reader), scale)
    later = ClipSource([one for one, _ in held], [target for _, target in held], window, None, scale)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(r.seed)
        net = ActivityNet(_design(r, reader, len(labels), aligned))
    _scale_figures(net, x)
    trainee = Trainee(net, _weights(r.class_weight, y, len(labels)))
    config = _config(r, len(source), aligned, reader.is_frames, max_seconds)
    if run is not None:
        run = replace(run, about={**run.about, **{f"{r.task} {k}": v for k, v in r.configuration().items()}})
    history = train(trainee, _loss, source, later, config, callbacks, run=run)
    check_finite(history, who)
    net.eval()
    metrics = _calibrate(net, later, config.batch_size)
    metrics |= {"best_epoch": history.best_epoch, "epochs": len(history.history)}
    radius = max(1, round(SECONDS * reader.rate)) if aligned else None
    baseline = Baseline.fit(x, y, len(labels), radius, r.seed)
    return Fitted(reader, net, baseline, history, how, metrics, int(np.median([len(one) for one in x])))


def _held_out(
    r: "Recognizer", given: Given, group_N: NDArray[np.int64], found: str, who: str
) -> tuple[NDArray[np.int64], str]:
    """Rows to validate on, and how they were chosen, in words."""
    N = len(given.recordings)
    G = len(np.unique(group_N))
    if G < 2:
        raise DataError(
            f"{who}: expected at least 2 recordings or groups, one to learn from and one to judge by, got {G}; give "
            "more, or pass validation"
        )
    main = [int(np.bincount(target.reshape(-1)).argmax()) for target in given.targets]
    parts = grouped_folds(group_N.tolist(), main, min(_HELD_OUT, G), r.seed)
    present = {*np.unique(np.concatenate([target.reshape(-1) for target in given.targets])).tolist()}

    # The part that leaves every label to learn from, and of those the one nearest to its share.
    def lost(part: NDArray[np.int64]) -> tuple[int, float]:
        rest = np.setdiff1d(np.arange(N), part)
        left = {*np.unique(np.concatenate([given.targets[i].reshape(-1) for i in rest])).tolist()}
        return len(present - left), abs(len(part) - N / len(parts))

    out = min(parts, key=lost)
    if lost(out)[0]:
        raise DataError(
            f"{who}: expected every label in at least 2 groups, got one that is in a single group; pass validation, or "
            "recordings of further groups"
        )
    what = f"{len(np.unique(group_N[out]))} of {found}" if found else f"{len(out)} of {N} recordings"
    return out, what


def _design(r: "Recognizer", reader: Reader, labels: int, aligned: bool) -> ActivityDesign:
    seconds = r.around
    if seconds is None:
        seconds = AROUND if aligned and r.bidirectional and not reader.is_frames else 0.0
    if seconds and reader.is_frames:
        raise ArgumentError(
            f"Recognizer: expected around=0 for frames, whose figures would say little, got {seconds:g}; pass 0 or None"
        )
    radii = radii_of(seconds, reader.rate) if seconds else ()
    return ActivityDesign(
        labels=labels, aligned=aligned, channels=len(reader.channels), image=reader.size, features=int(r.features),
        cell=r.cell, hidden_size=int(r.hidden_size), num_layers=int(r.num_layers), bidirectional=r.bidirectional,
        residual=r.residual, dropout=float(r.dropout), pooling=r.pooling, radii=radii,
    )  # fmt: skip


def _scale_figures(net: ActivityNet, x: Sequence[Tensor]) -> None:
    radii = net.design.radii
    if radii:
        rows_NF = torch.cat([windowed(one[:, None], torch.tensor([len(one)]), radii)[:, 0] for one in x])
        net.figure_mean, net.figure_deviation = rows_NF.mean(0), rows_NF.std(0, correction=0).clamp(min=1e-3)


def _augmentation(r: "Recognizer", reader: Reader) -> Augmentation:
    spaces = spaces_of(reader.channels)
    rotation = r.rotation
    if rotation is None:
        rotation = ROTATION if any(len(space) == 3 for space in spaces) else 0.0
    return Augmentation(
        jitter=float(r.jitter), scaling=float(r.scaling), warp=float(r.warp), rotation=float(rotation),
        crop=float(r.crop), flip=r.flip, colour=float(r.colour), spaces=spaces,
    )  # fmt: skip


def _config(r: "Recognizer", examples: int, aligned: bool, frames: bool, max_seconds: float | None) -> TrainingConfig:
    epochs, batch_size, learning_rate = r.epochs, r.batch_size, r.learning_rate
    if batch_size is None:
        batch_size = _ALIGNED_BATCH if aligned else _FRAMES_BATCH if frames else _BATCH
    if learning_rate is None:
        learning_rate = _FRAMES_RATE if frames else _RATE
    if epochs is None:
        steps = _STEPS // 2 if aligned else _STEPS
        epochs = min(max(steps * batch_size // max(examples, 1), _LEAST_EPOCHS), _MOST_EPOCHS)
    return TrainingConfig(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, schedule="onecycle", clip_norm=1.0,
        patience=r.patience, seed=r.seed, max_seconds=max_seconds,
    )  # fmt: skip


def _weights(given: str | None, targets: Sequence[Tensor], labels: int) -> Tensor | None:
    if given is None:
        return None
    counts_K = torch.bincount(torch.cat([target.reshape(-1) for target in targets]), minlength=labels)
    return counts_K.sum() / (labels * counts_K.clamp(min=1))


@torch.inference_mode()
def _calibrate(net: ActivityNet, later: ClipSource, batch_size: int) -> dict[str, Any]:
    """The temperature under which the labels of what was held out are likeliest; accuracy and −log p there."""
    z, targets = [], []
    for rows in torch.arange(len(later)).split(batch_size):  # type: ignore[no-untyped-call]
        batch = later.batch(rows)
        z.append(net(batch.x, batch.lengths).float().flatten(0, -2))
        targets.append(batch.targets.flatten())
    target_N = torch.cat(targets)
    z_NK, target_N = torch.cat(z)[target_N != UNSEEN].double(), target_N[target_N != UNSEEN]

    def nll(t: float) -> float:
        # Of few clips little is learned: how sure to be stays as it was.
        return float(nn.functional.cross_entropy(z_NK / t, target_N, reduction="sum")) + float(np.log(t) ** 2)

    best = least_temperature(nll)
    net.temperature.fill_(best)
    return {
        "validation_accuracy": 100 * float((z_NK.argmax(1) == target_N).double().mean()),
        "validation_nll": float(nn.functional.cross_entropy(z_NK / best, target_N)),
    }
