"""The net of a recognizer: samples or frames in, a score of every label out.

Axes in names: T time, B batch, C channels, K colours, H height, W width, E features of a frame, F features of the
stack, L labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from throughtime.models.frames import FrameEncoder
from throughtime.models.pooling import make_pooling
from throughtime.models.residual import ResidualStack
from throughtime.nn.time_distributed import TimeDistributed
from throughtime.tasks.recognize.windows import FIGURES, windowed


@dataclass(frozen=True)
class ActivityDesign:
    """The sizes of an `ActivityNet`.

    Attributes:
        labels: L.
        aligned: a score at every step, not one a clip.
        channels: C; 0 for frames.
        image: (height, width, colours) of frames.
        features: E.
        cell: of `throughtime.nn.layers.LAYERS`.
        hidden_size: units of a layer and direction.
        radii: steps that windows reach whose figures are read beside the samples; none where empty.
        pooling: from all steps to one vector, as `Classifier` has it; unused where aligned.
    """

    labels: int
    aligned: bool
    channels: int = 0
    image: tuple[int, int, int] | None = None
    features: int = 64
    cell: str = "gru"
    hidden_size: int = 64
    num_layers: int = 2
    bidirectional: bool = True
    residual: bool = True
    dropout: float = 0.2
    pooling: str = "mean"
    radii: tuple[int, ...] = ()


class ActivityNet(nn.Module):
    """(1) e = encoder(frame), or the samples as they are; (2) h = residual recurrent stack over e; (3) z = W h + b.

    Where a clip has one label, h in (3) is pooled over the steps. A net that reads both ways may see figures of windows
    around each step beside its samples.
    """

    def __init__(self, design: ActivityDesign) -> None:
        super().__init__()
        d = self.design = design
        self.encoder: TimeDistributed | None = None
        self.image_mean, self.image_deviation = 128.0, 64.0
        size = d.channels
        if d.image is not None:
            height, width, colours = d.image
            self.encoder = TimeDistributed(FrameEncoder(colours, height, width, d.features))
            size = d.features
        # Of the windows' figures in the training data, by which they are scaled.
        figures = d.channels * FIGURES * len(d.radii)
        self.register_buffer("figure_mean", torch.zeros(figures))
        self.register_buffer("figure_deviation", torch.ones(figures))
        size += figures
        self.recurrent = ResidualStack(
            size, d.hidden_size, d.num_layers, cell=d.cell, bidirectional=d.bidirectional, dropout=d.dropout,
            residual=d.residual,
        )  # fmt: skip
        self.pooling: nn.Module | None = None
        features = self.recurrent.output_size
        if not d.aligned:
            self.pooling, features = make_pooling(d.pooling, features, bidirectional=d.bidirectional)
        self.dropout = nn.Dropout(d.dropout)
        self.head = nn.Linear(features, d.labels)
        # Of the probabilities: found on recordings that were held out.
        self.register_buffer("temperature", torch.tensor(1.0))

    temperature: Tensor
    figure_mean: Tensor
    figure_deviation: Tensor

    def encode(self, x: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """(T, B, C) samples as they are, or frames (T, B, K, H, W) as vectors (T, B, E)."""
        if self.encoder is None:
            return x
        scaled = (x.float() - self.image_mean) / self.image_deviation
        found: Tensor = self.encoder(scaled, lengths_B)
        return found

    def forward(self, x: Tensor, lengths_B: Tensor) -> Tensor:
        """z (T, B, L), or (B, L) of whole clips."""
        return self.scored(self.encode(x, lengths_B), lengths_B)

    def scored(self, e_TBE: Tensor, lengths_B: Tensor) -> Tensor:
        """z of encoded steps."""
        if self.design.radii:
            figures_TBF = windowed(e_TBE, lengths_B, self.design.radii)
            e_TBE = torch.cat((e_TBE, (figures_TBF - self.figure_mean) / self.figure_deviation), 2)
        h_TBF, _ = self.recurrent(e_TBE, lengths=lengths_B)
        pooled = h_TBF if self.pooling is None else self.pooling(h_TBF, lengths_B)
        z: Tensor = self.head(self.dropout(pooled))
        return z

    def probability(self, z: Tensor) -> Tensor:
        """p of the last axis."""
        return (z.float() / self.temperature).softmax(-1)
