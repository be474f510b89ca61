"""One time step as a module: torch.nn's cells, and those of the layers that torch does not have.

Plain differentiable torch, on any device and to any order: a fused kernel would pack the weights anew at every step,
which costs more than it saves. Where the equations are torch's, torch computes them. The fast ways through a sequence
are the layer of the same name for the whole of it, and the layer's `stepper` for one step at a time.

Axes in names: B batch, I input features, H hidden units.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from throughtime.cells import CELLS, Cell, Params, State
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn import arguments, autocast
from throughtime.nn.state import public_state


class StepCell(nn.Module):
    """One time step of one cell, with torch.nn's parameters ``weight_ih``, ``weight_hh``, ``bias_ih``, ``bias_hh``.

    **Shapes** input (B, I), or (I,) for one row; each state tensor, given and returned, (B, H), or (H,).
    """

    cell_name: ClassVar[str]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        input_size = arguments.check_size(who, "input_size", input_size)
        hidden_size = arguments.check_size(who, "hidden_size", hidden_size)
        arguments.check_flag(who, "bias", bias)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        H, rows, peepholes = hidden_size, len(self.cell.gates) * hidden_size, len(self.cell.peephole_gates)
        shapes = ((rows, input_size), (rows, H), (rows,), (rows,), (peepholes * H,))
        present = (True, True, bias, bias, peepholes > 0)
        for name, shape, here in zip(Params._fields, shapes, present, strict=True):
            if here:
                self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
            elif name != "weight_ch":  # torch's cells have no such name, and have bias_ih = None
                self.register_parameter(name, None)
        self.reset_parameters()

    @property
    def cell(self) -> Cell:
        """The equations of this cell."""
        return CELLS[self.cell_name]

    def params(self) -> Params:
        """The parameters as the equations take them."""
        return Params(*(getattr(self, name, None) for name in Params._fields))  # type: ignore[arg-type]

    def reset_parameters(self) -> None:
        """Every parameter U(−1/√H, 1/√H), drawn in torch.nn's order."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        """The constructor's arguments that differ from the defaults, as torch.nn shows them."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        shown += [] if self.bias else [f"bias={self.bias}"]
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        shown += [] if nonlinearity == "tanh" else [f"nonlinearity={nonlinearity}"]
        return ", ".join(shown)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """One time step.

        Args:
            input: the input of the step.
            hx: the state before it; zeros where None.

        Returns:
            The state after the step: h, or `LSTMState(h, c)`. Under autocast it is of autocast's dtype.

        Raises:
            ArgumentError: a shape or a device does not fit.
            ArgumentTypeError: an argument is of a wrong type or dtype.
        """
        who, params = f"{type(self).__name__}.forward", self.params()
        if not isinstance(input, Tensor):
            raise ArgumentTypeError(f"{who}: expected a tensor, got {type(input).__name__}; pass a torch.Tensor")
        lower_to = autocast.active_dtype(input.device.type)
        if lower_to is not None:
            input, params = autocast.lower(input, lower_to), autocast.lower_params(params, lower_to)
        if input.dim() not in (1, 2) or input.shape[-1] != self.input_size:
            raise ArgumentError(
                f"{who}: expected input of shape (B, {self.input_size}) or ({self.input_size},), got "
                f"{tuple(input.shape)}; pass one time step, or use the layer for whole sequences"
            )
        arguments.check_place(who, "input", input, params.weight_ih)
        state = self._state(who, hx, input, lower_to)
        x_BI = input
        if input.dim() == 1:
            x_BI, state = input.unsqueeze(0), tuple(s.unsqueeze(0) for s in state)
        # torch's own steps do not go through vmap; the equations do.
        step = self.cell.step if torch._C._are_functorch_transforms_active() else self._step
        if lower_to is None:
            new = step(x_BI, state, params)
        else:
            with torch.autocast(input.device.type, enabled=False):
                new = step(x_BI, state, params)
        return public_state(new if input.dim() == 2 else tuple(s.squeeze(0) for s in new))

    def _step(self, x_BI: Tensor, state: State, params: Params) -> State:
        """The state after the step."""
        return self.cell.step(x_BI, state, params)

    def _state(self, who: str, hx: Any, input: Tensor, lower_to: torch.dtype | None) -> State:
        fields = self.cell.state_fields
        shape = (*input.shape[:-1], self.hidden_size)
        if hx is None:
            return (input.new_zeros(shape),) * len(fields)
        given = arguments.read_tensors(who, hx, fields)
        if lower_to is not None:
            given = tuple(autocast.lower(s, lower_to) for s in given)
        axes = "(batch, hidden_size)" if input.dim() == 2 else "(hidden_size,)"
        arguments.check_state(who, given, fields, (shape,) * len(fields), axes, input)
        return given


class RNNCell(StepCell):
    """One step of the simple recurrent layer, torch.nn.RNNCell's drop-in; equation in `RNN`.

    **Shapes** see `StepCell`. State: one tensor h.

    **Raises** ArgumentError: `nonlinearity` is neither "tanh" nor "relu", or a size is not positive.

    **Source** [Elman1990].

    >>> tuple(RNNCell(3, 5)(torch.zeros(2, 3)).shape)
    (2, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        arguments.check_nonlinearity("RNNCell", nonlinearity)
        self.cell_name = f"rnn_{nonlinearity}"  # type: ignore[misc]
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def _step(self, x_BI: Tensor, state: State, params: Params) -> State:
        step = torch.rnn_tanh_cell if self.nonlinearity == "tanh" else torch.rnn_relu_cell
        return (step(x_BI, state[0], *params[:4]),)


class _GatedCell(StepCell):
    """The constructor that all but `RNNCell` share."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)


class GRUCell(_GatedCell):
    """One step of the gated recurrent unit, torch.nn.GRUCell's drop-in; equations in `GRU`.

    **Shapes** see `StepCell`. State: one tensor h.

    **Source** [Cho2014], reset after the product.

    >>> tuple(GRUCell(3, 5)(torch.zeros(3)).shape)
    (5,)
    """

    cell_name: ClassVar[str] = "gru"

    def _step(self, x_BI: Tensor, state: State, params: Params) -> State:
        return (torch.gru_cell(x_BI, state[0], *params[:4]),)


class GRUResetBeforeCell(_GatedCell):
    """One step of the paper's and the lecture notes' gated recurrent unit; equations in `GRUResetBefore`.

    **Source** [Cho2014].
    """

    cell_name: ClassVar[str] = "gru_reset_before"


class LSTMCell(_GatedCell):
    """One step of the long short-term memory layer, torch.nn.LSTMCell's drop-in; equations in `LSTM`.

    **Shapes** see `StepCell`. State: `LSTMState(h, c)`, which unpacks like torch's pair.

    **Source** [Hochreiter1997] with the forget gate of [Gers2000].

    >>> h, c = LSTMCell(3, 5)(torch.zeros(2, 3))
    >>> tuple(h.shape), tuple(c.shape)
    ((2, 5), (2, 5))
    """

    cell_name: ClassVar[str] = "lstm"

    def _step(self, x_BI: Tensor, state: State, params: Params) -> State:
        return torch.lstm_cell(x_BI, state, *params[:4])


class PeepholeLSTMCell(_GatedCell):
    """One step of `PeepholeLSTM`; one more parameter, ``weight_ch`` of shape (3*H,).

    **Source** [Gers2002].
    """

    cell_name: ClassVar[str] = "peephole_lstm"


class PreviousPeepholeLSTMCell(_GatedCell):
    """One step of `PreviousPeepholeLSTM`; one more parameter, ``weight_ch`` of shape (3*H,)."""

    cell_name: ClassVar[str] = "previous_peephole_lstm"
