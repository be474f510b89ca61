"""The raw binding on buffers of exactly the size it may touch, with any strides. Imports no torch.

Legend: T time, B batch, I input, H hidden, G gates.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tests.kernels.native_cases import Case, nan_of
from throughtime.kernels import _native, native

GRADIENTS = ("dx", "dh0", "dc0", *native.Weights._fields)
HEALTH = native.Health._fields


def _address(array: np.ndarray | None) -> int:
    return 0 if array is None else int(array.__array_interface__["data"][0])


def _steps(array: np.ndarray | None) -> tuple[int, int]:
    if array is None:
        return 0, 0
    return array.strides[0] // array.itemsize, array.strides[1] // array.itemsize


class Buffers:
    """Arrays of no more memory than their own elements span, between margins that must stay as they are.

    With a margin of 0 a sanitizer sees every access beyond an array; with a margin, `check` sees every write.
    """

    def __init__(self, rng: np.random.Generator, margin: int) -> None:
        self.rng = rng
        self.margin = margin
        self._all: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def _room(self, size: int, dtype: Any) -> np.ndarray:
        outside = {"f": np.nan, "i": 1 << 30, "b": True, "V": nan_of(dtype)}[np.dtype(dtype).kind]
        return np.full(size + 2 * self.margin, outside, dtype)

    def _keep(self, whole: np.ndarray, is_own: np.ndarray, *, output: bool) -> None:
        self._all.append((whole, whole.copy(), ~is_own if output else np.ones_like(is_own)))

    def flat(self, shape: tuple[int, ...], dtype: Any, values: np.ndarray | None = None) -> np.ndarray:
        """A contiguous array; an input if it has values, else an output."""
        size = int(np.prod(shape))
        whole = self._room(size, dtype)
        own = slice(self.margin, self.margin + size)
        view = whole[own].reshape(shape)
        if values is not None:
            view[...] = values
        is_own = np.zeros(whole.size, bool)
        is_own[own] = True
        self._keep(whole, is_own, output=values is None)
        return view

    def strided(self, shape: tuple[int, int, int], dtype: Any, values: np.ndarray | None = None) -> np.ndarray:
        """A (T, B, F) array in time or batch order, with gaps, perhaps running backwards in time."""
        T, B, F = shape
        if T * B * F == 0:
            return np.empty(shape, dtype)
        row, gap = F + int(self.rng.integers(0, 4)), int(self.rng.integers(0, 4))
        of_t, of_b = (row * B + gap, row) if self.rng.random() < 0.5 else (row, row * T + gap)
        whole = self._room((T - 1) * of_t + (B - 1) * of_b + F, dtype)
        is_own = np.zeros(whole.size, bool)
        step = np.dtype(dtype).itemsize
        view = as_strided(whole[self.margin :], shape, (of_t * step, of_b * step, step))
        as_strided(is_own[self.margin :], shape, (of_t, of_b, 1))[...] = True
        if self.rng.random() < 0.3:
            view = view[::-1]
        if values is not None:
            view[...] = values
        self._keep(whole, is_own, output=values is None)
        return view

    def copy(self, array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else self.flat(array.shape, array.dtype, array)

    def check(self) -> None:
        """Inputs are as they were, and so is all that surrounds the outputs."""
        for now, before, fixed in self._all:
            unsigned = f"u{now.itemsize}"
            assert (now.view(unsigned)[fixed] == before.view(unsigned)[fixed]).all(), "a byte outside changed"


class Varied(NamedTuple):
    """A variation of the equations; `masked` asks for a mask on the state."""

    masked: bool
    zoneout: int  # 0 off, 1 random, 2 expected
    p_h: float = 0.3
    p_c: float = 0.2
    seed: int = 2**62 + 5
    stream: int = 3
    step0: int = 2


class RawCall:
    """A case with every input in buffers of its own."""

    def __init__(self, case: Case, buffers: Buffers, threads: int, varied: Varied | None = None) -> None:
        self.buffers, self.threads, self.cell = buffers, threads, case.cell
        self.code, self.G, self.has_c, self.has_peepholes = native.CELL_CODES[case.cell]
        self.T, self.B, self.I = case.x.shape
        self.H, self.dtype = case.h0.shape[1], case.x.dtype
        put = buffers.copy
        self.saves_gates = not case.cell.startswith("rnn")  # a plain RNN's state is its gate
        self.x = buffers.strided(case.x.shape, self.dtype, case.x)
        self.state = put(case.h0), put(case.c0)
        self.weights = native.Weights(*map(put, case.weights))
        self.lengths = put(case.lengths)
        self.reset = None if case.reset is None else np.asfortranarray(put(case.reset))
        if case.reset is not None and buffers.rng.random() < 0.5:
            self.reset = put(case.reset)
        self.reverse = case.reverse
        self.dy = buffers.strided(case.dy.shape, self.dtype, case.dy)
        self.finals = put(case.dh_n), put(case.dc_n), put(case.dc_sequence)
        self.saved_dtype = np.float32 if self.dtype == native.BFLOAT16 else self.dtype
        self.variation, self.zoned, self.mask = None, False, None
        if varied is not None:
            shape, kept = (self.B, self.H), np.random.default_rng(5).random((self.B, self.H)) < 0.7
            if varied.masked:
                self.mask = buffers.flat(shape, self.saved_dtype, np.where(kept, 1 / 0.7, 0))
            self.variation, self.zoned = (_address(self.mask), *varied[1:]), varied.zoneout > 0

    def _sizes(self) -> tuple[int, ...]:
        dtype = native.DTYPE_CODES[self.dtype]
        sizes = (self.code, dtype, self.T, self.B, self.I, self.H)
        return (*sizes, _address(self.x), *_steps(self.x), *map(_address, self.state))

    def _rows(self) -> tuple[Any, ...]:
        return (_address(self.lengths), _address(self.reset), *_steps(self.reset), self.reverse, self.threads)

    def forward(self, *, training: bool = True) -> dict[str, np.ndarray]:
        T, B, H, buffers = self.T, self.B, self.H, self.buffers
        out = {"output": buffers.strided((T, B, H), self.dtype), "h_n": buffers.flat((B, H), self.dtype)}
        if self.has_c:
            out["c_n"] = buffers.flat((B, H), self.dtype)
        if training:
            out["saved"] = buffers.flat((T, B, _native.saved_width(self.code, H, self.zoned)), self.saved_dtype)
        if training and self.has_c:
            out["c_sequence"] = buffers.flat((T, B, H), self.dtype)
        _native.sequence_forward_raw(
            *self._sizes(),
            *map(_address, self.weights[:5]),
            *self._rows(),
            _address(out["output"]),
            *_steps(out["output"]),
            *(_address(out.get(name)) for name in ("h_n", "c_n", "saved", "c_sequence")),
            variation=self.variation,
            norm=self.weights.layer_norm(),
        )
        return out

    def gates(self, forward: dict[str, np.ndarray]) -> np.ndarray:
        """The gates of what a forward pass saved: (slots, T, B, H)."""
        slots = {"gru": 4, "lstm": 4, "rnn": 1}[next(n for n in ("lstm", "gru", "rnn") if n in self.cell)]
        shape = (slots - (self.cell == "gru_reset_before"), self.T, self.B, self.H)
        out = self.buffers.flat(shape, self.dtype)
        norm = self.weights.layer_norm()
        _native.saved_gates(
            self.code,
            native.DTYPE_CODES[self.dtype],
            *shape[1:],
            _address(forward["saved"]),
            _address(self.lengths),
            self.reverse,
            self.threads,
            _address(out),
            norm if norm is None else (*norm, *map(_address, self.weights[2:4])),
        )
        return out

    def backward(
        self, forward: dict[str, np.ndarray], *, without: Collection[str] = (), margin: float = 0.1
    ) -> dict[str, np.ndarray]:
        """Every gradient and diagnostic but those named in `without`, whose addresses are 0."""
        T, B, I, H, G = self.T, self.B, self.I, self.H, self.G
        shapes = {
            "dh0": (B, H),
            **({"dc0": (B, H)} if self.has_c else {}),
            "dh_square": (T, B),
            "dc_square": (T, B),
            "saturated": (G, T, B),
            "first_bad": (2, B, 3),
            **{name: w.shape for name, w in self.weights._asdict().items() if w is not None},
        }
        dtypes = {"saturated": np.int32, "first_bad": np.int64, "dh_square": np.float64, "dc_square": np.float64}
        out = {
            name: self.buffers.flat(shape, dtypes.get(name, self.dtype))
            for name, shape in shapes.items()
            if name not in without
        }
        if "dx" not in without:
            out["dx"] = self.buffers.strided((T, B, I), self.dtype)
        norm = self.weights.layer_norm()
        if norm is not None:
            norm += (*map(_address, self.weights[2:4]), *(_address(out.get(name)) for name in GRADIENTS[8:]))
        _native.sequence_backward_raw(
            *self._sizes(),
            *(_address(w) for w in (self.weights.weight_ih, self.weights.weight_hh, self.weights.weight_ch)),
            *self._rows(),
            _address(forward["output"]),
            *_steps(forward["output"]),
            _address(forward["saved"]),
            _address(forward.get("c_sequence")),
            _address(self.dy),
            *_steps(self.dy),
            *map(_address, self.finals),
            _address(out.get("dx")),
            *_steps(out.get("dx")),
            *(_address(out.get(name)) for name in GRADIENTS[1:8]),
            *(_address(out.get(name)) for name in HEALTH[:3]),
            margin,
            _address(out.get("first_bad")),
            variation=self.variation,
            norm=norm,
        )
        return out
