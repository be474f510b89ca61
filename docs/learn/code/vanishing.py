"""Where does the gradient of “was” still arrive? RNN, GRU, LSTM, and open gates."""

import sys
from pathlib import Path

import torch
from was_or_were import WasOrWere, fit, loss, sentences

from throughtime.report import gradient_plot
from throughtime.training import watch

PICTURES = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
DISTANCE = 30  # words between "cat" and "was"
CASES = {
    "RNN": ("rnn", 0),
    "GRU": ("gru", 0),
    "LSTM": ("lstm", 0),
    "LSTM, gates begin open": ("lstm", DISTANCE),
}

norms, reach, right = {}, {}, {}
for name, (cell, open_for) in CASES.items():
    torch.manual_seed(0)
    model = WasOrWere(cell, open_for)
    with watch(model) as ears:  # one backward pass, before any training
        loss(model, sentences(64, 2, DISTANCE).tensors).backward()
    (health,) = ears.report().layers
    norms[name], reach[name] = health.dh, health.reach
    arrives = health.reach[DISTANCE] / health.reach[0]
    right[name] = fit(model, DISTANCE)
    print(
        f"{name:24s} at the subject {arrives:7.1e} of the gradient at the verb; "
        f"trained: {right[name]:.3f} of the verbs right"
    )

gradient_plot(
    PICTURES / "vanishing.png",
    norms,
    reach,
    title=f"{DISTANCE} words between the cat and its verb",
)
assert right["LSTM, gates begin open"] > 0.95
assert right["RNN"] < 0.6
assert reach["RNN"][DISTANCE] < 1e-6 * reach["RNN"][0]
