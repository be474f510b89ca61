"""The fused CPU kernels on NumPy arrays: one layer, one direction, a whole sequence. Imports no torch.

Axes: T time, B batch, I input, H hidden, G gates, L layers. The equations are those of `throughtime.cells`; weights
are torch's (gates stacked by rows). Checks of shapes and types are here; checks of values (a length > T) are in the
kernels.

NumPy has no bfloat16: arrays of `BFLOAT16` hold its bits, and nothing but the kernels can compute with them.
`to_bfloat16` and `from_bfloat16` convert; an array of another library's bfloat16 needs only `.view(BFLOAT16)`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.kernels import _native

__all__ = [
    "BFLOAT16",
    "CELL_CODES",
    "Forward",
    "Gradients",
    "Health",
    "Stepper",
    "Weights",
    "from_bfloat16",
    "instruction_set",
    "instruction_sets",
    "sequence_backward",
    "sequence_forward",
    "set_instruction_set",
    "to_bfloat16",
]

Array = NDArray[Any]

# name -> (code in csrc/calls.h, gates, carries c, has peepholes)
CELL_CODES: dict[str, tuple[int, int, bool, bool]] = {
    "rnn_tanh": (0, 1, False, False),
    "rnn_relu": (1, 1, False, False),
    "gru": (2, 3, False, False),
    "gru_reset_before": (3, 3, False, False),
    "lstm": (4, 4, True, False),
    "peephole_lstm": (5, 4, True, True),
    "previous_peephole_lstm": (6, 4, True, True),
}
# A record of one field: its arrays are no numbers to NumPy, so that bits are never added or taken for counts.
BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
DTYPE_CODES = {np.dtype(np.float32): 0, np.dtype(np.float64): 1, BFLOAT16: 2}

instruction_set = _native.instruction_set
instruction_sets = _native.instruction_sets


def to_bfloat16(array: Array) -> Array:
    """The nearest bfloat16 of every float32, ties to even, as an array of `BFLOAT16`; NaN stays NaN.

    Raises:
        ArgumentTypeError: the array is not float32 (a float64 would be rounded twice).
    """
    if array.dtype != np.float32:
        raise ArgumentTypeError(f"to_bfloat16: expected float32, got {array.dtype}; convert it")
    bits = np.ascontiguousarray(array).view(np.uint32).reshape(array.shape)
    nearest = (bits + (0x7FFF + (bits >> 16 & 1))) >> 16
    return np.where(np.isnan(array), bits >> 16 | 0x40, nearest).astype(np.uint16).view(BFLOAT16)


def from_bfloat16(array: Array) -> Array:
    """An array of `BFLOAT16` as float32, which holds every bfloat16.

    Raises:
        ArgumentTypeError: the array is not of `BFLOAT16`.
    """
    if array.dtype != BFLOAT16:
        raise ArgumentTypeError(f"from_bfloat16: expected BFLOAT16, got {array.dtype}; use .view(BFLOAT16) on bits")
    return (array["bfloat16"].astype(np.uint32) << 16).view(np.float32)


def set_instruction_set(name: str) -> None:
    """Choose the kernels to run, for tests.

    Raises:
        ArgumentError: this processor or this build does not have `name`.
    """
    try:
        _native.set_instruction_set(name)
    except ValueError as error:
        raise ArgumentError(str(error)) from None


class Weights(NamedTuple):
    """One layer's parameters, torch's names and row order."""

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None = None
    bias_hh: Array | None = None
    weight_ch: Array | None = None


class Forward(NamedTuple):
    """What a forward pass gives.

    **Shapes**: output (T,B,H), h_n and c_n (B,H), c_sequence (T,B,H); c_n and c_sequence are None for cells without c.
    `saved` (T,B,·) is for `sequence_backward` under the same instruction set. saved and c_sequence are None unless
    `training`.
    """

    output: Array
    h_n: Array
    c_n: Array | None
    saved: Array | None
    c_sequence: Array | None
    instruction_set: str


class Health(NamedTuple):
    """Diagnostics of a backward pass.

    **Shapes**: dh_square, dc_square (T,B): squared norms of the whole gradients with respect to h_t and c_t;
    saturated (G,T,B): units whose gate lies within `margin` of an end of its range (relu: at zero);
    first_bad (2,B,3): gate, time and unit of each row's first non-finite activation (gate = G means c) and of its first
    non-finite gate gradient, running backward; -1 where all is finite.
    """

    dh_square: Array
    dc_square: Array
    saturated: Array
    first_bad: Array


class Gradients(NamedTuple):
    """What a backward pass gives; `weights` has None where the forward pass had none."""

    dx: Array
    dh0: Array
    dc0: Array | None
    weights: Weights
    health: Health | None


def sequence_forward(
    cell: str,
    x_TBI: Array,
    weights: Weights,
    *,
    h0: Array | None = None,
    c0: Array | None = None,
    lengths: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
    training: bool = False,
    threads: int = 1,
    output: Array | None = None,
) -> Forward:
    """Run a layer over a sequence.

    **Shapes**: x (T,B,I) with any strides over T and B; h0, c0 (B,H), zeros if not given; lengths (B,) in 0..T, any
    order; reset (T,B) bool; `output` (T,B,H), if given, is written and returned (a view will do).

    Raises:
        ArgumentError: an unknown cell; a shape that does not fit; a length outside 0..T; threads < 1; an output that
            cannot be written in place.
        ArgumentTypeError: a dtype other than the input's.
    """
    who = "sequence_forward"
    shape = _Shape(who, cell, x_TBI, weights)
    _check_threads(who, threads)
    x_TBI = shape.inner_contiguous(x_TBI)
    common = shape.common(x_TBI, h0, c0, lengths, reset)
    T, B, H = shape.T, shape.B, shape.H
    if output is None:
        output = np.empty((T, B, H), shape.dtype)
    shape.check(output, "output", (T, B, H))
    if not _usable(output) or not output.flags.writeable:
        got = f"strides {output.strides}" if output.flags.writeable else "a read-only one"
        raise ArgumentError(
            f"{who}: expected output writable, aligned and contiguous in its last axis, got {got}; pass another array"
        )
    h_n = np.empty((B, H), shape.dtype)
    c_n = np.empty((B, H), shape.dtype) if shape.has_cell else None
    saved = np.empty((T, B, _native.saved_width(shape.code, H)), shape.saved_dtype) if training else None
    c_sequence = np.empty((T, B, H), shape.dtype) if training and shape.has_cell else None
    try:
        _native.sequence_forward_raw(  # type: ignore[call-arg]
            *common.numbers(shape, x_TBI),  # type: ignore[arg-type]
            *(_address(array) for array in common.state),
            *(_address(weight) for weight in shape.weights),
            *common.rows(),
            reverse,
            threads,
            _address(output),
            *_strides(output),
            _address(h_n),
            _address(c_n),
            _address(saved),
            _address(c_sequence),
        )
    except ValueError as error:
        raise ArgumentError(f"{who}: {error}") from None
    return Forward(output, h_n, c_n, saved, c_sequence, instruction_set())


def sequence_backward(
    cell: str,
    x_TBI: Array,
    weights: Weights,
    forward: Forward,
    *,
    d_output: Array | None = None,
    dh_n: Array | None = None,
    dc_n: Array | None = None,
    dc_sequence: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    lengths: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
    threads: int = 1,
    health_margin: float | None = None,
) -> Gradients:
    """Gradients of a forward pass that ran with `training=True` on the same arguments.

    **Shapes**: d_output and dc_sequence (T,B,H), dh_n and dc_n (B,H), zeros where not given. `health_margin` asks for
    `Health`, with gates closer than it to an end of their range counted as saturated.

    Raises:
        ArgumentError: as for `sequence_forward`; a forward pass that did not run with training=True, or under another
            instruction set.
        ArgumentTypeError: a dtype other than the input's.
    """
    who = "sequence_backward"
    shape = _Shape(who, cell, x_TBI, weights)
    _check_threads(who, threads)
    x_TBI = shape.inner_contiguous(x_TBI)
    common = shape.common(x_TBI, h0, c0, lengths, reset)
    T, B, I, H = shape.T, shape.B, shape.I, shape.H
    if forward.saved is None:
        raise ArgumentError(
            f"{who}: expected a forward pass with training=True, got one that saved nothing; run it again"
        )
    if forward.instruction_set != instruction_set():
        raise ArgumentError(
            f"{who}: expected a forward pass of the instruction set in use, {instruction_set()}, got one of "
            f"{forward.instruction_set}; run it again"
        )
    shape.check(forward.output, "forward.output", (T, B, H))
    shape.check(forward.saved, "forward.saved", (T, B, _native.saved_width(shape.code, H)), shape.saved_dtype)
    y_TBH = shape.inner_contiguous(forward.output)
    saved = _whole(forward.saved)
    c_TBH = None
    if shape.has_cell:
        c_TBH = _whole(shape.check(forward.c_sequence, "forward.c_sequence", (T, B, H)))
    dy_TBH = None if d_output is None else shape.inner_contiguous(shape.check(d_output, "d_output", (T, B, H)))
    dh_n = shape.optional(dh_n, "dh_n", (B, H))
    dc_n = shape.optional(dc_n, "dc_n", (B, H), wanted=shape.has_cell)
    dc_TBH = shape.optional(dc_sequence, "dc_sequence", (T, B, H), wanted=shape.has_cell)
    dx_TBI = np.empty((T, B, I), shape.dtype)
    dh0 = np.empty((B, H), shape.dtype)
    dc0 = np.empty((B, H), shape.dtype) if shape.has_cell else None
    empties = (None if weight is None else np.empty(weight.shape, shape.dtype) for weight in weights)
    dweights = Weights(*empties)  # type: ignore[arg-type]
    health = None
    if health_margin is not None:
        health = Health(
            np.empty((T, B)), np.empty((T, B)), np.empty((shape.gates, T, B), np.int32), np.empty((2, B, 3), np.int64)
        )
    try:
        _native.sequence_backward_raw(  # type: ignore[call-arg]
            *common.numbers(shape, x_TBI),  # type: ignore[arg-type]
            *(_address(array) for array in common.state),
            _address(shape.weights.weight_ih),
            _address(shape.weights.weight_hh),
            _address(shape.weights.weight_ch),
            *common.rows(),
            reverse,
            threads,
            _address(y_TBH),
            *_strides(y_TBH),
            _address(saved),
            _address(c_TBH),
            _address(dy_TBH),
            *_strides(dy_TBH),
            _address(dh_n),
            _address(dc_n),
            _address(dc_TBH),
            _address(dx_TBI),
            *_strides(dx_TBI),
            _address(dh0),
            _address(dc0),
            *(_address(weight) for weight in dweights),
            *(
                (0, 0, 0, 0.0, 0)
                if health is None
                else (*map(_address, health[:3]), health_margin, _address(health[3]))
            ),
        )
    except ValueError as error:
        raise ArgumentError(f"{who}: {error}") from None
    return Gradients(dx_TBI, dh0, dc0, dweights, health)


class Stepper:
    """Layers of one cell with their weights packed once: one time step a call, on the calling thread.

    The weights are frozen at construction. The bits are those of `sequence_forward`.

    Raises:
        ArgumentError: an unknown cell; no layers; weights whose shapes do not fit each other.
    """

    def __init__(self, cell: str, layers: Sequence[Weights]) -> None:
        if not layers:
            raise ArgumentError("Stepper: expected at least one layer's weights, got none")
        first = _array("Stepper", "weight_ih", layers[0].weight_ih, 2)
        size = self.input_size = first.shape[1]
        shapes: list[_Shape] = []
        for weights in layers:
            shape = _Shape("Stepper", cell, np.empty((0, 0, size), first.dtype), weights)
            size = shape.H
            shapes.append(shape)
            if size != shapes[0].H:
                raise ArgumentError(f"Stepper: expected hidden size {shapes[0].H} in every layer, got {size}")
        self.cell = cell
        self.hidden_size = size
        self.layers = len(shapes)
        self.has_cell = shapes[0].has_cell
        self._dtype = first.dtype
        described = [(shape.I, shape.H, *map(_address, shape.weights)) for shape in shapes]
        self._native = _native.Stepper(shapes[0].code, DTYPE_CODES[self._dtype], described)

    def step(
        self, x_BI: Array, h_LBH: Array, c_LBH: Array | None = None, *, reset: Array | None = None
    ) -> tuple[Array, Array | None]:
        """The states after one more step: (h, c), each (L,B,H); the output is h[-1].

        Raises:
            ArgumentError: a shape or dtype that does not fit.
        """
        who = "Stepper.step"
        B = _array(who, "x", x_BI, 2).shape[0]
        if c_LBH is not None and not self.has_cell:
            raise ArgumentError(f"{who}: expected no c for {self.cell}, which has no c, got one")
        given: dict[str, tuple[Array | None, tuple[int, ...]]] = {
            "x": (x_BI, (B, self.input_size)),
            "h": (h_LBH, (self.layers, B, self.hidden_size)),
        }
        if self.has_cell:
            given["c"] = (c_LBH, (self.layers, B, self.hidden_size))
        for name, (array, wanted) in given.items():
            if array is None or array.shape != wanted or array.dtype != self._dtype:
                got = "none" if array is None else f"{array.shape} {array.dtype}"
                raise ArgumentError(f"{who}: expected {name} of shape {wanted} and {self._dtype}, got {got}")
        if reset is not None and (reset.shape != (B,) or reset.dtype != np.bool_):
            raise ArgumentError(f"{who}: expected reset of shape ({B},) and bool, got {reset.shape} {reset.dtype}")
        x, h = _whole(x_BI), _whole(h_LBH)
        c = None if c_LBH is None else _whole(c_LBH)
        flags = None if reset is None else _whole(reset)
        h_out = np.empty_like(h)
        c_out = None if c is None else np.empty_like(c)
        self._native.step(_address(x), _address(h), _address(c), _address(h_out), _address(c_out), B, _address(flags))
        return h_out, c_out


def _address(array: Array | None) -> int:
    return 0 if array is None else int(array.__array_interface__["data"][0])


def _whole(array: Array) -> Array:
    """`array` with C-contiguous, aligned elements, copied only if it has to be."""
    return np.require(array, requirements=("C", "A"))


def _array(who: str, name: str, value: Any, rank: int) -> Array:
    if not isinstance(value, np.ndarray):
        raise ArgumentTypeError(f"{who}: expected {name} as a NumPy array, got {type(value).__name__}; convert it")
    if value.ndim != rank:
        raise ArgumentError(f"{who}: expected {name} of rank {rank}, got shape {value.shape}")
    return value


def _check_threads(who: str, threads: int) -> None:
    if threads < 1:
        raise ArgumentError(f"{who}: expected at least 1 thread, got {threads}; threads=1 runs on the caller's own")


def _usable(array: Array) -> bool:
    """Whether the kernels can walk an array of rank 3: unit inner stride, whole-element strides, aligned elements."""
    if array.size == 0:
        return True
    whole = all(stride % array.itemsize == 0 for stride in array.strides)
    return whole and array.flags.aligned and (array.shape[2] == 1 or array.strides[2] == array.itemsize)


def _strides(array: Array | None) -> tuple[int, int]:
    """Strides over T and B in elements."""
    if array is None:
        return 0, 0
    return array.strides[0] // array.itemsize, array.strides[1] // array.itemsize


class _Common(NamedTuple):
    """The arguments that both passes share, checked; the arrays live as long as this does."""

    state: tuple[Array | None, Array | None]
    lengths: Array | None
    reset: Array | None

    def numbers(self, shape: "_Shape", x_TBI: Array) -> tuple[int, ...]:
        dtype = DTYPE_CODES[shape.dtype]
        return (shape.code, dtype, shape.T, shape.B, shape.I, shape.H, _address(x_TBI), *_strides(x_TBI))

    def rows(self) -> tuple[int, ...]:
        return (_address(self.lengths), _address(self.reset), *_strides(self.reset))


class _Shape:
    """Sizes of a call, and checks of arrays against them."""

    def __init__(self, who: str, cell: str, x_TBI: Array, weights: Weights) -> None:
        self.who = who
        if cell not in CELL_CODES:
            raise ArgumentError(f"{who}: expected a cell among {', '.join(CELL_CODES)}, got {cell!r}")
        self.code, self.gates, self.has_cell, has_peepholes = CELL_CODES[cell]
        _array(who, "x", x_TBI, 3)
        if x_TBI.dtype not in DTYPE_CODES:
            raise ArgumentTypeError(
                f"{who}: expected float32 or float64, got {x_TBI.dtype}; convert the input, or see to_bfloat16"
            )
        self.dtype = x_TBI.dtype
        self.saved_dtype = np.dtype(np.float32) if self.dtype == BFLOAT16 else self.dtype  # Saved in csrc/calls.h
        self.T, self.B, self.I = x_TBI.shape
        self.H = _array(who, "weight_hh", weights.weight_hh, 2).shape[0] // self.gates
        if self.H < 1 or self.I < 1:
            raise ArgumentError(f"{who}: expected at least one input and one hidden unit, got I={self.I}, H={self.H}")
        shapes = {
            "weight_ih": (self.gates * self.H, self.I),
            "weight_hh": (self.gates * self.H, self.H),
            "bias_ih": (self.gates * self.H,),
            "bias_hh": (self.gates * self.H,),
            "weight_ch": (3 * self.H,),
        }
        if (weights.weight_ch is None) == has_peepholes:
            wanted, got = ("one", "none") if has_peepholes else ("none", "one")
            raise ArgumentError(f"{who}: expected {wanted} weight_ch for {cell}, got {got}")
        # The arrays whose addresses the kernels get: they live as long as this does.
        self.weights = Weights(*(self.weight(name, getattr(weights, name), shapes[name]) for name in Weights._fields))

    def weight(self, name: str, array: Array | None, shape: tuple[int, ...]) -> Any:
        if array is None and name not in ("weight_ih", "weight_hh"):
            return None
        found = self.check(array, name, shape)
        if not found.flags.c_contiguous:
            raise ArgumentError(
                f"{self.who}: expected {name} C-contiguous, got strides {found.strides}; use numpy.ascontiguousarray"
            )
        return _whole(found)

    def check(self, array: Array | None, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        if not isinstance(array, np.ndarray) or array.shape != shape:
            got = array.shape if isinstance(array, np.ndarray) else "none" if array is None else type(array).__name__
            raise ArgumentError(f"{self.who}: expected {name} of shape {shape}, got {got}")
        wanted = dtype or self.dtype
        if array.dtype != wanted:
            raise ArgumentTypeError(
                f"{self.who}: expected {name} of the input's {wanted}, got {array.dtype}; convert it"
            )
        return array

    def optional(self, array: Array | None, name: str, shape: tuple[int, ...], *, wanted: bool = True) -> Array | None:
        if array is None:
            return None
        if not wanted:
            raise ArgumentError(f"{self.who}: expected no {name} for a cell without c, got one")
        return _whole(self.check(array, name, shape))

    def inner_contiguous(self, array: Array) -> Array:
        """`array`, copied where the kernels cannot walk it."""
        return array if _usable(array) else _whole(array)

    def common(
        self, x_TBI: Array, h0: Array | None, c0: Array | None, lengths: Array | None, reset: Array | None
    ) -> _Common:
        h0 = self.optional(h0, "h0", (self.B, self.H))
        c0 = self.optional(c0, "c0", (self.B, self.H), wanted=self.has_cell)
        if lengths is not None:
            if lengths.shape != (self.B,):
                raise ArgumentError(f"{self.who}: expected lengths of shape ({self.B},), got {lengths.shape}")
            if not np.issubdtype(lengths.dtype, np.integer):
                raise ArgumentTypeError(f"{self.who}: expected integer lengths, got {lengths.dtype}; convert them")
            lengths = np.ascontiguousarray(lengths, np.int64)
        if reset is not None:
            if reset.shape != (self.T, self.B):
                raise ArgumentError(f"{self.who}: expected reset of shape ({self.T}, {self.B}), got {reset.shape}")
            if reset.dtype != np.bool_:
                raise ArgumentTypeError(f"{self.who}: expected bool resets, got {reset.dtype}; convert them")
        return _Common((h0, c0), lengths, reset)
