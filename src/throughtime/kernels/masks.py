"""Random masks as a function of counters: seed, layer and direction, row, unit, and time.

(1) words: two 32-bit words of (seed, stream, kind), hashed on with a row, and apart with a time; both together
(2) draw: a whole number below 2²⁴ from the words and the unit
(3) an element is dropped where its draw is below p · 2²⁴, rounded

The same in csrc/masks.h: whoever computes a mask again, in pieces, in other threads or in C++, finds the same one. All
products stay below 2⁶³, so that int64 holds them; `mix` is the multiply-and-shift hash that [Wellons2018] found by
search.

Axes in names: R rows, U units.
"""

from enum import IntEnum

import torch
from torch import Tensor

_LOW = 0xFFFFFFFF
_UNIT, _FIRST, _SECOND = 0x9E3779B1, 0x21F0AAAD, 0x735A2D97


class Kind(IntEnum):
    """What a mask is for; masks of different kinds are independent."""

    RECURRENT = 0
    WEIGHT = 1
    ZONEOUT_H = 2
    ZONEOUT_C = 3


Words = tuple[Tensor, Tensor]


def draw_seed(device: torch.device | None = None) -> Tensor:
    """63 random bits from torch's default generator, so that torch.manual_seed makes masks come again."""
    return torch.randint(2**63 - 1, (), device=device)


def _mix(x: Tensor) -> Tensor:
    x = x ^ (x >> 16)
    x = x * _FIRST & _LOW
    x = x ^ (x >> 15)
    x = x * _SECOND & _LOW
    return x ^ (x >> 15)


def _fold(words: Words, number: Tensor | int) -> Words:
    number = number & _LOW
    return _mix(words[0] ^ number), _mix(words[1] ^ number)


def stream_words(seed: Tensor, stream: int, kind: Kind) -> Words:
    """The words of one use of a seed."""
    low, high = seed & _LOW, seed >> 32
    both = _mix(_mix(low ^ 0x243F6A88) ^ high), _mix(_mix(high ^ 0x13198A2E) ^ low)
    return _fold(both, 4 * stream + int(kind) + 1)


def row_words(words: Words, rows: int) -> Words:
    """The words of rows 0, 1, ...: (R, 1) each."""
    return _fold(words, torch.arange(rows, device=words[0].device).unsqueeze(1))


def time_words(words: Words, time: int) -> Words:
    """The words of a time step."""
    return _fold(_fold(words, 0x24093822), time)


def dropped(rows: Words, time: Words, units: int, p: float) -> Tensor:
    """Where elements are dropped: (R, U) bool."""
    a, b = rows[0] + time[0] & _LOW, rows[1] ^ time[1]
    x = torch.arange(units, device=a.device) * _UNIT + a & _LOW
    x = x ^ (x >> 16)
    x = x * _FIRST & _LOW ^ b
    x = x ^ (x >> 15)
    x = x * _SECOND & _LOW
    x = x ^ (x >> 15)
    return (x >> 8) < threshold(p)


def threshold(p: float) -> int:
    """Draws below it drop."""
    return int(p * 2**24 + 0.5)


def drop_mask(seed: Tensor, stream: int, kind: Kind, p: float, rows: int, units: int, dtype: torch.dtype) -> Tensor:
    """(R, U): 0 with probability p, else 1 / (1 − p); zeros for p = 1."""
    words = stream_words(seed, stream, kind)
    drops = dropped(row_words(words, rows), time_words(words, 0), units, p)
    kept = torch.full((), 1 / (1 - p) if p < 1 else 0.0, dtype=dtype, device=seed.device)
    return torch.where(drops, kept.new_zeros(()), kept)
