"""The shapes that sequence models take, the classes that have them, and pictures."""

import sys
from pathlib import Path

import torch
from torch import nn

from throughtime.models import Aligned, EncoderDecoder, ManyToOne, OneToMany, OneToOne
from throughtime.nn import GRU, AdditiveAttention
from throughtime.report import unrolled_plot

PICTURES = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
torch.manual_seed(0)
T, B, I, H, V = 5, 2, 3, 8, 7
x = torch.randn(T, B, I)

one_to_one = OneToOne(GRU(I, H), nn.Linear(H, 1))
print("one to one       ", tuple(x[0].shape), "→", tuple(one_to_one(x[0]).shape))

one_to_many = OneToMany(
    nn.Embedding(V, I), GRU(I, H), nn.Linear(H, V), classes=3
)  # a style number → notes
print(
    "one to many      ",
    "(2,) classes",
    "→",
    tuple(one_to_many.generate(T, class_ids=[0, 2], seed=1).ids.shape),
)

many_to_one = ManyToOne(GRU(I, H), nn.Linear(H, 5))  # a review → one to five stars
print("many to one      ", tuple(x.shape), "→", tuple(many_to_one(x).shape))

aligned = Aligned(GRU(I, H), nn.Linear(H, 2))  # a word → name or not, T_x = T_y
print("many to many     ", tuple(x.shape), "→", tuple(aligned(x)[0].shape))
stream = aligned.stream()
pieces = torch.cat([stream.feed(x_t) for x_t in x.split(1)])  # x1 in, y1 out, x2 in, y2 out
torch.testing.assert_close(pieces, aligned(x)[0])
print("as it comes      ", "x1 → y1, x2 → y2, ...: the same outputs")

translate = EncoderDecoder(
    nn.Embedding(9, I),
    GRU(I, H, bidirectional=True),
    nn.Embedding(V, I),
    GRU(I, H),
    nn.Linear(H, V),
    attention=AdditiveAttention(H, 2 * H, 6),
)
french = torch.randint(3, 9, (T, B))
english = translate.beam(french, [T, T], limit=4, width=2).ids
print("read, then write ", tuple(french.shape), "→ at most", len(english), "words each")

for name, model in (
    ("one-to-many", one_to_many),
    ("many-to-one", many_to_one),
    ("many-to-many", aligned),
    ("encoder-decoder", translate),
):
    title = name.replace("-", " ")
    unrolled_plot(PICTURES / f"{name}.png", model, steps=3, letters="notes", title=title)
