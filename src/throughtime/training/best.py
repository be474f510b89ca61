"""The best weights so far."""

from typing import Any, NamedTuple

from torch import Tensor, nn


class Kept(NamedTuple):
    epoch: int
    loss: float
    state: dict[str, Any]


class BestWeights:
    """A copy of a model's state at the end of the epoch with the lowest loss."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.kept: Kept | None = None

    def offer(self, epoch: int, loss: float) -> bool:
        """Keep the model's state now if this loss is the lowest; say whether it was."""
        if self.kept is not None and loss >= self.kept.loss:
            return False
        state = self.model.state_dict()
        copy = {name: value.clone() if isinstance(value, Tensor) else value for name, value in state.items()}
        # One assignment at the end: Ctrl-C during the copy leaves the copy before it whole.
        self.kept = Kept(epoch, loss, copy)
        return True

    def restore(self) -> None:
        """Write the kept state into the model, in place; without one the model stays as it is."""
        if self.kept is not None:
            self.model.load_state_dict(self.kept.state)
