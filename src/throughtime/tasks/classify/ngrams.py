"""A linear classifier of words and word pairs: what a recurrent net has to beat, and what it may be joined with.

Axes in names: N texts, F features, K labels, X features of all texts one after another.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from throughtime.tasks.classify.grams import Features, Grams, Keys

MOST_FEATURES = 2_000_000
PENALTIES = (10.0, 3.0, 1.0)
"""λ to choose from."""
_ITERATIONS, _TOLERANCE = 40, 2e-6  # of L-BFGS; the latter in nats a text
_SMOOTHING = 1.0


class NGramClassifier:
    """Log-linear in which n-grams occur, each weighed beforehand by how much it tells naively.

    (1) r_fk = log (1 + n_fk) / Σ_f (1 + n_fk) − log (1 + m_fk) / Σ_f (1 + m_fk), n_fk of the texts with label k and
        m_fk of the others have the n-gram f
    (2) z_k = Σ_{f in text} r_fk w_fk + b_k
    (3) w, b minimise Σ loss(z) + λ/2 Σ w², by L-BFGS; λ is the one of three that does best on held-out texts

    **Source** [Wang2012], with a logistic loss in place of the hinge.

    Args:
        keys: (F,) of the n-grams, ascending.
        weight_FK: r w of (2).
        bias_K: b.
    """

    def __init__(self, keys: Keys, weight_FK: Tensor, bias_K: Tensor, *, penalty: float = 1.0) -> None:
        self.keys = keys
        self.weight_FK = weight_FK
        self.bias_K = bias_K
        self.penalty = penalty

    @classmethod
    def fit(
        cls,
        found: Features,
        targets_NK: Tensor,
        *,
        several: bool,
        penalties: Sequence[float],
        weights_K: Tensor | None = None,
    ) -> list[Self]:
        """Train on texts, once with each penalty, each from where the one before ended.

        Args:
            targets_NK: 1 where a text has a label, else 0.
            several: a text may have several labels or none: K logistic losses, not one softmax.
            penalties: λ, the strongest first.
            weights_K: of the labels in the loss.
        """
        keys, columns_X = np.unique(found.keys, return_inverse=True)
        if len(keys) > MOST_FEATURES:
            keys = keys[np.sort(np.argsort(-np.bincount(columns_X), kind="stable")[:MOST_FEATURES])]
        columns, offsets = _columns(keys, found)
        targets_NK = targets_NK.float()
        ratio_FK = _ratios(columns, offsets, targets_NK, len(keys))
        w_FK = torch.zeros_like(ratio_FK, requires_grad=True)
        b_K = torch.zeros(targets_NK.shape[1], requires_grad=True)

        N = max(len(targets_NK), 1)

        def loss(penalty: float) -> Tensor:
            z_NK = nn.functional.embedding_bag(columns, ratio_FK * w_FK, offsets, mode="sum") + b_K
            told = _loss(z_NK, targets_NK, weights_K, several=several)
            return (told + 0.5 * penalty * w_FK.square().sum()) / N

        made = []
        for penalty in penalties:
            _minimise(lambda penalty=penalty: loss(penalty), (w_FK, b_K))  # type: ignore[misc]
            # Half precision, as it is stored: the same figures before and after.
            weight_FK = (ratio_FK * w_FK.detach()).half()
            made.append(cls(keys, weight_FK, b_K.detach().clone(), penalty=penalty))
        return made

    @torch.no_grad()
    def scores(self, found: Features) -> Tensor:
        """z of (2), (N, K)."""
        columns, offsets = _columns(self.keys, found)
        z_NK = nn.functional.embedding_bag(columns, self.weight_FK.float(), offsets, mode="sum")
        return z_NK + self.bias_K

    def contributions(self, tokens: Sequence[str], grams: Grams) -> Tensor:
        """What each token adds to z, (T, K): an n-gram's weight is shared out to the tokens of all its occurrences."""
        found_TK = torch.zeros((len(tokens), self.weight_FK.shape[1]))
        keys, first, covered = grams.occurrences(tokens)
        column, there = _find(self.keys, keys)
        _, which, count = np.unique(keys, return_inverse=True, return_counts=True)
        share = torch.from_numpy(there / (covered * count[which])).float()
        each_OK = self.weight_FK[torch.from_numpy(column)].float() * share.unsqueeze(1)
        for place in range(int(covered.max(initial=0))):
            inside = covered > place
            found_TK.index_add_(0, torch.from_numpy(first[inside] + place), each_OK[torch.from_numpy(inside)])
        return found_TK

    def tensors(self, name: str) -> dict[str, NDArray[Any]]:
        """What goes beside a model's weights, under a name."""
        return {
            f"{name}.keys": self.keys.view(np.int64),
            f"{name}.weight": self.weight_FK.numpy(),
            f"{name}.bias": self.bias_K.numpy(),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], name: str, labels: int, penalty: float) -> Self:
        """The reverse; ValueError, LookupError or TypeError where something does not fit."""
        keys, weight, bias = (tensors[f"{name}.{part}"] for part in ("keys", "weight", "bias"))
        if keys.dtype != np.int64 or keys.ndim != 1 or len(keys) > MOST_FEATURES:
            raise ValueError(f"{name}.keys: {keys.dtype} of shape {keys.shape}")
        own = keys.view(np.uint64)
        if (own[1:] <= own[:-1]).any():
            raise ValueError(f"{name}.keys: not ascending")
        if weight.shape != (len(keys), labels) or bias.shape != (labels,) or weight.dtype != np.float16:
            raise ValueError(f"{name}.weight: shape {weight.shape} for {len(keys)} n-grams and {labels} labels")
        return cls(own.copy(), torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy()), penalty=penalty)


def _loss(z_NK: Tensor, targets_NK: Tensor, weights_K: Tensor | None, *, several: bool) -> Tensor:
    """Σ −log p over texts."""
    if several:
        return nn.functional.binary_cross_entropy_with_logits(z_NK, targets_NK, pos_weight=weights_K, reduction="sum")
    nll_N = -(z_NK.log_softmax(1) * targets_NK).sum(1)
    return (nll_N if weights_K is None else nll_N * (targets_NK @ weights_K)).sum()


@torch.enable_grad()
def _minimise(loss: Callable[[], Tensor], parameters: Sequence[Tensor]) -> None:
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=_ITERATIONS, history_size=6, line_search_fn="strong_wolfe",
        tolerance_grad=1e-7, tolerance_change=_TOLERANCE,
    )  # fmt: skip

    def closure() -> float:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]


def _find(keys: Keys, wanted: Keys) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The place of each key, 0 where it is not there, and whether it is."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    there = keys[place] == wanted
    return np.where(there, place, 0), there


def _columns(keys: Keys, found: Features) -> tuple[Tensor, Tensor]:
    """The known n-grams of each text as columns, and where each text's begin."""
    column, there = _find(keys, found.keys)
    before = np.concatenate(([0], np.cumsum(there)))
    return torch.from_numpy(column[there]), torch.from_numpy(before[found.offsets])


def _ratios(columns: Tensor, offsets: Tensor, targets_NK: Tensor, F: int) -> Tensor:
    """r of (1)."""
    sizes = torch.diff(offsets, append=torch.tensor([len(columns)]))
    row_X = torch.repeat_interleave(torch.arange(len(offsets)), sizes)
    n_FK = torch.zeros((F, targets_NK.shape[1])).index_add_(0, columns, targets_NK[row_X]) + _SMOOTHING
    m_FK = torch.zeros((F, targets_NK.shape[1])).index_add_(0, columns, 1 - targets_NK[row_X]) + _SMOOTHING
    return (n_FK / n_FK.sum(0)).log() - (m_FK / m_FK.sum(0)).log()
