"""The cells that cuDNN computes, through torch's own operators.

cuDNN has torch.nn's RNN, GRU and LSTM. It has no peepholes, no reset before the product, and no way to start a row's
state anew inside a sequence. Lengths go in as a packed batch, which knows no empty rows: they are run over one step of
zeros whose result is not used. The operators run on any device that torch has, which is how the tests check this file.

Axes in names: T time, B batch, I input features, H hidden units.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from throughtime.cells import Cell, Params, State

_OPERATORS = {"rnn_tanh": torch.rnn_tanh, "rnn_relu": torch.rnn_relu, "gru": torch.gru, "lstm": torch.lstm}
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def has(cell_name: str) -> bool:
    """Whether cuDNN has this cell at all."""
    return cell_name in _OPERATORS


def why_not(cell_name: str | None, device_type: str, dtype: torch.dtype, has_reset: bool) -> str | None:
    """What keeps cuDNN from running such a call, in words, or None. `cell_name` None: any cell that it has."""
    if cell_name is not None and cell_name not in _OPERATORS:
        return f"cuDNN has no {cell_name} cell"
    if has_reset:
        return "cuDNN cannot start a state anew inside a sequence (reset=)"
    if device_type != "cuda":
        return f"tensors are on {device_type}"
    if dtype not in _DTYPES:
        return f"tensors are {dtype}"
    if not torch.backends.cudnn.is_available():  # type: ignore[no-untyped-call]
        return "this torch has no cuDNN"
    return None


def run(
    cell: Cell, x_TBI: Tensor, state: State, params: Params, *, lengths: Tensor | None, reverse: bool
) -> tuple[Tensor, State]:
    """Output (T, B, H) and final state of one layer in one direction.

    Second derivatives are torch's to give: with cuDNN it refuses them, and names the way out.
    """
    T, B, _ = x_TBI.shape
    if T == 0 or B == 0:
        # As the scan gives it: no operator takes an empty sequence.
        return x_TBI.new_zeros(T, B, params.weight_hh.shape[1]) + 0 * state[0], tuple(s.clone() for s in state)
    valid_TB = None
    if lengths is not None:
        valid_TB = torch.arange(T, device=x_TBI.device).unsqueeze(1) < lengths
        x_TBI = torch.where(valid_TB.unsqueeze(-1), x_TBI, x_TBI.new_zeros(()))
    x_TBI = _turned(x_TBI, lengths) if reverse else x_TBI
    output_TBH, final = _operate(cell, x_TBI, state, params, lengths)
    output_TBH = _turned(output_TBH, lengths) if reverse else output_TBH
    if valid_TB is None or lengths is None:
        return output_TBH, final
    some = (lengths > 0).unsqueeze(-1)
    final = tuple(torch.where(some, new, old) for new, old in zip(final, state, strict=True))
    return torch.where(valid_TB.unsqueeze(-1), output_TBH, output_TBH.new_zeros(())), final


def _operate(cell: Cell, x_TBI: Tensor, state: State, params: Params, lengths: Tensor | None) -> tuple[Tensor, State]:
    """torch's operator over the sequences as they are, left to right; an empty row takes one step."""
    operator: Any = _OPERATORS[cell.name]
    given = tuple(s.unsqueeze(0).contiguous() for s in state)
    weights = [p for p in params if p is not None]
    # has_biases, num_layers, dropout, train, bidirectional
    how = params.bias_ih is not None, 1, 0.0, torch.is_grad_enabled(), False
    if lengths is None:
        output_TBH, *final = operator(x_TBI, given if len(given) > 1 else given[0], weights, *how, False)
        return output_TBH, tuple(s.squeeze(0) for s in final)
    packed = pack_padded_sequence(x_TBI, lengths.clamp(min=1).cpu(), enforce_sorted=False)
    there, back = packed.sorted_indices, packed.unsorted_indices
    assert there is not None
    assert back is not None
    given = tuple(s.index_select(1, there) for s in given)
    data, *final = operator(packed.data, packed.batch_sizes, given if len(given) > 1 else given[0], weights, *how)
    output_TBH, _ = pad_packed_sequence(
        PackedSequence(data, packed.batch_sizes, there, back), total_length=x_TBI.shape[0]
    )
    return output_TBH, tuple(s.squeeze(0).index_select(0, back) for s in final)


def _turned(values_TBF: Tensor, lengths: Tensor | None) -> Tensor:
    """Every row from its own last valid step to its first; the padding stays where it is."""
    if lengths is None:
        return values_TBF.flip(0)
    time = torch.arange(values_TBF.shape[0], device=values_TBF.device).unsqueeze(1)
    from_TB = torch.where(time < lengths, lengths - 1 - time, time)
    return values_TBF.gather(0, from_TB.unsqueeze(-1).expand_as(values_TBF))
