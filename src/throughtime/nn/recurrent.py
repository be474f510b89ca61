"""What every recurrent layer shares: torch.nn's arguments, parameters and shapes, and a stack of one-way sequences.

Axes in names: T time, B batch, I input features, H hidden units, L layers, D directions.
"""

import math
import warnings
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from throughtime.cells import CELLS, Cell, Params, State
from throughtime.errors import BackendError
from throughtime.kernels import dispatch
from throughtime.nn import arguments, autocast, projection
from throughtime.nn.projection import ProjectedParams
from throughtime.nn.sequence_layer import SequenceLayer
from throughtime.nn.stepper import Stepper


class Recurrent(SequenceLayer):
    """Layers of one cell, one way or both ways; the public layers name the cell and torch.nn's argument order.

    **Shapes** with D = 2 if bidirectional else 1:
    input (T, B, I), (B, T, I) with `batch_first`, (T, I) for one unbatched sequence, or a PackedSequence;
    output the same with D*H features; each state tensor (L*D, B, H), or (L*D, H) unbatched. With `proj_size` P the
    output has D*P features and h is (L*D, B, P).
    """

    cell_name: ClassVar[str]
    input_size: int

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
        proj_size: int = 0,
    ) -> None:
        super().__init__()
        who = self._who
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            arguments.check_size(who, name, size)
        arguments.check_flag(who, "bias", bias)
        arguments.check_flag(who, "batch_first", batch_first)
        arguments.check_dropout(who, dropout)
        arguments.check_proj_size(who, proj_size, hidden_size)
        dispatch.check_backend(backend)
        if proj_size:
            projection.check_backend(who, proj_size, backend)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.proj_size = proj_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{who}: dropout={dropout} acts between layers and num_layers is 1, so it does nothing",
                stacklevel=3,
            )
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self._backend = backend
        self._parameter_names: list[tuple[str | None, ...]] = []
        for layer in range(num_layers):
            for direction in range(self.num_directions):
                names = self._names(layer, direction)
                features = input_size if layer == 0 else self.output_size
                for name, shape in self._shapes(names, features).items():
                    setattr(self, name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
                self._parameter_names.append(names)
        self.reset_parameters()

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
        if self.proj_size:
            return "reference"
        weight = self.layer_params(0).weight_ih
        return dispatch.choose(self._backend, weight.device.type, weight.dtype)

    @property
    def output_size(self) -> int:
        """Features of the output: those of h in every direction."""
        return (self.proj_size or self.hidden_size) * self.num_directions

    @property
    def _state_sizes(self) -> tuple[int, ...]:
        # h may be projected, c is not.
        return (self.proj_size or self.hidden_size, *(self.hidden_size for _ in self.cell.state_fields[1:]))

    @property
    def _state_rows(self) -> int:
        return self.num_layers * self.num_directions

    @property
    def _state_fields(self) -> tuple[str, ...]:
        return self.cell.state_fields

    def _names(self, layer: int, direction: int) -> tuple[str | None, ...]:
        """The attribute names of one layer and direction, in the fields of its parameters; None for what is absent."""
        suffix = f"_l{layer}" + ("_reverse" if direction else "")
        present = (True, True, self.bias, self.bias, bool(self.cell.peephole_gates), True)
        fields = ProjectedParams._fields if self.proj_size else Params._fields
        return tuple(field + suffix if here else None for field, here in zip(fields, present, strict=False))

    def _shapes(self, names: tuple[str | None, ...], features: int) -> dict[str, tuple[int, ...]]:
        H, h = self.hidden_size, self._state_sizes[0]
        rows = len(self.cell.gates) * H
        shapes = ((rows, features), (rows, h), (rows,), (rows,), (len(self.cell.peephole_gates) * H,), (h, H))
        return {name: shape for name, shape in zip(names, shapes, strict=False) if name is not None}

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

    def layer_params(self, index: int) -> Params | ProjectedParams:
        """The parameters of one layer and direction, at layer * num_directions + direction."""
        kind: Any = ProjectedParams if self.proj_size else Params
        found: Params | ProjectedParams = kind(
            *(None if name is None else getattr(self, name) for name in self._parameter_names[index])
        )
        return found

    def extra_repr(self) -> str:
        """The constructor's arguments that differ from the defaults, as torch.nn shows them."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        shown += [f"{k}={getattr(self, k)}" for k, v in defaults.items() if getattr(self, k) != v]
        return ", ".join(shown)

    def _open(self, data: Any) -> tuple[list[Params | ProjectedParams], Tensor, torch.dtype | None]:
        if torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
            raise BackendError(
                f"{self._who}.forward: expected a call outside torch.jit.trace, which would record the kernels' output "
                "as a constant, got one inside; use torch.export.export, whose graph keeps the operator"
            )
        # Read once a call: a parametrized weight is computed at every reading.
        params = [self.layer_params(index) for index in range(self._state_rows)]
        lower_to = autocast.active_dtype(data.device.type) if isinstance(data, Tensor) else None
        if lower_to is not None:
            params = [autocast.lower_params(layer, lower_to) for layer in params]
        return params, params[0].weight_ih, lower_to

    def _run(
        self, x_TBI: Tensor, state: State, opened: Any, lengths: Tensor | None, reset_TB: Tensor | None
    ) -> tuple[Tensor, State]:
        """Layer by layer, direction by direction."""
        finals: list[State] = []
        D = self.num_directions
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(D):
                index = layer * D + direction
                entering = tuple(s[index] for s in state)
                given, where = opened[index], {"lengths": lengths, "reset": reset_TB}
                reverse = direction == 1
                if isinstance(given, ProjectedParams):
                    output_TBH, final = projection.run(self.cell, x_TBI, entering, given, **where, reverse=reverse)
                else:
                    output_TBH, final = dispatch.run(
                        self.cell, x_TBI, entering, given, **where, reverse=reverse, backend=self._backend
                    )
                outputs.append(output_TBH)
                finals.append(final)
            x_TBI = outputs[0] if D == 1 else torch.cat(outputs, dim=-1)
            if layer + 1 < self.num_layers:
                x_TBI = nn.functional.dropout(x_TBI, self.dropout, self.training)
        return x_TBI, tuple(torch.stack(field) for field in zip(*finals, strict=True))

    def stepper(self) -> Stepper:
        """A handle for streaming, with the weights packed now and frozen: ``stepper(x, state) -> (output, state)``.

        Raises:
            ArgumentError: the layer is bidirectional.
        """
        return Stepper(self)
