"""A language model while it is trained: the state that is carried from chunk to chunk, and the loss."""

from typing import Any

from torch import Tensor, nn

from throughtime.nn import LSTMState, detach_state
from throughtime.tasks.language.chunks import IGNORED, Chunk
from throughtime.tasks.language.net import LanguageNet, States
from throughtime.training import WeightedLoss


class Trainee(nn.Module):
    """A net with the state in which the rows of its training text stand.

    The state is in buffers, so that a checkpoint holds it. A validation has a state of its own, which is not kept.

    Args:
        net: what is trained.
        rows: of the training text.
        activation_penalty: α in (1).
        change_penalty: β in (1).

    (1) L = mean over targets of −log p + α mean(h̃²) + β mean((h_t − h_{t−1})²), h the last layer's outputs, h̃ after
        dropout; in training alone, and without a term that is 0

    **Source** (1) [Merity2017].
    """

    def __init__(
        self, net: LanguageNet, rows: int, *, activation_penalty: float = 0.0, change_penalty: float = 0.0
    ) -> None:
        super().__init__()
        self.net = net
        self.activation_penalty = activation_penalty
        self.change_penalty = change_penalty
        weight = net.encoder.embedding.weight
        for i, layer in enumerate(net.encoder.layers):
            for field, size in zip(layer._state_fields, layer._state_sizes, strict=True):  # type: ignore[arg-type]
                self.register_buffer(f"carried_{i}_{field}", weight.new_zeros((1, rows, size)))
        self._validated: States | None = None

    def forward(self, chunk: Chunk) -> WeightedLoss:
        """The loss of a chunk, and how many targets it is a mean over; the state goes on to the next."""
        net = self.net
        state = None if chunk.first else self._carried()
        hidden_TBF, after = net.encoder.read(chunk.inputs, state, begins=chunk.begins, classes=chunk.classes)
        self._carry(detach_state(after))
        dropped_TBF = net.encoder.drop_output(hidden_TBF)
        counted_TB = chunk.targets != IGNORED
        flat_NF, targets_N = dropped_TBF.flatten(0, 1), chunk.targets.flatten()
        if not bool(counted_TB.all()):
            flat_NF, targets_N = flat_NF[counted_TB.flatten()], targets_N[counted_TB.flatten()]
        loss = -net.log_probs(flat_NF, targets_N).float().mean()
        if self.training and self.activation_penalty:
            loss = loss + self.activation_penalty * dropped_TBF.float().square().mean()
        if self.training and self.change_penalty and len(hidden_TBF) > 1:
            loss = loss + self.change_penalty * (hidden_TBF[1:] - hidden_TBF[:-1]).float().square().mean()
        return WeightedLoss(loss, len(targets_N))

    def _carried(self) -> States | None:
        if not self.training:
            return self._validated
        found: list[Any] = []
        for i, layer in enumerate(self.net.encoder.layers):
            fields = [getattr(self, f"carried_{i}_{field}") for field in layer._state_fields]  # type: ignore[union-attr]
            found.append(LSTMState(*fields) if len(fields) == 2 else fields[0])
        return tuple(found)

    def _carry(self, state: States) -> None:
        if not self.training:
            self._validated = state
            return
        for i, (layer, own) in enumerate(zip(self.net.encoder.layers, state, strict=True)):
            tensors = own if isinstance(own, tuple) else (own,)
            for field, value in zip(layer._state_fields, tensors, strict=True):  # type: ignore[arg-type]
                name = f"carried_{i}_{field}"
                setattr(self, name, value.to(getattr(self, name).dtype))


def chunk_loss(model: nn.Module, batch: Any) -> Tensor | WeightedLoss:
    """What `train` asks for."""
    found: WeightedLoss = model(batch)
    return found
