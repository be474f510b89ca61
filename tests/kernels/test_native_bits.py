"""What the native kernels promise bit for bit, for every cell and instruction set.

Outputs, states, input and state gradients: threads, runs, a row alone, chunks, steps, the stepper. Weight gradients:
threads and runs. Legend: T time, B batch, I input, H hidden.
"""

import dataclasses
import itertools

import numpy as np
import pytest

from tests.kernels.native_cases import CELLS, PLAIN, assert_same_bits, instruction_set, make, of_all, of_rows, values
from throughtime.kernels import native

every_cell = pytest.mark.parametrize("cell", CELLS)
every_set = pytest.mark.parametrize("isa", native.instruction_sets())
both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
every_cell_and_dtype = pytest.mark.parametrize(
    ("cell", "dtype"),
    [
        pytest.param(cell, dtype, id=f"{cell}-{name}")
        for cell in CELLS
        for name, dtype in (("float32", np.float32), ("float64", np.float64), ("bfloat16", native.BFLOAT16))
        if cell in PLAIN or dtype != native.BFLOAT16
    ],
)

# T, B, I, H: several chunks of time; rows in tiles of every size; few rows and many units, where a team divides the
# units; less work than a team is worth.
SHAPES = [(40, 29, 20, 33), (30, 5, 17, 130), (4, 2, 5, 260), (3, 1, 3, 16)]


@pytest.fixture(autouse=True)
def _set(isa):
    with instruction_set(isa):
        yield


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@both_directions
@every_set
@every_cell_and_dtype
def test_threads_and_runs(cell, isa, dtype, reverse, shape):
    case = make(cell, *shape, dtype=dtype, ragged=True, resets=True, reverse=reverse)
    forward = case.forward(threads=1)
    gradients = case.backward(forward, threads=1)
    for threads in (1, 2, 3):
        other = case.forward(threads=threads)
        assert_same_bits(values(other), values(forward), f"{threads} threads")
        assert_same_bits(of_all(case.backward(other, threads=threads)), of_all(gradients), f"{threads} threads")


@both_directions
@every_set
@every_cell
def test_diagnostics_and_inference_change_nothing(cell, isa, reverse):
    case = make(cell, 30, 5, 17, 130, ragged=True, resets=True, reverse=reverse)
    forward = case.forward()
    bare = native.sequence_forward(case.cell, case.x, case.weights, **case.where)
    assert bare.saved is None
    assert bare.c_sequence is None
    for name in ("output", "h_n"):
        assert_same_bits(getattr(bare, name), getattr(forward, name), name)
    health = {threads: case.backward(forward, threads=threads, health_margin=0.1) for threads in (1, 2)}
    assert_same_bits(of_all(health[2]), of_all(health[1]), "with diagnostics")
    assert_same_bits(of_all(health[1]._replace(health=None)), of_all(case.backward(forward)), "without")


@pytest.mark.parametrize("shape", [(40, 29, 20, 33), (4, 3, 5, 260)], ids=str)
@both_directions
@every_set
@every_cell_and_dtype
def test_a_row_alone(cell, isa, dtype, reverse, shape):
    case = make(cell, *shape, dtype=dtype, ragged=True, resets=True, reverse=reverse)
    forward = case.forward(threads=2)
    gradients = case.backward(forward, threads=2)
    axis = {"output": 1, "c_sequence": 1, "dx": 1}
    for b in {0, 1, shape[1] - 1}:
        row = case.only(rows=slice(b, b + 1))
        alone = row.forward()
        found = {**values(alone), **of_rows(row.backward(alone))}
        batch = {**values(forward), **of_rows(gradients)}
        wanted = {name: np.take(value, [b], axis.get(name, 0)) for name, value in batch.items()}
        assert_same_bits(found, wanted, f"row {b}")


@pytest.mark.parametrize("cuts", [(0, 1, 2, 3, 4, 5, 6, 7), (0, 3, 4, 7)], ids=["steps", "chunks"])
@pytest.mark.parametrize("shape", [(7, 29, 20, 33), (7, 2, 5, 260)], ids=str)
@both_directions
@every_set
@every_cell_and_dtype
def test_chunks_with_the_state_handed_on(cell, isa, dtype, reverse, shape, cuts):
    """Backward too: a chunk's dh0 and dc0 are the dh_n and dc_n of the one that ran before it."""
    # Running in reverse, a border at a chunk's left edge lies outside the chunk.
    case = make(cell, *shape, dtype=dtype, resets=not reverse, reverse=reverse)
    whole = case.forward(threads=2)
    wanted = {**values(whole), **of_rows(case.backward(whole, threads=2))}
    pieces = [slice(a, b) for a, b in itertools.pairwise(cuts)]
    ran, h, c = [], case.h0, case.c0
    for piece in reversed(pieces) if reverse else pieces:
        chunk = case.only(times=piece, h0=h, c0=c)
        forward = chunk.forward()
        ran.append((chunk, forward))
        h, c = forward.h_n, forward.c_n
    found = {"h_n": h, "c_n": c}
    gradients = []
    dh, dc = case.dh_n, case.dc_n
    for chunk, forward in reversed(ran):
        back = dataclasses.replace(chunk, dh_n=dh, dc_n=dc).backward(forward)
        gradients.append(back)
        dh, dc = back.dh0, back.dc0
    found |= {"dh0": dh, "dc0": dc}
    in_time = ran[::-1] if reverse else ran
    found["output"] = np.concatenate([forward.output for _, forward in in_time])
    if whole.c_sequence is not None:
        found["c_sequence"] = np.concatenate([forward.c_sequence for _, forward in in_time])
    found["dx"] = np.concatenate([back.dx for back in (gradients if reverse else gradients[::-1])])
    assert_same_bits({name: value for name, value in found.items() if value is not None}, wanted, "chunks")


@pytest.mark.parametrize("shape", [(7, 29, 20, 33), (7, 1, 5, 260), (3, 2, 3, 1)], ids=str)
@every_set
@every_cell_and_dtype
def test_the_stepper(cell, isa, dtype, shape):
    """Two layers, step by step, are two whole sequences; resets start rows anew."""
    lower = make(cell, *shape, dtype=dtype, resets=True)
    T, B, _, H = shape
    upper = make(cell, T, B, H, H, dtype=dtype, seed=1)
    first = lower.forward()
    second = dataclasses.replace(upper, x=first.output, reset=lower.reset).forward()
    stepper = native.Stepper(cell, [lower.weights, upper.weights])
    h = np.stack([lower.h0, upper.h0])
    c = None if lower.c0 is None else np.stack([lower.c0, upper.c0])
    for t in range(T):
        h, c = stepper.step(lower.x[t], h, c, reset=lower.reset[t])
        assert_same_bits(h, np.stack([first.output[t], second.output[t]]), f"h at {t}")
        if c is not None:
            assert_same_bits(c, np.stack([first.c_sequence[t], second.c_sequence[t]]), f"c at {t}")


@every_set
def test_the_stepper_keeps_its_weights_and_its_set(isa):
    case = make("lstm", 3, 2, 5, 33)
    whole = case.forward()
    stepper = native.Stepper("lstm", [case.weights])
    for weight in case.weights[:4]:
        weight[...] = np.nan
    with instruction_set(native.instruction_sets()[-1]):
        h, c = case.h0[None], case.c0[None]
        for t in range(3):
            h, c = stepper.step(case.x[t], h, c)
    assert_same_bits(h[0], whole.h_n)
    assert_same_bits(c[0], whole.c_n)


@every_set
def test_the_comparison_sees_one_bit(isa):
    """Negative control."""
    case = make("lstm", 3, 2, 5, 33)
    want = case.forward().output
    got = want.copy()
    got[1, 1, 7] = np.nextafter(got[1, 1, 7], np.float32(2))
    with pytest.raises(AssertionError, match="1 of 198 values differ"):
        assert_same_bits(got, want)
