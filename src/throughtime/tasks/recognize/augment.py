"""What is changed at random in training clips, so that a net does not learn who or where it was.

Axes in names: S steps, C channels, K colours, H height, W width. Random numbers are torch's own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Augmentation:
    """How much.

    Attributes:
        jitter: deviation of noise on every sample, in deviations of its channel.
        scaling: of a factor on a whole clip: deviation of its logarithm.
        warp: how much faster or slower a clip may go: 0.2 for from 1/1.2 to 1.2 times.
        rotation: degrees, at most, of channels x, y, z about a random axis, and of x, y in their plane.
        crop: share of an image by which a clip may be moved.
        flip: mirror half of the clips, left for right.
        colour: how much brightness and contrast of a clip may differ.
        spaces: the channels that are x, y and z, or x and y, of one sensor.
    """

    jitter: float = 0.0
    scaling: float = 0.0
    warp: float = 0.0
    rotation: float = 0.0
    crop: float = 0.0
    flip: bool = False
    colour: float = 0.0
    spaces: tuple[tuple[int, ...], ...] = ()

    def samples(self, x_SC: Tensor, mean_C: Tensor, deviation_C: Tensor) -> Tensor:
        """A clip of samples, changed; a rotation needs them as they were measured."""
        if self.rotation and self.spaces:
            raw_SC = x_SC * deviation_C + mean_C
            turns = {axes: _rotation(math.radians(self.rotation), axes) for axes in {*map(len, self.spaces)}}
            for space in self.spaces:
                raw_SC[:, list(space)] = raw_SC[:, list(space)] @ turns[len(space)].T
            x_SC = (raw_SC - mean_C) / deviation_C
        if self.scaling:
            x_SC = x_SC * torch.exp(self.scaling * torch.randn(()))
        if self.jitter:
            x_SC = x_SC + self.jitter * torch.randn_like(x_SC)
        return x_SC

    def warped(self, steps: int) -> Tensor:
        """Which step is read as which, (S',): the clip at another speed."""
        if not self.warp or steps < 2:
            return torch.arange(steps)
        speed = (1 + self.warp) ** float(torch.rand(()) * 2 - 1)
        count = max(2, round(steps / speed))
        return torch.linspace(0, steps - 1, count).round().long()

    def images(self, x_SKHW: Tensor) -> Tensor:
        """A clip of frames, changed; all its frames alike."""
        if self.crop:
            H, W = x_SKHW.shape[2:]
            down, across = (round(float(torch.rand(()) * 2 - 1) * self.crop * side) for side in (H, W))
            big = nn.functional.pad(x_SKHW.float(), (abs(across),) * 2 + (abs(down),) * 2, mode="replicate").to(
                torch.uint8
            )
            top, left = abs(down) + down, abs(across) + across
            x_SKHW = big[:, :, top : top + H, left : left + W]
        if self.flip and float(torch.rand(())) < 0.5:
            x_SKHW = x_SKHW.flip(3)
        if self.colour:
            contrast, bright = (float(torch.rand(()) * 2 - 1) * self.colour for _ in range(2))
            x_SKHW = ((x_SKHW.float() - 128) * (1 + contrast) + 128 + 128 * bright).clamp(0, 255).to(torch.uint8)
        return x_SKHW


def spaces_of(channels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Channels that are named alike but for one x, y, z, such as x_acc, y_acc, z_acc; or for x, y alone.

    >>> spaces_of(["x_acc", "y_acc", "z_acc", "heart", "hand.X", "hand.Y"])
    ((0, 1, 2), (4, 5))
    """
    lower = [name.lower() for name in channels]
    found = []
    for i, name in enumerate(lower):
        for at in (at for at, letter in enumerate(name) if letter == "x"):
            y, z = (name[:at] + other + name[at + 1 :] for other in "yz")
            if y in lower:
                found.append((i, lower.index(y), *([lower.index(z)] if z in lower else [])))
                break
    return tuple(found)


def _rotation(most: float, axes: int) -> Tensor:
    """A random rotation (axes, axes) by at most so many radians; of three axes by Rodrigues' formula."""
    angle = most * float(torch.rand(()) * 2 - 1)
    if axes == 2:
        return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    x, y, z = nn.functional.normalize(torch.randn(3), dim=0).tolist()
    k = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return torch.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * (k @ k)
