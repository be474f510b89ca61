"""Random layers and batches for the native kernels' tests: the standard awkward set, everything non-zero."""

from dataclasses import dataclass

import numpy as np

from tests.kernels import native_oracle
from tests.kernels.native_oracle import GATES, has_cell
from throughtime.kernels import native


@dataclass
class Case:
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
    def sequence(self):
        return {"h0": self.h0, "c0": self.c0, "lengths": self.lengths, "reset": self.reset, "reverse": self.reverse}

    @property
    def gradients_in(self):
        return {
            "d_output": self.dy,
            "dh_n": self.dh_n,
            "dc_n": self.dc_n,
            "dc_sequence": self.dc_sequence,
        }

    def forward(self, **options):
        return native.sequence_forward(self.cell, self.x, self.weights, training=True, **self.sequence, **options)

    def backward(self, forward, **options):
        return native.sequence_backward(
            self.cell, self.x, self.weights, forward, **self.gradients_in, **self.sequence, **options
        )

    def oracle(self):
        """The oracle's forward result and gradients, in float64."""
        w = {
            name: None if value is None else value.astype(np.float64) for name, value in self.weights._asdict().items()
        }
        zeros = np.zeros(self.h0.shape)
        dc_sequence = np.zeros(self.dy.shape) if self.dc_sequence is None else self.dc_sequence
        rows = {"lengths": self.lengths, "reset": self.reset, "reverse": self.reverse}
        x, h0 = self.x.astype(np.float64), self.h0.astype(np.float64)
        c0 = zeros if self.c0 is None else self.c0.astype(np.float64)
        result = native_oracle.forward(self.cell, x, w, h0, c0, **rows)
        dc_n = zeros if self.dc_n is None else self.dc_n.astype(np.float64)
        gradients = native_oracle.backward(
            self.cell,
            x,
            w,
            h0,
            c0,
            self.dy.astype(np.float64),
            self.dh_n.astype(np.float64),
            dc_n,
            dc_sequence.astype(np.float64),
            **rows,
        )
        return result, gradients


def make(cell, T, B, I, H, *, seed=0, dtype=np.float32, ragged=False, resets=False, reverse=False):
    """A case with weights U(±1/√H) like torch's, gradients and states N(0,1), and T·B·G·H > 0 values nowhere zero."""
    rng = np.random.default_rng([seed, T, B, I, H, list(GATES).index(cell)])
    G = GATES[cell]
    bound = 1 / np.sqrt(H)

    def weight(*shape):
        return rng.uniform(-bound, bound, shape).astype(dtype)

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    weights = native.Weights(
        weight(G * H, I),
        weight(G * H, H),
        weight(G * H),
        weight(G * H),
        weight(3 * H) if "peephole" in cell else None,
    )
    lengths = reset = None
    if ragged:
        lengths = rng.integers(0, T + 1, B)
        lengths[: min(B, 3)] = np.minimum([0, 1, T], T)[: min(B, 3)]
        lengths = rng.permutation(lengths)
    if resets:
        reset = rng.random((T, B)) < 0.2
    cell_state = has_cell(cell)
    return Case(
        cell,
        normal(T, B, I),
        weights,
        normal(B, H),
        normal(B, H) if cell_state else None,
        normal(T, B, H),
        normal(B, H),
        normal(B, H) if cell_state else None,
        normal(T, B, H) if cell_state else None,
        lengths,
        reset,
        reverse,
    )


def named_gradients(gradients):
    """Every gradient that is there, by name."""
    named = {"dx": gradients.dx, "dh0": gradients.dh0, "dc0": gradients.dc0, **gradients.weights._asdict()}
    return {name: value for name, value in named.items() if value is not None}


def assert_close(got, want, k, what):
    """max |got - want| <= k · ε(got) · magnitude, with magnitude max(1, max |want|)."""
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    assert np.isfinite(got).all(), f"{what}: not finite"
    if want.size == 0:
        return
    error = np.abs(got.astype(np.float64) - want).max()
    bound = k * np.finfo(got.dtype).eps * max(1.0, np.abs(want).max())
    assert error <= bound, f"{what}: off by {error:.3g}, more than {bound:.3g} (k = {k}, used {error / bound * k:.1f})"


def assert_same_bits(got, want, what):
    """Equal bit for bit, NaN included."""
    assert (got is None) == (want is None), what
    if got is not None:
        assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
        unsigned = np.uint32 if got.dtype == np.float32 else np.uint64
        same = np.ascontiguousarray(got).view(unsigned) == np.ascontiguousarray(want).view(unsigned)
        assert same.all(), f"{what}: {same.size - int(same.sum())} of {same.size} values differ"
