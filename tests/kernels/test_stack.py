"""A stack in one call against the same layers one by one: every bit of every output and gradient.

Legend: T time, B batch, I input, H hidden, L layers, D directions.
"""

import pytest
import torch
from torch import Tensor

from tests.nn.layers import LAYERS, build, random_state, state_tensors
from throughtime import nn
from throughtime.cells import CELLS
from throughtime.errors import ArgumentError
from throughtime.kernels import dispatch, stack_ops

T, B, I, H = 6, 3, 4, 7
every_layer = pytest.mark.parametrize("kind", LAYERS)


@pytest.fixture
def calls(monkeypatch) -> list[int]:
    """The number of layers and directions of each call of a stack."""
    seen: list[int] = []
    real = stack_ops.run

    def counted(cell, x, state, params, D, **where):
        seen.append(len(params))
        return real(cell, x, state, params, D, **where)

    monkeypatch.setattr(stack_ops, "run", counted)
    return seen


def one_by_one(monkeypatch):
    monkeypatch.setattr(dispatch, "run_stack", lambda *_, **__: None)


def everything(layer, x: Tensor, hx, wanted: list[Tensor], **options) -> list[Tensor | None]:
    """Output, final state, and the gradients of `wanted` by a loss that weighs every element of them otherwise."""
    output, state = layer(x, hx, **options)
    found = [output, *state_tensors(state)]
    loss = sum(((t * torch.arange(t.numel()).view(t.shape).cos()).sum() for t in found), torch.zeros(()))
    return [*found, *torch.autograd.grad(loss, wanted, allow_unused=True)]


def same(left: list[Tensor | None], right: list[Tensor | None]) -> bool:
    pairs = list(zip(left, right, strict=True))
    return all((a is None and b is None) or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs)


@every_layer
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("given", ["nothing", "everything"])
def test_the_bits_are_those_of_the_layers_one_by_one(kind, bidirectional, dtype, given, calls, monkeypatch):
    layer = build(kind, I, H, num_layers=3, bidirectional=bidirectional, dtype=dtype)
    g = torch.Generator().manual_seed(3)
    x = torch.randn(B, T, I, generator=g).to(dtype).transpose(0, 1).requires_grad_()
    wanted, hx, options = [x, *layer.parameters()], None, {}
    if given == "everything":
        hx = tuple(s.requires_grad_() for s in random_state(layer, B, dtype=dtype))
        wanted += hx
        hx = hx if len(hx) == 2 else hx[0]
        options = {"lengths": torch.tensor([4, 0, 6]), "reset": torch.rand(T, B, generator=g) < 0.3}
    found = everything(layer, x, hx, wanted, **options)
    with torch.no_grad():
        plain = layer(x, hx, **options)
    assert calls == [3 * layer.num_directions] * 2
    assert same(found[: 1 + len(layer.cell.state_fields)], [plain[0], *state_tensors(plain[1])])
    one_by_one(monkeypatch)
    assert same(found, everything(layer, x, hx, wanted, **options))
    assert len(calls) == 2


@pytest.mark.parametrize("frozen", [("_l0",), ("_l1",), ("_l0", "_l1"), ("_l2",), ("bias",), ("_reverse",)])
def test_what_wants_no_gradient_gets_none_and_changes_no_other(frozen, monkeypatch):
    layer = build("LSTM", I, H, num_layers=3, bidirectional=True)
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(not any(part in name for part in frozen))
    wanted = [p for p in layer.parameters() if p.requires_grad]
    x = torch.randn(T, B, I, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = everything(layer, x, None, wanted)
    one_by_one(monkeypatch)
    assert same(found, everything(layer, x, None, wanted))


@pytest.mark.parametrize("part", [0, 1, 2], ids=["output", "h", "c"])
def test_a_loss_of_one_result_alone(part, monkeypatch):
    layer = build("LSTM", I, H, num_layers=2)
    x = torch.randn(T, B, I, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def gradients() -> list[Tensor | None]:
        output, (h, c) = layer(x)
        return list(torch.autograd.grad((output, h, c)[part].square().sum(), [x, *layer.parameters()]))

    found = gradients()
    one_by_one(monkeypatch)
    assert same(found, gradients())


@every_layer
def test_second_derivatives(kind):
    layer = build(kind, 2, 2, num_layers=2, bidirectional=True)
    x = torch.randn(2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    names, weights = zip(*layer.named_parameters(), strict=True)
    chosen = [i for i, name in enumerate(names) if name in ("weight_ih_l1", "weight_hh_l0_reverse", "bias_ih_l0")]

    def net(x: Tensor, *some: Tensor) -> tuple[Tensor, ...]:
        own = {names[i]: w for i, w in zip(chosen, some, strict=True)}
        output, state = torch.func.functional_call(layer, own, (x,))
        return output, *state_tensors(state)

    assert torch.autograd.gradgradcheck(net, (x, *(weights[i] for i in chosen)), fast_mode=True)


def test_an_input_made_from_a_weight_is_counted_once(monkeypatch):
    layer = build("GRU", 3, 3, num_layers=2)

    def second() -> Tensor:
        x = layer.weight_hh_l0[:4].view(4, 1, 3)
        (first,) = torch.autograd.grad(layer(x)[0].square().sum(), layer.weight_hh_l0, create_graph=True)
        return torch.autograd.grad(first.square().sum(), layer.weight_hh_l0)[0]

    found = second()
    one_by_one(monkeypatch)
    torch.testing.assert_close(found, second(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("options", "how", "expected"),
    [
        ({}, {}, [2]),
        ({"dropout": 0.5}, {}, []),
        ({"recurrent_dropout": 0.5}, {}, []),
        ({"zoneout": 0.1}, {}, []),
        ({"reset_state": "learned"}, {"reset": torch.zeros(T, B, dtype=torch.bool)}, []),
        ({"reset_state": "learned"}, {}, [2]),
        ({"backend": "reference"}, {}, []),
    ],
)
def test_only_the_plain_equations_go_in_one_call(options, how, expected, calls):
    layer = nn.LSTM(I, H, 2, **options)
    layer(torch.randn(T, B, I), **how)
    assert calls == expected
    if "dropout" in options or "recurrent_dropout" in options:  # off in evaluation
        layer.eval()(torch.randn(T, B, I))
        assert calls == [2]


def test_one_node_and_no_stale_weight():
    layer = nn.LSTM(I, H, 2)
    output, (h, c) = layer(torch.randn(T, B, I))
    assert output.grad_fn is h.grad_fn is c.grad_fn
    with torch.no_grad():
        layer.weight_hh_l1.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"state": (torch.zeros(2, B, H + 1), None)},
            r"expected h0 of \(2, 3, 7\), torch.float32 on cpu, got \(2, 3, 8\)",
        ),
        ({"state": (torch.zeros(2, B, H), torch.zeros(1, B, H))}, r"expected c0 of \(2, 3, 7\).* got \(1, 3, 7\)"),
        ({"x": torch.zeros(T, B, I + 1)}, r"expected weight_ih of \(28, 5\), torch.float32 on cpu, got \(28, 4\)"),
        ({"lengths": torch.tensor([1, 2])}, r"expected lengths of \(3,\), torch.int64 on cpu, got \(2,\)"),
        ({"lengths": torch.tensor([1, T + 1, 2])}, r"length.*7"),
        ({"reset": torch.zeros(T, B)}, r"expected reset of \(6, 3\), torch.bool on cpu, got \(6, 3\), torch.float32"),
        ({"weight_hh": torch.zeros(4 * (H + 1), H + 1)}, r"expected weight_hh of \(28, 7\).* got \(32, 8\)"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    layer = nn.LSTM(I, H, 2)
    params = [layer.layer_params(0), layer.layer_params(1)]
    x, state = change.get("x", torch.zeros(T, B, I)), change.get("state")
    if "weight_hh" in change:
        rows = torch.zeros(4 * (H + 1))
        params[1] = params[1]._replace(
            weight_ih=torch.zeros(4 * (H + 1), H), weight_hh=change["weight_hh"], bias_ih=rows, bias_hh=rows
        )
    where = {name: change[name] for name in ("lengths", "reset") if name in change}
    with pytest.raises(ArgumentError, match=message):
        dispatch.run_stack(CELLS["lstm"], x, state, params, 1, **where)


def operator_arguments(kind: str, bidirectional: bool, **options):
    """What `throughtime::layers` takes, all its floating point tensors wanting a gradient."""
    layer = build(kind, I, H, num_layers=2, bidirectional=bidirectional, **options)
    D = layer.num_directions
    weights = [w for index in range(2 * D) for w in layer.layer_params(index)]
    given = [w.detach().requires_grad_() for w in weights if w is not None]
    g = torch.Generator().manual_seed(1)
    x = torch.randn(T, B, I, dtype=torch.float64, generator=g).requires_grad_()
    states, borders = (None, None), (None, None)
    if bidirectional:
        states = (*(s.requires_grad_() for s in random_state(layer, B)), None)[:2]
        borders = torch.tensor([T, 2, 0]), torch.rand(T, B, generator=g) < 0.3
    return (x, *states, given, *borders, layer.cell.name, D, [w is not None for w in weights])


@every_layer
@pytest.mark.parametrize(("bidirectional", "bias"), [(False, False), (True, True)], ids=["bare", "everything"])
def test_opcheck(kind, bidirectional, bias):
    torch.library.opcheck(torch.ops.throughtime.layers, operator_arguments(kind, bidirectional, bias=bias))


def test_the_operators_refuse_what_they_would_read_or_write_beyond():
    x, h0, c0, weights, lengths, reset, *rest = operator_arguments("LSTM", True)
    layers, backward = torch.ops.throughtime.layers, torch.ops.throughtime.layers_backward
    with torch.no_grad():
        with pytest.raises(ArgumentError, match=r"expected a cell among .* got 'gru2'"):
            layers(x, h0, c0, weights, lengths, reset, "gru2", *rest[1:])
        with pytest.raises(ArgumentError, match=r"expected D = 1 or 2 .* got D = 3, 16 weights and 20 flags"):
            layers(x, h0, c0, weights, lengths, reset, rest[0], 3, rest[2])
        with pytest.raises(ArgumentError, match="got D = 2, 15 weights and 20 flags"):
            layers(x, h0, c0, weights[1:], lengths, reset, *rest)
        with pytest.raises(ArgumentError, match=r"expected h0 of \(4, 3, 7\).* got \(3, 3, 7\)"):
            layers(x, h0[1:], c0, weights, lengths, reset, *rest)
        y, h_n, c_n, *kept = torch.ops.throughtime.layers_forward(x, h0, c0, weights, lengths, reset, *rest, True)
        good = [y, h_n, c_n, x, h0, c0, weights, lengths, reset, y, *kept, *rest, [True] * (3 + len(weights))]
        assert len(backward(*good)) == 3 + len(weights)
        for place, name in enumerate(("dy", "dh_n", "dc_n", "x", "h0", "c0", "", "lengths", "reset", "y")):
            if name and name != "x":
                bad = [*good[:place], good[place][..., :1].contiguous(), *good[place + 1 :]]
                with pytest.raises(ArgumentError, match=rf"expected {name} of "):
                    backward(*bad)
        for place, name in enumerate(("hidden", "saved", "c_seq"), start=10):
            with pytest.raises(ArgumentError, match=rf"expected {name} of .* got \(1,"):
                backward(*good[:place], good[place][:1, :1], *good[place + 1 :])
        with pytest.raises(ArgumentError, match=r"expected 19 flags in needs, .* got 18"):
            backward(*good[:-1], good[-1][1:])
