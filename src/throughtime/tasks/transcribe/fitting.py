"""How a net learns to transcribe.

Axes in names: T frames, S steps, B clips, M features, V symbols.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from throughtime.errors import DataError
from throughtime.models import ctc_least_steps
from throughtime.models.losses import SequenceLoss
from throughtime.tasks.transcribe.alphabet import BLANK
from throughtime.tasks.transcribe.hearing import Ear, Heard
from throughtime.tasks.transcribe.network import SpeechNet
from throughtime.tasks.transcribe.perturb import Perturbation, masked, perturbed_features, perturbed_sound
from throughtime.training import fingerprint

__all__ = ["ClipSource", "Trainee", "check_lengths", "set_scale"]


_LATE = (0.5, 0.8)  # of a symbol's share: where it has been heard
_FLAT_WEIGHT = 10.0
_AROUND = 0.25  # of a symbol's share, before and after it: where it may be
_ENOUGH = 0.15  # of the probability there: enough for CTC to go on from


class ClipBatch(NamedTuple):
    """Clips of a batch."""

    clips: list[Heard]
    targets: list[NDArray[np.int64]]


class ClipSource:
    """Clips with their symbols, as a `BatchSource`."""

    def __init__(self, clips: Sequence[Heard], targets: Sequence[NDArray[np.int64]]) -> None:
        self.clips, self.targets = list(clips), list(targets)
        self.lengths = torch.tensor([len(clip.frames) for clip in clips], dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, indices: Tensor) -> ClipBatch:
        """The chosen clips."""
        rows = indices.tolist()
        return ClipBatch([self.clips[row] for row in rows], [self.targets[row] for row in rows])

    def fingerprint(self) -> str:
        """Of every clip's features and symbols."""
        return fingerprint([clip.frames for clip in self.clips], self.targets)


class Trainee(nn.Module):
    """A net while it is trained: what it hears is perturbed anew each time, from torch's generator.

    CTC alone first learns that blanks are likely, and stays there for long. So it begins flat: each symbol is said in
    its share of the clip, all shares alike, as speech recognisers have long begun; over the first `flat` steps this
    gives way to CTC.

    (1) loss = w · 10 L · mean of −log p of each symbol late in its share + (1 − w) · CTC, w from 1 to 0

    A one-way net does not know how long the clip will be, and so not where a share ends. It learns first that each
    symbol is somewhere about its share:

    (2) loss = w · Σ −log min(c, mean of p of each symbol over its share and a quarter on both sides) + (1 − w) · CTC

    with c = 0.15: told for more of its share than that, a symbol would seem to last for as long as the next is away.
    """

    done: Tensor

    def __init__(self, net: SpeechNet, ear: Ear, how: Perturbation, flat: int = 0) -> None:
        super().__init__()
        self.net, self.ear, self.how, self.flat = net, ear, how, flat
        self.register_buffer("done", torch.zeros((), dtype=torch.int64))

    def loss(self, batch: ClipBatch) -> SequenceLoss:
        """−log p of the transcript of a clip, summed over all paths; at first (1)."""
        rows = [self._frames(clip, target) for clip, target in zip(*batch, strict=True)]
        lengths_B = torch.tensor([len(row) for row in rows])
        x_TBM = pad_sequence([torch.from_numpy(row) for row in rows])
        if self.training:
            x_TBM = perturbed_features(x_TBM, self.how, self.ear.mel)
        x_TBM = self.net.normalised(self.net.standardised(x_TBM), lengths_B)
        if self.training:
            x_TBM = masked(x_TBM, lengths_B, self.how.masks)
        told_SBV = self.net.of_normalised(x_TBM, lengths_B)
        nll = nn.functional.ctc_loss(
            told_SBV, torch.from_numpy(np.concatenate(batch.targets)), self.net.steps(lengths_B),
            torch.tensor([len(target) for target in batch.targets]), blank=BLANK, reduction="sum",
        )  # fmt: skip
        if self.training and self.done < self.flat:
            share = float(self.done) / self.flat
            self.done += 1
            nll = share * nll + (1 - share) * self._flat(told_SBV, self.net.steps(lengths_B).tolist(), batch.targets)
        return SequenceLoss(nll / len(rows), len(rows))

    def _flat(self, told_SBV: Tensor, steps: list[int], targets: Sequence[NDArray[np.int64]]) -> Tensor:
        """The first part of (1), over all clips; of a one-way net (2)."""
        if not self.net.design.bidirectional:
            return self._somewhere(told_SBV, steps, targets)
        at_S: list[int] = []
        at_B: list[int] = []
        at_V: list[int] = []
        for b, (there, target) in enumerate(zip(steps, targets, strict=True)):
            share = there / max(len(target), 1)
            for k, symbol in enumerate(target.tolist()):
                first = int((k + _LATE[0]) * share)
                own = range(first, max(int((k + _LATE[1]) * share), first + 1))
                at_S += own
                at_B += [b] * len(own)
                at_V += [symbol] * len(own)
        symbols = sum(map(len, targets))
        return -told_SBV[at_S, at_B, at_V].mean() * _FLAT_WEIGHT * symbols if at_S else told_SBV.sum() * 0

    def _somewhere(self, told_SBV: Tensor, steps: list[int], targets: Sequence[NDArray[np.int64]]) -> Tensor:
        """(2) over all clips."""
        found = [told_SBV.sum() * 0]
        for b, (there, target) in enumerate(zip(steps, targets, strict=True)):
            share = there / max(len(target), 1)
            for k, symbol in enumerate(target.tolist()):
                first = max(int((k - _AROUND) * share), 0)
                own_S = told_SBV[first : min(int((k + 1 + _AROUND) * share) + 1, there), b, symbol]
                found.append(-(own_S.logsumexp(0) - math.log(len(own_S))).clamp_max(math.log(_ENOUGH)))
        return torch.stack(found).sum()

    def _frames(self, clip: Heard, target: NDArray[np.int64]) -> NDArray[np.float32]:
        if not self.training or clip.samples is None or self.ear.mel is None:
            return clip.frames
        frames = self.ear.mel(perturbed_sound(clip.samples, self.ear.mel.rate, self.how))
        # Played faster, a clip may become too short for its text.
        enough = int(self.net.steps(torch.tensor(len(frames)))) >= ctc_least_steps(target.tolist())
        return frames if len(frames) and enough else clip.frames


def check_lengths(net: SpeechNet, source: ClipSource, texts: Sequence[str], frame_rate: float, who: str) -> None:
    """Refuse clips that are too short for their text: CTC needs a step a symbol, and one between two of the same.

    Raises:
        DataError: the first such clip, and how many there are.
    """
    steps = net.steps(source.lengths).tolist()
    least = [ctc_least_steps(target.tolist()) for target in source.targets]
    short = [i for i, (there, needed) in enumerate(zip(steps, least, strict=True)) if there < needed]
    if short:
        i = short[0]
        step = 1000 * net.design.subsampling / frame_rate
        more = f", and {len(short) - 1} more clips like it" if len(short) > 1 else ""
        raise DataError(
            f"{who}: {source.clips[i].name}: expected at least {least[i]} steps of {step:g} ms for {texts[i]!r:.60}, "
            f"got {steps[i]}{more}; correct clip or text, lower subsampling, or let unit be 'word'"
        )


def set_scale(net: SpeechNet, clips: Sequence[Heard]) -> None:
    """Mean and standard deviation of the features over the training clips.

    Of log-mel energies the mean is that of loud frames, as of a clip in `SpeechNet`, and one deviation is all bins',
    so that a gain moves them alike.
    """
    total = sum(len(clip.frames) for clip in clips)
    if net.design.mel:
        loud = net.design.loud
        mean_M = np.mean([_loud_mean(clip.frames, loud) for clip in clips], axis=0, dtype=np.float64)
    else:
        mean_M = np.asarray(sum(clip.frames.sum(0, dtype=np.float64) for clip in clips) / total)
    square_M = np.asarray(sum(np.square(clip.frames - mean_M).sum(0) for clip in clips) / total)
    if net.design.mel:
        square_M = np.full_like(square_M, square_M.mean())
    net.mean.copy_(torch.from_numpy(mean_M))
    net.scale.copy_(torch.from_numpy(np.maximum(np.sqrt(square_M), 1e-3)))


def _loud_mean(frames_TM: NDArray[np.float32], loud: float) -> NDArray[np.float64]:
    """(M,)"""
    level_T = frames_TM.mean(1, dtype=np.float64)
    weight_T = np.exp(loud * (level_T - level_T.max()))
    mean_M: NDArray[np.float64] = weight_T @ frames_TM / weight_T.sum()
    return mean_M


def ctc_loss(model: nn.Module, batch: Any) -> SequenceLoss:
    """What `train` is given."""
    assert isinstance(model, Trainee)
    return model.loss(batch)
