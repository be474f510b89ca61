"""Masks: the same from Python's own integers, from torch and from C++; their frequencies; what they depend on."""

import itertools

import numpy as np
import pytest
import torch

from throughtime.kernels import _native, dispatch, masks
from throughtime.kernels.masks import Kind

SEEDS = (0, 1, 2**31, 2**62 + 12345, 2**63 - 1)


def by_hand(seed: int, stream: int, kind: int, row: int, unit: int, time: int) -> int:
    """One draw in Python's integers, modulo 2**32 by name."""
    word = 2**32

    def mix(x: int) -> int:
        x = (x ^ x // 2**16) * 0x21F0AAAD % word
        x = (x ^ x // 2**15) * 0x735A2D97 % word
        return x ^ x // 2**15

    low, high = seed % word, seed // word
    tag = (4 * stream + kind + 1) % word
    words = [mix(mix(mix(low ^ 0x243F6A88) ^ high) ^ tag), mix(mix(mix(high ^ 0x13198A2E) ^ low) ^ tag)]
    of_row = [mix(w ^ row) for w in words]
    of_time = [mix(mix(w ^ 0x24093822) ^ time) for w in words]
    x = (unit * 0x9E3779B1 + of_row[0] + of_time[0]) % word
    x = (x ^ x // 2**16) * 0x21F0AAAD % word ^ of_row[1] ^ of_time[1]
    x = (x ^ x // 2**15) * 0x735A2D97 % word
    return (x ^ x // 2**15) // 2**8


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", Kind)
def test_torch_draws_what_is_written_down(seed, kind):
    words = masks.stream_words(torch.tensor(seed), 3, kind)
    rows = masks.row_words(words, 4)
    for time in (0, 7, 2**20):
        wanted = np.array([[by_hand(seed, 3, kind, row, unit, time) for unit in range(9)] for row in range(4)])
        for p in (0.0, 0.3, 0.999, 1.0):
            found = masks.dropped(rows, masks.time_words(words, time), 9, p)
            assert (found.numpy() == (wanted < round(p * 2**24))).all()


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_native_masks_have_torch_s_bits(seed, p):
    for kind, (rows, units), dtype in itertools.product(
        Kind, ((0, 3), (1, 1), (5, 33)), (torch.float32, torch.float64)
    ):
        found = dispatch.drop_mask(torch.tensor(seed), 2, kind, p, rows, units, dtype)
        wanted = masks.drop_mask(torch.tensor(seed), 2, kind, p, rows, units, dtype)
        assert torch.equal(found, wanted)
        assert found.dtype is dtype
        values = {0.0} if p == 1 else {0.0, float(torch.tensor(1 / (1 - p), dtype=dtype))}
        assert set(found.unique().tolist()) <= values


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_other_dtypes_have_the_same_masks(dtype):
    """The kernels write float32 and float64 alone: these come from torch."""
    arguments = torch.tensor(3), 2, Kind.RECURRENT, 0.3, 5, 33
    found = dispatch.drop_mask(*arguments, dtype)
    assert found.dtype is dtype
    assert torch.equal(found, masks.drop_mask(*arguments, dtype))
    assert torch.equal(found, dispatch.drop_mask(*arguments, torch.float32).to(dtype))


def test_the_binding_refuses_a_dtype_that_it_would_overflow():
    with pytest.raises(ValueError, match=r"drop_mask: expected dtype 0 \(float32\) or 1 \(float64\), got 2"):
        _native.drop_mask(0, 0, 0, 0.5, 0, 0, 2, 0)


def test_frequencies_and_independence():
    """Counts and products of neighbours along every axis within 4 standard deviations; seeds, streams and kinds too."""
    p, T, B, H = 0.2, 200, 50, 64

    def centred(seed: int, stream: int, kind: Kind) -> torch.Tensor:
        words = masks.stream_words(torch.tensor(seed), stream, kind)
        rows = masks.row_words(words, B)
        drops = [masks.dropped(rows, masks.time_words(words, t), H, p) for t in range(T)]
        return torch.stack(drops).double() - p

    d = centred(9, 1, Kind.ZONEOUT_H)
    sigma = (p * (1 - p)) ** 0.5
    assert abs(d.mean()) < 4 * sigma / d.numel() ** 0.5
    for t, b, h in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (2, 0, 0), (0, 0, 16)):
        both = d[t:, b:, h:] * d[: T - t, : B - b, : H - h]
        assert abs(both.mean()) < 4 * sigma**2 / both.numel() ** 0.5, (t, b, h)
    square = d[1:, 1:] * d[1:, :-1] * d[:-1, 1:] * d[:-1, :-1]
    assert abs(square.mean()) < 4 * sigma**4 / square.numel() ** 0.5
    others = ((10, 1, Kind.ZONEOUT_H), (9 + 2**32, 1, Kind.ZONEOUT_H), (9, 2, Kind.ZONEOUT_H), (9, 1, Kind.ZONEOUT_C))
    for other in others:
        assert abs((d * centred(*other)).mean()) < 4 * sigma**2 / d.numel() ** 0.5, other


def test_the_seed_comes_from_torch_s_generator():
    torch.manual_seed(5)
    first, second = masks.draw_seed(), masks.draw_seed()
    torch.manual_seed(5)
    assert (masks.draw_seed(), masks.draw_seed()) == (first, second)
    assert first != second
    assert 0 <= int(first) < 2**63


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="expected a kind from 0 to 3, got 4"):
        _native.drop_mask(0, 0, 4, 0.5, 0, 0, 0, 0)
