"""The fused CPU kernels on NumPy arrays: one layer, one direction, a whole sequence. Imports no torch.

Axes: T time, B batch, I input, H hidden, G gates, L layers. The equations are those of `throughtime.cells`; weights
are torch's (gates stacked by rows). Checks of shapes and types are here; checks of values (a length > T) are in the
kernels.

NumPy has no bfloat16: arrays of `BFLOAT16` hold its bits, and nothing but the kernels can compute with them.
`to_bfloat16` and `from_bfloat16` convert; an array of another library's bfloat16 needs only `.view(BFLOAT16)`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.kernels import _native
from throughtime.kernels.native_arguments import (
    BFLOAT16,
    CELL_CODES,
    DTYPE_CODES,
    Array,
    Shape,
    Weights,
    address,
    check_threads,
    expect_array,
    strides,
    usable,
    whole,
)

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
    shape = Shape(who, cell, x_TBI, weights)
    check_threads(who, threads)
    x_TBI = shape.inner_contiguous(x_TBI)
    common = shape.common(x_TBI, h0, c0, lengths, reset)
    T, B, H = shape.T, shape.B, shape.H
    if output is None:
        output = np.empty((T, B, H), shape.dtype)
    shape.check(output, "output", (T, B, H))
    if not usable(output) or not output.flags.writeable:
        got = f"strides {output.strides}" if output.flags.writeable else "a read-only one"
        raise ArgumentError(
            f"{who}: expected output writable, aligned and contiguous in its last axis, got {got}; pass another array"
        )
    h_n = np.empty((B, H), shape.dtype)
    c_n = np.empty((B, H), shape.dtype) if shape.has_cell else None
    saved = np.empty((T, B, _native.saved_width(shape.code, H)), shape.saved_dtype) if training else None
    c_sequence = np.empty((T, B, H), shape.dtype) if training and shape.has_cell else None
    try:
        _native.sequence_forward_raw(  # type: ignore[call-arg,misc]
            *common.numbers(shape, x_TBI),  # type: ignore[arg-type]
            *(address(array) for array in common.state),
            *map(address, shape.weights[:5]),
            *common.rows(),
            reverse,
            threads,
            address(output),
            *strides(output),
            address(h_n),
            address(c_n),
            address(saved),
            address(c_sequence),
            norm=shape.weights.layer_norm(),
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
    shape = Shape(who, cell, x_TBI, weights)
    check_threads(who, threads)
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
    saved = whole(forward.saved)
    c_TBH = None
    if shape.has_cell:
        c_TBH = whole(shape.check(forward.c_sequence, "forward.c_sequence", (T, B, H)))
    dy_TBH = None if d_output is None else shape.inner_contiguous(shape.check(d_output, "d_output", (T, B, H)))
    dh_n = shape.optional(dh_n, "dh_n", (B, H))
    dc_n = shape.optional(dc_n, "dc_n", (B, H), wanted=shape.has_cell)
    dc_TBH = shape.optional(dc_sequence, "dc_sequence", (T, B, H), wanted=shape.has_cell)
    dx_TBI = np.empty((T, B, I), shape.dtype)
    dh0 = np.empty((B, H), shape.dtype)
    dc0 = np.empty((B, H), shape.dtype) if shape.has_cell else None
    empties = (None if weight is None else np.empty(weight.shape, shape.dtype) for weight in weights)
    dweights = Weights(*empties)  # type: ignore[arg-type]
    norm = shape.weights.layer_norm()
    if norm is not None:
        norm += (*map(address, shape.weights[2:4]), *map(address, dweights[5:]))
    health = None
    if health_margin is not None:
        health = Health(
            np.empty((T, B)), np.empty((T, B)), np.empty((shape.gates, T, B), np.int32), np.empty((2, B, 3), np.int64)
        )
    try:
        _native.sequence_backward_raw(  # type: ignore[call-arg,misc]
            *common.numbers(shape, x_TBI),  # type: ignore[arg-type]
            *(address(array) for array in common.state),
            address(shape.weights.weight_ih),
            address(shape.weights.weight_hh),
            address(shape.weights.weight_ch),
            *common.rows(),
            reverse,
            threads,
            address(y_TBH),
            *strides(y_TBH),
            address(saved),
            address(c_TBH),
            address(dy_TBH),
            *strides(dy_TBH),
            address(dh_n),
            address(dc_n),
            address(dc_TBH),
            address(dx_TBI),
            *strides(dx_TBI),
            address(dh0),
            address(dc0),
            *map(address, dweights[:5]),
            *((0, 0, 0, 0.0, 0) if health is None else (*map(address, health[:3]), health_margin, address(health[3]))),
            norm=norm,
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
            raise ArgumentError("Stepper: expected at least one layer's weights, got none; pass one or more")
        first = expect_array("Stepper", "weight_ih", layers[0].weight_ih, 2)
        size = self.input_size = first.shape[1]
        shapes: list[Shape] = []
        for weights in layers:
            shape = Shape("Stepper", cell, np.empty((0, 0, size), first.dtype), weights)
            size = shape.H
            shapes.append(shape)
            if size != shapes[0].H:
                raise ArgumentError(
                    f"Stepper: expected hidden size {shapes[0].H} in every layer, got {size}; stack layers of one size"
                )
        self.cell = cell
        self.hidden_size = size
        self.layers = len(shapes)
        self.has_cell = shapes[0].has_cell
        self._dtype = first.dtype
        described = [
            (shape.I, shape.H, *map(address, shape.weights[:5]), *(shape.weights.layer_norm() or ()))
            for shape in shapes
        ]
        self._native = _native.Stepper(shapes[0].code, DTYPE_CODES[self._dtype], described)

    def step(
        self, x_BI: Array, h_LBH: Array, c_LBH: Array | None = None, *, reset: Array | None = None
    ) -> tuple[Array, Array | None]:
        """The states after one more step: (h, c), each (L,B,H); the output is h[-1].

        Raises:
            ArgumentError: a shape or dtype that does not fit.
        """
        who = "Stepper.step"
        B = expect_array(who, "x", x_BI, 2).shape[0]
        if c_LBH is not None and not self.has_cell:
            raise ArgumentError(f"{who}: expected no c for {self.cell}, which has no c, got one; leave c out")
        given: dict[str, tuple[Array | None, tuple[int, ...]]] = {
            "x": (x_BI, (B, self.input_size)),
            "h": (h_LBH, (self.layers, B, self.hidden_size)),
        }
        if self.has_cell:
            given["c"] = (c_LBH, (self.layers, B, self.hidden_size))
        for name, (array, wanted) in given.items():
            if array is None or array.shape != wanted or array.dtype != self._dtype:
                got = "none" if array is None else f"{array.shape} {array.dtype}"
                raise ArgumentError(
                    f"{who}: expected {name} of shape {wanted} and {self._dtype}, got {got}; pass one such array"
                )
        if reset is not None and (reset.shape != (B,) or reset.dtype != np.bool_):
            raise ArgumentError(
                f"{who}: expected reset of shape ({B},) and bool, got {reset.shape} {reset.dtype}; pass one flag a row"
            )
        x, h = whole(x_BI), whole(h_LBH)
        c = None if c_LBH is None else whole(c_LBH)
        flags = None if reset is None else whole(reset)
        h_out = np.empty_like(h)
        c_out = None if c is None else np.empty_like(c)
        self._native.step(address(x), address(h), address(c), address(h_out), address(c_out), B, address(flags))
        return h_out, c_out
