"""One time step as fast as it goes: weights packed once, for streaming.

Axes in names: B batch, I input features, H hidden units, L layers.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from throughtime.errors import ArgumentError, ArgumentTypeError, BackendError
from throughtime.kernels import dispatch
from throughtime.nn import arguments, projection
from throughtime.nn.projection import ProjectedParams
from throughtime.nn.state import public_state

if TYPE_CHECKING:
    from throughtime.nn.recurrent import Recurrent


class Stepper:
    """A frozen copy of a one-way layer's weights, called as ``stepper(x, state) -> (output, state)``.

    The numbers are those of the layer's `forward` over the same steps, bit for bit on the native backend. No gradient
    is recorded, the layer runs as in evaluation, and nothing is allocated but the result. The weights are packed when
    the handle is made: a call refuses to go on once it sees that a parameter is another tensor or was changed in place,
    and `refresh` packs again; a handle whose `follows` is True does so by itself. A write that torch cannot see
    (through ``.data``, NumPy, a fused optimizer) needs `refresh` to count.

    **Shapes** x (B, I); state tensors (L, B, H), h (L, B, P) with `proj_size` P, None for zeros; reset (B,) bool, True
    starts a row anew before the step; output (B, H), or (B, P).

    **Raises** ArgumentError: the layer is bidirectional; a shape does not fit; a parameter changed. BackendError: a
    hook sets a parameter before each call. ArgumentTypeError: a dtype or type does not fit.
    """

    def __init__(self, layer: "Recurrent") -> None:
        if layer.bidirectional:
            raise ArgumentError(
                f"{type(layer).__name__}.stepper: expected a one-way layer, got bidirectional=True, whose backward "
                "direction needs the future; build with bidirectional=False to go step by step"
            )
        self._layer = layer
        self._who = f"{type(layer).__name__}.stepper"
        self.follows = False
        """Whether a call that sees a changed parameter packs again, instead of refusing."""
        self.refresh()

    def refresh(self) -> None:
        """Pack the layer's weights as they are now."""
        layer = self._layer
        for name in (name for names in layer._parameter_names for name in names if name is not None):
            if name not in layer._parameters and not parametrize.is_parametrized(layer, name):
                raise BackendError(
                    f"{self._who}: expected {name} to be a parameter, got one that a hook sets before each call; "
                    "use torch.nn.utils.parametrizations, whose weights can be read at any time"
                )
        # A parametrized weight's own parameters stand in submodules.
        self._seen = [
            (module._parameters, name, p, _version(p))
            for module in layer.modules()
            for name, p in module._parameters.items()
            if p is not None
        ]
        params = [layer.layer_params(index) for index in range(layer.num_layers)]
        weight = params[0].weight_ih
        self._dtype, self._device = weight.dtype, weight.device
        self._x_shape = torch.Size(())  # of the batch size last seen
        self._state_shapes: tuple[torch.Size, ...] = ()
        self._output_shape = torch.Size(())
        self._single = False
        self._fields = len(layer.cell.state_fields)
        own = layer._own_reset_state()
        self._reset_state = None if own is None else tuple(s.detach().clone().unsqueeze(1) for s in own)
        zoneout = layer.dropouts.zoneout if any(layer.dropouts.zoneout) else None
        if layer.proj_size:
            self._run = projection.step_function(
                layer.cell, [p for p in params if isinstance(p, ProjectedParams)], zoneout
            )
        else:
            self._run = dispatch.step_function(
                layer.cell, [p for p in params if not isinstance(p, ProjectedParams)], layer.backend, zoneout
            )

    def __call__(self, x: Tensor, state: Any = None, reset: Any = None) -> tuple[Tensor, Any]:
        """One time step: the top layer's output and the next state."""
        for parameters, name, parameter, version in self._seen:
            if parameters[name] is not parameter or (version is not None and parameter._version != version):
                if self.follows:
                    self.refresh()
                    break
                raise ArgumentError(
                    f"{self._who}: expected the weights that were packed, got others: {name} has changed since; "
                    "call refresh() to pack it again"
                )
        if x.shape != self._x_shape:
            self._accept_batch(x)
        if x.dtype is not self._dtype or x.device != self._device:
            raise ArgumentTypeError(
                f"{self._who}: expected x of {self._dtype} on {self._device}, got {x.dtype} on {x.device}; convert it"
            )
        if state is None and self._reset_state is not None:
            given: tuple[Tensor, ...] = tuple(s.expand(-1, x.shape[0], -1) for s in self._reset_state)
        elif state is None:
            given = tuple(map(x.new_zeros, self._state_shapes))
        else:
            given = self._read_state(state)
        if reset is not None and not _is_mask(reset, x):
            reset = arguments.read_reset(self._who, reset, tuple(x.shape[:1]), x.device)
        if reset is not None and self._reset_state is not None:
            rows = reset.unsqueeze(-1)
            given, reset = tuple(torch.where(rows, r, s) for r, s in zip(self._reset_state, given, strict=True)), None
        found = self._run(x, given, reset)
        h = found[0]
        return h.view(self._output_shape) if self._single else h.select(0, -1), public_state(found)

    def _accept_batch(self, x: Tensor) -> None:
        """Remember the shapes of this batch size, so that the next call compares instead of building them."""
        features = self._layer.input_size
        if x.dim() != 2 or x.shape[1] != features:
            raise ArgumentError(
                f"{self._who}: expected x of shape (B, {features}), got {tuple(x.shape)}; pass one time step"
            )
        self._x_shape = x.shape
        rows = self._layer.num_layers, x.shape[0]
        self._state_shapes = tuple(torch.Size((*rows, size)) for size in self._layer._state_sizes)
        # A view of one layer's state costs half of what selecting from several does.
        self._single = rows[0] == 1
        self._output_shape = self._state_shapes[0][1:]

    def _read_state(self, state: Any) -> tuple[Tensor, ...]:
        given = state if isinstance(state, tuple) else tuple(state) if isinstance(state, list) else (state,)
        if len(given) != self._fields or not isinstance(given[0], Tensor) or not isinstance(given[-1], Tensor):
            given = arguments.read_tensors(self._who, state, self._layer.cell.state_fields, "state")
        for tensor, shape in zip(given, self._state_shapes, strict=True):
            if tensor.shape != shape or tensor.dtype is not self._dtype:
                raise ArgumentError(
                    f"{self._who}: expected state tensors of shape {tuple(shape)} and {self._dtype}, got "
                    f"{tuple(tensor.shape)} and {tensor.dtype}; pass the state last returned"
                )
        return given


def _is_mask(reset: Any, x: Tensor) -> bool:
    """Whether it is a flag for each row as it stands: reading it costs more than this comparison."""
    if not isinstance(reset, Tensor) or reset.dtype is not torch.bool:
        return False
    return reset.shape == x.shape[:1] and reset.device == x.device


def _version(parameter: Tensor) -> int | None:
    """The tensor's count of in-place changes; parameters made in inference mode keep none."""
    return None if parameter.is_inference() else parameter._version
