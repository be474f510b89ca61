"""The binding on buffers of exactly its own size: nothing beyond them is written, nothing read there counts.

What surrounds every array is NaN (or a wild number): a read beyond it would show in the results. The sanitizers see
reads as such (`make sanitize`, sanitize_driver.py). Legend: T time, B batch, I input, H hidden.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import DETERMINISTIC
from tests.kernels.native_cases import CELLS, PLAIN, assert_same_bits, instruction_set, make, of_all, poisoned, values
from tests.kernels.native_raw import GRADIENTS, HEALTH, Buffers, RawCall, Varied
from throughtime.kernels import native

cases = st.fixed_dictionaries(
    {
        "cell": st.sampled_from(CELLS),
        "T": st.integers(0, 9),
        "B": st.integers(0, 13),
        "I": st.integers(1, 40),
        "H": st.one_of(st.integers(1, 40), st.sampled_from([64, 130, 260])),
        "seed": st.integers(0, 3),
        "dtype": st.sampled_from([np.float32, np.float64, native.BFLOAT16]),
        "ragged": st.booleans(),
        "resets": st.booleans(),
        "reverse": st.booleans(),
        "bias": st.booleans(),
    }
).filter(lambda drawn: drawn["cell"] in PLAIN or drawn["dtype"] != native.BFLOAT16)


@settings(DETERMINISTIC, max_examples=200)
@given(
    cases,
    st.sampled_from(native.instruction_sets()),
    st.sampled_from([1, 2, 3]),
    st.sets(st.sampled_from(GRADIENTS + HEALTH)),
    st.integers(0, 1000),
)
def test_any_strides_and_any_outputs(drawn, isa, threads, without, seed):
    """The same bits as native.py gives, for the outputs that are asked for, and no byte outside."""
    case = make(**drawn)
    with instruction_set(isa):
        forward = case.forward()
        with poisoned():
            gradients = of_all(case.backward(forward, health_margin=0.1))
        buffers = Buffers(np.random.default_rng(seed), margin=64)
        call = RawCall(case, buffers, threads)
        found = call.forward()
        assert_same_bits({name: found[name] for name in values(forward)}, values(forward))
        wanted = {name: value for name, value in gradients.items() if name not in without}
        assert_same_bits(call.backward(found, without=without), wanted)
        if call.saves_gates:
            call.gates(found)
        buffers.check()


@DETERMINISTIC
@given(cases, st.sampled_from(native.instruction_sets()))
def test_inference_touches_nothing_else(drawn, isa):
    case = make(**drawn)
    with instruction_set(isa):
        buffers = Buffers(np.random.default_rng(0), margin=64)
        found = RawCall(case, buffers, threads=2).forward(training=False)
        wanted = values(case.forward())
        assert_same_bits(found, {name: wanted[name] for name in found})
        buffers.check()


@settings(DETERMINISTIC, max_examples=100)
@given(
    cases,
    st.builds(
        Varied,
        st.booleans(),
        st.sampled_from([0, 1, 2]),
        st.sampled_from([0.0, 0.3, 1.0]),
        st.just(0.2),
        st.integers(0, 2**63 - 1),
        st.integers(0, 9),
        st.integers(0, 2**40),
    ),
    st.sampled_from(native.instruction_sets()),
    st.sampled_from([2, 3]),
    st.sets(st.sampled_from(GRADIENTS + HEALTH)),
)
def test_variations_touch_nothing_else(drawn, varied, isa, threads, without):
    """Recurrent dropout and zoneout: the bits of one thread with every output, and no byte outside."""
    case = make(**drawn)
    with instruction_set(isa):
        found = []
        for members, left_out in ((1, ()), (threads, without)):
            buffers = Buffers(np.random.default_rng(members), margin=64)
            call = RawCall(case, buffers, members, varied)
            forward = call.forward()
            gradients = call.backward(forward, without=left_out)
            if call.saves_gates:
                gradients["gates"] = call.gates(forward)
            buffers.check()
            visible = {name: value for name, value in forward.items() if name != "saved"}
            found.append({**visible, **gradients})
        assert_same_bits(found[1], {name: found[0][name] for name in found[1]})


def test_the_guard_sees_one_byte():
    """Negative control: a write just past an output, between its rows, and into an input."""
    for spoil in range(3):
        buffers = Buffers(np.random.default_rng(4), margin=4)
        out = buffers.flat((2, 3), np.float32)
        rows = buffers.strided((3, 2, 5), np.float32)
        given_in = buffers.flat((4,), np.float32, np.ones(4, np.float32))
        out[...] = rows[...] = 7
        buffers.check()
        if spoil == 0:
            out.base.ravel()[-1 - buffers.margin + 1] = 0
        elif spoil == 1:
            beyond = np.lib.stride_tricks.as_strided(rows, (1, 1, 6), rows.strides)
            beyond[0, 0, 5] = 0
        else:
            given_in[1] = 2
        with pytest.raises(AssertionError, match="a byte outside changed"):
            buffers.check()


@DETERMINISTIC
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6), st.integers(0, 5))
def test_any_lengths_are_taken_or_refused(lengths, T):
    """A length outside 0..T is refused by the kernels themselves, whatever it is, with no output touched."""
    case = make("lstm", T, len(lengths), 3, 4)
    output = np.full((T, len(lengths), 4), 5.0, np.float32)
    if all(0 <= length <= T for length in lengths):
        case.forward(lengths=np.array(lengths), output=output)
        return
    wrong = next(length for length in lengths if not 0 <= length <= T)
    with pytest.raises(ValueError, match=f"from 0 to {T}, got {wrong} at index {lengths.index(wrong)}"):
        case.forward(lengths=np.array(lengths), output=output)
    assert (output == 5).all()
