"""The kernels' tanh and sigmoid in units in the last place, and what they give at the edges.

They are reached through a layer of one step: tanh as the RNN's whole step with W_ih = 1, W_hh = 0; sigmoid as the GRU's
h' = (1 − z) n + z h with n = 0 and h = 1.
"""

import numpy as np
import pytest

from tests.kernels.native_cases import instruction_set
from throughtime.kernels import native

# Largest error in ulp, every instruction set and both dtypes. Worst seen: tanh 2.50, sigmoid 2.36.
BOUND = 3.0
LANES = 16

every_set = pytest.mark.parametrize("isa", native.instruction_sets())
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
functions = pytest.mark.parametrize("function", ["tanh", "sigmoid"])


@pytest.fixture(autouse=True)
def _set(isa):
    with instruction_set(isa):
        yield


def kernel_tanh(v: np.ndarray) -> np.ndarray:
    """Finite values only: they enter through the product with the identity, LANES at a time."""
    weights = native.Weights(np.eye(LANES, dtype=v.dtype), np.zeros((LANES, LANES), v.dtype))
    return native.sequence_forward("rnn_tanh", v.reshape(1, -1, LANES), weights).output.reshape(v.shape)


def kernel_sigmoid(v: np.ndarray) -> np.ndarray:
    x = v.reshape(1, -1, LANES)
    weight_ih = np.zeros((3 * LANES, LANES), v.dtype)
    weight_ih[LANES : 2 * LANES] = np.eye(LANES)
    weights = native.Weights(weight_ih, np.zeros_like(weight_ih))
    return native.sequence_forward("gru", x, weights, h0=np.ones(x.shape[1:], v.dtype)).output.reshape(v.shape)


def kernel_value(function: str, v: np.ndarray) -> np.ndarray:
    return {"tanh": kernel_tanh, "sigmoid": kernel_sigmoid}[function](v)


def through_bias(function: str, v: np.ndarray) -> np.ndarray:
    """Any values, infinities and NaN too: they enter as a bias, beside products with zero."""
    gates, block, cell = {"tanh": (1, 0, "rnn_tanh"), "sigmoid": (3, 1, "gru")}[function]
    bias = np.zeros(gates * v.size, v.dtype)
    bias[block * v.size : (block + 1) * v.size] = v
    zeros = np.zeros((gates * v.size, v.size), v.dtype)
    weights = native.Weights(zeros[:, :1].copy(), zeros, bias)
    x, h0 = np.zeros((1, 1, 1), v.dtype), np.ones((1, v.size), v.dtype)
    return native.sequence_forward(cell, x, weights, h0=h0).output.ravel()


def exact(function: str, v: np.ndarray) -> np.ndarray:
    """The value in the next wider type, whose own error is under 0.001 ulp of `v`'s."""
    wide = v.astype({"f4": np.float64, "f8": np.longdouble}[v.dtype.str[1:]])
    return np.tanh(wide) if function == "tanh" else 1 / (1 + np.exp(-wide))


def worst_ulp(function: str, v: np.ndarray) -> tuple[float, float]:
    """Largest error over the arguments whose value is a normal number, and where."""
    got, want = kernel_value(function, v), exact(function, v)
    normal = np.abs(want) >= np.finfo(v.dtype).tiny
    ulp = np.spacing(np.abs(want[normal]).astype(v.dtype)).astype(want.dtype)
    error = np.abs(got[normal].astype(want.dtype) - want[normal]) / ulp
    return float(error.max()), float(v[normal][error.argmax()])


def every_nth_float32(n: int, largest: float) -> np.ndarray:
    """Every n-th float32 from the smallest normal number to `largest`, with both signs."""
    low, high = (int(np.float32(v).view(np.uint32)) for v in (np.finfo(np.float32).tiny, largest))
    bits = np.arange(low, high, n, dtype=np.uint32)
    both = np.concatenate([bits, bits | np.uint32(1 << 31)])
    return both[: both.size // LANES * LANES].view(np.float32)


@functions
@every_set
def test_float32_within_three_ulp(isa, function):
    error, at = worst_ulp(function, every_nth_float32(1009, 100.0))
    assert error <= BOUND, f"{error:.2f} ulp at {at!r}"


@pytest.mark.slow
@functions
@every_set
def test_every_float32_within_three_ulp(isa, function):
    whole = every_nth_float32(1, 100.0)
    for v in np.array_split(whole.reshape(-1, LANES), 1024):
        error, at = worst_ulp(function, v.ravel())
        assert error <= BOUND, f"{error:.2f} ulp at {at!r}"


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="no type wider than float64 here to compare with")
@functions
@every_set
def test_float64_within_three_ulp(isa, function):
    rng = np.random.default_rng(0)
    n = 1 << 15
    tiny_to_large = np.ldexp(rng.uniform(1, 2, n), rng.integers(-1022, 9, n)) * rng.choice([-1.0, 1.0], n)
    for v in (rng.uniform(-1, 1, n), rng.uniform(-40, 40, n), np.clip(tiny_to_large, -700, 700)):
        error, at = worst_ulp(function, v)
        assert error <= BOUND, f"{error:.2f} ulp at {at!r}"


@dtypes
@every_set
def test_edges_of_tanh(isa, dtype):
    largest, tiny = np.finfo(dtype).max, np.finfo(dtype).tiny
    ends = np.array([0.0, -0.0, np.inf, -np.inf, largest, -largest, 20, -20, np.nan], dtype)
    got = through_bias("tanh", ends)
    np.testing.assert_array_equal(got, np.array([0, 0, 1, -1, 1, -1, 1, -1, np.nan], dtype))
    small = np.array([tiny, -tiny, 2 * tiny, 1e-30, -1e-30], dtype)
    np.testing.assert_array_equal(through_bias("tanh", small), small)
    # Subnormal arguments count as zero.
    np.testing.assert_array_equal(through_bias("tanh", np.array([tiny / 2, -tiny / 2, tiny / 1024], dtype)), 0)


@dtypes
@every_set
def test_edges_of_sigmoid(isa, dtype):
    largest, tiny = np.finfo(dtype).max, np.finfo(dtype).tiny
    ends = np.array([0.0, -0.0, np.inf, -np.inf, largest, -largest, tiny, -tiny / 2, np.nan], dtype)
    got = through_bias("sigmoid", ends)
    np.testing.assert_array_equal(got, np.array([0.5, 0.5, 1, 0, 1, 0, 0.5, 0.5, np.nan], dtype))
    # Where the value is subnormal it becomes zero, and nowhere else.
    last = -np.log(np.longdouble(largest))
    below = np.array([last * (1 - 1e-3), last * (1 + 3e-2), last * (1 + 1e-1)], dtype)
    got = through_bias("sigmoid", below)
    assert not got.any()
    np.testing.assert_array_less(0, through_bias("sigmoid", np.array([np.log(np.longdouble(tiny)) + 0.5], dtype)))


@dtypes
@every_set
def test_nothing_but_nan_gives_nan(isa, dtype):
    """Where e^-x leaves the range of the dtype, in steps finer than the places at which its exponent changes."""
    edge = float(np.log(np.finfo(dtype).max))
    for v in (np.linspace(-1.2 * edge, 1.2 * edge, 1 << 14), np.linspace(-edge - 1, -edge + 1, 1 << 14)):
        for name in ("sigmoid", "tanh"):
            got = through_bias(name, v.astype(dtype))
            assert np.isfinite(got).all(), f"{name} of {v[~np.isfinite(got)][0]!r}"


@dtypes
@every_set
def test_values_stay_in_range_and_rise(isa, dtype):
    """|tanh| ≤ 1 and 0 ≤ sigmoid ≤ 1 exactly; a larger argument is never more than the bound below a smaller one."""
    v = np.linspace(-40, 40, 1 << 14).astype(dtype)
    tanh, sigmoid = kernel_tanh(v), kernel_sigmoid(v)
    assert np.abs(tanh).max() == 1
    assert sigmoid.max() == 1
    assert sigmoid.min() > 0
    for value in (tanh, sigmoid):
        assert np.all(value[1:] >= value[:-1] - 2 * BOUND * np.spacing(np.abs(value[1:])))


@dtypes
@every_set
def test_a_lane_s_bits_do_not_depend_on_its_place(isa, dtype):
    v = np.linspace(-9, 9, 1 << 10).astype(dtype)
    for function in ("tanh", "sigmoid"):
        there = kernel_value(function, v)
        back = kernel_value(function, v[::-1].copy())[::-1]
        np.testing.assert_array_equal(there.view(f"u{v.itemsize}"), back.copy().view(f"u{v.itemsize}"))
