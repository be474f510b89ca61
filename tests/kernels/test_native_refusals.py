"""Every way to hold native.py wrong is a sentence that names the value; nothing is read or written before it.

Legend: T time, B batch, I input, H hidden.
"""

import dataclasses
import re

import numpy as np
import pytest

from tests.kernels.native_cases import instruction_set, make
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.kernels import _native, native


def lstm(**changes):
    return dataclasses.replace(make("lstm", 4, 3, 5, 6), **changes)


def weights(**changes):
    return lstm(weights=lstm().weights._replace(**changes))


def float32(*shape):
    return np.zeros(shape, np.float32)


# what is wrong, the error, words of its message; both passes check these
WRONG = {
    "cell": (lambda: lstm(cell="lstm2"), ArgumentError, "expected a cell among rnn_tanh, .*, got 'lstm2'"),
    "x list": (lambda: lstm(x=[[1.0]]), ArgumentTypeError, "expected x as a NumPy array, got list"),
    "x rank": (lambda: lstm(x=float32(4, 5)), ArgumentError, r"expected x of rank 3, got shape \(4, 5\)"),
    "x dtype": (lambda: lstm(x=np.zeros((4, 3, 5), np.float16)), ArgumentTypeError, "float32 or float64, got float16"),
    "x bytes": (lambda: lstm(x=np.zeros((4, 3, 5), ">f4")), ArgumentTypeError, "float32 or float64, got >f4"),
    "x features": (lambda: lstm(x=float32(4, 3, 7)), ArgumentError, r"weight_ih of shape \(24, 7\), got \(24, 5\)"),
    "no features": (lambda: lstm(x=float32(4, 3, 0)), ArgumentError, "got I=0, H=6"),
    "h0 shape": (lambda: lstm(h0=float32(3, 7)), ArgumentError, r"h0 of shape \(3, 6\), got \(3, 7\)"),
    "h0 dtype": (lambda: lstm(h0=np.zeros((3, 6))), ArgumentTypeError, "h0 of the input's float32, got float64"),
    "h0 list": (lambda: lstm(h0=[0.0]), ArgumentError, r"h0 of shape \(3, 6\), got list"),
    "c0 shape": (lambda: lstm(c0=float32(2, 6)), ArgumentError, r"c0 of shape \(3, 6\), got \(2, 6\)"),
    "weight_hh rank": (
        lambda: weights(weight_hh=float32(24)),
        ArgumentError,
        r"weight_hh of rank 2, got shape \(24,\)",
    ),
    "weight_hh rows": (lambda: weights(weight_hh=float32(25, 6)), ArgumentError, r"of shape \(24, 6\), got \(25, 6\)"),
    "weight_hh none": (lambda: weights(weight_hh=None), ArgumentTypeError, "weight_hh as a NumPy array, got NoneType"),
    "weight_ih none": (lambda: weights(weight_ih=None), ArgumentError, r"weight_ih of shape \(24, 5\), got none"),
    "no units": (lambda: weights(weight_hh=float32(3, 6)), ArgumentError, "got I=5, H=0"),
    "bias": (lambda: weights(bias_ih=float32(6)), ArgumentError, r"bias_ih of shape \(24,\), got \(6,\)"),
    "bias dtype": (
        lambda: weights(bias_hh=np.zeros(24)),
        ArgumentTypeError,
        "bias_hh of the input's float32, got float64",
    ),
    "weight order": (
        lambda: weights(weight_ih=np.asfortranarray(lstm().weights.weight_ih)),
        ArgumentError,
        r"expected weight_ih C-contiguous, got strides \(4, 96\); use numpy.ascontiguousarray",
    ),
    "peepholes": (lambda: weights(weight_ch=float32(18)), ArgumentError, "expected none weight_ch for lstm, got one"),
    "no peepholes": (
        lambda: dataclasses.replace(lstm(), cell="peephole_lstm"),
        ArgumentError,
        "expected one weight_ch for peephole_lstm, got none",
    ),
    "lengths shape": (lambda: lstm(lengths=np.array([1, 2])), ArgumentError, r"lengths of shape \(3,\), got \(2,\)"),
    "lengths dtype": (lambda: lstm(lengths=np.ones(3)), ArgumentTypeError, "integer lengths, got float64"),
    "too long": (lambda: lstm(lengths=np.array([1, 5, 9])), ArgumentError, "from 0 to 4, got 5 at index 1"),
    "negative": (lambda: lstm(lengths=np.array([1, 2, -3])), ArgumentError, "from 0 to 4, got -3 at index 2"),
    "reset shape": (
        lambda: lstm(reset=np.zeros((3, 4), bool)),
        ArgumentError,
        r"reset of shape \(4, 3\), got \(3, 4\)",
    ),
    "reset dtype": (lambda: lstm(reset=np.zeros((4, 3), int)), ArgumentTypeError, "expected bool resets, got int64"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_both_passes_refuse(wrong):
    build, error, message = WRONG[wrong]
    case, good = build(), lstm()
    with pytest.raises(error, match=f"^sequence_forward: .*{message}"):
        case.forward()
    with pytest.raises(error, match=f"^sequence_backward: .*{message}"):
        case.backward(good.forward())


@pytest.mark.parametrize("threads", [0, -2])
def test_threads(threads):
    case = lstm()
    with pytest.raises(ArgumentError, match=f"^sequence_forward: expected at least 1 thread, got {threads}"):
        case.forward(threads=threads)
    with pytest.raises(ArgumentError, match=f"^sequence_backward: expected at least 1 thread, got {threads}"):
        case.backward(case.forward(), threads=threads)


def test_states_of_cells_without_c():
    case = make("gru", 4, 3, 5, 6)
    with pytest.raises(ArgumentError, match=r"^sequence_forward: expected no c0 for a cell without c, got one"):
        case.forward(c0=case.h0)
    forward = case.forward()
    for name, value in (("dc_n", case.dh_n), ("dc_sequence", case.dy)):
        with pytest.raises(
            ArgumentError, match=f"^sequence_backward: expected no {name} for a cell without c, got one"
        ):
            case.backward(forward, **{name: value})


def test_outputs_that_cannot_be_written():
    case = lstm()
    with pytest.raises(ArgumentError, match=r"expected output of shape \(4, 3, 6\), got \(4, 3, 7\)"):
        case.forward(output=float32(4, 3, 7))
    with pytest.raises(ArgumentTypeError, match="output of the input's float32, got float64"):
        case.forward(output=np.zeros((4, 3, 6)))
    with pytest.raises(ArgumentError, match=r"writable, aligned and contiguous .* got strides \(4, 16, 48\)"):
        case.forward(output=float32(6, 3, 4).transpose(2, 1, 0))
    frozen = float32(4, 3, 6)
    frozen.flags.writeable = False
    with pytest.raises(ArgumentError, match="got a read-only one; pass another array"):
        case.forward(output=frozen)
    assert not frozen.any()


def test_backward_wants_what_forward_gave():
    case = lstm()
    with pytest.raises(ArgumentError, match="expected a forward pass with training=True, got one that saved nothing"):
        case.backward(case.forward(training=False))
    forward = case.forward()
    other = make("lstm", 4, 2, 5, 6).forward()
    with pytest.raises(ArgumentError, match=r"forward.output of shape \(4, 3, 6\), got \(4, 2, 6\)"):
        case.backward(other)
    with pytest.raises(ArgumentError, match=r"forward.saved of shape \(4, 3, 64\), got \(4, 2, 64\)"):
        case.backward(forward._replace(saved=other.saved))
    with pytest.raises(ArgumentError, match=r"forward.c_sequence of shape \(4, 3, 6\), got none"):
        case.backward(forward._replace(c_sequence=None))
    for name in ("d_output", "dc_sequence"):
        with pytest.raises(ArgumentError, match=rf"{name} of shape \(4, 3, 6\), got \(4, 3, 1\)"):
            case.backward(forward, **{name: float32(4, 3, 1)})
    for name in ("dh_n", "dc_n"):
        with pytest.raises(ArgumentTypeError, match=f"{name} of the input's float32, got float64"):
            case.backward(forward, **{name: np.zeros((3, 6))})


@pytest.mark.skipif(len(native.instruction_sets()) < 2, reason="one instruction set here")
def test_backward_under_another_instruction_set():
    case = lstm()
    best, *_, last = native.instruction_sets()
    with instruction_set(last):
        forward = case.forward()
    with instruction_set(best), pytest.raises(ArgumentError, match=f"set in use, {best}, got one of {re.escape(last)}"):
        case.backward(forward)


def test_instruction_sets_have_names():
    before = native.instruction_set()
    assert before in native.instruction_sets()
    with pytest.raises(ArgumentError, match=f"expected one of {before}.*, got mmx"):
        native.set_instruction_set("mmx")
    assert native.instruction_set() == before


def test_stepper():
    layer = lstm().weights
    with pytest.raises(ArgumentError, match="Stepper: expected at least one layer's weights, got none"):
        native.Stepper("lstm", [])
    with pytest.raises(ArgumentError, match=r"Stepper: expected a cell among .*, got 'lstm2'"):
        native.Stepper("lstm2", [layer])
    with pytest.raises(ArgumentError, match=r"Stepper: expected weight_ih of shape \(24, 6\), got \(24, 5\)"):
        native.Stepper("lstm", [layer, layer])
    with pytest.raises(ArgumentError, match="Stepper: expected hidden size 6 in every layer, got 7"):
        native.Stepper("lstm", [layer, make("lstm", 1, 1, 6, 7).weights])
    with pytest.raises(ArgumentTypeError, match="Stepper: expected weight_hh of the input's float32, got float64"):
        native.Stepper("lstm", [layer._replace(weight_hh=np.zeros((24, 6)))])

    stepper = native.Stepper("lstm", [layer])
    x, h = float32(3, 5), float32(1, 3, 6)
    for wrong, message in (
        ({"x": float32(3, 4)}, r"x of shape \(3, 5\) and float32, got \(3, 4\) float32"),
        ({"x": np.zeros((3, 5))}, r"x of shape \(3, 5\) and float32, got \(3, 5\) float64"),
        ({"x": float32(5)}, r"x of rank 2, got shape \(5,\)"),
        ({"h": float32(2, 3, 6)}, r"h of shape \(1, 3, 6\) and float32, got \(2, 3, 6\)"),
        ({"c": None}, r"c of shape \(1, 3, 6\) and float32, got none"),
        ({"c": np.zeros((1, 3, 6))}, r"c of shape \(1, 3, 6\) and float32, got \(1, 3, 6\) float64"),
        ({"reset": np.zeros(2, bool)}, r"reset of shape \(3,\) and bool, got \(2,\) bool"),
        ({"reset": np.zeros(3, np.uint8)}, r"reset of shape \(3,\) and bool, got \(3,\) uint8"),
    ):
        given = {"x": x, "h": h, "c": h, "reset": None, **wrong}
        with pytest.raises(ArgumentError, match=f"^Stepper.step: expected {message}"):
            stepper.step(given["x"], given["h"], given["c"], reset=given["reset"])
    with pytest.raises(ArgumentError, match=r"^Stepper.step: expected no c for gru, which has no c, got one"):
        native.Stepper("gru", [make("gru", 1, 3, 5, 6).weights]).step(x, h, h)


# how many arguments, and which of them is `reverse`
RAW = ((_native.sequence_forward_raw, (29, 20)), (_native.sequence_backward_raw, (41, 18)))


@pytest.mark.parametrize("cell", [-1, 11])
def test_the_binding_refuses_a_cell_code(cell):
    with pytest.raises(ValueError, match=f"cell: expected 0 to 10, got {cell}"):
        _native.saved_width(cell, 4)
    with pytest.raises(ValueError, match=f"cell: expected 0 to 10, got {cell}"):
        _native.Stepper(cell, 0, [])
    for call, places in RAW:
        with pytest.raises(ValueError, match=f"cell: expected 0 to 10, got {cell}"):
            call(cell, 0, *nothing(*places))


@pytest.mark.parametrize("dtype", [-1, 3])
def test_the_binding_refuses_a_dtype_code(dtype):
    with pytest.raises(
        ValueError, match=rf"dtype: expected 0 \(float32\), 1 \(float64\) or 2 \(bfloat16\), got {dtype}"
    ):
        _native.Stepper(0, dtype, [])
    for call, places in RAW:
        with pytest.raises(
            ValueError, match=rf"dtype: expected 0 \(float32\), 1 \(float64\) or 2 \(bfloat16\), got {dtype}"
        ):
            call(0, dtype, *nothing(*places))


def nothing(numbers: int, reverse: int) -> list:
    """Arguments after the codes: sizes of zero and no addresses; `reverse` is the place of the one bool."""
    return [False if place == reverse else 0 for place in range(2, numbers)]


def test_the_binding_refuses_layers_of_another_length():
    with pytest.raises(ValueError, match="Stepper: expected layers of 7 numbers, got 3"):
        _native.Stepper(0, 0, [(1, 2, 3)])
