"""Clips through a net that has learned: utterances of like length together, long clips in parts.

Axes in names: T frames, S steps, B utterances, M features, V symbols.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from throughtime.data.sound.pauses import Piece, joined
from throughtime.tasks.transcribe.decoding import Decoder, Utterance
from throughtime.tasks.transcribe.hearing import Ear
from throughtime.tasks.transcribe.network import SpeechNet
from throughtime.training.batches import cut_by_tokens

__all__ = ["Transcript", "told", "transcribed"]

_AT_ONCE = 6000  # frames, padding counted, that are heard together
_WAITING = 24_000  # frames that wait for others of like length


@dataclass(frozen=True)
class Transcript:
    """What was heard in a clip.

    Attributes:
        name: the file's, or a number.
        utterances: between pauses, those in which something was said.
        seconds: of sound.
    """

    name: str
    utterances: tuple[Utterance, ...]
    seconds: float

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(one.text for one in self.utterances)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "text": self.text,
            "seconds": round(self.seconds, 3),
            "utterances": [one.as_dict() for one in self.utterances],
        }


@torch.inference_mode()
def told(net: SpeechNet, rows: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Log-probabilities (S, V) of each utterance (T, M)."""
    if not rows:
        return []
    found: dict[int, NDArray[np.float32]] = {}
    lengths = torch.tensor([len(row) for row in rows])
    order = lengths.argsort(stable=True)
    for some in torch.split(order, cut_by_tokens(lengths, max(_AT_ONCE, int(lengths.max())))):
        x_TBM = pad_sequence([torch.from_numpy(rows[i]) for i in some.tolist()]).to(net.mean.dtype)
        told_SBV = net(x_TBM, lengths[some])
        for b, (i, steps) in enumerate(zip(some.tolist(), net.steps(lengths[some]).tolist(), strict=True)):
            found[i] = told_SBV[:steps, b].numpy()
    return [found[i] for i in range(len(rows))]


def transcribed(
    net: SpeechNet, ear: Ear, decoder: Callable[[], Decoder], clips: Iterable[tuple[str, Any]], who: str
) -> Iterator[Transcript]:
    """What is heard in each clip, in order; neither many clips nor a long one stand in memory as a whole."""
    waiting: list[tuple[int, Piece]] = []
    open_: list[tuple[str, list[Utterance], float]] = []  # name, what was heard so far, seconds
    frames = 0

    def hear() -> None:
        nonlocal frames
        for (clip, piece), told_SV in zip(waiting, told(net, [piece.frames for _, piece in waiting]), strict=True):
            one = decoder()
            one.feed(told_SV)
            found = one.result(piece.first / ear.frame_rate, (piece.first + len(piece.frames)) / ear.frame_rate)
            if found.text:
                open_[clip][1].append(found)
        waiting.clear()
        frames = 0

    for name, item in clips:
        open_.append((name, [], 0.0))
        parts: list[Piece] = []
        for piece in ear.utterances(item, name, who):
            parts.append(piece)
            if piece.ends:
                (whole,) = joined(parts)
                parts = []
                waiting.append((len(open_) - 1, whole))
                frames += len(whole.frames)
                if frames > _WAITING:
                    hear()
        open_[-1] = (name, open_[-1][1], ear.heard)
        if not waiting or frames > _WAITING:
            yield from _done(open_)
    hear()
    yield from _done(open_)


def _done(open_: list[tuple[str, list[Utterance], float]]) -> Iterator[Transcript]:
    for name, found, seconds in open_:
        yield Transcript(name, tuple(found), seconds)
    open_.clear()
