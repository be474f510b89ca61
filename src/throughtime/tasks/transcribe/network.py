"""The net: features in, log-probabilities of every symbol out, whole or in pieces.

Axes in names: T frames, S steps (frames joined), B clips, M features of a frame, C channels, F features, V symbols.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.nn.layers import LAYERS

__all__ = ["LOUD", "NORMALISATIONS", "SHAPE", "Design", "NetState", "SpeechNet"]

NORMALISATIONS = ("utterance", "running", "global")
_PRIOR = 20.0  # frames that the training data's mean counts beside an utterance's own
LOUD = 0.5
"""Of a frame's level, in the exponent of its weight: what is 9 dB below the loudest counts a third."""
SHAPE = 10.0
"""Loud frames that the training data's spectrum counts beside an utterance's own."""
_CHANNELS = (16, 32)
_KERNEL = 3  # frames, of both convolutions


@dataclass(frozen=True)
class Design:
    """What a net is made of.

    Args:
        features: M.
        symbols: V, the blank among them, which is number 0.
        mel: neighbouring features are neighbours in frequency, so that convolutions run over them too.
        subsampling: frames a step.
        tail: frames of 0 that follow a clip, for what is said late to be told.
        lookahead: steps of the future that an output sees, of a one-way net.
        loud, shape: a and n of (1) in `SpeechNet`.
    """

    features: int
    symbols: int
    mel: bool
    cell: str
    hidden_size: int
    num_layers: int
    bidirectional: bool
    subsampling: int
    tail: int
    lookahead: int
    normalise: str
    dropout: float
    loud: float
    shape: float


@dataclass
class NetState:
    """What a one-way net remembers between pieces of one row."""

    heard: Tensor
    """(1, 1, M + 2) what the mean of (1) is of: sums of weighted frames, of weights, of their squares, in float64."""
    first: Tensor
    """(1, C, 2, F) the frames before, as the first convolution sees them."""
    second: Tensor
    """The same of the second, and as many frames more as do not make a step yet."""
    skip: int
    """Frames to come that no step sees, where a step is longer than what the convolution looks at."""
    recurrent: Any
    ahead: Tensor
    """(S, 1, H) steps whose future has not come yet."""


class SpeechNet(nn.Module):
    """Recurrent layers over convolutions.

    (1) x' = (x − m) / s with m and s of the training data; then the clip's own mean μ is taken off: "utterance": of all
        its frames; "running": of those so far, the frame itself among them; "global": nothing is taken off.
        Of log-mel energies a frame's level l, the mean of its x', gives its weight, w = exp(a s l), so that silence
        counts for nothing, and the mean's own level is taken off whole, its spectrum's shape in part:
        μ = (Σ w x' + n v λ) / (Σ w + n v) with λ = Σ w l / Σ w, and v = Σ w² / Σ w, the weight of a loud frame; a is
        `LOUD`, n is `SHAPE`. Of other features μ = Σ x' / (frames + `_PRIOR`)
    (2) two convolutions over time and frequency, ReLU; they see frames before alone; the second one's step is
        `subsampling` frames
    (3) h = recurrent layers
    (4) of a one-way net with look-ahead a: h'_t = h_t + tanh(Σ_{0 ≤ k ≤ a} W_k h_{t+k} + b)
    (5) log softmax(W h + b)

    **Shapes** features (T, B, M), lengths (B,); output (S, B, V) with S = ⌈(T + tail) / subsampling⌉.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design = d = design
        self.register_buffer("mean", torch.zeros(d.features))
        self.register_buffer("scale", torch.ones(d.features))
        one, two = _CHANNELS
        wide = _KERNEL if d.mel else 1
        size = d.features
        if d.mel:
            self.first = nn.Conv2d(1, one, (_KERNEL, 5), stride=(1, 2), padding=(0, 2))
            size = (size - 1) // 2 + 1
            self.second = nn.Conv2d(one, two, (_KERNEL, wide), stride=(d.subsampling, 2), padding=(0, 1))
            size = ((size - 1) // 2 + 1) * two
        else:  # features are channels
            self.first = nn.Conv2d(size, d.hidden_size, (_KERNEL, 1))
            self.second = nn.Conv2d(d.hidden_size, d.hidden_size, (_KERNEL, 1), stride=(d.subsampling, 1))
            size = d.hidden_size
        between = d.dropout if d.num_layers > 1 else 0.0
        self.recurrent = LAYERS[d.cell](
            size, d.hidden_size, d.num_layers, dropout=between, bidirectional=d.bidirectional
        )
        out = d.hidden_size * (2 if d.bidirectional else 1)
        self.ahead = nn.Conv1d(out, out, d.lookahead + 1) if d.lookahead else None
        self.dropout = nn.Dropout(d.dropout)
        self.head = nn.Linear(out, d.symbols)

    def steps(self, frames: Tensor) -> Tensor:
        """S of so many frames."""
        return (frames + self.design.tail + self.design.subsampling - 1) // self.design.subsampling

    def standardised(self, x_TBM: Tensor) -> Tensor:
        """The first part of (1)."""
        return (x_TBM - self.mean) / self.scale

    def normalised(self, x_TBM: Tensor, lengths_B: Tensor) -> Tensor:
        """(1) of standardised frames, zero past each length."""
        valid_TB1 = (torch.arange(x_TBM.shape[0])[:, None] < lengths_B)[:, :, None]
        x_TBM = x_TBM.masked_fill(~valid_TB1, 0.0)
        if self.design.normalise == "global":
            return x_TBM
        heard_TBK = self._heard(x_TBM) * valid_TB1
        running = self.design.normalise == "running"
        heard_TBK = heard_TBK.cumsum(0) if running else heard_TBK.sum(0, keepdim=True)
        return (x_TBM - self._mean(heard_TBK)).masked_fill(~valid_TB1, 0.0)

    def _heard(self, x_TBM: Tensor) -> Tensor:
        """w x', w and w² of (1), side by side: K = M + 2."""
        x_TBM = x_TBM.double()
        if self.design.mel:
            w_TB1 = (x_TBM.mean(-1, keepdim=True) * (self.design.loud * self.scale[:1])).exp()
        else:
            w_TB1 = torch.ones_like(x_TBM[..., :1])
        return torch.cat((w_TB1 * x_TBM, w_TB1, w_TB1.square()), -1)

    def _mean(self, heard_TBK: Tensor) -> Tensor:
        """μ of (1), of sums of what `_heard` gives."""
        sums_TBM, weights_TB1, squares_TB1 = heard_TBK[..., :-2], heard_TBK[..., -2:-1], heard_TBK[..., -1:]
        if not self.design.mel:
            mean_TBM: Tensor = sums_TBM / (weights_TB1 + _PRIOR)
            return mean_TBM.to(self.mean.dtype)
        # Where nothing was heard all is 0, and so is the mean.
        weights_TB1 = weights_TB1.clamp_min(1e-300)
        level_TB1 = sums_TBM.mean(-1, keepdim=True) / weights_TB1
        shape_TB1 = self.design.shape * squares_TB1 / weights_TB1
        mean_TBM = (sums_TBM + shape_TB1 * level_TB1) / (weights_TB1 + shape_TB1)
        return mean_TBM.to(self.mean.dtype)

    def forward(self, x_TBM: Tensor, lengths_B: Tensor) -> Tensor:
        """Log-probabilities of whole clips."""
        return self.of_normalised(self.normalised(self.standardised(x_TBM), lengths_B), lengths_B)

    def of_normalised(self, x_TBM: Tensor, lengths_B: Tensor) -> Tensor:
        """(2) to (5)."""
        steps_B, lengths_B = self.steps(lengths_B), lengths_B + self.design.tail
        x_TBM = nn.functional.pad(x_TBM, (0, 0, 0, 0, 0, self.design.tail))
        x_BCTM = self._as_channels(x_TBM)
        x_BCTM = torch.relu(self.first(_before(x_BCTM)))
        # What a convolution makes of padding is not zero; the next one must not see it.
        x_BCTM = x_BCTM * (torch.arange(x_BCTM.shape[2]) < lengths_B[:, None])[:, None, :, None]
        x_SBF = self._as_steps(torch.relu(self.second(_before(x_BCTM))))
        h_SBH, _ = self.recurrent(self.dropout(x_SBF), lengths=steps_B)
        if self.ahead is not None:
            future_SBH = nn.functional.pad(h_SBH, (0, 0, 0, 0, 0, self.design.lookahead))
            h_SBH = self._looked_ahead(h_SBH, future_SBH)
        return self._told(h_SBH)

    def start(self) -> NetState:
        """The state before the first piece, of one row."""
        like = self.mean
        one = self._as_channels(like.new_zeros((2, 1, self.design.features)))
        width = self.first(_before(one)).shape
        return NetState(
            like.new_zeros((1, 1, self.design.features + 2), dtype=torch.float64), one,
            like.new_zeros((1, width[1], 2, width[3])), 0, None, like.new_zeros((0, 1, self.design.hidden_size)),
        )  # fmt: skip

    def feed(self, x_TM: Tensor, state: NetState, *, last: bool = False) -> Tensor:
        """Log-probabilities (S, V) of the steps that these frames complete, the state moved on past them.

        Args:
            last: nothing comes after: what waits for a future is given none.
        """
        x_TBM = self.standardised(x_TM[:, None])
        if len(x_TBM) and self.design.normalise == "running":
            heard_TBK = self._heard(x_TBM).cumsum(0) + state.heard
            state.heard = heard_TBK[-1:]
            x_TBM = x_TBM - self._mean(heard_TBK)
        if last:
            x_TBM = nn.functional.pad(x_TBM, (0, 0, 0, 0, 0, self.design.tail))
        x_BCTM = torch.cat((state.first, self._as_channels(x_TBM)), dim=2)
        if len(x_TBM):
            state.first = x_BCTM[:, :, -2:]
            x_BCTM = torch.cat((state.second, torch.relu(self.first(x_BCTM))), dim=2)
        else:
            x_BCTM = state.second
        stride = self.design.subsampling
        seen = x_BCTM[:, :, state.skip :]
        steps = max((seen.shape[2] - _KERNEL) // stride + 1, 0)
        gone = steps * stride + state.skip
        state.second, state.skip = x_BCTM[:, :, gone:], max(gone - x_BCTM.shape[2], 0)
        h_SBH = state.ahead[:0]
        if steps:
            x_SBF = self._as_steps(torch.relu(self.second(seen)))
            h_SBH, state.recurrent = self.recurrent(x_SBF, state.recurrent)
        if self.ahead is not None:
            h_SBH = future_SBH = torch.cat((state.ahead, h_SBH))
            if last:
                future_SBH = nn.functional.pad(future_SBH, (0, 0, 0, 0, 0, self.design.lookahead))
            done = max(len(future_SBH) - self.design.lookahead, 0)
            state.ahead = h_SBH[done:]
            if not done:
                return self.mean.new_zeros((0, self.design.symbols))
            h_SBH = self._looked_ahead(h_SBH[:done], future_SBH)
        return self._told(h_SBH)[:, 0]

    def _as_channels(self, x_TBM: Tensor) -> Tensor:
        return x_TBM.permute(1, 0, 2)[:, None] if self.design.mel else x_TBM.permute(1, 2, 0)[..., None]

    def _as_steps(self, x_BCSM: Tensor) -> Tensor:
        return x_BCSM.permute(2, 0, 1, 3).flatten(2)

    def _looked_ahead(self, h_SBH: Tensor, future_SBH: Tensor) -> Tensor:
        assert self.ahead is not None
        return h_SBH + torch.tanh(self.ahead(future_SBH.permute(1, 2, 0))).permute(2, 0, 1)

    def _told(self, h_SBH: Tensor) -> Tensor:
        return self.head(self.dropout(h_SBH)).log_softmax(-1)  # type: ignore[no-any-return]


def _before(x_BCTM: Tensor) -> Tensor:
    """With frames of zero before it, as many as a convolution looks back."""
    return nn.functional.pad(x_BCTM, (0, 0, _KERNEL - 1, 0))
