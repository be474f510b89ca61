"""What every recurrent layer shares: torch.nn's arguments, parameters and shapes, and a stack of one-way sequences.

Axes in names: T time, B batch, I input features, H hidden units, L layers, D directions.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from throughtime.cells import CELLS, LAYER_NORM_CELLS, Cell, Params, State
from throughtime.errors import BackendError
from throughtime.kernels import dispatch, traced
from throughtime.kernels.health import Listener, hear
from throughtime.nn import arguments, autocast, direction, dropouts, projection
from throughtime.nn.direction import FORWARD, Call, Run, Way
from throughtime.nn.projection import ProjectedParams
from throughtime.nn.sequence_layer import SequenceLayer, Values
from throughtime.nn.stepper import Stepper


class Recurrent(SequenceLayer):
    """Layers of one cell, one way or both ways; the public layers name the cell and torch.nn's argument order.

    **Shapes** with D = 2 if bidirectional else 1:
    input (T, B, I), (B, T, I) with `batch_first`, (T, I) for one unbatched sequence, or a PackedSequence;
    output the same with D*H features; each state tensor (L*D, B, H), or (L*D, H) unbatched. With `proj_size` P the
    output has D*P features and h is (L*D, B, P).

    **Dropout in the recurrence**, keyword-only, in training: `recurrent_dropout` p masks the h that enters the products
    with W_hh, one mask a sequence; `weight_dropout` p masks W_hh itself for the length of a call; `zoneout` p, or one
    for each state tensor, keeps units at their old value, anew at every step. In evaluation the first two are off, and
    zoneout blends old and new in its proportion. See `throughtime.nn.dropouts`.
    """

    cell_name: ClassVar[str]
    input_size: int
    # Set by a watcher while it watches: gives who is told of the backward pass of a layer and direction.
    _listen: Callable[..., Listener | None] | None = None

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
        reset_state: str,
        drops: tuple[Any, Any, Any] = (0.0, 0.0, 0.0),
        proj_size: int = 0,
    ) -> None:
        super().__init__()
        who = self._who
        input_size = arguments.check_size(who, "input_size", input_size)
        hidden_size = arguments.check_size(who, "hidden_size", hidden_size)
        num_layers = arguments.check_size(who, "num_layers", num_layers)
        arguments.check_flag(who, "bias", bias)
        arguments.check_flag(who, "batch_first", batch_first)
        arguments.check_flag(who, "bidirectional", bidirectional)
        arguments.check_dropout(who, dropout)
        proj_size = arguments.check_proj_size(who, proj_size, hidden_size)
        arguments.check_reset_state(who, reset_state)
        dispatch.check_backend(backend, self.cell_name)
        if proj_size:
            projection.check_backend(who, proj_size, backend)
            projection.check_cell(who, proj_size, self.cell_name)
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
        self.dropouts = dropouts.read(who, *drops, self.cell.state_fields)
        self.bidirectional = bidirectional
        self._backend = backend
        self.reset_state = reset_state
        self._parameter_names: list[tuple[str | None, ...]] = []
        for layer in range(num_layers):
            for way in range(self.num_directions):
                names = self._names(layer, way)
                features = input_size if layer == 0 else self.output_size
                for name, shape in self._shapes(names, features).items():
                    setattr(self, name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
                self._parameter_names.append(names)
        if reset_state == "learned":
            for field, size in zip(self._state_fields, self._state_sizes, strict=True):
                learned = nn.Parameter(torch.empty((self._state_rows, size), device=device, dtype=dtype))
                setattr(self, f"reset_{field}", learned)
        self.reset_parameters()

    @property
    def cell(self) -> Cell:
        """The equations of this layer."""
        return LAYER_NORM_CELLS[self.cell_name] if self.cell_name in LAYER_NORM_CELLS else CELLS[self.cell_name]

    @property
    def backend(self) -> str:
        """What runs this layer where and as it is now: "native", "cudnn", "compiled" or "reference".

        Raises:
            BackendError: the backend named at construction cannot run the parameters' device or dtype, or the
                dropouts.
        """
        if self.proj_size:
            return "reference"
        weight = self.layer_params(0).weight_ih
        chosen = dispatch.choose(self._backend, weight.device.type, weight.dtype, self.cell_name)
        return dispatch.varied(self._backend, chosen) if self.dropouts.varies(self.training) else chosen

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
        absent = set() if self.bias else {"bias_ih", "bias_hh", "bias_ln_c"}
        absent |= set() if self.cell.peephole_gates else {"weight_ch"}
        absent |= set() if "c" in self.cell.state_fields else {"weight_ln_c", "bias_ln_c"}
        return tuple(None if field in absent else field + suffix for field in self._params_kind._fields)

    @property
    def _params_kind(self) -> Any:
        return ProjectedParams if self.proj_size else self.cell.params

    def _shapes(self, names: tuple[str | None, ...], features: int) -> dict[str, tuple[int, ...]]:
        H, h = self.hidden_size, self._state_sizes[0]
        rows = len(self.cell.gates) * H
        shapes = {
            "weight_ih": (rows, features),
            "weight_hh": (rows, h),
            "weight_ch": (len(self.cell.peephole_gates) * H,),
            "weight_hr": (h, H),
            "weight_ln_c": (H,),
            "bias_ln_c": (H,),
        }
        fields = zip(names, self._params_kind._fields, strict=True)
        return {name: shapes.get(field, (rows,)) for name, field in fields if name is not None}

    def reset_parameters(self) -> None:
        """Every weight and bias U(−1/√H, 1/√H), drawn in torch.nn's order; a learned reset state starts from zeros.

        The gains of a layer normalisation start from ones, the shift of a cell's from zeros.
        """
        bound = 1 / math.sqrt(self.hidden_size)
        learned = self._own_reset_state() or ()
        for name, parameter in self.named_parameters():
            if any(parameter is s for s in learned) or name.startswith("bias_ln"):
                nn.init.zeros_(parameter)
            elif name.startswith("weight_ln"):
                nn.init.ones_(parameter)
            else:
                nn.init.uniform_(parameter, -bound, bound)

    def _own_reset_state(self) -> State | None:
        if self.reset_state == "zero":
            return None
        return tuple(getattr(self, f"reset_{field}") for field in self._state_fields)

    def flatten_parameters(self) -> None:
        """Does nothing: torch.nn's call for cuDNN, kept so that code written for torch.nn runs."""

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters, a list for each layer and direction, as torch.nn gives them."""
        return [[getattr(self, name) for name in names if name is not None] for names in self._parameter_names]

    def layer_params(self, index: int) -> Params | ProjectedParams:
        """The parameters of one layer and direction, at layer * num_directions + direction."""
        own = self._parameters  # what is parametrized is not among them, and found the slower way
        found: Params | ProjectedParams = self._params_kind(
            *[
                None if name is None else own[name] if name in own else getattr(self, name)
                for name in self._parameter_names[index]
            ]
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
            "reset_state": "zero",
        }
        shown += [f"{k}={getattr(self, k)}" for k, v in defaults.items() if getattr(self, k) != v]
        shown += self.dropouts.shown()
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

    def forward(
        self,
        input: Any,
        hx: Any = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
        reset_state: Any = None,
        mask_seed: int | Tensor | None = None,
        step0: int = 0,
    ) -> tuple[Any, Any]:
        """Run the layers over whole sequences; arguments as `SequenceLayer.forward`, and for the masks of training:

        Args:
            input: the sequences; see **Shapes** of the class.
            hx: the initial state.
            lengths: (B,) whole numbers.
            reset: (T, B) bool.
            reset_state: what both directions start anew from.
            mask_seed: 63 bits that all masks follow from; drawn from torch's default generator where None. The chunks
                of a sequence take one seed. Of no effect in evaluation, where nothing is drawn.
            step0: the time of the first step, where a sequence comes in chunks.

        Raises:
            ArgumentError: a shape or a value does not fit the layer; masks for a layer without any.
            ArgumentTypeError: an argument is of a wrong type or dtype.
            BackendError: the backend named cannot run these tensors.
        """
        dropouts.check_masks(f"{self._who}.forward", self.dropouts, mask_seed, step0)
        way = Way(mask_seed=mask_seed, step0=step0) if self.dropouts.acts(True) else FORWARD
        output, state, _ = self._call(way, input, hx, lengths, reset, reset_state)
        return output, state

    def _run(self, x_TBI: Tensor, state: State | None, opened: Any, call: Call) -> tuple[Tensor, State, Values]:
        """All in one call where nothing comes between the layers, else layer by layer, direction by direction."""
        if self._is_plain(call):
            where: dict[str, Any] = {"lengths": call.lengths_B, "reset": call.reset_TB, "backend": self._backend}
            found = dispatch.run_stack(self.cell, x_TBI, state, opened, self.num_directions, **where)
            if found is not None:
                return *found, ()
        state = self._zeros(x_TBI) if state is None else state
        if self.dropouts.draws(self.training):
            seed = dropouts.read_seed(f"{self._who}.{call.way.method}", call.way.mask_seed, x_TBI.device)
            call = replace(call, seed=seed)
            opened = [self.dropouts.drop_weights(params, seed, index) for index, params in enumerate(opened)]
        finals: list[State] = []
        values: list[tuple[Any, ...]] = []
        D = self.num_directions
        for layer in range(self.num_layers):
            outputs, kept_D = [], []
            for index in range(layer * D, layer * D + D):
                output_TBH, final, kept = self._run_one(x_TBI, tuple(s[index] for s in state), opened, call, index)
                outputs.append(output_TBH)
                finals.append(final)
                kept_D.append(kept)
            x_TBI = outputs[0] if D == 1 else torch.cat(outputs, dim=-1)
            if layer + 1 < self.num_layers:
                x_TBI = nn.functional.dropout(x_TBI, self.dropout, self.training)
            if call.way.traced:
                values.append(tuple(kept_D))
        return x_TBI, tuple(torch.stack(field) for field in zip(*finals, strict=True)), tuple(values)

    def _is_plain(self, call: Call) -> bool:
        """Whether a call has the equations and nothing else: no masks, no listener, no piece of its own."""
        return not (
            self.proj_size
            or call.way.traced
            or call.way.checkpoint
            or (self._listen is not None and not torch.compiler.is_compiling())
            or (call.reset_state is not None and call.reset_TB is not None)
            or (self.dropout and self.training and self.num_layers > 1)
            or self.dropouts.acts(self.training)
        )

    def _run_one(self, x_TBI: Tensor, state: State, opened: Any, call: Call, index: int) -> tuple[Tensor, State, Any]:
        """One layer in one direction; see `direction.run`."""
        given = self.cell, opened[index], self._backend
        # A scan does the same products at every step whatever is run, whole or in steps, and is best left whole.
        weight = opened[index].weight_ih
        variation = self.dropouts.variation(state[0], call.seed, index, call.way.step0)
        apart = (
            call.reset_state is not None
            and variation is None
            and not self.proj_size
            and dispatch.choose(self._backend, weight.device.type, weight.dtype, self.cell_name) in ("native", "cudnn")
        )
        fast = partial(_fast, *given)
        if self._listen is not None and not torch.compiler.is_compiling():
            fast = partial(_heard, fast, partial(self._listen, index, fast))
        return direction.run(
            fast,
            partial(_scan, *given),
            x_TBI,
            state,
            call,
            index,
            reverse=index % self.num_directions == 1,
            apart=apart,
            variation=variation,
        )

    def stepper(self) -> Stepper:
        """A handle for streaming, with the weights packed now and frozen: ``stepper(x, state) -> (output, state)``.

        Raises:
            ArgumentError: the layer is bidirectional.
        """
        return Stepper(self)


def _fast(
    cell: Cell,
    params: Any,
    backend: str,
    x_TBI: Tensor,
    state: State,
    *,
    listener: Listener | None = None,
    **where: Any,
) -> tuple[Tensor, State]:
    """One layer in one direction by the kernels that it has."""
    if not isinstance(params, ProjectedParams):
        return dispatch.run(cell, x_TBI, state, params, **where, backend=backend, listener=listener)
    found = projection.scan(cell, x_TBI, state, params, **where)[:2]
    if listener is None:
        return found
    return hear(projection.PROJECTED[cell.name], x_TBI, state, params, where, listener, found)


def _heard(fast: Run, listen: Callable[..., Listener | None], x_TBI: Tensor, state: State, **where: Any) -> Any:
    """`fast`, with a listener to its backward pass."""
    return fast(x_TBI, state, **where, listener=listen(x_TBI, state, **where))


def _scan(
    cell: Cell, params: Any, backend: str, x_TBI: Tensor, state: State, **where: Any
) -> tuple[Tensor, State, Any]:
    """The same with every value of every step."""
    if isinstance(params, ProjectedParams):
        return projection.scan(cell, x_TBI, state, params, **where)
    return traced.run(cell, x_TBI, state, params, **where, backend=backend)
