"""What a recognizer has to beat: a classifier of figures that are the same if time goes backwards, and
the label that is most frequent.

Axes in names: S steps, C channels, F figures, N rows, K labels.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

_SIDE = 8  # of the thumbnails that stand for frames
_MOST_ROWS = 20_000
_PENALTY = 1e-3
_STEPS = 60
SECONDS = 1.0
"""Before and after a step, of the window whose figures are read there."""


def figures(x: Tensor, radius: int | None) -> Tensor:
    """Mean, deviation, least and largest value of each channel, and its mean step: (1, F) of a clip, or (S, F).

    Args:
        x: (S, C), or (S, K, H, W), of which a grey thumbnail is read.
        radius: steps before and after each one; None: all of the clip.
    """
    if x.dim() == 4:
        x = nn.functional.adaptive_avg_pool2d(x.float().mean(1, keepdim=True) / 64 - 2, _SIDE).flatten(1)
    steps_SC = nn.functional.pad((x[1:] - x[:-1]).abs(), (0, 0, 1, 0))
    if radius is None:
        parts = [x.mean(0), x.std(0, correction=0), x.amin(0), x.amax(0), steps_SC.mean(0)]
        return torch.cat(parts)[None]

    def pooled(values_SC: Tensor) -> Tensor:
        found = nn.functional.avg_pool1d(values_SC.T[None], 2 * radius + 1, 1, radius, count_include_pad=False)
        return found[0].T

    def largest(values_SC: Tensor) -> Tensor:
        return nn.functional.max_pool1d(values_SC.T[None], 2 * radius + 1, 1, radius)[0].T

    mean = pooled(x)
    deviation = (pooled(x.square()) - mean.square()).clamp(min=0).sqrt()
    return torch.cat((mean, deviation, -largest(-x), largest(x), pooled(steps_SC)), dim=1)


class Baseline(nn.Module):
    """Softmax regression on `figures`, and how often each label occurs.

    Args:
        count: F.
        labels: K.
        radius: of `figures`.
    """

    def __init__(self, count: int, labels: int, radius: int | None) -> None:
        super().__init__()
        self.radius = radius
        self.linear = nn.Linear(count, labels)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))
        self.register_buffer("frequent", torch.full((labels,), 1 / labels))

    mean: Tensor
    deviation: Tensor
    frequent: Tensor

    @classmethod
    def fit(
        cls, x: Sequence[Tensor], targets: Sequence[Tensor], labels: int, radius: int | None, seed: int
    ) -> "Baseline":
        """Of training recordings; `targets` a number each, or one of each step."""
        rows = torch.cat([figures(one, radius) for one in x])
        target_N = torch.cat([target.reshape(-1) for target in targets])
        found = cls(rows.shape[1], labels, radius)
        found.frequent = torch.bincount(target_N, minlength=labels) / len(target_N)
        if len(rows) > _MOST_ROWS:
            kept = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:_MOST_ROWS]
            rows, target_N = rows[kept], target_N[kept]
        found.mean, found.deviation = rows.mean(0), rows.std(0, correction=0).clamp(min=1e-6)
        rows = (rows - found.mean) / found.deviation
        with torch.enable_grad():
            nn.init.zeros_(found.linear.weight)
            nn.init.zeros_(found.linear.bias)
            optimizer = torch.optim.LBFGS(found.linear.parameters(), max_iter=_STEPS, line_search_fn="strong_wolfe")

            def loss() -> float:
                optimizer.zero_grad()
                value = nn.functional.cross_entropy(found.linear(rows), target_N)
                value = value + _PENALTY * found.linear.weight.square().sum()
                value.backward()  # type: ignore[no-untyped-call]
                return value.item()

            optimizer.step(loss)  # type: ignore[no-untyped-call]
        return found.requires_grad_(False)

    def probability(self, x: Tensor) -> Tensor:
        """(1, K) of a clip, or (S, K)."""
        found: Tensor = self.linear((figures(x, self.radius) - self.mean) / self.deviation).softmax(-1)
        return found

    def tensors(self) -> dict[str, np.ndarray]:
        """Its numbers, for a model folder."""
        return {f"baseline.{name}": value.numpy().copy() for name, value in self.state_dict().items()}

    @classmethod
    def from_tensors(cls, arrays: Mapping[str, np.ndarray], radius: int | None) -> "Baseline":
        """The reverse of `tensors`; parts that do not fit raise LookupError or RuntimeError."""
        labels, count = arrays["baseline.linear.weight"].shape
        found = cls(int(count), int(labels), radius)
        found.load_state_dict(
            {name: torch.from_numpy(arrays[f"baseline.{name}"].copy()) for name in found.state_dict()}
        )
        return found.requires_grad_(False)
