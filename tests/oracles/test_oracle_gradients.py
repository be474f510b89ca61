"""The oracle's hand-written derivatives against central differences of its own forward."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.helpers import as_arrays, assert_close, make_params
from tests.oracles import batch, deep, network
from tests.oracles.cells import CELLS
from tests.oracles.layout import EVERY_LAYOUT, LAYOUTS, to_notes
from tests.oracles.normalized import EVERY_CELL

# Five-point differences: the error is about step⁴ + ε·|loss|/step, 1e-11 here; 1e-9 leaves room for large derivatives.
# With the seeds below no relu turns within two steps.
STEP = 1e-4
ALLOWED = 1e-9 / np.finfo(np.float64).eps

F, H, K, T = 2, 3, 4, 5  # features, hidden units, outputs, time steps


def central_differences(f: Callable[[], float], array: np.ndarray) -> np.ndarray:
    """∂f/∂array, changing one element of `array` at a time and putting it back."""
    grad = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        for steps, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            array[index] = kept + steps * STEP
            grad[index] += weight * f() / (12 * STEP)
        array[index] = kept
    return grad


def params_of(name: str, generator: np.random.Generator, input_size: int = F) -> dict[str, np.ndarray]:
    return as_arrays(make_params(name, input_size, H, torch.Generator().manual_seed(int(generator.integers(1 << 30)))))


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@pytest.mark.parametrize("name", EVERY_CELL)
def test_whole_net_gradients(name, loss):
    """Through time, through every cell and through W_ya: every parameter, every input, every initial state."""
    g = np.random.default_rng(7)
    cell = EVERY_CELL[name]
    w = to_notes(name, params_of(name, g)) | {"W_ya": g.normal(size=(K, H)), "b_y": g.normal(size=K)}
    x, initial = g.normal(size=(T, F)), tuple(g.normal(size=H) for _ in cell.state)
    y = np.eye(K)[g.integers(K, size=T)] if loss == "cross_entropy" else g.normal(size=(T, K))

    def value() -> float:
        return network.total_loss(network.predictions(w, network.forward(cell, w, x, initial), loss), y, loss)

    total, dw, dx, d_initial = network.loss_and_gradients(cell, w, x, y, initial, loss)
    assert total == value()
    assert_close(dw, {key: central_differences(value, array) for key, array in w.items()}, "parameters", k=ALLOWED)
    assert_close(dx, central_differences(value, x), "input", k=ALLOWED)
    assert_close(d_initial, tuple(central_differences(value, s) for s in initial), "initial state", k=ALLOWED)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", EVERY_CELL)
def test_batch_gradients_with_lengths_and_resets(name, reverse):
    """In torch's layout; the padding's gradient is exactly zero."""
    g = np.random.default_rng(11)
    B = 4
    params = params_of(name, g)
    x, state = g.normal(size=(T, B, F)), tuple(g.normal(size=(B, H)) for _ in EVERY_CELL[name].state)
    lengths = np.array([3, 0, 5, 1])
    reset = np.zeros((T, B), dtype=bool)
    reset[[0, 2, 3], [0, 0, 0]] = reset[[2, 4], [2, 2]] = reset[0, 1] = True
    d_output, d_final = g.normal(size=(T, B, H)), tuple(g.normal(size=(B, H)) for _ in state)

    def run() -> batch.Run:
        return batch.scan(name, x, state, params, lengths=lengths, reset=reset, reverse=reverse)

    def value() -> float:
        r = run()
        ends = sum(float(np.sum(a * b)) for a, b in zip(r.final_state, d_final, strict=True))
        return float(np.sum(r.output_TBH * d_output)) + ends

    got = batch.bptt(run(), d_output, d_final)
    expected = {key: central_differences(value, array) for key, array in params.items()}
    assert_close(got.params, expected, "params", k=ALLOWED)
    assert_close(got.x_TBI, central_differences(value, x), "x", k=ALLOWED)
    assert_close(got.state, tuple(central_differences(value, s) for s in state), "state", k=ALLOWED)
    for b, length in enumerate(lengths):
        assert not got.x_TBI[length:, b].any()
    if not reverse:
        assert not any(s[0].any() for s in got.state), "a reset at t = 0 replaces the initial state"
    assert all((s[1] == d[1]).all() for s, d in zip(got.state, d_final, strict=True)), "length 0: straight through"


@pytest.mark.parametrize("name", CELLS)
def test_deep_bidirectional_gradients(name):
    g = np.random.default_rng(9)
    B, L, D = 2, 2, 2
    params: dict[str, np.ndarray] = {}
    for layer in range(L):
        for suffix in (f"_l{layer}", f"_l{layer}_reverse"):
            own = params_of(name, g, F if layer == 0 else D * H)
            params |= {kind + suffix: value for kind, value in own.items()}
    x, state = g.normal(size=(3, B, F)), tuple(g.normal(size=(L * D, B, H)) for _ in CELLS[name].state)
    lengths = np.array([2, 3])
    d_output, d_final = g.normal(size=(3, B, D * H)), tuple(g.normal(size=s.shape) for s in state)

    def run() -> deep.DeepRun:
        return deep.scan(name, x, state, params, num_layers=L, bidirectional=True, lengths=lengths)

    def value() -> float:
        r = run()
        ends = sum(float(np.sum(a * b)) for a, b in zip(r.final_state, d_final, strict=True))
        return float(np.sum(r.output_TBH * d_output)) + ends

    got = deep.bptt(run(), d_output, d_final)
    assert set(got.params) == set(params)
    # One random direction an array instead of every element: a wrong derivative has no share in it by chance only.
    arrays = {**params, "x": x, **{f"state {k}": s for k, s in enumerate(state)}}
    found = {**got.params, "x": got.x_TBI, **{f"state {k}": s for k, s in enumerate(got.state)}}
    for key, array in arrays.items():
        direction, kept, slope = g.normal(size=array.shape), array.copy(), np.zeros(1)

        def along(_direction=direction, _kept=kept, _array=array, _slope=slope) -> float:
            _array[...] = _kept + _slope[0] * _direction
            return value()

        expected = central_differences(along, slope)
        array[...] = kept
        assert_close(np.sum(found[key] * direction)[None], expected, key, k=ALLOWED)


def test_layouts_and_cells_agree():
    assert set(LAYOUTS) == set(CELLS)
    assert set(EVERY_LAYOUT) == set(EVERY_CELL)
    assert all(EVERY_LAYOUT[name].states == len(cell.state) for name, cell in EVERY_CELL.items())
