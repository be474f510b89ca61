"""The operators of the cells with layer normalisation: traced, told of, and refused.

Legend: T time, B batch, I input, H hidden.
"""

import numpy as np
import pytest
import torch

from tests.helpers import Case, assert_close, make_problem
from tests.kernels.native_cases import make
from throughtime.cells import LAYER_NORM_CELLS, LayerNormParams
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.kernels import _native, dispatch, native, normalized_ops
from throughtime.kernels.health import Listener
from throughtime.kernels.variation import Variation

every_cell = pytest.mark.parametrize("name", LAYER_NORM_CELLS)


def problem_of(name: str, H: int = 7, dtype: torch.dtype = torch.float32):
    return make_problem(name, Case(H, 4, 3, lengths=True, reset=True, bias=True, memory="contiguous", dtype=dtype))


def arguments(problem) -> list:
    """The operator's, up to the resets; x, states and parameters want gradients."""
    c0 = problem.state[1] if len(problem.state) == 2 else None
    weights = [problem.params.get(key) for key in LayerNormParams._fields]
    leaves = [
        None if t is None else t.clone().requires_grad_() for t in (problem.x_TBI, problem.state[0], c0, *weights)
    ]
    return [*leaves, problem.lengths, problem.reset]


@pytest.mark.parametrize("varied", [False, True])
@every_cell
def test_the_operators(name, varied):
    """opcheck of the traced way, and its answer: the bits of the eager one."""
    given = arguments(problem_of(name))
    fields = LAYER_NORM_CELLS[name].state_fields
    v = (
        Variation(torch.full((3, 7), 1.5), (0.4, 0.25)[: len(fields)], torch.tensor(9), 3, 11)
        if varied
        else Variation()
    )
    rest = (name, True, True, v.h_mask, v.seed, v.zoneout, v.stream, v.step0)
    torch.library.opcheck(torch.ops.throughtime.normalized_sequence, (*given, *rest))
    state, params = tuple(t for t in given[1:3] if t is not None), LayerNormParams(*given[3:11])
    outputs = torch.ops.throughtime.normalized_sequence(*given, *rest)[: 1 + len(state)]
    plain, final = normalized_ops.run(
        LAYER_NORM_CELLS[name], given[0], state, params, lengths=given[11], reset=given[12], reverse=True,
        variation=v if varied else None,
    )  # fmt: skip
    leaves = [t for t in given[:11] if t is not None]
    pattern = [torch.linspace(-1, 2, t.numel()).reshape(t.shape) for t in outputs]
    for found, wanted in ((outputs, (plain, *final)),):
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
        grads = [torch.autograd.grad(each, leaves, pattern) for each in (found, wanted)]
        assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


@every_cell
def test_a_listener_is_told_what_the_reference_tells(name):
    told = []
    for backend in ("native", "reference"):
        given = arguments(problem_of(name, dtype=torch.float64))
        state, params = tuple(t for t in given[1:3] if t is not None), LayerNormParams(*given[3:11])
        listener = Listener(0.1, lambda health, _: told.append(health))
        output, _ = dispatch.run(
            LAYER_NORM_CELLS[name], given[0], state, params, lengths=given[11], reset=given[12], backend=backend,
            listener=listener,
        )  # fmt: skip
        (output**2).sum().backward()
    for field, found, wanted in zip(told[0]._fields, *told, strict=True):
        if found is not None and not found.is_floating_point():
            assert torch.equal(found, wanted), field
        else:
            assert_close(found, wanted, field, k=300)
    assert told[0].dh_square.any()


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        (7, torch.ones(27), r"expected weight_ln_ih of \(28,\), torch.float32 on cpu, got \(27,\)"),
        (8, torch.ones(28, dtype=torch.float64), r"expected weight_ln_hh of \(28,\), .*got \(28,\), torch.float64"),
        (9, torch.ones(8), r"expected weight_ln_c of \(7,\), torch.float32 on cpu, got \(8,\)"),
        (9, None, r"expected weight_ln_c of \(7,\), torch.float32 on cpu, got none"),
        (10, torch.ones(6), r"expected bias_ln_c of \(7,\), torch.float32 on cpu, got \(6,\)"),
        (2, torch.ones(3, 6), r"expected c0 of \(3, 7\), torch.float32 on cpu, got \(3, 6\)"),
        (11, torch.tensor([1, 5, 0]), "lengths: expected values from 0 to 4, got 5 at index 1"),
    ],
)
def test_what_does_not_fit_is_refused(index, value, message):
    given = arguments(problem_of("layer_norm_lstm"))
    given[index] = value
    with pytest.raises(ArgumentError, match=message):
        torch.ops.throughtime.normalized_sequence(*given, "layer_norm_lstm", False, False)


def test_other_cells_and_bfloat16_are_refused():
    given = arguments(problem_of("layer_norm_gru"))
    with pytest.raises(ArgumentError, match=r"expected a cell among layer_norm_rnn_tanh, .*, got 'gru'"):
        torch.ops.throughtime.normalized_sequence(*given, "gru", False, False)
    low = [t.detach().bfloat16() if t is not None and t.is_floating_point() else t for t in given]
    with pytest.raises(ArgumentError, match="expected float32 or float64 for layer normalisation, got bfloat16"):
        torch.ops.throughtime.normalized_sequence(*low, "layer_norm_gru", False, False)
    case = make("layer_norm_gru", 2, 2, 3, 4, dtype=native.BFLOAT16)
    with pytest.raises(ArgumentTypeError, match="expected float32 or float64 for layer_norm_gru, got bfloat16"):
        case.forward()
    with pytest.raises(ArgumentTypeError, match="Stepper: expected float32 or float64 for layer_norm_gru"):
        native.Stepper("layer_norm_gru", [case.weights])


@pytest.mark.parametrize(
    ("cell", "norm", "message"),
    [
        (10, None, "norm: expected one for cell 10, got none"),
        (4, (1, 1, 1, 1), "norm: expected none for cell 4, got one"),
        (10, (1, 1, 1), "norm: expected {count} numbers, got 3"),
        (9, (0,), "norm: expected the gains of both products and of c, got none"),
        (10, (1, 1, 0), "norm: expected the gains of both products and of c, got none"),
    ],
)
def test_raw_calls_refuse_addresses_that_are_not_there(cell, norm, message):
    for call, size, flag, count in (
        (_native.sequence_forward_raw, 29, 20, 4),
        (_native.sequence_backward_raw, 41, 18, 10),
    ):
        numbers = [0] * size
        numbers[0], numbers[flag] = cell, False
        # Short ones are filled up with zeros but for the one whose length is refused.
        given = norm if norm is None or "numbers" in message else (*norm, *(0,) * count)[:count]
        with pytest.raises(ValueError, match=message.format(count=count)):
            call(*numbers, norm=given)


@pytest.mark.parametrize(
    ("cell", "change", "message"),
    [
        ("layer_norm_lstm", {"weight_ln_ih": None}, "expected one weight_ln_ih for layer_norm_lstm, got none"),
        ("layer_norm_lstm", {"weight_ln_c": None}, "expected one weight_ln_c for layer_norm_lstm, got none"),
        ("lstm", {"weight_ln_hh": np.ones(16, np.float32)}, "expected none weight_ln_hh for lstm, got one"),
        ("layer_norm_gru", {"bias_ln_c": np.ones(4, np.float32)}, "expected no bias_ln_c for layer_norm_gru, got one"),
        ("layer_norm_gru", {"weight_ln_hh": np.ones(4, np.float32)}, r"weight_ln_hh of shape \(12,\), got \(4,\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(cell, change, message):
    case = make(cell, 2, 2, 3, 4)
    case.weights = case.weights._replace(**change)
    with pytest.raises(ArgumentError, match=message):
        case.forward()
    with pytest.raises(ArgumentError, match=message):
        native.Stepper(cell, [case.weights])


def test_a_stepper_s_layer_is_refused():
    with pytest.raises(ValueError, match="Stepper: expected layers of 11 numbers, got 7"):
        _native.Stepper(9, 0, [(1, 1, 0, 0, 0, 0, 0)])
