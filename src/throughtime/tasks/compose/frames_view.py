"""The frames view: how its net writes, from nothing, from a primer, or below a voice that is given.

Axes in names: T frames, B pieces, K keys, S styles, F features.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from throughtime.data.music.pieces import Metre, Piece
from throughtime.data.music.rolls import piece_from_roll
from throughtime.models import Draws
from throughtime.models.sampling import Sampler, read_seeds
from throughtime.tasks.compose.frames import KEYS, FramesNet, Roll, highest
from throughtime.tasks.compose.wishes import Wish


class DrawnFrames(NamedTuple):
    """Rolls that were written, and their log-probability after what was given."""

    rolls: list[Roll]
    log_probs: list[float]


def write_frames(
    net: FramesNet, begun: Sequence[Roll], frames: int, sampler: Sampler, seed: int, *, styles: Tensor | None = None,
    voice: Roll | None = None, who: str = "write",
) -> DrawnFrames:  # fmt: skip
    """Write rolls of so many frames beside one another.

    (1) independent keys: of each free key the sampler chooses between sound and silence
    (2) joint keys: from the highest down it chooses the next key that sounds, or that none does

    Args:
        begun: the frames that each begins with; none of shape (0, K).
        frames: of each piece, those it begins with counted.
        styles: (B, S), each row's share of every style.
        voice: (T, K), the highest voice of all of them, where the net was built for it.
    """
    B = len(begun)
    seeds = read_seeds(who, seed, B)
    draws = Draws(seeds, torch.device("cpu"))
    given_TBK = torch.full((frames, B, KEYS), -1, dtype=torch.int8)
    for b, roll in enumerate(begun):
        given_TBK[: len(roll), b] = torch.from_numpy(roll.astype(np.int8))
    ahead_TBF = None
    if voice is not None:
        voice_TBK = torch.from_numpy(voice).unsqueeze(1).expand(-1, B, -1)
        ahead_TBF = net.look_ahead(voice_TBK, torch.full((B,), frames))
        given_TBK = torch.where(_at_or_above(voice_TBK), voice_TBK.to(torch.int8), given_TBK)

    written_TBK = torch.zeros((frames, B, KEYS), dtype=torch.uint8)
    total_B = torch.zeros(B, dtype=torch.float64)
    shifts_B = torch.zeros(B, dtype=torch.long)
    before_BK, state = torch.zeros((B, KEYS), dtype=torch.uint8), None
    with torch.inference_mode():
        for t in range(frames):

            def pick(logits_BC: Tensor, place: int, t: int = t) -> Tensor:
                return sampler(logits_BC, draws.at(t * KEYS + place))[0]

            x_1BF = net.inputs(
                before_BK.unsqueeze(0), styles, shifts_B, None if ahead_TBF is None else ahead_TBF[t : t + 1]
            )
            features_1BF, state = net.run(x_1BF, state)
            fixed_BK = given_TBK[t]
            free_BK = fixed_BK < 0
            if bool(free_BK.any()):
                keys_BK = net.head.draw(features_1BF[0], pick, fixed_BK)
                total_B += net.head.log_probs(features_1BF[0], keys_BK, free_BK).double()
            else:
                keys_BK = fixed_BK
            before_BK = keys_BK.to(torch.uint8)
            written_TBK[t] = before_BK
    return DrawnFrames([written_TBK[:, b].numpy() for b in range(B)], total_B.tolist())


def _at_or_above(voice_TBK: Tensor) -> Tensor:
    """The keys that a voice settles: its own and those above; none where it is silent."""
    above = voice_TBK.long().cumsum(-1)
    return (above >= 1) & voice_TBK.bool().any(-1, keepdim=True)


def top_voice(roll: Roll) -> Roll:
    """The highest key of each frame alone."""
    found: Roll = highest(torch.from_numpy(roll)).numpy()
    return found


def shares(wish: Wish, styles: int) -> Tensor | None:
    """(B, S), each piece's share of every style; None without styles."""
    if wish.mixtures is None:
        return None
    found = torch.zeros((len(wish.mixtures), styles))
    for b, mixture in enumerate(wish.mixtures):
        for number, share in mixture.items():
            found[b, number] = share
    return found


def piece_of_frames(roll: Roll, frame: int, metre: Metre, begun: tuple[Piece, int] | None) -> Piece:
    """A roll's notes; those of a primer, of so many frames, as the primer has them, and after it the written ones."""
    if begun is None:
        return piece_from_roll(roll, frame, metre=metre)
    primer, frames = begun
    after = roll.copy()
    after[:frames] = 0
    notes = piece_from_roll(after, frame, metre=metre).notes
    return replace(primer, notes=np.concatenate((primer.notes, notes)), metres=(metre,))
