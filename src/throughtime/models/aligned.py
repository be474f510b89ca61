"""As many outputs as inputs: one at every step."""

from typing import Any

from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.nn import Recurrent, TimeDistributed


class Aligned(nn.Module):
    """An output at every step: the head reads the top layer's output there.

    (1) h_t = the output of the top layer at t
    (2) y_t = head(h_t)

    A one-way model streams: fed in pieces, each with the state that the last one left, it gives what the whole gives.

    **Shapes** x (T, B, I), lengths (B,) or None, output (T, B, O), zero past each length.
    """

    def __init__(self, recurrent: Recurrent, head: nn.Module) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.head = TimeDistributed(head, batch_first=recurrent.batch_first)

    @property
    def streams(self) -> bool:
        """Whether outputs can be had before the sequence has ended."""
        return not self.recurrent.bidirectional

    def forward(self, x: Tensor, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        """The outputs and the state after the last valid step, from which the next piece goes on.

        Raises:
            ArgumentError: a state is given to a bidirectional model.
        """
        if state is not None and not self.streams:
            raise ArgumentError(
                "Aligned: expected no state, since this model is bidirectional and reads the future; "
                "pass whole sequences, or build the recurrent layer with bidirectional=False"
            )
        hidden_TBF, state = self.recurrent(x, state, lengths=lengths)
        return self.head(hidden_TBF, lengths), state

    def step(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """One time step: x (B, I) to the output (B, O) and the next state."""
        hidden_BH, state = self.recurrent.step(x, state)
        output: Tensor = self.head.module(hidden_BH)
        return output, state
