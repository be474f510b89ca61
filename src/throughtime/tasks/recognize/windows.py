"""What windows around each step hold: the figures that a net which reads both ways may see beside the samples.

Axes in names: T time, B batch, C channels, F figures.
"""

import torch
from torch import Tensor, nn

PARTS = (6, 2, 1)
"""The windows reach a sixth, a half and all of the seconds that are asked for, before each step and after it."""
FIGURES = 5
"""Mean, deviation, least and largest value, and mean change from step to step."""
_LEAST = 1e-6  # a variance has no gradient at 0


def radii_of(seconds: float, rate: float) -> tuple[int, ...]:
    """Steps that the windows reach."""
    return tuple(max(1, round(seconds / part * rate)) for part in PARTS)


def windowed(x_TBC: Tensor, lengths_B: Tensor, radii: tuple[int, ...]) -> Tensor:
    """(T, B, F): the figures of each channel in each window, over valid steps alone; zeros past a length."""
    T = x_TBC.shape[0]
    valid_TB1 = (torch.arange(T, device=x_TBC.device).unsqueeze(1) < lengths_B.to(x_TBC.device)).unsqueeze(2)
    x_TBC = x_TBC.where(valid_TB1, 0.0)
    change_TBC = nn.functional.pad((x_TBC[1:] - x_TBC[:-1]).abs(), (0, 0, 0, 0, 1, 0))
    found = []
    for radius in radii:
        share_TB1 = _mean(valid_TB1.to(x_TBC.dtype), radius).clamp(min=_LEAST)
        mean_TBC = _mean(x_TBC, radius) / share_TB1
        variance_TBC = _mean(x_TBC.square(), radius) / share_TB1 - mean_TBC.square()
        found += [
            mean_TBC,
            (variance_TBC.clamp(min=0) + _LEAST).sqrt(),
            -_largest((-x_TBC).where(valid_TB1, -torch.inf), radius),
            _largest(x_TBC.where(valid_TB1, -torch.inf), radius),
            _mean(change_TBC.where(valid_TB1, 0.0), radius) / share_TB1,
        ]
    return torch.cat(found, 2).where(valid_TB1, 0.0)


def _mean(x_TBC: Tensor, radius: int) -> Tensor:
    """Of windows in which what lies outside is zero."""
    return nn.functional.avg_pool1d(x_TBC.permute(1, 2, 0), 2 * radius + 1, 1, radius).permute(2, 0, 1)


def _largest(x_TBC: Tensor, radius: int) -> Tensor:
    x_BCT = x_TBC.permute(1, 2, 0)
    if torch.compiler.is_compiling():  # an export of max_pool1d, which is 10 times as fast, fixes the number of steps
        x_BC1T = x_BCT.unsqueeze(2)
        return nn.functional.max_pool2d(x_BC1T, (1, 2 * radius + 1), 1, (0, radius)).squeeze(2).permute(2, 0, 1)
    return nn.functional.max_pool1d(x_BCT, 2 * radius + 1, 1, radius).permute(2, 0, 1)
