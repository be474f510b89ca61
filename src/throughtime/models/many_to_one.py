"""Many inputs, one output."""

from typing import Any

from torch import Tensor, nn

from throughtime.nn import Recurrent


class ManyToOne(nn.Module):
    """A whole sequence in, one output: the head reads the top layer's last state.

    (1) h_T = the state of the top layer after the last valid step, both directions side by side
    (2) y = head(h_T)

    **Shapes** x (T, B, I), lengths (B,) or None, output (B, O).
    """

    def __init__(self, recurrent: Recurrent, head: nn.Module) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.head = head

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        """The output of each row."""
        _, state = self.recurrent(x, lengths=lengths)
        h_LBH = state if isinstance(state, Tensor) else state[0]
        top_BF = h_LBH[-self.recurrent.num_directions :].transpose(0, 1).flatten(1)
        output: Tensor = self.head(top_BF)
        return output
