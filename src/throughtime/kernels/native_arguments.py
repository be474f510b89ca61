"""What the NumPy side of the kernels takes: names, codes, weights, and the checks that make addresses safe.

Axes: T time, B batch, I input, H hidden, G gates. Imports no torch.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import ArgumentError, ArgumentTypeError

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
    "layer_norm_rnn_tanh": (7, 1, False, False),
    "layer_norm_rnn_relu": (8, 1, False, False),
    "layer_norm_gru": (9, 3, False, False),
    "layer_norm_lstm": (10, 4, True, False),
}
# A record of one field: its arrays are no numbers to NumPy, so that bits are never added or taken for counts.
BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
DTYPE_CODES = {np.dtype(np.float32): 0, np.dtype(np.float64): 1, BFLOAT16: 2}


def has_layer_norm(cell: str) -> bool:
    """Whether a cell of `CELL_CODES` normalises its products."""
    return cell.startswith("layer_norm_")


class Weights(NamedTuple):
    """One layer's parameters, torch's names and row order, and `throughtime.cells.LayerNormParams`'s."""

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None = None
    bias_hh: Array | None = None
    weight_ch: Array | None = None
    weight_ln_ih: Array | None = None
    weight_ln_hh: Array | None = None
    weight_ln_c: Array | None = None
    bias_ln_c: Array | None = None

    def layer_norm(self) -> tuple[int, ...] | None:
        """The addresses of the last four, where there is layer normalisation."""
        return None if self.weight_ln_ih is None else tuple(map(address, self[5:]))


def address(array: Array | None) -> int:
    return 0 if array is None else int(array.__array_interface__["data"][0])


def whole(array: Array) -> Array:
    """`array` with C-contiguous, aligned elements, copied only if it has to be."""
    return np.require(array, requirements=("C", "A"))


def expect_array(who: str, name: str, value: Any, rank: int) -> Array:
    if not isinstance(value, np.ndarray):
        raise ArgumentTypeError(f"{who}: expected {name} as a NumPy array, got {type(value).__name__}; convert it")
    if value.ndim != rank:
        raise ArgumentError(f"{who}: expected {name} of rank {rank}, got shape {value.shape}; add or take away axes")
    return value


def check_threads(who: str, threads: int) -> None:
    if threads < 1:
        raise ArgumentError(f"{who}: expected at least 1 thread, got {threads}; threads=1 runs on the caller's own")


def usable(array: Array) -> bool:
    """Whether the kernels can walk an array of rank 3: unit inner stride, whole-element strides, aligned elements."""
    if array.size == 0:
        return True
    whole = all(stride % array.itemsize == 0 for stride in array.strides)
    return whole and array.flags.aligned and (array.shape[2] == 1 or array.strides[2] == array.itemsize)


def strides(array: Array | None) -> tuple[int, int]:
    """Strides over T and B in elements."""
    if array is None:
        return 0, 0
    return array.strides[0] // array.itemsize, array.strides[1] // array.itemsize


class Common(NamedTuple):
    """The arguments that both passes share, checked; the arrays live as long as this does."""

    state: tuple[Array | None, Array | None]
    lengths: Array | None
    reset: Array | None

    def numbers(self, shape: "Shape", x_TBI: Array) -> tuple[int, ...]:
        dtype = DTYPE_CODES[shape.dtype]
        return (shape.code, dtype, shape.T, shape.B, shape.I, shape.H, address(x_TBI), *strides(x_TBI))

    def rows(self) -> tuple[int, ...]:
        return (address(self.lengths), address(self.reset), *strides(self.reset))


class Shape:
    """Sizes of a call, and checks of arrays against them."""

    def __init__(self, who: str, cell: str, x_TBI: Array, weights: Weights) -> None:
        self.who = who
        if cell not in CELL_CODES:
            raise ArgumentError(
                f"{who}: expected a cell among {', '.join(CELL_CODES)}, got {cell!r}; name one of these"
            )
        self.code, self.gates, self.has_cell, has_peepholes = CELL_CODES[cell]
        normalizes = has_layer_norm(cell)
        expect_array(who, "x", x_TBI, 3)
        if x_TBI.dtype not in DTYPE_CODES:
            raise ArgumentTypeError(
                f"{who}: expected float32 or float64, got {x_TBI.dtype}; convert the input, or see to_bfloat16"
            )
        if normalizes and x_TBI.dtype == BFLOAT16:
            raise ArgumentTypeError(f"{who}: expected float32 or float64 for {cell}, got bfloat16; convert the input")
        self.dtype = x_TBI.dtype
        self.saved_dtype = np.dtype(np.float32) if self.dtype == BFLOAT16 else self.dtype  # Saved in csrc/calls.h
        self.T, self.B, self.I = x_TBI.shape
        self.H = expect_array(who, "weight_hh", weights.weight_hh, 2).shape[0] // self.gates
        if self.H < 1 or self.I < 1:
            raise ArgumentError(
                f"{who}: expected at least one input and one hidden unit, got I={self.I}, H={self.H}; pass wider "
                "weights"
            )
        shapes = {
            "weight_ih": (self.gates * self.H, self.I),
            "weight_hh": (self.gates * self.H, self.H),
            "bias_ih": (self.gates * self.H,),
            "bias_hh": (self.gates * self.H,),
            "weight_ch": (3 * self.H,),
            "weight_ln_ih": (self.gates * self.H,),
            "weight_ln_hh": (self.gates * self.H,),
            "weight_ln_c": (self.H,),
            "bias_ln_c": (self.H,),
        }
        wanted = {
            "weight_ch": has_peepholes,
            **dict.fromkeys(("weight_ln_ih", "weight_ln_hh"), normalizes),
            "weight_ln_c": normalizes and self.has_cell,
        }
        for name, is_wanted in wanted.items():
            if (getattr(weights, name) is None) == is_wanted:
                one, got = ("one", "none") if is_wanted else ("none", "one")
                raise ArgumentError(
                    f"{who}: expected {one} {name} for {cell}, got {got}; pass the weights that this cell has"
                )
        if weights.bias_ln_c is not None and not wanted["weight_ln_c"]:
            raise ArgumentError(f"{who}: expected no bias_ln_c for {cell}, got one; leave it out")
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
        return whole(found)

    def check(self, array: Array | None, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        if not isinstance(array, np.ndarray) or array.shape != shape:
            got = array.shape if isinstance(array, np.ndarray) else "none" if array is None else type(array).__name__
            raise ArgumentError(f"{self.who}: expected {name} of shape {shape}, got {got}; pass one such array")
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
            raise ArgumentError(f"{self.who}: expected no {name} for a cell without c, got one; leave it out")
        return whole(self.check(array, name, shape))

    def inner_contiguous(self, array: Array) -> Array:
        """`array`, copied where the kernels cannot walk it."""
        return array if usable(array) else whole(array)

    def common(
        self, x_TBI: Array, h0: Array | None, c0: Array | None, lengths: Array | None, reset: Array | None
    ) -> Common:
        h0 = self.optional(h0, "h0", (self.B, self.H))
        c0 = self.optional(c0, "c0", (self.B, self.H), wanted=self.has_cell)
        if lengths is not None:
            if lengths.shape != (self.B,):
                raise ArgumentError(
                    f"{self.who}: expected lengths of shape ({self.B},), got {lengths.shape}; pass one length a row"
                )
            if not np.issubdtype(lengths.dtype, np.integer):
                raise ArgumentTypeError(f"{self.who}: expected integer lengths, got {lengths.dtype}; convert them")
            lengths = np.ascontiguousarray(lengths, np.int64)
        if reset is not None:
            if reset.shape != (self.T, self.B):
                raise ArgumentError(
                    f"{self.who}: expected reset of shape ({self.T}, {self.B}), got {reset.shape}; pass one flag a "
                    "step and row"
                )
            if reset.dtype != np.bool_:
                raise ArgumentTypeError(f"{self.who}: expected bool resets, got {reset.dtype}; convert them")
        return Common((h0, c0), lengths, reset)
