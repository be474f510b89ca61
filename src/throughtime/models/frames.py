"""Images to vectors, for what comes frame by frame.

Axes in names: N images, K channels, H height, W width, E features.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.nn.arguments import check_size

__all__ = ["FrameEncoder"]

_GROUPS = 4
_MOMENTUM = 0.1


class FrameEncoder(nn.Module):
    """A small convolutional net: an image in, a vector out.

    Blocks of a 3 × 3 convolution with stride 2, a normalisation over groups of channels, and a ReLU; then one linear
    map of all that is left, which keeps *where* something is: motion is a change of place. The normalisation sees one
    image alone. Last, each feature is centred and scaled by its mean and deviation over the training images: what all
    images have in common, the ground above all, would hide how little they differ. These are fixed in evaluation, so
    that a frame's vector is the same in a clip, in a batch and in a stream.

    **Shapes** images (N, K, H, W), output (N, E).

    Args:
        channels: K.
        height: H.
        width: W.
        features: E.
        widths: channels after each block.

    **Raises** ArgumentError: a size below 1, or an image that is smaller than the blocks halve it.

    **Source** [Ioffe2015] for the last.

    >>> import torch
    >>> tuple(FrameEncoder(1, 24, 32, 16, widths=(8, 8))(torch.zeros(5, 1, 24, 32)).shape)
    (5, 16)
    """

    def __init__(
        self, channels: int, height: int, width: int, features: int, *, widths: Sequence[int] = (16, 32, 32)
    ) -> None:
        super().__init__()
        who = "FrameEncoder"
        for name, value in (("channels", channels), ("height", height), ("width", width), ("features", features)):
            check_size(who, name, value)
        if min(height, width) < 2 ** len(widths):
            raise ArgumentError(
                f"{who}: expected images of at least {2 ** len(widths)} pixels a side, got {height} x {width}; "
                "make them larger or pass fewer widths"
            )
        self.features = features
        blocks: list[nn.Module] = []
        for before, after in zip((channels, *widths), widths, strict=False):
            check_size(who, "widths", after)
            blocks += [
                nn.Conv2d(before, after, 3, stride=2, padding=1),
                nn.GroupNorm(_GROUPS if after % _GROUPS == 0 else 1, after),
                nn.ReLU(),
            ]
            height, width = (height + 1) // 2, (width + 1) // 2
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Linear((widths[-1] if widths else channels) * height * width, features)
        self.norm = nn.BatchNorm1d(features)

    def forward(self, images: Tensor) -> Tensor:
        """The vector of each image."""
        found_NE = self.project(self.blocks(images).flatten(1))
        norm = self.norm
        if self.training:
            if len(images) < 2:  # which has no deviation of its own
                return nn.functional.batch_norm(
                    found_NE, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
                )
            # At first the mean of all batches so far, so that short trainings count, too.
            norm.momentum = max(_MOMENTUM, 1 / (int(norm.num_batches_tracked) + 1))  # type: ignore[arg-type]
        normed_NE: Tensor = norm(found_NE)
        return normed_NE
