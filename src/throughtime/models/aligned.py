"""As many outputs as inputs: one at every step."""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.models.decoding import step_of
from throughtime.models.ids import check_sequences
from throughtime.models.modes import evaluating
from throughtime.nn import Stepper, TimeDistributed
from throughtime.nn.arguments import read_reset
from throughtime.nn.autocast import active_dtype
from throughtime.nn.sequence_layer import SequenceLayer


class Aligned(nn.Module):
    """An output at every step: the head reads the top layer's output there.

    (1) h_t = the output of the top layer at t
    (2) y_t = head(h_t)

    A one-way model streams: fed in pieces, each with the state that the last one left, it gives what the whole gives:
    the layer's outputs and state bit for bit on the native backend, the head's within 1e-6. Its state is the recurrent
    layer's, that of every layer after the last valid step.

    **Shapes** x (T, B, I), lengths (B,) or None, output (T, B, O), zero past each length.
    """

    def __init__(self, recurrent: SequenceLayer, head: nn.Module) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.head = TimeDistributed(head, batch_first=recurrent.batch_first)

    @property
    def bidirectional(self) -> bool:
        """Whether an output depends on later inputs."""
        return self.recurrent.bidirectional

    @property
    def streams(self) -> bool:
        """Whether outputs can be had before the sequence has ended."""
        return not self.recurrent.bidirectional

    def forward(self, x: Tensor, state: Any = None, *, lengths: Any = None, reset: Any = None) -> tuple[Tensor, Any]:
        """The outputs and the state after the last valid step, from which the next piece goes on.

        Args:
            x: see **Shapes** of the class.
            state: the recurrent layer's to begin with; zeros where None.
            lengths: (B,).
            reset: (T, B) bool, the recurrent layer's: True at t is a border between t − 1 and t.

        Raises:
            ArgumentError: a state is given to a bidirectional model, x has no axes of time and batch, or what the
                layer refuses.
            ArgumentTypeError: x is no tensor, a PackedSequence for one.
        """
        check_sequences("Aligned.forward", x)
        if state is not None and not self.streams:
            raise ArgumentError(
                "Aligned: expected no state, since this model is bidirectional and reads the future, got one; "
                "pass whole sequences, or build the recurrent layer with bidirectional=False"
            )
        hidden_TBF, state = self.recurrent(x, state, lengths=lengths, reset=reset)
        return self.head(hidden_TBF, lengths), state

    def step(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """One time step: x (B, I) to the output (B, O) and the next state."""
        hidden_BH, state = self.recurrent.step(x, state)
        output: Tensor = self.head.module(hidden_BH)
        return output, state

    def stream(self, state: Any = None, *, keep: bool = False) -> "AlignedStream":
        """Outputs while the inputs come: ``stream.feed(chunk)``.

        Args:
            state: where to go on from, such as another stream's `state`; zeros where None.
            keep: hold on to every output, for `AlignedStream.outputs`.

        Raises:
            ArgumentError: the model is bidirectional.
        """
        return AlignedStream(self, state, keep)


class AlignedStream:
    """A sequence in pieces through an `Aligned` model: x1 in, y1 out, x2 in, y2 out, ...

    The model runs in eval mode, without gradients, and its mode is put back. A piece may be of any length; pieces of
    one step take the layer's fast handle, whose weights are packed at the first of them, and again where it sees that
    they changed: see `Stepper`. Without a handle, and under autocast, they take the layer's `step`.

    **Shapes** chunk (T, B, I), or (B, T, I) with `batch_first`; outputs of the same axes with O features. B stays.

    >>> from throughtime.nn import GRU
    >>> stream = Aligned(GRU(3, 5), nn.Linear(5, 2)).stream(keep=True)
    >>> tuple(stream.feed(torch.zeros(4, 1, 3)).shape), tuple(stream.feed(torch.zeros(1, 1, 3)).shape)
    ((4, 1, 2), (1, 1, 2))
    >>> tuple(stream.outputs.shape)
    (5, 1, 2)
    """

    def __init__(self, model: Aligned, state: Any = None, keep: bool = False) -> None:
        if not model.streams:
            raise ArgumentError(
                "Aligned.stream: expected a one-way model, got bidirectional=True, whose backward direction needs the "
                "future; pass whole sequences to the model, or build the recurrent layer with bidirectional=False"
            )
        self._model = model
        self._time = 1 if model.recurrent.batch_first else 0
        self._step: Any = None
        self._kept: list[Tensor] | None = [] if keep else None
        self.state = state
        """The recurrent layer's state after what has been fed; before the first piece, the one given."""

    def feed(self, chunk: Tensor, *, reset: Any = None) -> Tensor:
        """The outputs of a piece, and the state moved on past it.

        Args:
            chunk: see **Shapes** of the class.
            reset: (T, B) bool, (B, T) with `batch_first`: True starts the row anew before that step.

        Raises:
            As `Aligned.forward`.
        """
        check_sequences("AlignedStream.feed", chunk)
        with torch.no_grad(), evaluating(self._model):
            if chunk.shape[self._time] == 1:
                if reset is not None:
                    shape = tuple(chunk.shape[:2])
                    reset = read_reset("AlignedStream.feed", reset, shape, chunk.device).squeeze(self._time)
                outputs = self._one(chunk.squeeze(self._time), reset).unsqueeze(self._time)
            else:
                outputs, self.state = self._model(chunk, self.state, reset=reset)
        if self._kept is not None:
            self._kept.append(outputs)
        return outputs

    def _one(self, x_BI: Tensor, reset_B: Tensor | None) -> Tensor:
        step = self._model.recurrent.step
        if active_dtype(x_BI.device.type) is None:
            if self._step is None:
                self._step = step_of(self._model.recurrent)
                if isinstance(self._step, Stepper):
                    self._step.follows = True
            step = self._step
        hidden_BH, self.state = step(x_BI, self.state, reset=reset_B)
        output: Tensor = self._model.head.module(hidden_BH)
        return output

    @property
    def outputs(self) -> Tensor:
        """All outputs so far, in one tensor.

        Raises:
            ArgumentError: the stream was not made with ``keep=True``, or nothing has been fed.
        """
        if self._kept is None:
            raise ArgumentError(
                "AlignedStream.outputs: expected a stream that keeps its outputs, got keep=False; "
                "make it with model.stream(keep=True)"
            )
        if not self._kept:
            raise ArgumentError("AlignedStream.outputs: expected a piece fed before, got none; call feed first")
        self._kept = [torch.cat(self._kept, dim=self._time)]
        return self._kept[0]
