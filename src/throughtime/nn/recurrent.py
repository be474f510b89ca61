"""What every recurrent layer shares: torch.nn's arguments, parameters and shapes, and a stack of one-way sequences.

Axes in names: T time, B batch, I input features, H hidden units, L layers, D directions.
"""

import math
import warnings
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from throughtime.cells import CELLS, Cell, Params, State
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.kernels import dispatch
from throughtime.nn.lengths import read_lengths
from throughtime.nn.stepper import Stepper


class LSTMState(NamedTuple):
    """The state of an LSTM: unpacks like torch's (h, c)."""

    h: Tensor
    c: Tensor


class Recurrent(nn.Module):
    """Layers of one cell, one way or both ways; the public layers name the cell and torch.nn's argument order.

    **Shapes** with D = 2 if bidirectional else 1:
    input (T, B, I), (B, T, I) with `batch_first`, or (T, I) for one unbatched sequence;
    output the same with D*H features; each state tensor (L*D, B, H), or (L*D, H) unbatched.
    """

    cell_name: ClassVar[str]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
        backend: str,
    ) -> None:
        super().__init__()
        self._check_positive("input_size", input_size)
        self._check_positive("hidden_size", hidden_size)
        self._check_positive("num_layers", num_layers)
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise ArgumentError(
                f"{self._who}: expected dropout in [0, 1], got {dropout!r}; "
                "it is the probability of zeroing an element between layers"
            )
        dispatch.check_backend(backend)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{self._who}: dropout={dropout} acts between layers and num_layers is 1, so it does nothing",
                stacklevel=3,
            )
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self._backend = backend
        self._parameter_names: list[tuple[str | None, ...]] = []
        for layer in range(num_layers):
            for direction in range(self.num_directions):
                names = self._names(layer, direction)
                features = input_size if layer == 0 else hidden_size * self.num_directions
                for name, shape in self._shapes(names, features).items():
                    setattr(self, name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
                self._parameter_names.append(names)
        self.reset_parameters()

    @property
    def _who(self) -> str:
        return type(self).__name__

    def _check_positive(self, name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ArgumentTypeError(f"{self._who}: expected {name} to be an int, got {value!r}; pass a whole number")
        if value <= 0:
            raise ArgumentError(f"{self._who}: expected {name} > 0, got {value}; pass a positive number")

    @property
    def cell(self) -> Cell:
        """The equations of this layer."""
        return CELLS[self.cell_name]

    @property
    def backend(self) -> str:
        """What runs this layer where it is now: "native" or "reference".

        Raises:
            BackendError: the backend named at construction cannot run the parameters' device or dtype.
        """
        weight = self.layer_params(0).weight_ih
        return dispatch.choose(self._backend, weight.device.type, weight.dtype)

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def _names(self, layer: int, direction: int) -> tuple[str | None, ...]:
        """The attribute names of one layer and direction, in the fields of `Params`; None for what is absent."""
        suffix = f"_l{layer}" + ("_reverse" if direction else "")
        present = (True, True, self.bias, self.bias, bool(self.cell.peephole_gates))
        return tuple(field + suffix if here else None for field, here in zip(Params._fields, present, strict=True))

    def _shapes(self, names: tuple[str | None, ...], features: int) -> dict[str, tuple[int, ...]]:
        H, rows = self.hidden_size, len(self.cell.gates) * self.hidden_size
        shapes = ((rows, features), (rows, H), (rows,), (rows,), (len(self.cell.peephole_gates) * H,))
        return {name: shape for name, shape in zip(names, shapes, strict=True) if name is not None}

    def reset_parameters(self) -> None:
        """Every parameter U(−1/√H, 1/√H), drawn in torch.nn's order."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: torch.nn's call for cuDNN, kept so that code written for torch.nn runs."""

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters, a list for each layer and direction, as torch.nn gives them."""
        return [[getattr(self, name) for name in names if name is not None] for names in self._parameter_names]

    def layer_params(self, index: int) -> Params:
        """The parameters of one layer and direction, at layer * num_directions + direction."""
        names = self._parameter_names[index]
        return Params(*(None if name is None else getattr(self, name) for name in names))  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        """The constructor's arguments that differ from the defaults."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        shown += [f"{k}={getattr(self, k)}" for k, v in defaults.items() if getattr(self, k) != v]
        return ", ".join(shown)

    def forward(
        self, input: Tensor, hx: Any = None, *, lengths: Tensor | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Run the layers over whole sequences.

        Args:
            input: the sequences; see **Shapes** of the class.
            hx: the initial state; zeros where None.
            lengths: (B,) whole numbers, in any order, 0 allowed. Past a length the output is zero; the final state is
                the state at the length; the reverse direction starts there.
            reset: (T, B) bool ((B, T) with `batch_first`, (T,) unbatched). True at t is a border between t − 1 and t:
                both directions start anew on their side of it.

        Returns:
            The output of the top layer at every step, and the final state of every layer and direction.

        Raises:
            ArgumentError: a shape or a value does not fit the layer.
            ArgumentTypeError: an argument is of a wrong type or dtype.
        """
        self._check_input(input)
        batched = input.dim() == 3
        x_TBI = input if batched else input.unsqueeze(1)
        if batched and self.batch_first:
            x_TBI = x_TBI.transpose(0, 1)
        T, B, _ = x_TBI.shape
        state = self._initial_state(hx, x_TBI, batched)
        lengths = read_lengths(f"{self._who}.forward", lengths, T, B, x_TBI.device)
        reset_TB = self._check_reset(reset, T, B, batched, x_TBI.device)

        output_TBF, final_state = self._stack(x_TBI, state, lengths, reset_TB)
        if batched and self.batch_first:
            output_TBF = output_TBF.transpose(0, 1)
        if not batched:
            output_TBF = output_TBF.squeeze(1)
            final_state = tuple(s.squeeze(1) for s in final_state)
        return output_TBF, self._public_state(final_state)

    def _stack(
        self, x_TBI: Tensor, state: State, lengths: Tensor | None, reset_TB: Tensor | None
    ) -> tuple[Tensor, State]:
        """Layer by layer, direction by direction; state tensors are (L*D, B, H)."""
        finals: list[State] = []
        D = self.num_directions
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(D):
                index = layer * D + direction
                output_TBH, final = dispatch.run(
                    self.cell,
                    x_TBI,
                    tuple(s[index] for s in state),
                    self.layer_params(index),
                    lengths=lengths,
                    reset=reset_TB,
                    reverse=direction == 1,
                    backend=self._backend,
                )
                outputs.append(output_TBH)
                finals.append(final)
            x_TBI = outputs[0] if D == 1 else torch.cat(outputs, dim=-1)
            if layer + 1 < self.num_layers:
                x_TBI = nn.functional.dropout(x_TBI, self.dropout, self.training)
        return x_TBI, tuple(torch.stack(field) for field in zip(*finals, strict=True))

    def step(self, x: Tensor, state: Any = None, *, reset: Tensor | None = None) -> tuple[Tensor, Any]:
        """One time step through all layers: x (B, I) and a state to the output (B, H) and the next state.

        Chained steps give what `forward` gives over the whole sequence. `reset` (B,) starts rows anew before the step.

        Raises:
            ArgumentError: the layer is bidirectional, or a shape does not fit.
        """
        if self.bidirectional:
            raise ArgumentError(
                f"{self._who}.step: expected a one-way layer, got bidirectional=True, whose backward direction needs "
                "the future; build with bidirectional=False to go step by step"
            )
        if not isinstance(x, Tensor) or x.dim() != 2 or x.shape[1] != self.input_size:
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ArgumentError(
                f"{self._who}.step: expected x of shape (B, {self.input_size}), got {got}; "
                "pass one time step, or call the layer for whole sequences"
            )
        time = 1 if self.batch_first else 0
        output, state = self(x.unsqueeze(time), state, reset=None if reset is None else reset.unsqueeze(time))
        return output.squeeze(time), state

    def stepper(self) -> Stepper:
        """A handle for streaming, with the weights packed now and frozen: ``stepper(x, state) -> (output, state)``.

        Raises:
            ArgumentError: the layer is bidirectional.
        """
        return Stepper(self)

    def _check_input(self, input: Any) -> None:
        who = f"{self._who}.forward"
        if isinstance(input, PackedSequence):
            raise ArgumentTypeError(
                f"{who}: expected a tensor, got PackedSequence, which is not supported yet; "
                "pass the padded tensor with lengths=, which may be in any order"
            )
        if not isinstance(input, Tensor):
            raise ArgumentTypeError(f"{who}: expected a tensor, got {type(input).__name__}; pass a torch.Tensor")
        if input.dim() not in (2, 3) or input.shape[-1] != self.input_size:
            axes = "(B, T, " if self.batch_first else "(T, B, "
            got = input.shape[-1] if input.dim() else 1
            raise ArgumentError(
                f"{who}: expected input of shape {axes}{self.input_size}) or (T, {self.input_size}), "
                f"got {tuple(input.shape)}; pass {self.input_size} features or build with input_size={got}"
            )
        weight = self.weight_ih_l0
        if input.dtype != weight.dtype and not torch.is_autocast_enabled(input.device.type):
            raise ArgumentTypeError(
                f"{who}: expected input of dtype {weight.dtype}, the parameters' own, got {input.dtype}; "
                f"convert one of them with .to({input.dtype})"
            )
        if input.device != weight.device:
            raise ArgumentError(
                f"{who}: expected input on {weight.device}, where the parameters are, got {input.device}; "
                f"move one of them with .to('{input.device}')"
            )

    def _initial_state(self, hx: Any, x_TBI: Tensor, batched: bool) -> State:
        who, fields = f"{self._who}.forward", self.cell.state_fields
        shape = (self.num_layers * self.num_directions, x_TBI.shape[1], self.hidden_size)
        if hx is None:
            zeros = x_TBI.new_zeros(shape)
            return (zeros,) * len(fields)
        given = tuple(hx) if isinstance(hx, tuple | list) else (hx,)
        if len(given) != len(fields) or not all(isinstance(s, Tensor) for s in given):
            got = f"{len(given)} values" if isinstance(hx, tuple | list) else type(hx).__name__
            want = f"a tuple of tensors ({', '.join(fields)})" if len(fields) > 1 else "one tensor h"
            raise ArgumentTypeError(f"{who}: expected hx to be {want}, got {got}; pass the state that forward returned")
        if not batched:
            given = tuple(s.unsqueeze(1) if s.dim() == 2 else s for s in given)
        for field, tensor in zip(fields, given, strict=True):
            if tuple(tensor.shape) != shape:
                raise ArgumentError(
                    f"{who}: expected {field} in hx of shape {shape}, got {tuple(tensor.shape)}; the axes are "
                    "(num_layers * num_directions, batch, hidden_size)"
                )
            if tensor.dtype != x_TBI.dtype:
                raise ArgumentTypeError(
                    f"{who}: expected {field} in hx of dtype {x_TBI.dtype}, the input's, got {tensor.dtype}; "
                    f"convert it with .to({x_TBI.dtype})"
                )
        return given

    def _check_reset(self, given: Any, T: int, B: int, batched: bool, device: torch.device) -> Tensor | None:
        if given is None:
            return None
        who = f"{self._who}.forward"
        reset: Tensor = torch.as_tensor(given)
        if reset.dtype != torch.bool:
            raise ArgumentTypeError(f"{who}: expected reset of dtype torch.bool, got {reset.dtype}; pass reset.bool()")
        shape = ((B, T) if self.batch_first else (T, B)) if batched else (T,)
        if tuple(reset.shape) != shape:
            raise ArgumentError(
                f"{who}: expected reset of shape {shape}, got {tuple(reset.shape)}; pass one flag for each step and row"
            )
        reset = reset.to(device)
        return reset.unsqueeze(1) if not batched else reset.T if self.batch_first else reset

    @staticmethod
    def _public_state(state: State) -> Any:
        return state[0] if len(state) == 1 else LSTMState(*state)
