"""Torch's tensors as the native kernels take them: addresses, codes, and the checks that make addresses safe.

Axes in names: T time, B batch, I input features, H hidden units.
"""

from collections.abc import Iterable, Mapping
from typing import overload

import torch
from torch import Tensor

from throughtime.cells import CELLS, Cell, LayerNormParams, Params
from throughtime.errors import ArgumentError
from throughtime.kernels import native
from throughtime.kernels.variation import Variation

CELL_CODES = {name: code for name, (code, *_) in native.CELL_CODES.items()}
DTYPE_CODES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}


def address(tensor: Tensor | None) -> int:
    """Where the tensor's memory begins; 0 for none."""
    return 0 if tensor is None else tensor.data_ptr()


# An address does not tell that torch reads a view with its sign turned (the imaginary part of a conjugate), hence
# `resolve_neg` wherever an address is taken of what a caller gave.


def as_rows(tensor: Tensor) -> Tensor:
    """The tensor with its last axis contiguous; its time and batch axes may have any strides."""
    tensor = tensor.resolve_neg() if tensor.is_neg() else tensor
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] <= 1 else tensor.contiguous()


@overload
def as_whole(tensor: Tensor) -> Tensor: ...
@overload
def as_whole(tensor: None) -> None: ...
def as_whole(tensor: Tensor | None) -> Tensor | None:
    """The tensor, contiguous."""
    # Asked first: a conversion that does nothing takes longer, and a small layer's call is made of such trifles.
    if tensor is None or (tensor.is_contiguous() and not tensor.is_neg()):
        return tensor
    return tensor.resolve_neg().contiguous()


def addresses(tensors: Iterable[Tensor | None]) -> list[int]:
    """`address` of each."""
    return [0 if t is None else t.data_ptr() for t in tensors]


def problem(cell: str, x: Tensor, H: int) -> tuple[int, ...]:
    """What both raw calls begin with: cell, dtype, T, B, I, H, x and its strides."""
    return (CELL_CODES[cell], DTYPE_CODES[x.dtype], *x.shape, H, x.data_ptr(), *x.stride()[:2])


def reset_address(reset: Tensor | None) -> tuple[int, ...]:
    """A reset mask's address and strides."""
    return (0, 0, 0) if reset is None else (reset.data_ptr(), *reset.stride())


def expect(name: str, tensor: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Refuse a tensor that the kernels, which get its address, would read or write beyond.

    Raises:
        ArgumentError: it is missing, or has another shape, dtype or device.
    """
    if tensor is None or tensor.shape != shape or tensor.dtype is not dtype or not tensor.is_cpu:
        got = "none" if tensor is None else f"{tuple(tensor.shape)}, {tensor.dtype} on {tensor.device}"
        raise ArgumentError(
            f"throughtime::sequence: expected {name} of {shape}, {dtype} on cpu, got {got}; "
            "give tensors and parameters that fit each other"
        )


def expect_cell(cell: str, cells: Mapping[str, Cell] = CELLS) -> None:
    """Refuse a cell that is not among those of an operator.

    Raises:
        ArgumentError: there is none of this name.
    """
    if cell not in cells:
        raise ArgumentError(
            f"throughtime::sequence: expected a cell among {', '.join(cells)}, got {cell!r}; pass one of these"
        )


def expect_weights(cell: Cell, I: int, weights: tuple[Tensor | None, ...], dtype: torch.dtype) -> int:
    """Check the parameters, in the order of `Params`; gives H."""
    weight_ih, weight_hh, bias_ih, bias_hh, weight_ch = weights
    rows = 0 if weight_hh is None or weight_hh.dim() != 2 else weight_hh.shape[0]
    H = max(1, rows // len(cell.gates))
    rows = len(cell.gates) * H
    expect("weight_hh", weight_hh, (rows, H), dtype)
    expect("weight_ih", weight_ih, (rows, max(1, I)), dtype)
    if bias_ih is not None:
        expect("bias_ih", bias_ih, (rows,), dtype)
    if bias_hh is not None:
        expect("bias_hh", bias_hh, (rows,), dtype)
    if cell.peephole_gates:
        expect("weight_ch", weight_ch, (3 * H,), dtype)
    return H


def expect_inputs(cell: str, inputs: tuple[Tensor | None, ...]) -> tuple[int, int, int]:
    """Check all of `sequence`'s tensors against x and the cell; gives T, B, H."""
    x, h0, c0, *weights, lengths, reset = inputs
    T, B, I = expect_sequences(cell, x, lengths, reset)
    assert x is not None
    H = expect_weights(CELLS[cell], I, tuple(weights), x.dtype)
    expect_states(CELLS[cell], h0, c0, (B, H), x.dtype)
    return T, B, H


def expect_states(cell: Cell, h0: Tensor | None, c0: Tensor | None, shape: tuple[int, int], dtype: torch.dtype) -> None:
    """Check the initial state."""
    expect("h0", h0, shape, dtype)
    if "c" in cell.state_fields:
        expect("c0", c0, shape, dtype)


def expect_layer(cell: Cell, I: int, layer: Params | LayerNormParams, dtype: torch.dtype) -> int:
    """Check the parameters of either kind of cell; gives H."""
    if isinstance(layer, Params):
        return expect_weights(cell, I, layer, dtype)
    H = expect_weights(cell, I, (*layer[:4], None), dtype)
    for name in ("weight_ln_ih", "weight_ln_hh"):
        expect(name, getattr(layer, name), (len(cell.gates) * H,), dtype)
    if "c" in cell.state_fields:
        expect("weight_ln_c", layer.weight_ln_c, (H,), dtype)
        if layer.bias_ln_c is not None:
            expect("bias_ln_c", layer.bias_ln_c, (H,), dtype)
    return H


def layer_addresses(layer: Params | LayerNormParams) -> list[int]:
    """The parameters' addresses as a `Stepper` takes them."""
    found = addresses(layer)
    return found if isinstance(layer, Params) else [*found[:4], 0, *found[4:]]


def expect_sequences(
    cell: str, x: Tensor | None, lengths: Tensor | None, reset: Tensor | None, cells: Mapping[str, Cell] = CELLS
) -> tuple[int, int, int]:
    """Check the sequences and their borders; gives T, B, I."""
    expect_cell(cell, cells)
    if x is None or x.dim() != 3 or x.dtype not in DTYPE_CODES or not x.is_cpu:
        got = "none" if x is None else f"{tuple(x.shape)}, {x.dtype} on {x.device}"
        raise ArgumentError(
            f"throughtime::sequence: expected x of shape (T, B, I), float32, float64 or bfloat16 on cpu, got {got}; "
            "convert it"
        )
    T, B, I = x.shape
    if lengths is not None:
        expect("lengths", lengths, (B,), torch.int64)
    if reset is not None:
        expect("reset", reset, (T, B), torch.bool)
    return T, B, I


def saved_dtype(dtype: torch.dtype) -> torch.dtype:
    """What the kernels save gates in: `Saved` in csrc/calls.h."""
    return torch.float32 if dtype is torch.bfloat16 else dtype


def has_zoneout(variation: Variation | None) -> bool:
    """Whether the kernels save every cell's gates."""
    return variation is not None and variation.zoneout is not None


def varied(variation: Variation | None, x: Tensor, H: int) -> tuple[int | float, ...] | None:
    """A variation as the raw calls take it: mask, zoneout (0 off, 1 random, 2 expected), p of h and c, seed, stream,
    step0."""
    if variation is None:
        return None
    mask, zoneout, seed = variation.h_mask, variation.zoneout, variation.seed
    if mask is not None:
        expect("h_mask", mask, (x.shape[1], H), saved_dtype(x.dtype))
        if not mask.is_contiguous():
            raise ArgumentError(
                f"throughtime::sequence: expected a contiguous h_mask, got strides {mask.stride()}; use contiguous()"
            )
    mode = 0 if zoneout is None else 2 if seed is None else 1
    p_h, p_c = (*(zoneout or ()), 0.0, 0.0)[:2]
    return address(mask), mode, p_h, p_c, 0 if seed is None else int(seed), variation.stream, variation.step0
