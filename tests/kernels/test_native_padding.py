"""Nothing outside a row's valid steps reaches a value or a gradient of the native kernels; nothing at all is fine too.

Legend: T time, B batch, I input, H hidden.
"""

import dataclasses

import numpy as np
import pytest

from tests.kernels.native_cases import (
    CELLS,
    assert_same_bits,
    instruction_set,
    make,
    of_all,
    of_weights,
    poisoned,
    values,
)
from throughtime.kernels import native

every_cell = pytest.mark.parametrize("cell", CELLS)
every_set = pytest.mark.parametrize("isa", native.instruction_sets())
both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


@pytest.fixture(autouse=True)
def _set(isa):
    with instruction_set(isa):
        yield


@pytest.mark.parametrize("shape", [(9, 7, 5, 17), (6, 4, 5, 260)], ids=str)
@both_directions
@every_set
@every_cell
def test_what_stands_in_the_padding_reaches_nothing(cell, isa, reverse, shape):
    clean = make(cell, *shape, ragged=True, resets=True, reverse=reverse)
    T = shape[0]
    dirty = dataclasses.replace(clean, x=clean.x.copy(), dy=clean.dy.copy(), reset=clean.reset.copy())
    for b, length in enumerate(clean.lengths):
        dirty.x[length:, b], dirty.dy[length:, b], dirty.reset[length:, b] = np.nan, np.inf, True
    if clean.dc_sequence is not None:
        dirty.dc_sequence = clean.dc_sequence.copy()
        for b, length in enumerate(clean.lengths):
            dirty.dc_sequence[length:, b] = np.nan
    for threads in (1, 2):
        wanted = clean.forward(threads=threads)
        with poisoned():
            found = dirty.forward(threads=threads)
            gradients = dirty.backward(found, threads=threads, health_margin=0.1)
        assert_same_bits(values(found), values(wanted))
        assert_same_bits(of_all(gradients), of_all(clean.backward(wanted, threads=threads, health_margin=0.1)))
    past = np.arange(T)[:, None] >= clean.lengths
    assert not found.output[past].any()
    assert not gradients.dx[past].any()
    assert past.any()
    assert not past.all()


@both_directions
@every_set
@every_cell
def test_states_that_are_dropped_reach_nothing(cell, isa, reverse):
    """NaN in the state of an empty row, and of a row that starts with a reset, stays where it is."""
    case = make(cell, 5, 4, 3, 17, reverse=reverse)
    case = dataclasses.replace(case, lengths=np.array([3, 0, 5, 5]), reset=np.zeros((5, 4), bool))
    case.reset[0, 3] = not reverse
    dirty = dataclasses.replace(case, h0=case.h0.copy(), c0=None if case.c0 is None else case.c0.copy())
    for state in (dirty.h0, dirty.c0):
        if state is not None:
            state[1] = np.nan
            if not reverse:
                state[3] = np.nan
    wanted, found = case.forward(), dirty.forward()
    assert_same_bits(found.output, wanted.output)
    assert np.isnan(found.h_n[1]).all()
    for b in (0, 2, 3):
        assert_same_bits(found.h_n[b], wanted.h_n[b])
    got, want = dirty.backward(found), case.backward(wanted)
    assert_same_bits(got.dx, want.dx)
    assert_same_bits(of_weights(got), of_weights(want))
    assert_same_bits(got.dh0, want.dh0)
    assert_same_bits(got.dh0[1], case.dh_n[1], "an empty row hands its gradient through")


@both_directions
@every_set
@every_cell
def test_no_steps_or_no_rows(cell, isa, reverse):
    for T, B in ((0, 3), (2, 0), (0, 0)):
        for given in (False, True):
            case = make(cell, T, B, 3, 17, ragged=given, resets=given, reverse=reverse)
            with poisoned():
                forward = case.forward(threads=2)
                gradients = case.backward(forward, threads=2, health_margin=0.1)
            assert forward.output.shape == (T, B, 17)
            assert_same_bits(forward.h_n, case.h0)
            assert_same_bits(gradients.dh0, case.dh_n)
            if case.c0 is not None:
                assert_same_bits(forward.c_n, case.c0)
                assert_same_bits(gradients.dc0, case.dc_n)
            assert not any(value.any() for value in of_weights(gradients).values())
    stepper = native.Stepper(cell, [case.weights])
    h, _ = stepper.step(
        case.x[0] if T else np.empty((0, 3), np.float32),
        case.h0[None][:, :0],
        None if case.c0 is None else case.c0[None][:, :0],
    )
    assert h.shape == (1, 0, 17)


@both_directions
@every_set
@every_cell
def test_states_left_out_are_zeros(cell, isa, reverse):
    case = make(cell, 4, 3, 5, 17, reverse=reverse)
    zeros = np.zeros_like(case.h0)
    zero = dataclasses.replace(case, h0=zeros, c0=None if case.c0 is None else zeros)
    nothing = {"d_output": None, "dh_n": None, "dc_n": None, "dc_sequence": None}
    forward = case.forward(h0=None, c0=None)
    assert_same_bits(values(forward), values(zero.forward()))
    assert_same_bits(of_all(case.backward(forward, h0=None, c0=None)), of_all(zero.backward(forward)))
    gradients = case.backward(forward, h0=None, c0=None, **nothing)
    assert not any(value.any() for value in of_all(gradients).values())


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@both_directions
@every_set
@every_cell
def test_any_memory_gives_the_same_bits(cell, isa, reverse, dtype):
    """Strides of every sign, a broadcast input, elements off their boundary: as the contiguous copy."""
    case = make(cell, 6, 5, 7, 19, dtype=dtype, ragged=True, resets=True, reverse=reverse)
    forward = case.forward()
    wanted = {**values(forward), **of_all(case.backward(forward))}

    def batch_first(a):
        return a.transpose(1, 0, 2).copy().transpose(1, 0, 2)

    def backwards(a):
        return a[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]

    def spread(a):
        wide = np.full([2 * n for n in a.shape], np.nan, a.dtype)
        wide[::2, ::2, ::2] = a
        return wide[::2, ::2, ::2]

    for change in (batch_first, backwards, spread, off_boundary):
        other = dataclasses.replace(
            case,
            x=change(case.x),
            dy=change(case.dy),
            reset=np.asfortranarray(case.reset),
            dc_sequence=None if case.dc_sequence is None else change(case.dc_sequence),
        )
        if change is off_boundary:
            weights = native.Weights(*(None if w is None else off_boundary(w) for w in case.weights))
            other = dataclasses.replace(other, weights=weights, h0=off_boundary(case.h0), dh_n=off_boundary(case.dh_n))
        ran = other.forward()
        assert_same_bits({**values(ran), **of_all(other.backward(ran))}, wanted, change.__name__)

    same = dataclasses.replace(case, dy=np.broadcast_to(case.dy[:1, :1], case.dy.shape))
    copied = dataclasses.replace(case, dy=same.dy.copy())
    assert_same_bits(of_all(same.backward(forward)), of_all(copied.backward(forward)), "a broadcast gradient")


def off_boundary(a: np.ndarray) -> np.ndarray:
    """The same values one byte off their natural boundary."""
    moved = np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape)
    assert not moved.flags.aligned
    return moved


@both_directions
@every_set
@every_cell
def test_an_output_inside_another_array(cell, isa, reverse):
    """A half of (T, B, 2H), a batch-first array, a corner of a larger one: written there and nowhere else."""
    case = make(cell, 6, 5, 7, 19, ragged=True, reverse=reverse)
    wanted = case.forward()
    both, larger = np.full((6, 5, 38), np.nan, np.float32), np.full((8, 7, 30), np.nan, np.float32)
    rows_first = np.full((5, 6, 19), np.nan, np.float32)
    for whole, output in (
        (both, both[:, :, 19:]),
        (rows_first, rows_first.transpose(1, 0, 2)),
        (larger, larger[2:, 2:, 11:]),
    ):
        forward = case.forward(output=output)
        assert forward.output is output
        assert_same_bits(output, wanted.output)
        assert_same_bits(of_all(case.backward(forward)), of_all(case.backward(wanted)))
        assert np.isnan(whole).sum() == whole.size - output.size
