"""“The cat, which already ate …, was full”: a model that reads up to the verb."""

import torch
from torch import Tensor, nn

from throughtime.datasets import AGREEMENT_WORDS, agreement
from throughtime.models import ManyToOne
from throughtime.nn.layers import LAYERS
from throughtime.training import TensorSource, TrainingConfig, train


class WasOrWere(nn.Module):
    """Ids (B, T) to the logits of "was" and "were" (B, 2)."""

    def __init__(self, cell: str, open_for: int = 0, units: int = 32) -> None:
        super().__init__()
        self.words = nn.Embedding(len(AGREEMENT_WORDS), 16)
        layer = LAYERS[cell](16, units)
        if open_for:
            begin_open(layer, open_for)
        self.topology = ManyToOne(layer, nn.Linear(units, 2))

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self.topology(self.words(tokens_BT.T), lengths=lengths_B)


@torch.no_grad()
def begin_open(layer: nn.Module, steps: int) -> None:
    """Gates that keep from the start: σ(b) keeps for about 1 + exp b steps."""
    # So b is drawn as log U(1, steps): some units forget soon, some hold to the end.
    H, gates = layer.hidden_size, layer.cell.gates
    b = torch.empty(H).uniform_(1, steps).log()
    for gate, bias in ({"f": b, "i": -b} if "f" in gates else {"z": b}).items():
        rows = slice(gates.index(gate) * H, (gates.index(gate) + 1) * H)
        layer.bias_ih_l0[rows], layer.bias_hh_l0[rows] = bias, 0


def sentences(n: int, seed: int, distance: int) -> TensorSource:
    """Ids, lengths, verbs; `distance` words stand between subject and verb."""
    drawn = agreement(n, seed, min_distance=distance, max_distance=distance)
    return TensorSource(
        *map(torch.from_numpy, (drawn.tokens, drawn.lengths, drawn.targets))
    )


def loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return nn.functional.cross_entropy(model(*batch[:2]), batch[2])


def fit(model: nn.Module, distance: int, n: int = 4000, epochs: int = 3) -> float:
    """Train on sentences of one distance; the share of verbs right in a thousand others."""
    config = TrainingConfig(epochs=epochs, batch_size=64, learning_rate=0.01)
    train(model, loss, sentences(n, 0, distance), config=config)
    with torch.no_grad():
        tokens, lengths, verbs = sentences(1000, 1, distance).tensors
        return (model(tokens, lengths).argmax(1) == verbs).float().mean().item()
