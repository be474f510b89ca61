"""Row by row over a vocabulary, as fast as a CPU goes: the likeliest, the largest, what a draw hits.

NumPy sorts, partitions and finds the largest of a row in a tenth of torch's time on a CPU; elsewhere torch does it.
Every result of a row is that of the row alone.

Axes in names: B rows, V vocabulary, K the largest, N blocks of a row, S places in a block.
"""

import math

import numpy as np
import torch
from torch import Tensor

# Below this a row's cumulative sum is taken whole; above it, of blocks first and then within one.
_WHOLE = 64
# From here on blocks pay: of 160 rows, 0.29 ms become 0.15 at 1,000 and 1.8 become 0.4 at 8,000.
_BLOCKS_FROM = 1000
_BLOCK = 8
# The largest float64 below one.
_BELOW_ONE = 1 - 2.0**-53


def argmax(values_BV: Tensor) -> Tensor:
    """The first place of the largest value, (B, 1)."""
    if values_BV.device.type != "cpu":
        return values_BV.argmax(-1, keepdim=True)
    return torch.from_numpy(values_BV.detach().numpy().argmax(-1)).unsqueeze(1)


def largest(values_BV: Tensor, K: int) -> Tensor:
    """The K largest values of each row, the largest first, (B, K)."""
    V = values_BV.shape[1]
    # torch's topk scans with a heap of K: faster than a partition while that is small beside the row.
    if values_BV.device.type != "cpu" or 64 * K <= V:
        return values_BV.topk(K, dim=-1).values
    found = values_BV.detach().numpy()
    if K < V:
        found = np.partition(found, V - K, axis=-1)[:, V - K :]
    return torch.from_numpy(np.sort(found, axis=-1)).flip(1)


def largest_and_places(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of the last axis, in order, and where they stand: what `values.topk(k)` gives.

    Long rows are cut into blocks first: the k largest stand in the k blocks whose own largest are largest, and the
    largest of every block is found at the speed of memory.
    """
    V = values.shape[-1]
    blocks = V // _BLOCK
    even = blocks * _BLOCK
    if V < _BLOCKS_FROM or k > blocks:
        top, places = values.topk(k)
        return top, places
    # A block is every `blocks`-th element, so that maxima are taken along whole vectors of neighbours.
    best = values[..., :even].reshape(*values.shape[:-1], _BLOCK, blocks).amax(-2).topk(k).indices
    offsets = torch.arange(0, even, blocks, device=values.device).unsqueeze(1)
    rest = torch.arange(even, V, device=values.device).expand(*values.shape[:-1], -1)
    places = torch.cat([(best.unsqueeze(-2) + offsets).flatten(-2), rest], dim=-1)
    top, among = values.gather(-1, places).topk(k)
    return top, places.gather(-1, among)


def keep_from(values_BV: Tensor, border_B1: Tensor) -> Tensor:
    """The values that are at least the border; zeros for the others."""
    # A comparison into floats, times the values: a twentieth of the time of torch.where.
    return torch.ge(values_BV, border_B1, out=torch.empty_like(values_BV)).mul_(values_BV)


def first_above(weights_BV: Tensor, draws_B: Tensor) -> Tensor:
    """The first place at which the cumulative weight exceeds draw × total, (B, 1); its weight is never zero.

    Args:
        weights_BV: none negative, one in each row positive.
        draws_B: in [0, 1), float64. Below one in float64 is below the total after the product.
    """
    V = weights_BV.shape[1]
    if V <= _WHOLE:
        reached_BV = weights_BV.double().cumsum(-1)
        return torch.searchsorted(reached_BV, draws_B.unsqueeze(1) * reached_BV[:, -1:], right=True)
    S = math.isqrt(V)
    even = V // S * S
    sums_BN = weights_BV[:, :even].reshape(len(weights_BV), even // S, S).sum(-1)
    if even < V:
        sums_BN = torch.cat((sums_BN, weights_BV[:, even:].sum(-1, keepdim=True)), dim=1)
    reached_BN = torch.nn.functional.pad(sums_BN.double().cumsum(-1), (1, 0))
    wanted_B1 = draws_B.unsqueeze(1) * reached_BN[:, -1:]
    block_B1 = torch.searchsorted(reached_BN[:, 1:].contiguous(), wanted_B1, right=True)
    before_B1, after_B1 = reached_BN.gather(1, block_B1), reached_BN.gather(1, block_B1 + 1)
    # The sums of blocks are rounded otherwise than the places within: a share of the block, not the rest of the total.
    share_B1 = ((wanted_B1 - before_B1) / (after_B1 - before_B1)).clamp_(max=_BELOW_ONE)
    place_BS = block_B1 * S + torch.arange(S, device=weights_BV.device)
    inside_BS = weights_BV.gather(1, place_BS.clamp(max=V - 1)).double().mul_(place_BS < V)
    reached_BS = inside_BS.cumsum_(-1)
    return block_B1 * S + torch.searchsorted(reached_BS, share_B1 * reached_BS[:, -1:], right=True)
