"""From the outputs of all steps to one vector a row, under lengths.

Axes in names: T time, B batch, F features, A attention units.
"""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.nn.attention import masked_softmax
from throughtime.nn.lengths import read_lengths, valid_steps

_ATTENTION = 64  # units of `make_pooling`'s


class MeanPooling(nn.Module):
    """The mean of the valid steps.

    (1) y = (1/n) Σ_{t<n} h_t, and zeros for a row of length n = 0

    **Shapes** hidden (T, B, F), lengths (B,) or None, output (B, F).
    """

    def forward(self, hidden: Tensor, lengths: Any = None) -> Tensor:
        """The pooled vector of each row."""
        valid_TB1 = _valid("MeanPooling", hidden, lengths)
        total_BF = hidden.where(valid_TB1, 0.0).sum(0)
        return total_BF / valid_TB1.sum(0).clamp_(min=1)


class MaxPooling(nn.Module):
    """The largest value of each feature over the valid steps.

    (1) y_f = max_{t<n} h_tf, and zeros for a row of length n = 0

    **Shapes** hidden (T, B, F), lengths (B,) or None, output (B, F).
    """

    def forward(self, hidden: Tensor, lengths: Any = None) -> Tensor:
        """The pooled vector of each row."""
        valid_TB1 = _valid("MaxPooling", hidden, lengths)
        if hidden.shape[0] == 0:
            return hidden.new_zeros(hidden.shape[1:])
        largest_BF = hidden.where(valid_TB1, -torch.inf).amax(0)
        return largest_BF.where(valid_TB1.any(0), 0.0)


class AttentionPooling(nn.Module):
    """A mean of the valid steps, weighted by how much each matters: a learnt query looks at all of them.

    (1) e_t = v · tanh(W h_t + b)
    (2) α = softmax of e over the valid steps
    (3) y = Σ_t α_t h_t, and zeros, with zero weights, for a row of length 0

    **Shapes** hidden (T, B, F), lengths (B,) or None, output (B, F), weights (T, B).

    **Source** [Yang2016], whose u_w is v.

    >>> pooling = AttentionPooling(6, 4)
    >>> weights = pooling.weights(torch.randn(5, 2, 6), lengths=[5, 3])
    >>> [round(w, 4) for w in weights.sum(0).tolist()], weights[3:, 1].tolist()
    ([1.0, 1.0], [0.0, 0.0])
    """

    def __init__(
        self,
        features: int,
        attention_size: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.project = nn.Linear(features, attention_size, device=device, dtype=dtype)
        self.score = nn.Linear(attention_size, 1, bias=False, device=device, dtype=dtype)

    def forward(self, hidden: Tensor, lengths: Any = None) -> Tensor:
        """The pooled vector of each row."""
        return self._pool(hidden, _valid("AttentionPooling", hidden, lengths))[0]

    def weights(self, hidden: Tensor, lengths: Any = None) -> Tensor:
        """The weights (2) of each step, (T, B): what the pooled vector is made of."""
        return self._pool(hidden, _valid("AttentionPooling", hidden, lengths))[1].squeeze(2)

    def _pool(self, hidden_TBF: Tensor, valid_TB1: Tensor) -> tuple[Tensor, Tensor]:
        # Zeros before any product: NaN in the padding times a weight of zero would be NaN.
        clean_TBF = hidden_TBF.where(valid_TB1, 0.0)
        score_TB1 = self.score(torch.tanh(self.project(clean_TBF)))
        weight_TB1 = masked_softmax(score_TB1.transpose(0, 2), valid_TB1.transpose(0, 2)).transpose(0, 2)
        return (weight_TB1 * clean_TBF).sum(0), weight_TB1


class LastPooling(nn.Module):
    """The last output of each direction: of the forward half at a row's last step, of the backward half at its first.

    **Shapes** hidden (T, B, F), lengths (B,) or None, output (B, F); zeros for a row of length 0.
    """

    def __init__(self, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional

    def forward(self, hidden: Tensor, lengths: Any = None) -> Tensor:
        """The pooled vector of each row."""
        valid_TB1 = _valid("LastPooling", hidden, lengths)
        T, B, F = hidden.shape
        if not T:
            return hidden.new_zeros((B, F))
        last_B = (valid_TB1.sum(0)[:, 0] - 1).clamp_(min=0)
        last_BF = hidden[last_B, torch.arange(B, device=hidden.device)]
        if self.bidirectional:
            last_BF = torch.cat((last_BF[:, : F // 2], hidden[0, :, F // 2 :]), 1)
        return last_BF.where(valid_TB1.any(0), 0.0)


class ConcatPooling(nn.Module):
    """Last, mean and max side by side: (B, 3 F).

    **Source** [Howard2018].
    """

    def __init__(self, bidirectional: bool) -> None:
        super().__init__()
        self.parts = nn.ModuleList((LastPooling(bidirectional), *(kind() for kind in POOLINGS.values())))

    def forward(self, hidden: Tensor, lengths: Any = None) -> Tensor:
        """The pooled vector of each row."""
        return torch.cat([part(hidden, lengths) for part in self.parts], 1)


def make_pooling(name: str, features: int, *, bidirectional: bool) -> tuple[nn.Module, int]:
    """A pooling by name, one of `POOLING_NAMES`, and how many numbers it gives for `features` of each step."""
    if name == "concat":
        return ConcatPooling(bidirectional), (1 + len(POOLINGS)) * features
    if name == "last":
        return LastPooling(bidirectional), features
    if name == "attention":
        return AttentionPooling(features, _ATTENTION), features
    return POOLINGS[name](), features


def _valid(who: str, hidden: Tensor, lengths: Any) -> Tensor:
    """Which steps are valid, (T, B, 1)."""
    if hidden.dim() != 3:
        raise ArgumentError(
            f"{who}: expected hidden of shape (T, B, F), got {tuple(hidden.shape)}; pass a layer's output, time first"
        )
    T, B, _ = hidden.shape
    lengths_B = read_lengths(who, lengths, T, B, hidden.device)
    if lengths_B is None:
        return torch.ones((T, B, 1), dtype=torch.bool, device=hidden.device)
    return valid_steps(lengths_B, T).unsqueeze(2)


POOLINGS: dict[str, type[nn.Module]] = {"mean": MeanPooling, "max": MaxPooling}
"""The poolings without parameters, by name."""
POOLING_NAMES = ("concat", "last", "attention", *POOLINGS)
