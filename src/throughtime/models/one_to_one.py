"""One input, one output."""

from typing import Any

from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.nn.sequence_layer import SequenceLayer


class OneToOne(nn.Module):
    """A single input in, a single output out: one step of the layer, from a given state or from zeros.

    (1) h = the top layer's output for x, both directions side by side
    (2) y = head(h)

    Its state is what it starts from and is not handed on: a model of more steps is `Aligned`.

    **Shapes** x (B, I), state as the layer's, output (B, O).

    >>> import torch
    >>> from throughtime.nn import RNN
    >>> tuple(OneToOne(RNN(2, 4), nn.Linear(4, 1))(torch.zeros(3, 2)).shape)
    (3, 1)
    """

    def __init__(self, recurrent: SequenceLayer, head: nn.Module) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.head = head

    @property
    def bidirectional(self) -> bool:
        """Whether the layer runs both ways; over one step that makes two sets of weights for the same input."""
        return self.recurrent.bidirectional

    @property
    def streams(self) -> bool:
        """False: there is one step, and nothing comes after it."""
        return False

    def forward(self, x: Tensor, state: Any = None) -> Tensor:
        """The output of each row.

        Raises:
            ArgumentError: x is not (B, I), or the state does not fit.
        """
        features = self.recurrent.input_size
        if x.dim() != 2 or features not in (None, x.shape[1]):
            raise ArgumentError(
                f"OneToOne: expected x of shape (B, {'I' if features is None else features}), got {tuple(x.shape)}; "
                "pass one step, or build Aligned for sequences"
            )
        time = 1 if self.recurrent.batch_first else 0
        hidden, _ = self.recurrent(x.unsqueeze(time), state)
        output: Tensor = self.head(hidden.squeeze(time))
        return output
