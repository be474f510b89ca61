"""A classifier's nets, what n-grams add to them, and from both to probabilities.

Axes in names: N texts, B texts of a batch, K labels.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from throughtime.models.losses import SequenceLoss
from throughtime.tasks.calibration import least_temperature
from throughtime.tasks.classify.batches import TextBatch, TextSource, by_length
from throughtime.tasks.classify.network import ClassNet

_AT_ONCE = 16_384  # ids in a batch of texts to be read, padding counted
_SHARES = tuple(i / 20 for i in range(21))  # of the n-grams in (1)
_COLDEST, _HOTTEST = 0.1, 20.0


class ClassModel(nn.Module):
    """Nets that read alike, and n-grams beside them.

    (1) z = a z_net + b z_ngrams, z_net the mean over the nets
    (2) p = softmax z, or σ(z) of each label where a text may have several

    a and b are found on held-out texts: those of which the labels are likeliest. Without n-grams b = 0, and 1/a is the
    temperature.

    Args:
        nets: of one design.
        several: whether a text may have several labels.
    """

    def __init__(self, nets: Sequence[ClassNet], *, several: bool) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)
        self.several = several
        self.register_buffer("mixture", torch.tensor([1.0, 0.0]))

    mixture: Tensor

    @property
    def members(self) -> list[ClassNet]:
        """The nets."""
        return list(self.nets)  # type: ignore[arg-type]

    @property
    def net(self) -> ClassNet:
        """The first of the nets."""
        return self.members[0]

    def scores(self, texts: Sequence[NDArray[np.int32]]) -> Tensor:
        """z_net of each text, (N, K)."""
        return torch.stack([net_scores(net, texts) for net in self.members]).mean(0)

    def mixed(self, net_NK: Tensor, ngrams_NK: Tensor | None) -> Tensor:
        """z of (1)."""
        mixed_NK: Tensor = self.mixture[0] * net_NK
        return mixed_NK if ngrams_NK is None else mixed_NK + self.mixture[1] * ngrams_NK

    def probability(self, z_NK: Tensor) -> Tensor:
        """(2)"""
        return z_NK.sigmoid() if self.several else z_NK.softmax(1)

    def calibrate(self, net_NK: Tensor, ngrams_NK: Tensor | None, targets_NK: Tensor) -> None:
        """Find a and b."""
        a, b = mixture(net_NK, ngrams_NK, targets_NK, several=self.several)
        self.mixture.copy_(torch.tensor([a, b]))


def mixture(net_NK: Tensor, ngrams_NK: Tensor | None, targets_NK: Tensor, *, several: bool) -> tuple[float, float]:
    """a and b of `ClassModel` (1); b = 0 without n-grams.

    For each share b / (a + b) the sum a + b is that with which the labels are likeliest; the share is that with the
    least Brier score, which a few probabilities that are far off sway less.
    """
    beside_NK = torch.zeros_like(net_NK) if ngrams_NK is None else ngrams_NK

    def nll(a: float, b: float) -> float:
        z_NK = a * net_NK.double() + b * beside_NK.double()
        told = float(negative_log_likelihood(z_NK, targets_NK, several=several).sum())
        return told + math.log(a + b) ** 2  # of few texts little is learned: how sure to be stays as it was

    found = []
    for share in _SHARES if ngrams_NK is not None else (0.0,):
        own = 1 - share
        t = least_temperature(lambda t, s=share, o=own: nll(o / t, s / t), low=_COLDEST, high=_HOTTEST)  # type: ignore[misc]
        z_NK = (own * net_NK.double() + share * beside_NK.double()) / t
        p_NK = z_NK.sigmoid() if several else z_NK.softmax(1)
        found.append((float((p_NK - targets_NK).square().sum()), own / t, share / t))
    _, a, b = min(found)
    return a, b


@torch.inference_mode()
def net_scores(net: ClassNet, texts: Sequence[NDArray[np.int32]]) -> Tensor:
    """z of each text, (N, K), those of like length read together."""
    found_NK = torch.zeros((len(texts), net.design.labels))
    source = TextSource(texts, found_NK)
    was_training = net.training
    net.eval()
    for rows in by_length(source.lengths, _AT_ONCE):
        batch = source.batch(rows)
        found_NK[rows] = net(batch.ids, batch.lengths).float()
    net.train(was_training)
    return found_NK


def negative_log_likelihood(z_NK: Tensor, targets_NK: Tensor, *, several: bool) -> Tensor:
    """−log p of each text's labels, (N,)."""
    targets_NK = targets_NK.to(z_NK.dtype)
    if several:
        return nn.functional.binary_cross_entropy_with_logits(z_NK, targets_NK, reduction="none").sum(1)
    return -(z_NK.log_softmax(1) * targets_NK).sum(1)


class Trainee(nn.Module):
    """A net while it is trained: each label counts as much as its weight says.

    Args:
        weights_K: of the labels; where a text may have several, of a label that is there against one that is not.
    """

    def __init__(self, net: ClassNet, weights_K: Tensor | None, *, several: bool) -> None:
        super().__init__()
        self.net = net
        self.several = several
        self.weights_K = weights_K

    def loss(self, batch: TextBatch) -> SequenceLoss:
        """−log p of the labels, a text; weighted in training alone."""
        z_BK = self.net(batch.ids, batch.lengths).float()
        if not self.training or self.weights_K is None:
            nll_B = negative_log_likelihood(z_BK, batch.targets, several=self.several)
            return SequenceLoss(nll_B.mean(), len(nll_B))
        if self.several:
            nll_B = nn.functional.binary_cross_entropy_with_logits(
                z_BK, batch.targets, pos_weight=self.weights_K, reduction="none"
            ).sum(1)
            return SequenceLoss(nll_B.mean(), len(nll_B))
        weight_B = batch.targets @ self.weights_K
        nll_B = negative_log_likelihood(z_BK, batch.targets, several=False)
        total = float(weight_B.sum())
        return SequenceLoss((nll_B * weight_B).sum() / total, total)
