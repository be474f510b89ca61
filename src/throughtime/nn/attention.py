"""Attention over the steps of a source: scores, weights under lengths, contexts.

Axes in names: T queries of one row (decoder steps), S source steps, B batch, Q query features, K key features,
A features in which queries and keys meet.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.nn.arguments import check_size
from throughtime.nn.lengths import read_lengths, valid_steps


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """The softmax over the places of the last axis where `mask` is True; zero elsewhere.

    A row without any such place gives zeros, and zero gradients: neither is ever NaN because of a mask. Scores outside
    the mask, NaN included, reach neither a value nor a gradient.

    **Shapes** scores (..., S), mask bool, broadcast against it; the weights have the shape of the scores.

    >>> masked_softmax(torch.zeros(2, 3), torch.tensor([[True, True, False], [False, False, False]])).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    # The lowest finite number, not −∞: a row of nothing but −∞ would be 0/0, in the forward and in the backward pass.
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
    return weights.masked_fill(~mask, 0.0)


class AttentionMemory(NamedTuple):
    """A source made ready once, for all the queries that will be put to it."""

    keys: Tensor
    """What queries are scored against: (B, S, A)."""
    values: Tensor
    """What contexts are sums of: (B, S, K), zero past each length."""
    mask: Tensor
    """Which steps are valid: bool (B, 1, S)."""


class Attention(nn.Module):
    """What every attention shares: a memory made once, weights and contexts for one query a row or for many.

    (1) e_ts = score(q_t, k_s), by the subclass
    (2) α_t  = softmax of e_t over the valid s
    (3) context_t = Σ_s α_ts k_s

    **Shapes** memory (S, B, K) with lengths (B,); query (B, Q) to context (B, K) and weights (B, S), or
    query (T, B, Q) to context (T, B, K) and weights (T, B, S). A row of length zero gives zero weights and a zero
    context. What stands past a length, NaN included, reaches neither a value nor a gradient.
    """

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        self.query_size = check_size(type(self).__name__, "query_size", query_size)
        self.key_size = check_size(type(self).__name__, "key_size", key_size)

    def precompute(self, memory: Tensor, lengths: Any = None) -> AttentionMemory:
        """The memory of one batch of sources: what of it does not depend on the query.

        Raises:
            ArgumentError: a shape does not fit, or a length is outside [0, S]; ArgumentTypeError: `lengths` are not
                whole numbers.
        """
        who = f"{type(self).__name__}.precompute"
        if memory.dim() != 3 or memory.shape[2] != self.key_size:
            raise ArgumentError(
                f"{who}: expected memory of shape (S, B, {self.key_size}), got {tuple(memory.shape)}; "
                f"pass {self.key_size} features, time first, or build with another key_size"
            )
        S, B, _ = memory.shape
        values_BSK = memory.transpose(0, 1)
        valid_lengths = read_lengths(who, lengths, S, B, memory.device)
        if valid_lengths is None:
            mask_BS = torch.ones(B, S, dtype=torch.bool, device=memory.device)
        else:
            mask_BS = valid_steps(valid_lengths, S).T
            values_BSK = values_BSK.masked_fill(~mask_BS.unsqueeze(2), 0.0)
        # Read once a query from here on: in one piece, and the same row order that the batched products walk.
        values_BSK = values_BSK.contiguous()
        return AttentionMemory(self._keys(values_BSK), values_BSK, mask_BS.unsqueeze(1))

    def forward(self, query: Tensor, memory: AttentionMemory) -> tuple[Tensor, Tensor]:
        """The context of each query, and the weights of the source's steps in it.

        Raises:
            ArgumentError: the query's shape does not fit the attention or the memory.
        """
        B = memory.values.shape[0]
        if query.dim() not in (2, 3) or tuple(query.shape[-2:]) != (B, self.query_size):
            raise ArgumentError(
                f"{type(self).__name__}: expected a query of shape ({B}, {self.query_size}) or (T, {B}, "
                f"{self.query_size}), got {tuple(query.shape)}; the memory holds {B} rows"
            )
        query_BTQ = query.transpose(0, 1) if query.dim() == 3 else query.unsqueeze(1)
        weights_BTS = masked_softmax(self._scores(query_BTQ, memory.keys), memory.mask)
        context_BTK = weights_BTS @ memory.values
        if query.dim() == 2:
            return context_BTK.squeeze(1), weights_BTS.squeeze(1)
        return context_BTK.transpose(0, 1), weights_BTS.transpose(0, 1)

    def _keys(self, values_BSK: Tensor) -> Tensor:
        """The part of the score that depends on the source alone: (B, S, A)."""
        raise AssertionError(f"{type(self).__name__} says nothing of its keys")

    def _scores(self, query_BTQ: Tensor, keys_BSA: Tensor) -> Tensor:
        """e (B, T, S)."""
        raise AssertionError(f"{type(self).__name__} says nothing of its scores")

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.query_size}, {self.key_size}"


class AdditiveAttention(Attention):
    """Attention whose score is a small network of query and key.

    (1) e_ts = vᵀ tanh(W q_t + U k_s + b)

    U k_s + b is computed once a source. Over T queries at once the tanh stands in memory for all of them:
    B·T·S·attention_size numbers.

    **Shapes**, masks and empty rows: see `Attention`. Parameters W (A, Q), U (A, K), b (A), v (A).

    **Source** [Bahdanau2015], and differs from it by the bias b, which its authors leave out.

    >>> attention = AdditiveAttention(query_size=5, key_size=4, attention_size=6)
    >>> context, weights = attention(torch.zeros(2, 5), attention.precompute(torch.zeros(7, 2, 4), [7, 0]))
    >>> tuple(context.shape), tuple(weights.shape)
    ((2, 4), (2, 7))
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        attention_size: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(query_size, key_size)
        attention_size = check_size("AdditiveAttention", "attention_size", attention_size)
        self.attention_size = attention_size
        self.query = nn.Linear(query_size, attention_size, bias=False, device=device, dtype=dtype)
        self.key = nn.Linear(key_size, attention_size, device=device, dtype=dtype)
        self.v = nn.Parameter(torch.empty(attention_size, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """W, U and b as torch.nn.Linear draws them, v from U(−1/√A, 1/√A)."""
        self.query.reset_parameters()
        self.key.reset_parameters()
        bound = 1 / math.sqrt(self.attention_size)
        nn.init.uniform_(self.v, -bound, bound)

    def _keys(self, values_BSK: Tensor) -> Tensor:
        keys: Tensor = self.key(values_BSK)
        return keys

    def _scores(self, query_BTQ: Tensor, keys_BSA: Tensor) -> Tensor:
        joined_BTSA: Tensor = self.query(query_BTQ).unsqueeze(2) + keys_BSA.unsqueeze(1)
        return joined_BTSA.tanh_() @ self.v

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.query_size}, {self.key_size}, attention_size={self.attention_size}"


class MultiplicativeAttention(Attention):
    """Attention whose score is a product of query and key through one matrix.

    (1) e_ts = q_tᵀ W k_s

    W k_s is computed once a source, so that a query costs two batched products.

    **Shapes**, masks and empty rows: see `Attention`. Parameter W (Q, K).

    **Source** [Luong2015], the score that its authors call "general"; `DotAttention` is the one called "dot".

    >>> attention = MultiplicativeAttention(query_size=5, key_size=4)
    >>> context, weights = attention(torch.zeros(3, 2, 5), attention.precompute(torch.zeros(7, 2, 4)))
    >>> tuple(context.shape), tuple(weights.shape)
    ((3, 2, 4), (3, 2, 7))
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(query_size, key_size)
        self.key = nn.Linear(key_size, query_size, bias=False, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """W as torch.nn.Linear draws it."""
        self.key.reset_parameters()

    def _keys(self, values_BSK: Tensor) -> Tensor:
        keys: Tensor = self.key(values_BSK)
        return keys

    def _scores(self, query_BTQ: Tensor, keys_BSA: Tensor) -> Tensor:
        return query_BTQ @ keys_BSA.transpose(1, 2)


class DotAttention(Attention):
    """Attention whose score is the plain product of query and key, which have one size.

    (1) e_ts = q_tᵀ k_s

    **Shapes**, masks and empty rows: see `Attention`. No parameters.

    **Raises** ArgumentError: `query_size` and `key_size` differ.

    **Source** [Luong2015], the score called "dot".
    """

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__(query_size, key_size)
        if query_size != key_size:
            raise ArgumentError(
                f"DotAttention: expected query_size equal to key_size, got {query_size} and {key_size}; "
                "use MultiplicativeAttention, whose matrix maps one to the other"
            )

    def _keys(self, values_BSK: Tensor) -> Tensor:
        return values_BSK

    def _scores(self, query_BTQ: Tensor, keys_BSA: Tensor) -> Tensor:
        return query_BTQ @ keys_BSA.transpose(1, 2)
