"""What a listener is told of a backward pass, by the native kernels and by the equations run once more.

Legend: T time, B batch, I input, H hidden, G gates.
"""

import pytest
import torch

from tests.helpers import assert_close
from throughtime.cells import CELLS, Params
from throughtime.kernels import dispatch, health
from throughtime.kernels.health import Listener, StepHealth
from throughtime.kernels.variation import Variation
from throughtime.nn.layers import LAYERS
from throughtime.nn.recurrent import Recurrent

T, B, I, H = 9, 4, 5, 17
every_cell = pytest.mark.parametrize("cell", CELLS)
both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
# float64 norms of the kernels against autograd's, as in test_native_health.
K = 300.0


class Problem:
    """One layer in one direction, ragged and with borders, and the gradients that come from above."""

    def __init__(self, cell: str, reverse: bool, *, ragged: bool = True) -> None:
        generator = torch.Generator().manual_seed(3)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        self.cell = CELLS[cell]
        G, fields = len(self.cell.gates), len(self.cell.state_fields)
        self.x = normal(T, B, I)
        self.state = tuple(normal(B, H) for _ in range(fields))
        peepholes = 0.5 * normal(3 * H) if self.cell.peephole_gates else None
        weights = (normal(G * H, I), 0.4 * normal(G * H, H), normal(G * H), normal(G * H))
        self.params = Params(*weights, peepholes)
        self.where = {"reverse": reverse}
        if ragged:
            reset = torch.zeros((T, B), dtype=torch.bool)
            reset[4, 0] = reset[2, 2] = True
            self.where |= {"lengths": torch.tensor([T, 6, 4, 0]), "reset": reset}
        self.dy = normal(T, B, H)
        self.d_state = tuple(normal(B, H) for _ in range(fields))

    def backward(
        self, backend: str, margin: float = 0.1, *, listen: bool = True, create_graph: bool = False
    ) -> tuple[StepHealth | None, tuple[torch.Tensor, ...]]:
        told: list[StepHealth] = []
        leaves = [p for p in (self.x, *self.state, *self.params) if p is not None]
        for leaf in leaves:
            leaf.requires_grad_()
        listener = Listener(margin, lambda found, _: told.append(found)) if listen else None
        y, final = dispatch.run(
            self.cell, self.x, self.state, self.params, **self.where, backend=backend, listener=listener
        )
        grads = torch.autograd.grad((y, *final), leaves, (self.dy, *self.d_state), create_graph=create_graph)
        assert len(told) == listen
        return (told[0] if told else None), grads


def assert_same(found: StepHealth, wanted: StepHealth) -> None:
    assert_close(found.dh_square, wanted.dh_square, "dh_square", k=K)
    assert_close(found.dc_square, wanted.dc_square, "dc_square", k=K)
    assert torch.equal(found.saturated, wanted.saturated)
    assert torch.equal(found.first_bad, wanted.first_bad)


@both_directions
@every_cell
@pytest.mark.parametrize("ragged", [True, False])
def test_both_backends_tell_the_same(cell, reverse, ragged):
    problem = Problem(cell, reverse, ragged=ragged)
    native, _ = problem.backward("native")
    other, _ = problem.backward("reference")
    assert_same(other, native)
    assert native.dh_square.any()
    assert native.saturated.any()
    assert (native.dc_square is None) == ("c" not in problem.cell.state_fields)


@both_directions
@every_cell
def test_both_backends_tell_the_same_of_masked_states(cell, reverse):
    """The gradients are those of the states that are carried on, after zoneout."""
    problem = Problem(cell, reverse)
    generator = torch.Generator().manual_seed(5)
    problem.where["variation"] = Variation(
        h_mask=2.0 * (torch.rand(B, H, generator=generator) < 0.5).double(),
        zoneout=(0.3, 0.2)[: len(problem.state)],
        seed=torch.tensor(77),
    )
    native, native_grads = problem.backward("native")
    other, grads = problem.backward("reference")
    assert_close(grads, native_grads, k=K)
    assert_same(other, native)


@every_cell
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_a_listener_changes_no_bit_of_the_gradients(cell, backend):
    problem = Problem(cell, False)
    _, with_one = problem.backward(backend)
    _, without = problem.backward(backend, listen=False)
    assert all(torch.equal(a, b) for a, b in zip(with_one, without, strict=True))


@every_cell
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_a_second_derivative_is_heard_too(cell, backend):
    problem = Problem(cell, False)
    plain, _ = problem.backward(backend)
    found, grads = problem.backward(backend, create_graph=True)
    assert_same(found, plain)
    assert all(g.requires_grad for g in grads)


def place(row: torch.Tensor) -> tuple[int, ...]:
    return tuple(row.tolist())


@both_directions
@every_cell
def test_a_bad_gate_is_found_where_it_was_made(cell, reverse):
    """One unit's weights bring ∞ − ∞ out of two inputs at a step of one row."""
    problem = Problem(cell, reverse, ragged=False)
    gates = problem.cell.gates
    for g in range(len(gates)):
        problem = Problem(cell, reverse, ragged=False)
        problem.x[:, :, :2] = 0
        first = 6 if reverse else 2
        problem.x[first, 1, 0], problem.x[first, 1, 1] = 1e300, 0 if cell == "rnn_relu" else -torch.inf
        problem.params.weight_ih[g * H + 11, :2] = torch.tensor([1e300, 1.0], dtype=torch.float64)
        native, _ = problem.backward("native")
        other, _ = problem.backward("reference")
        assert place(native.first_bad[0, 1]) == (g, first, 11), gates[g]
        assert torch.equal(other.first_bad[0], native.first_bad[0])


@both_directions
@every_cell
def test_a_bad_gradient_is_found_where_it_came_in(cell, reverse):
    problem = Problem(cell, reverse, ragged=False)
    if cell == "rnn_relu":
        problem.params.bias_ih[3] = 1e3  # relu stops a NaN where its output is zero
    problem.dy[2, 1, 3] = problem.dy[6, 1, 3] = torch.nan
    native, _ = problem.backward("native")
    other, _ = problem.backward("reference")
    unit = 0 if cell == "gru_reset_before" else 3
    assert place(native.first_bad[1, 1]) == (0, 2 if reverse else 6, unit)
    assert (native.first_bad[0] == -1).all()
    assert torch.equal(other.first_bad, native.first_bad)


def test_nothing_to_walk():
    found = health.observe(
        CELLS["lstm"], torch.zeros(0, 2, 3), (torch.zeros(2, 4),) * 2, Problem("lstm", False).params, (None,) * 3, 0.1
    )
    assert found.dh_square.shape == (0, 2)
    assert (found.first_bad == -1).all()


def test_without_gradients_from_above_the_norms_are_zero():
    problem = Problem("gru", False)
    found = health.observe(problem.cell, problem.x, problem.state, problem.params, (None, None), 0.1)
    assert not found.dh_square.any()


def listened(layer: Recurrent) -> list[tuple[int, StepHealth]]:
    told: list[tuple[int, StepHealth]] = []

    def listen(index, *_, **__):
        return Listener(0.1, lambda found, _: told.append((index, found)))

    layer._listen = listen
    return told


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_tells_for_every_layer_and_direction(kind):
    layer = LAYERS[kind](3, 4, num_layers=2, bidirectional=True)
    told = listened(layer)
    layer(torch.randn(5, 2, 3))[0].sum().backward()
    assert sorted(index for index, _ in told) == [0, 1, 2, 3]
    assert all(found.dh_square.shape == (5, 2) for _, found in told)
    layer._listen = None
    layer(torch.randn(5, 2, 3))[0].sum().backward()
    assert len(told) == 4


def test_a_projected_layer_tells_the_gradients_of_what_it_hands_on():
    """h is what is projected: at the last step its gradient is the loss's own."""
    layer = LAYERS["lstm"](3, 6, proj_size=2, dtype=torch.float64)
    told = listened(layer)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    output, _ = layer(x)
    (output[-1] * torch.tensor([3.0, 4.0])).sum().backward()
    ((_, found),) = told
    assert_close(found.dh_square[-1], torch.tensor([25.0, 25.0], dtype=torch.float64))

    steps = [row.clone() for row in x]
    state, kept = (torch.zeros(1, 2, 2, dtype=torch.float64), torch.zeros(1, 2, 6, dtype=torch.float64)), []
    layer._listen = None
    for step in steps:
        output, state = layer(step.unsqueeze(0), state)
        for s in state:
            s.retain_grad()
        kept.append(state)
    (output[-1] * torch.tensor([3.0, 4.0])).sum().backward()
    # The output of a step is h itself in another tensor, so h's gradient is looked at below the last step only.
    assert_close(found.dh_square[:-1], torch.stack([h.grad[0].square().sum(-1) for h, _ in kept[:-1]]))


def test_traced_code_is_not_heard():
    layer = LAYERS["gru"](3, 4)
    told = listened(layer)
    fast = torch.compile(layer, backend="eager", fullgraph=True)
    fast(torch.randn(5, 2, 3))[0].sum().backward()
    assert told == []
