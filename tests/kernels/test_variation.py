"""Recurrent dropout and zoneout: reference and native against the oracle, forward and every gradient; their bits.

Legend: T time, B batch, I input, H hidden.
"""

import dataclasses

import pytest
import torch

from tests.helpers import Case, as_arrays, assert_close, make_problem
from tests.kernels.native_cases import instruction_set
from tests.oracles import varied
from throughtime import nn
from throughtime.cells import CELLS, LAYER_NORM_CELLS, Params
from throughtime.errors import ArgumentError
from throughtime.kernels import _native, dispatch, masks, native, reference, torch_ops
from throughtime.kernels.masks import Kind
from throughtime.kernels.variation import Variation

EQUATIONS = {**CELLS, **LAYER_NORM_CELLS}
every_cell = pytest.mark.parametrize("name", EQUATIONS)
every_plain_cell = pytest.mark.parametrize("name", CELLS)
both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
KINDS = ("mask", "zoneout", "zoneout of h", "expected", "everything", "mask and expected", "frozen")
every_kind = pytest.mark.parametrize("kind", KINDS)
# |found − oracle| ≤ K ε magnitude, as in test_native_oracle; worst seen: 14.
K = 60.0
K_NORMALIZED = 300.0  # a row of few units lies close together: test_native_oracle


def variation_of(kind: str, name: str, B: int, H: int, dtype: torch.dtype) -> Variation:
    fields = len(EQUATIONS[name].state_fields)
    seed = torch.tensor(2**40 + 77)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    mask = masks.drop_mask(seed, 3, Kind.RECURRENT, 0.3, B, H, wide) if "mask" in kind or kind == "everything" else None
    zoneout = {"mask": None, "frozen": (1.0, 1.0), "zoneout of h": (0.4, 0.0)}.get(kind, (0.4, 0.25))
    random = "expected" not in kind
    zoneout = None if zoneout is None else zoneout[:fields]
    return Variation(mask, zoneout, seed if random and zoneout else None, 3, 11)


def keep_of(v: Variation, T: int, B: int, H: int):
    """What zoneout keeps, as the oracle takes it."""
    if v.zoneout is None:
        return None
    if v.seed is None:
        return tuple(torch.full((T, B, H), p, dtype=torch.float64).numpy() for p in v.zoneout)
    found = []
    for p, kind in zip(v.zoneout, (Kind.ZONEOUT_H, Kind.ZONEOUT_C), strict=False):
        words = masks.stream_words(v.seed, v.stream, kind)
        rows = masks.row_words(words, B)
        kept = [masks.dropped(rows, masks.time_words(words, v.step0 + t), H, p) for t in range(T)]
        found.append(torch.stack(kept).double().numpy() if T else torch.zeros(0, B, H).numpy())
    return tuple(found)


def params_of(name: str, given: dict):
    """The cell's parameters; those that are not given are none."""
    kind = EQUATIONS[name].params
    return kind(**{**dict.fromkeys(kind._fields), **given})


def problem_of(name: str, H: int, T: int, B: int, dtype: torch.dtype):
    case = Case(H=H, T=T, B=B, lengths=B <= 3, reset=True, bias=True, memory="contiguous", dtype=dtype)
    return make_problem(name, case)


def answer(problem, v: Variation | None, backend: str, reverse: bool):
    """Output, final state, and the gradients of x, state and parameters."""
    inputs = [t.clone().requires_grad_() for t in (problem.x_TBI, *problem.state)]
    params = {key: p.clone().requires_grad_() for key, p in problem.params.items()}
    where = {"lengths": problem.lengths, "reset": problem.reset, "reverse": reverse, "variation": v}
    cell = EQUATIONS[problem.name]
    given = inputs[0], tuple(inputs[1:]), params_of(problem.name, params)
    if backend == "scan":
        output, final, _ = reference.scan(cell, *given, **where)
    else:
        output, final = dispatch.run(cell, *given, **where, backend=backend)
    d_outputs = (problem.d_output_TBH, *problem.d_final_state)
    found = torch.autograd.grad((output, *final), (*inputs, *params.values()), d_outputs)
    n = len(inputs)
    return (
        output.detach(),
        tuple(s.detach() for s in final),
        found[0],
        found[1:n],
        dict(zip(params, found[n:], strict=True)),
    )


def compare(found, problem, v: Variation, reverse: bool) -> None:
    T, B, H = problem.d_output_TBH.shape
    run = varied.scan(
        problem.name,
        as_arrays(problem.x_TBI),
        as_arrays(problem.state),
        as_arrays(problem.params),
        mask_BH=None if v.h_mask is None else as_arrays(v.h_mask),
        keep=keep_of(v, T, B, H),
        lengths=None if problem.lengths is None else problem.lengths.numpy(),
        reset=None if problem.reset is None else problem.reset.numpy(),
        reverse=reverse,
    )
    wanted = varied.bptt(run, as_arrays(problem.d_output_TBH), as_arrays(problem.d_final_state))
    expected = run.output_TBH, run.final_state, wanted.x_TBI, wanted.state, wanted.params
    for what, a, b in zip(("output", "final", "dx", "dstate", "dparams"), found, expected, strict=True):
        assert_close(a, b, what, k=K if problem.name in CELLS else K_NORMALIZED)


@every_kind
@both_directions
@every_cell
def test_reference_equals_oracle(name, reverse, kind):
    problem = problem_of(name, 7, 6, 3, torch.float64)
    v = variation_of(kind, name, 3, 7, torch.float64)
    for backend in ("scan", "reference"):
        compare(answer(problem, v, backend, reverse), problem, v, reverse)


@every_kind
@both_directions
@every_cell
def test_native_equals_oracle(name, reverse, kind):
    for isa in native.instruction_sets():
        with instruction_set(isa):
            for H, T, B, dtype in ((17, 6, 3, torch.float64), (33, 4, 3, torch.float32), (1, 2, 1, torch.float64)):
                problem, v = problem_of(name, H, T, B, dtype), variation_of(kind, name, B, H, dtype)
                compare(answer(problem, v, "native", reverse), problem, v, reverse)


def test_the_comparison_sees_another_mask():
    """Negative control: one step later is another mask."""
    problem, v = problem_of("lstm", 7, 6, 3, torch.float64), variation_of("zoneout", "lstm", 3, 7, torch.float64)
    with pytest.raises(AssertionError, match="output"):
        compare(answer(problem, v.later(1), "native", False), problem, v, False)


@every_kind
@every_cell
def test_no_sequence_and_no_rows(name, kind):
    for T, B in ((0, 2), (2, 0)):
        problem, v = problem_of(name, 7, T, B, torch.float32), variation_of(kind, name, B, 7, torch.float32)
        found, wanted = (answer(problem, v, backend, False) for backend in ("native", "reference"))
        for a, b in zip(found, wanted, strict=True):
            assert_close(a, b)


@every_kind
@every_cell
def test_threads_and_chunks_change_no_bit(name, kind):
    """By rows, and by units (few rows, many units); whole, and in chunks with the state handed on."""
    for B, H in ((13, 33), (2, 260)):
        problem, v = problem_of(name, H, 6, B, torch.float32), variation_of(kind, name, B, H, torch.float32)
        before = torch.get_num_threads()
        found = []
        try:
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                found.append(answer(problem, v, "native", True))
        finally:
            torch.set_num_threads(before)
        for other in found[1:]:
            torch.testing.assert_close(other, found[0], rtol=0, atol=0)
        x, params, cell = problem.x_TBI, params_of(name, problem.params), EQUATIONS[name]
        whole, last = dispatch.run(cell, x, problem.state, params, backend="native", variation=v)
        state, parts = problem.state, []
        for begin in range(0, 6, 2):
            part, state = dispatch.run(
                cell, x[begin : begin + 2], state, params, backend="native", variation=v.later(begin)
            )
            parts.append(part)
        assert torch.equal(torch.cat(parts), whole)
        assert all(torch.equal(a, b) for a, b in zip(state, last, strict=True))


@every_cell
def test_probability_zero_is_the_plain_layer(name):
    problem = problem_of(name, 17, 5, 3, torch.float32)
    fields = len(EQUATIONS[name].state_fields)
    for backend in ("native", "reference"):
        plain = answer(problem, None, backend, False)
        none = Variation(None, (0.0,) * fields, torch.tensor(3))
        torch.testing.assert_close(answer(problem, none, backend, False), plain, rtol=0, atol=0)
        # A mask is put on after the sum, which then no longer begins with the blended part's gradient.
        ones = answer(problem, Variation(torch.ones(3, 17)), backend, False)
        for a, b in zip(ones, plain, strict=True):
            assert_close(a, b, k=K)


@every_kind
@every_plain_cell
def test_bfloat16(name, kind):
    """Near the float32 kernels on the same rounded numbers: as near as without a variation."""
    if name == "rnn_relu":
        pytest.skip("an argument within a rounding of zero takes the other branch; test_native_bf16 bounds the kernel")
    problem = problem_of(name, 33, 5, 3, torch.float32)
    problem = torch.utils._pytree.tree_map_only(torch.Tensor, _rounded, dataclasses.asdict(problem))
    wide, narrow = (type(problem_of(name, 33, 5, 3, torch.float32))(**p) for p in (problem, _narrow(problem)))
    v = variation_of(kind, name, 3, 33, torch.float32)
    for isa in native.instruction_sets():
        with instruction_set(isa):
            assert_close(answer(narrow, v, "native", False), answer(wide, v, "native", False), k=12)


def _rounded(t: torch.Tensor) -> torch.Tensor:
    return t.bfloat16().to(t.dtype) if t.is_floating_point() else t


def _narrow(problem: dict) -> dict:
    def convert(t: torch.Tensor) -> torch.Tensor:
        return t.bfloat16() if t.is_floating_point() else t

    return torch.utils._pytree.tree_map_only(torch.Tensor, convert, problem)


@every_kind
@every_plain_cell
def test_the_operators(name, kind):
    """opcheck of the traced way, and its answer."""
    problem, v = problem_of(name, 7, 4, 3, torch.float32), variation_of(kind, name, 3, 7, torch.float32)
    c0 = problem.state[1] if len(problem.state) == 2 else None
    weights = [problem.params.get(key) for key in Params._fields]
    leaves = [
        None if t is None else t.clone().requires_grad_() for t in (problem.x_TBI, problem.state[0], c0, *weights)
    ]
    arguments = (*leaves, problem.lengths, problem.reset, name, False, True)
    varied_by = {"h_mask": v.h_mask, "seed": v.seed, "zoneout": v.zoneout, "stream": v.stream, "step0": v.step0}
    torch.library.opcheck(torch.ops.throughtime.sequence, arguments, varied_by)
    outputs = torch.ops.throughtime.sequence(*arguments, **varied_by)
    wanted = answer(problem, v, "native", False)
    assert torch.equal(outputs[0], wanted[0])
    final = outputs[1:2] if c0 is None else outputs[1:3]
    d_outputs = (problem.d_output_TBH, *problem.d_final_state)
    found = torch.autograd.grad((outputs[0], *final), [t for t in leaves if t is not None], d_outputs)
    assert torch.equal(found[0], wanted[2])
    torch.testing.assert_close(found[-len(problem.params) :], tuple(wanted[4].values()), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:`torch.jit.script.*` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", ["mask", "zoneout", "mask and expected"])
@every_cell
def test_every_order_of_derivative(name, kind):
    cell, problem = EQUATIONS[name], problem_of(name, 3, 3, 2, torch.float64)
    v = variation_of(kind, name, 2, 3, torch.float64)
    keys = list(problem.params)
    n = len(problem.state)

    def f(x, *rest):
        params = params_of(name, dict(zip(keys, rest[n:], strict=True)))
        output, final = dispatch.run(cell, x, tuple(rest[:n]), params, lengths=problem.lengths, variation=v)
        return output, *final

    inputs = [t.clone().requires_grad_() for t in (problem.x_TBI, *problem.state, *problem.params.values())]
    assert torch.autograd.gradcheck(f, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(f, inputs, fast_mode=True)
    d_outputs = (problem.d_output_TBH, *problem.d_final_state)
    grads = torch.autograd.grad(f(*inputs), inputs, d_outputs)
    tangents = tuple(torch.randn_like(t) for t in inputs)
    _, moved = torch.func.jvp(f, tuple(t.detach() for t in inputs), tangents)
    wanted = sum((g * t).sum() for g, t in zip(grads, tangents, strict=True))
    assert_close(sum((m * d).sum() for m, d in zip(moved, d_outputs, strict=True)), wanted, k=K)
    x = torch.stack([problem.x_TBI, 2 * problem.x_TBI])
    rest = [t.detach() for t in inputs[1:]]
    batched = torch.func.vmap(lambda x: f(x, *rest)[0])(x)
    torch.testing.assert_close(batched, torch.stack([f(one, *rest)[0] for one in x]))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(3, 6), r"expected h_mask of \(3, 7\), torch.float32 on cpu, got \(3, 6\)"),
        (torch.ones(3, 7, dtype=torch.float64), r"expected h_mask of \(3, 7\), torch.float32 on cpu, got .*float64"),
        (torch.ones(7, 3).T, r"expected a contiguous h_mask, got strides \(1, 3\)"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(mask, message):
    with pytest.raises(ArgumentError, match=message):
        answer(problem_of("gru", 7, 4, 3, torch.float32), Variation(mask), "native", False)


@pytest.mark.parametrize(
    ("variation", "message"), [((0,) * 6, "expected 7 numbers, got 6"), ((0, 3, 0.0, 0.0, 0, 0, 0), "got 3")]
)
def test_a_raw_variation_that_is_none_is_refused(variation, message):
    for call, count, flags in ((_native.sequence_forward_raw, 29, 20), (_native.sequence_backward_raw, 41, 18)):
        arguments = [0] * count
        arguments[flags] = False
        with pytest.raises(ValueError, match=message):
            call(*arguments, variation=variation)


def test_cudnn_named_is_refused(monkeypatch):
    monkeypatch.setattr(dispatch, "choose", lambda *_: "cudnn")
    problem = problem_of("lstm", 7, 3, 2, torch.float32)
    with pytest.raises(ValueError, match="got recurrent_dropout or zoneout, which cuDNN does not have"):
        answer(problem, variation_of("mask", "lstm", 2, 7, torch.float32), "cudnn", False)


def test_a_layer_tells_the_backend_that_runs_its_dropouts(monkeypatch):
    monkeypatch.setattr(dispatch, "choose", lambda *_: "cudnn")
    assert nn.LSTM(3, 7).backend == "cudnn"
    layer = nn.LSTM(3, 7, recurrent_dropout=0.5)
    assert (layer.backend, layer.eval().backend) == ("compiled", "cudnn")
    assert nn.LSTM(3, 7, zoneout=0.5).eval().backend == "compiled"
    assert nn.LSTM(3, 7, weight_dropout=0.5).backend == "cudnn"
    with pytest.raises(ValueError, match="got recurrent_dropout or zoneout, which cuDNN does not have"):
        _ = nn.LSTM(3, 7, backend="cudnn", zoneout=0.5).backend


def test_the_native_kernels_ran(monkeypatch):
    calls = []
    real = torch_ops._forward
    monkeypatch.setattr(torch_ops, "_forward", lambda *a, **k: calls.append(k["variation"]) or real(*a, **k))
    problem, v = problem_of("gru", 7, 3, 2, torch.float32), variation_of("everything", "gru", 2, 7, torch.float32)
    answer(problem, v, "native", False)
    assert calls == [v]
