"""Random layers and batches for the native kernels' tests, everything non-zero. Imports no torch.

Legend: T time, B batch, I input, H hidden, G gates.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from throughtime.kernels import native

CELLS = tuple(native.CELL_CODES)
PLAIN = tuple(name for name in CELLS if not name.startswith("layer_norm_"))  # those that bfloat16 has
WITH_C = tuple(name for name, (_, _, has_c, _) in native.CELL_CODES.items() if has_c)


@dataclass
class Case:
    """Everything that one layer in one direction is given, and the gradients that arrive at what it gives."""

    cell: str
    x: np.ndarray
    weights: native.Weights
    h0: np.ndarray
    c0: np.ndarray | None
    dy: np.ndarray
    dh_n: np.ndarray
    dc_n: np.ndarray | None
    dc_sequence: np.ndarray | None
    lengths: np.ndarray | None = None
    reset: np.ndarray | None = None
    reverse: bool = False

    @property
    def where(self) -> dict[str, Any]:
        return {"h0": self.h0, "c0": self.c0, "lengths": self.lengths, "reset": self.reset, "reverse": self.reverse}

    @property
    def gradients_in(self) -> dict[str, Any]:
        return {"d_output": self.dy, "dh_n": self.dh_n, "dc_n": self.dc_n, "dc_sequence": self.dc_sequence}

    def forward(self, **options: Any) -> native.Forward:
        options = {"training": True, **self.where, **options}
        return native.sequence_forward(self.cell, self.x, self.weights, **options)

    def backward(self, forward: native.Forward, **options: Any) -> native.Gradients:
        options = {**self.gradients_in, **self.where, **options}
        return native.sequence_backward(self.cell, self.x, self.weights, forward, **options)

    def only(self, *, times: slice = slice(None), rows: slice = slice(None), **changes: Any) -> "Case":
        """The case of some time steps and rows, states and lengths as they are."""

        def cut(array: np.ndarray | None, *where: slice) -> np.ndarray | None:
            return None if array is None else array[where]

        parts = {
            **{name: cut(getattr(self, name), times, rows) for name in ("x", "dy", "dc_sequence", "reset")},
            **{name: cut(getattr(self, name), rows) for name in ("h0", "c0", "dh_n", "dc_n", "lengths")},
        }
        return dataclasses.replace(self, **{**parts, **changes})


def converted(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Values as float32, float64 or `native.BFLOAT16`."""
    if dtype == native.BFLOAT16:
        return native.to_bfloat16(values.astype(np.float32))
    return values.astype(dtype)


def nan_of(dtype: Any) -> Any:
    """NaN as one element of a dtype of numbers that has it, else an unlikely integer."""
    if dtype == native.BFLOAT16:
        return np.array((0x7FC0,), dtype)
    return np.nan if np.dtype(dtype).kind == "f" else -12345


def make(
    cell: str,
    T: int,
    B: int,
    I: int,
    H: int,
    *,
    seed: int = 0,
    dtype: Any = np.float32,
    ragged: bool = False,
    resets: bool = False,
    reverse: bool = False,
    bias: bool = True,
) -> Case:
    """Weights U(±1/√H) like torch's; x, states and gradients N(0, 1)."""
    code, G, has_c, has_peepholes = native.CELL_CODES[cell]
    rng = np.random.default_rng([seed, T, B, I, H, code])
    bound = 1 / np.sqrt(H)

    def weight(*shape: int) -> np.ndarray:
        return converted(rng.uniform(-bound, bound, shape), dtype)

    def normal(*shape: int) -> np.ndarray:
        return converted(rng.standard_normal(shape), dtype)

    weights = native.Weights(
        weight(G * H, I),
        weight(G * H, H),
        weight(G * H) if bias else None,
        weight(G * H) if bias else None,
        weight(3 * H) if has_peepholes else None,
    )
    if cell not in PLAIN:
        weights = weights._replace(
            weight_ln_ih=converted(rng.uniform(0.5, 1.5, G * H), dtype),
            weight_ln_hh=converted(rng.uniform(0.5, 1.5, G * H), dtype),
            weight_ln_c=converted(rng.uniform(0.5, 1.5, H), dtype) if has_c else None,
            bias_ln_c=weight(H) if has_c and bias else None,
        )
    lengths = reset = None
    if ragged:
        lengths = rng.integers(0, T + 1, B)
        lengths[: min(B, 3)] = np.minimum([0, 1, T], T)[: min(B, 3)]
        lengths = rng.permutation(lengths)
    if resets:
        reset = rng.random((T, B)) < 0.2
    return Case(
        cell,
        normal(T, B, I),
        weights,
        normal(B, H),
        normal(B, H) if has_c else None,
        normal(T, B, H),
        normal(B, H),
        normal(B, H) if has_c else None,
        normal(T, B, H) if has_c else None,
        lengths,
        reset,
        reverse,
    )


def values(forward: native.Forward) -> dict[str, np.ndarray]:
    """What a forward pass gives its caller, by name."""
    named = {name: getattr(forward, name) for name in ("output", "h_n", "c_n", "c_sequence")}
    return {name: value for name, value in named.items() if value is not None}


def of_rows(gradients: native.Gradients) -> dict[str, np.ndarray]:
    """Gradients that belong to one row each."""
    named = {name: getattr(gradients, name) for name in ("dx", "dh0", "dc0")}
    return {name: value for name, value in named.items() if value is not None}


def of_weights(gradients: native.Gradients) -> dict[str, np.ndarray]:
    """Gradients that are sums over rows and time."""
    return {name: value for name, value in gradients.weights._asdict().items() if value is not None}


def of_all(gradients: native.Gradients) -> dict[str, np.ndarray]:
    """Every gradient, and the diagnostics where they were asked for."""
    health = {} if gradients.health is None else gradients.health._asdict()
    return {**of_rows(gradients), **of_weights(gradients), **health}


def assert_same_bits(got: Any, want: Any, what: str = "value") -> None:
    """Equal bit for bit, NaN included; mappings member by member."""
    if isinstance(want, dict):
        assert set(got) == set(want), f"{what}: has {sorted(got)}, expected {sorted(want)}"
        for name in want:
            assert_same_bits(got[name], want[name], f"{what}.{name}")
        return
    assert got.shape == want.shape, f"{what}: expected shape {want.shape}, got {got.shape}"
    assert got.dtype == want.dtype, f"{what}: expected {want.dtype}, got {got.dtype}"
    unsigned = np.dtype(f"u{got.dtype.itemsize}")
    same = np.ascontiguousarray(got).view(unsigned) == np.ascontiguousarray(want).view(unsigned)
    assert same.all(), f"{what}: {same.size - int(same.sum())} of {same.size} values differ"


@contextlib.contextmanager
def instruction_set(name: str) -> Iterator[None]:
    """The kernels of one instruction set, the ones before put back."""
    before = native.instruction_set()
    native.set_instruction_set(name)
    try:
        yield
    finally:
        native.set_instruction_set(before)


class _Poisoning:
    """NumPy, but for new arrays full of NaN (or of an unlikely integer): what a kernel leaves out shows."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: Any, dtype: Any = np.float64) -> np.ndarray:
        return np.full(shape, nan_of(dtype), dtype)

    def empty_like(self, like: np.ndarray) -> np.ndarray:
        return self.empty(like.shape, like.dtype)


def poisoned() -> Any:
    """A context in which native.py's outputs are NaN before the kernels write them."""
    return mock.patch.object(native, "np", _Poisoning())
