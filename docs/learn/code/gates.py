"""What does a trained LSTM keep of "cat", and until where?"""

import sys
from pathlib import Path

import torch
from was_or_were import WasOrWere, fit

from throughtime.datasets import AGREEMENT_WORDS
from throughtime.report import gate_plot

PICTURES = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
TEXT = "the cat , which already saw the old dogs , liked the red horses ,"
SENTENCE = TEXT.split()

torch.manual_seed(0)
distance = len(SENTENCE) - 2
model = WasOrWere("lstm", open_for=distance, units=16)
right = fit(model, distance)
tokens = torch.tensor([[AGREEMENT_WORDS.index(word) for word in SENTENCE]])
verb = ("was", "were")[model(tokens, torch.tensor([len(SENTENCE)])).argmax().item()]
print(f"{TEXT} → {verb}    ({right:.3f} of a thousand sentences right)")

with torch.no_grad():
    trace = model.topology.recurrent.trace(model.words(tokens.T))  # gates at every word
forget_TH = trace.values[0][0].f[:, 0]
left_H = forget_TH[2:].prod(0)  # of what a unit held at “cat”, what is left at the verb
keeping, best = (left_H > 0.5).sum(), left_H.max()
print(f"{keeping} of {len(left_H)} units have more than half left; the best {best:.2f}")
gate_plot(
    PICTURES / "gates.png",
    SENTENCE,
    forget_TH.numpy(),
    since=1,
    title="The forget gate of a trained LSTM",
)
assert verb == "was"
assert right > 0.95
assert left_H.max() > 0.2
