"""Many inputs, one output."""

from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models.ids import check_sequences
from throughtime.models.pooling import POOLINGS
from throughtime.nn.sequence_layer import SequenceLayer


class ManyToOne(nn.Module):
    """A whole sequence in, one output: the head reads one vector that stands for all steps.

    (1) h_t = the output of the top layer at t, both directions side by side
    (2) p = "last": the top layer's state after the last valid step of each direction; for a row of length 0 the
        initial state, zeros
        p = "mean" or "max" of h_t over the valid steps, or a module's, such as `AttentionPooling`
    (3) y = head(p)

    There is no state to hand on, and no output before the end; `Aligned(model.recurrent, model.head)` has the same
    weights and streams, where the pooling is "last" and the layer one-way.

    **Shapes** x (T, B, I), lengths (B,) or None, output (B, O). A pooling module is called as
    ``pooling(hidden (T, B, F), lengths)`` and gives (B, P).

    **Raises** ArgumentError: an unknown name of a pooling. ArgumentTypeError: neither a name nor a module.

    >>> import torch
    >>> from throughtime.nn import GRU
    >>> model = ManyToOne(GRU(3, 5, bidirectional=True), nn.Linear(10, 2), pooling="mean")
    >>> tuple(model(torch.zeros(7, 4, 3), lengths=[7, 1, 0, 3]).shape)
    (4, 2)
    """

    def __init__(self, recurrent: SequenceLayer, head: nn.Module, pooling: str | nn.Module = "last") -> None:
        super().__init__()
        names = ("last", *POOLINGS)
        if not isinstance(pooling, str | nn.Module):
            raise ArgumentTypeError(
                f"ManyToOne: expected pooling to be one of {', '.join(names)} or a module, got "
                f"{type(pooling).__name__}; pass AttentionPooling(...) or a name"
            )
        if isinstance(pooling, str) and pooling not in names:
            raise ArgumentError(
                f"ManyToOne: expected pooling to be one of {', '.join(names)} or a module, got {pooling!r}; "
                "pass one of these"
            )
        self.recurrent = recurrent
        self.head = head
        # None is "last", which needs no outputs of the steps before.
        self.pooling: nn.Module | None = pooling if isinstance(pooling, nn.Module) else None
        if isinstance(pooling, str) and pooling in POOLINGS:
            self.pooling = POOLINGS[pooling]()

    @property
    def bidirectional(self) -> bool:
        """Whether the layer runs both ways; allowed, since the whole sequence is there."""
        return self.recurrent.bidirectional

    @property
    def streams(self) -> bool:
        """False: the output stands for the whole sequence."""
        return False

    def forward(self, x: Tensor | PackedSequence, *, lengths: Any = None, reset: Any = None) -> Tensor:
        """The output of each row.

        Args:
            x: see **Shapes** of the class; with the pooling "last" a PackedSequence, too.
            lengths: (B,).
            reset: (T, B) bool, the recurrent layer's: True at t is a border between t − 1 and t.

        Raises:
            ArgumentError: x has no axes of time and batch, or what the layer refuses.
            ArgumentTypeError: x is no tensor, nor a PackedSequence under "last".
        """
        if self.pooling is not None or not isinstance(x, PackedSequence):
            check_sequences("ManyToOne.forward", x)
        hidden_TBF, state = self.recurrent(x, lengths=lengths, reset=reset)
        if self.pooling is not None:
            time_first_TBF = hidden_TBF.transpose(0, 1) if self.recurrent.batch_first else hidden_TBF
            pooled_BF = self.pooling(time_first_TBF, lengths)
        else:
            h_LBH = state if isinstance(state, Tensor) else state[0]
            pooled_BF = h_LBH[-self.recurrent.num_directions :].transpose(0, 1).flatten(1)
        output: Tensor = self.head(pooled_BF)
        return output
