"""The oracle's forward against torch.nn, and what the notes say beside the formulas."""

import numpy as np
import pytest
import torch

from tests.helpers import as_arrays, assert_close, make_params
from tests.oracles import deep, network
from tests.oracles.batch import pieces_of
from tests.oracles.cells import CELLS, sigmoid
from tests.oracles.layout import to_notes

F, H, T = 3, 5, 6  # features, hidden units, time steps

TORCH = {
    "rnn_tanh": lambda **kw: torch.nn.RNN(nonlinearity="tanh", **kw),
    "rnn_relu": lambda **kw: torch.nn.RNN(nonlinearity="relu", **kw),
    "gru": torch.nn.GRU,
    "lstm": torch.nn.LSTM,
}


def notes_weights(name: str, seed: int = 0) -> dict[str, np.ndarray]:
    return to_notes(name, as_arrays(make_params(name, F, H, torch.Generator().manual_seed(seed))))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("name", TORCH)
def test_equals_torch(name, num_layers, bidirectional):
    torch.manual_seed(3)
    layer = TORCH[name](
        input_size=F, hidden_size=H, num_layers=num_layers, bidirectional=bidirectional, dtype=torch.float64
    )
    n, D = len(CELLS[name].state), 1 + bidirectional
    x = torch.randn(T, 2, F, dtype=torch.float64)
    state = tuple(torch.randn(num_layers * D, 2, H, dtype=torch.float64) for _ in range(n))
    output, final = layer(x, state if n == 2 else state[0])
    run = deep.scan(
        name, as_arrays(x), as_arrays(state), as_arrays(dict(layer.named_parameters())),
        num_layers=num_layers, bidirectional=bidirectional,
    )  # fmt: skip
    assert_close(run.output_TBH, output, "output", k=100)
    assert_close(run.final_state, final if n == 2 else (final,), "state", k=100)


def test_simplified_formula():
    """W_a [a_{t-1}, x_t] + b_a with W_a = [W_aa | W_ax] is the first formula in one matrix."""
    g = np.random.default_rng(1)
    w = notes_weights("rnn_tanh")
    W_a = np.hstack([w["W_aa"], w["W_ax"]])
    assert W_a.shape == (H, H + F)
    x, a = g.normal(size=(T, F)), g.normal(size=H)
    steps = network.forward(CELLS["rnn_tanh"], w, x, (a,))
    for x_t, step in zip(x, steps, strict=True):
        a = np.tanh(W_a @ np.concatenate([a, x_t]) + w["b_a"])
        assert_close(step.after[0], a, k=20)
    with pytest.raises(AssertionError):  # the order inside the brackets matters
        assert_close(np.tanh(W_a @ np.concatenate([x[0], a]) + w["b_a"]), steps[0].after[0], k=20)


@pytest.mark.parametrize("name", ["gru", "gru_reset_before"])
def test_the_misprinted_gru_drifts(name):
    """The notes' figure prints Γ_u ∗ c̃ + (1 − Γ_u) + c_{t-1}: it adds up for ever; the right one stays in [-1, 1]."""
    w = notes_weights(name)
    cell = CELLS[name]
    g = np.random.default_rng(2)
    right = printed = (np.zeros(H),)
    drift = []
    for x in g.normal(size=(2000, F)):
        right = cell.forward(w, x, right).after
        assert np.abs(right[0]).max() <= 1.0
        values = cell.forward(w, x, printed).values
        printed = (values["Γ_u"] * values["c̃"] + (1.0 - values["Γ_u"]) + printed[0],)
        drift.append(np.abs(printed[0]).max())
    # As c grows the gates close (Γ_u → 0) for good, and the fastest element gains 1 at every step.
    assert drift[999] > 900.0
    assert_close(np.diff(drift[-100:]), np.ones(99), k=1e6)


def test_one_means_update_in_the_notes_and_keep_in_torch():
    """Γ_u = 1 − z: with Γ_u → 1 the memory is the candidate, with torch's z → 1 it is the old memory."""
    params = as_arrays(make_params("gru", F, H, torch.Generator().manual_seed(4)))
    x, c = np.full(F, 0.3), np.linspace(-0.9, 0.8, H)
    a_z = (params["weight_ih"] @ x + params["bias_ih"] + params["weight_hh"] @ c + params["bias_hh"])[H : 2 * H]
    step = CELLS["gru"].forward(to_notes("gru", params), x, (c,))
    assert_close(step.values["Γ_u"], 1.0 - sigmoid(a_z), k=20)

    for z_bias, becomes in ((60.0, c), (-60.0, step.values["c̃"])):
        pushed = {**params, "bias_ih": params["bias_ih"].copy()}
        pushed["bias_ih"][H : 2 * H] = z_bias
        weights = to_notes("gru", pushed)
        assert_close(CELLS["gru"].forward(weights, x, (c,)).after[0], becomes, k=20)
        torch_cell = torch.nn.GRUCell(F, H, dtype=torch.float64)
        torch_cell.load_state_dict({key: torch.from_numpy(value) for key, value in pushed.items()})
        assert_close(torch_cell(torch.from_numpy(x)[None], torch.from_numpy(c)[None])[0], becomes, k=20)


@pytest.mark.parametrize("name", ["peephole_lstm", "previous_peephole_lstm"])
def test_peepholes_are_one_to_one(name):
    """The k-th element of the cell moves only the k-th element of each gate."""
    w = notes_weights(name)
    w |= {key: np.zeros_like(value) for key, value in w.items() if key in ("W_ua", "W_fa", "W_oa", "W_ca")}
    x, a, c = np.ones(F), np.zeros(H), np.linspace(-1.0, 1.0, H)
    before = CELLS[name].forward(w, x, (a, c)).values
    moved = c.copy()
    moved[3] += 0.5
    after = CELLS[name].forward(w, x, (a, moved)).values
    for gate in ("Γ_u", "Γ_f", "Γ_o"):
        assert np.flatnonzero(before[gate] != after[gate]).tolist() == [3]


def test_the_two_peephole_lstms_differ_in_the_output_gate_only():
    w = notes_weights("peephole_lstm")
    x, state = np.ones(F), (np.full(H, 0.2), np.linspace(-1.0, 1.0, H))
    gers = CELLS["peephole_lstm"].forward(w, x, state).values
    notes = CELLS["previous_peephole_lstm"].forward(w, x, state).values
    for same in ("Γ_u", "Γ_f", "c̃", "c"):
        assert (gers[same] == notes[same]).all()
    assert np.abs(gers["Γ_o"] - notes["Γ_o"]).max() > 1e-3
    w["p_o"] = np.zeros(H)
    gers = CELLS["peephole_lstm"].forward(w, x, state).values
    notes = CELLS["previous_peephole_lstm"].forward(w, x, state).values
    assert (gers["a"] == notes["a"]).all()


def borders(*at: int) -> np.ndarray:
    return np.array([t in at for t in range(6)])


@pytest.mark.parametrize(
    ("length", "reset", "reverse", "expected"),
    [
        (4, None, False, [([0, 1, 2, 3], True)]),
        (4, None, True, [([3, 2, 1, 0], True)]),
        (0, borders(0, 3), False, []),
        (5, borders(2, 5), False, [([0, 1], True), ([2, 3, 4], False)]),
        (5, borders(2, 5), True, [([4, 3, 2], True), ([1, 0], False)]),
        (3, borders(0), False, [([0, 1, 2], False)]),
        (3, borders(0), True, [([2, 1, 0], True)]),
        (3, borders(0, 1, 2), False, [([0], False), ([1], False), ([2], False)]),
        (3, borders(0, 1, 2), True, [([2], True), ([1], False), ([0], False)]),
    ],
)
def test_pieces(length, reset, reverse, expected):
    assert [(p.times, p.from_initial) for p in pieces_of(length, reset, reverse)] == expected
