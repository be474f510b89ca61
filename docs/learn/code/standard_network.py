"""Which words are names? Nine one-hot words into a standard network, and into an RNN."""

import torch
from torch import Tensor, nn

from throughtime.models import Aligned
from throughtime.nn import RNN
from throughtime.training import TensorSource, TrainingConfig, train

TITLES = ("mr", "mrs", "dr")
WORDS = (
    *TITLES,
    "may",
    "rose",
    "bill",
    "mark",
    "the",
    "saw",
    "and",
    "old",
    "near",
    "red",
    "again",
    "home",
)
V, T, H = len(WORDS), 9, 32


def sentences(
    n: int, length: int, first: int, last: int, seed: int
) -> tuple[Tensor, Tensor]:
    """One-hot words (n, length, V), labels (n, length): a name is what follows a title."""
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(
        len(TITLES), V, (n, length), generator=g
    )  # "may" and "rose" are names only behind a title
    place = torch.randint(first, last + 1, (n,), generator=g)
    rows = torch.arange(n)
    ids[rows, place - 1] = torch.randint(0, len(TITLES), (n,), generator=g)
    ids[rows, place] = torch.randint(3, 7, (n,), generator=g)
    labels = torch.zeros(n, length)
    labels[rows, place] = 1
    return nn.functional.one_hot(ids, V).float(), labels


class Standard(nn.Module):
    """Nine words in, nine labels out: one long vector in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(T * V, H), nn.Tanh(), nn.Linear(H, T))

    def forward(self, x_BTV: Tensor) -> Tensor:
        x_BTV = x_BTV[
            :, :T
        ]  # what is longer does not fit; what is shorter is padded with zeros
        x_BTV = nn.functional.pad(x_BTV, (0, 0, 0, T - x_BTV.shape[1]))
        return self.net(x_BTV.flatten(1))


class Recurrent(nn.Module):
    """One label a word, the same weights at every word."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Aligned(RNN(V, H, batch_first=True), nn.Linear(H, 1))

    def forward(self, x_BTV: Tensor) -> Tensor:
        return self.net(x_BTV)[0].squeeze(-1)


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(model(batch[0]), batch[1])


def right(model: nn.Module, x: Tensor, labels: Tensor) -> float:
    """The share of sentences with all labels right; a word without a label is not."""
    found = (model(x) > 0).float()
    missing = labels.shape[1] - found.shape[1]
    if missing > 0:
        found = nn.functional.pad(found, (0, missing))
    return (found[:, : labels.shape[1]] == labels).all(1).float().mean().item()


train_data = sentences(2000, T, first=1, last=4, seed=0)  # names in the first five words
tests = {
    "places that were trained": sentences(1000, T, 1, 4, seed=1),
    "names further right": sentences(1000, T, 5, 8, seed=2),
    "twelve words": sentences(1000, 12, 1, 11, seed=3),
    "six words": sentences(1000, 6, 1, 5, seed=4),
}
config = TrainingConfig(epochs=20, learning_rate=0.005)
print(f"{'sentences all right':26s}{'standard':>10s}{'RNN':>8s}")
scores: dict[str, list[float]] = {name: [] for name in tests}
models = []
for kind in (Standard, Recurrent):
    torch.manual_seed(0)
    model = kind()
    train(model, loss, TensorSource(*train_data), config=config)
    models.append(model.eval())
    for name, (x, labels) in tests.items():
        scores[name].append(right(model, x, labels))
for name, (standard, recurrent) in scores.items():
    print(f"{name:26s}{standard:10.3f}{recurrent:8.3f}")
counts = [sum(p.numel() for p in model.parameters()) for model in models]
print(f"{'parameters':26s}{counts[0]:10,d}{counts[1]:8,d}")
K = 10_000  # the notes' dictionary
print(f"first matrix, {K:,d} words: standard {T * K * H:,d} weights, RNN {K * H:,d}")

assert min(recurrent for _, recurrent in scores.values()) > 0.95
assert scores["places that were trained"][0] > 0.9
assert scores["names further right"][0] < 0.2
assert counts[0] > 2 * counts[1]
