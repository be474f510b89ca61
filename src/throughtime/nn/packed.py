"""torch's PackedSequence, read as a padded batch with lengths, and written back.

A PackedSequence holds the rows sorted by length, the longest first, and its data step by step: the batch_sizes[0] rows
valid at t = 0, then the batch_sizes[1] rows valid at t = 1, and so on. `sorted_indices` says which row of the caller's
batch stands at each sorted place, None where the caller's order was sorted already.

Axes in names: T time, B batch, F features, N valid (step, row) pairs.
"""

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from throughtime.cells import State


class PackedBatch:
    """The padded batch of a PackedSequence with the data `data_NF`, its rows in sorted order.

    Attributes:
        x: the padded sequences, (T, B, F), zero past each length.
        lengths: (B,), on the device of the data.
    """

    def __init__(self, packed: PackedSequence, data_NF: Tensor) -> None:
        sizes_T = packed.batch_sizes
        T, B = len(sizes_T), int(sizes_T[0])
        valid_TB = torch.arange(B) < sizes_T.unsqueeze(1)
        self._packed = packed
        self._places_N = valid_TB.flatten().nonzero().squeeze(1).to(data_NF.device)
        self.lengths = valid_TB.sum(0).to(data_NF.device)
        flat = data_NF.new_zeros((T * B, data_NF.shape[-1])).index_copy(0, self._places_N, data_NF)
        self.x = flat.view(T, B, -1)

    def sort(self, tensor: Tensor, axis: int = 1) -> Tensor:
        """A tensor with rows in the caller's order, in sorted order."""
        order = self._packed.sorted_indices
        return tensor if order is None else tensor.index_select(axis, order)

    def unsort(self, state: State) -> State:
        """State tensors (L*D, B, H) in the caller's order of rows."""
        order = self._packed.unsorted_indices
        return state if order is None else tuple(s.index_select(1, order) for s in state)

    def pack(self, output_TBF: Tensor) -> PackedSequence:
        """The output as a PackedSequence of the input's lengths and order."""
        data_NF = output_TBF.flatten(0, 1).index_select(0, self._places_N)
        p = self._packed
        return PackedSequence(data_NF, p.batch_sizes, p.sorted_indices, p.unsorted_indices)
