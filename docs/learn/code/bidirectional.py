"""What tells a word may stand behind it: one way, both ways, and what both ways cost."""

import time

import torch
from torch import nn

from throughtime.errors import ArgumentError
from throughtime.models import Aligned
from throughtime.nn import GRU, LSTM, RNN
from throughtime.training import TensorSource, TrainingConfig, train

# “He said, Teddy bears are on sale”, “He said, Teddy Roosevelt was ...”: a name or not?
WORDS = ("he", "said", "teddy", "bears", "roosevelt", "are", "was", "here", "again")


def sentences(n: int, seed: int):
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, len(WORDS), (n, 8), generator=g)
    place = torch.randint(0, 7, (n,), generator=g)
    is_name = torch.randint(0, 2, (n,), generator=g)
    rows = torch.arange(n)
    ids[rows, place] = WORDS.index("teddy")
    ids[rows, place + 1] = 3 + is_name  # bears or roosevelt
    labels = torch.zeros(n, 8)
    labels[rows, place] = is_name.float()
    return ids, labels, place


class Names(nn.Module):
    def __init__(self, kind, bidirectional: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(len(WORDS), 8)
        layer = kind(8, 16, bidirectional=bidirectional, batch_first=True)
        self.net = Aligned(layer, nn.Linear(layer.output_size, 1))

    def forward(self, ids):
        return self.net(self.words(ids))[0].squeeze(-1)


def loss(model, batch):
    return nn.functional.binary_cross_entropy_with_logits(model(batch[0]), batch[1])


data = TensorSource(*sentences(1000, seed=0)[:2])
ids, labels, place = sentences(1000, seed=1)
rows = torch.arange(1000)
for kind in (RNN, GRU, LSTM):
    for both in (False, True):
        torch.manual_seed(0)
        model = Names(kind, both)
        train(model, loss, data, config=TrainingConfig(epochs=10, learning_rate=0.01))
        times = []
        for _ in range(10):
            began = time.process_time()
            loss(model, (ids, labels)).backward()
            times.append(time.process_time() - began)
        found = (model(ids) > 0)[rows, place]  # is “teddy” a name?
        right = (found == labels[rows, place].bool()).float().mean().item()
        count = sum(p.numel() for p in model.net.recurrent.parameters())
        print(
            f"{kind.__name__:4s} {'both ways' if both else 'one way':9s}: "
            f"“teddy” {right:.3f} right, "
            f"{count:5,d} weights, {1000 * min(times):.1f} ms"
        )
        assert (right > 0.99) == both

try:
    model.net.stream()  # live speech: words come one at a time
except ArgumentError as error:
    print(error)
