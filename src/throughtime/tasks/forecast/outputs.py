"""What a net says about a step: a value, quantiles, or a distribution; how that is judged, and how it is read.

    mse, mae, huber      one number: the mean, the median, between the two (they part beyond an error of 1)
    quantiles            one number for each of LEVELS; judged by the pinball loss
    gaussian             location μ, width σ
    student-t            location μ, width σ, degrees of freedom ν between 2 and 100
    negative-binomial    mean m, dispersion α: counts with variance m + α m²

Everything is in scaled units, y = level + scale · x. Raw numbers stand on the last axis, (..., R); the axes before it
are whatever a strategy has, and `scale` is anything that broadcasts against them. Raw zeros are a sensible beginning:
shifted by an anchor, they are a forecast whose point is the anchor.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from throughtime.errors import DataError
from throughtime.tasks.forecast.quantile_functions import (
    LEAST_DF,
    MOST_DF,
    negative_binomial_quantiles,
    normal_quantiles,
    student_t_quantiles,
)

LEVELS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99)
_ONE = math.log(math.e - 1.0)  # softplus(_ONE) = 1
_FIRST_DF = 6.0
# A width below a thousandth of the scale would make the loss of one lucky window outweigh all others.
_LEAST_WIDTH = 1e-3
_LEAST_DISPERSION = 1e-6
_LEAST_MEAN = 1e-2  # the anchor of an intermittent series may be 0, whose logarithm no net can leave


class Output:
    """One number a step, and the loss that says what it stands for.

    Attributes:
        name: how the loss is called among a forecaster's options.
        size: R, raw numbers a step.
        counts: whether y must be whole numbers from 0, scaled with level 0.
    """

    counts: ClassVar[bool] = False

    def __init__(self, name: str, size: int = 1) -> None:
        self.name = name
        self.size = size

    def loss(self, raw: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """Element by element, (...). A missing target must be given as a number, and its element left out after."""
        error = raw[..., 0] - target
        if self.name == "mse":
            return error.square()
        return error.abs() if self.name == "mae" else F.huber_loss(raw[..., 0], target, reduction="none")

    def shift(self, raw: Tensor, anchor: Tensor) -> Tensor:
        """The raw numbers of the same forecast moved up by an anchor (...)."""
        return raw + anchor.unsqueeze(-1)

    def point(self, raw: Tensor) -> Tensor:
        """The point forecast (...): the mean for "mse", the median for "mae", between the two for "huber"."""
        return raw[..., 0]

    def check(self, values: NDArray[np.float64], who: str) -> None:
        """Refuse values that this output cannot describe.

        Raises:
            DataError: one of them is negative or no whole number, where the output is for counts; NaN is allowed.
        """
        if not self.counts:
            return
        wrong = values[np.isfinite(values) & ((values < 0) | (values != np.rint(values)))]
        if len(wrong):
            raise DataError(
                f"{who}: expected counts (whole numbers from 0) for loss 'negative-binomial', got {wrong[0]:g}; "
                "choose another loss, as 'student-t' or 'quantiles'"
            )


class Distribution(Output):
    """An output that knows more than a point."""

    def quantiles(self, raw: Tensor, q: Sequence[float], scale: Tensor) -> Tensor:
        """The quantiles (..., Q), rising with q."""
        raise AssertionError("a distribution has quantiles")

    def sample(self, raw: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of every element, (...)."""
        raise AssertionError("a distribution can be drawn from")


class Quantiles(Distribution):
    """The quantiles at LEVELS themselves. The point forecast is the median.

    (1) loss = 2 · mean over q of max(q e, (q − 1) e), e = target − quantile
    (2) between and beyond the levels, a quantile is linear in the normal distribution's z(q)

    Quantiles that cross are put in order where they are read, which never makes the loss larger.

    **Source** [Koenker1978]; the order, [Chernozhukov2010].
    """

    def __init__(self) -> None:
        super().__init__("quantiles", len(LEVELS))

    def loss(self, raw: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """Twice the mean pinball loss, which at the median alone is the absolute error: (...)."""
        q = torch.tensor(LEVELS, dtype=raw.dtype, device=raw.device)
        error = target.unsqueeze(-1) - raw
        return 2.0 * torch.maximum(q * error, (q - 1.0) * error).mean(-1)

    def point(self, raw: Tensor) -> Tensor:
        """The median (...)."""
        return raw.sort(dim=-1).values[..., LEVELS.index(0.5)]

    def quantiles(self, raw: Tensor, q: Sequence[float], scale: Tensor) -> Tensor:
        """The quantiles (..., Q)."""
        return self._read(raw, normal_quantiles(q, raw).expand(*raw.shape[:-1], len(q)))

    def sample(self, raw: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
        """The quantile at a level drawn evenly from (0, 1), (...)."""
        z = torch.randn(raw.shape[:-1], generator=generator, dtype=raw.dtype, device=raw.device)
        return self._read(raw, z.unsqueeze(-1)).squeeze(-1)

    def _read(self, raw: Tensor, z: Tensor) -> Tensor:
        """The quantiles at z(q), (..., Q)."""
        at = normal_quantiles(LEVELS, raw)
        ordered = raw.sort(dim=-1).values
        left = (torch.searchsorted(at, z.contiguous()) - 1).clamp(0, len(LEVELS) - 2)
        low, high = ordered.gather(-1, left), ordered.gather(-1, left + 1)
        return low + (high - low) * (z - at[left]) / (at[left + 1] - at[left])


class Gaussian(Distribution):
    """A normal distribution. The point forecast is its mean, which is its median.

    (1) μ = raw_0,  σ = softplus(raw_1 + c) + 0.001, with σ ≈ 1 at raw zero
    (2) loss = log σ + ((x − μ) / σ)² / 2 + log(2π) / 2
    """

    def __init__(self) -> None:
        super().__init__("gaussian", 2)

    def width(self, raw: Tensor) -> Tensor:
        """σ (...)."""
        return F.softplus(raw[..., 1] + _ONE) + _LEAST_WIDTH

    def loss(self, raw: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """The negative log-density of the scaled value, (...)."""
        width = self.width(raw)
        return torch.log(width) + ((target - raw[..., 0]) / width).square() / 2.0 + math.log(2.0 * math.pi) / 2.0

    def shift(self, raw: Tensor, anchor: Tensor) -> Tensor:
        """The location alone moves."""
        return torch.cat((raw[..., :1] + anchor.unsqueeze(-1), raw[..., 1:]), dim=-1)

    def quantiles(self, raw: Tensor, q: Sequence[float], scale: Tensor) -> Tensor:
        """The quantiles (..., Q)."""
        return raw[..., :1] + self.width(raw).unsqueeze(-1) * normal_quantiles(q, raw)

    def sample(self, raw: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of every element, (...)."""
        z = torch.randn(raw.shape[:-1], generator=generator, dtype=raw.dtype, device=raw.device)
        return raw[..., 0] + self.width(raw) * z


class StudentT(Gaussian):
    """Student's t distribution, moved and widened. The point forecast is its mean, which is its median.

    (1) μ, σ as `Gaussian`'s;  ν = 2 + 98 · sigmoid(raw_2 + c), with ν = 6 at raw zero
    (2) loss = log σ + log B(1/2, ν/2) + log(ν) / 2 + (ν + 1) / 2 · log(1 + z² / ν),  z = (x − μ) / σ
    """

    def __init__(self) -> None:
        super().__init__()
        self.name, self.size = "student-t", 3

    def degrees_of_freedom(self, raw: Tensor) -> Tensor:
        """ν (...)."""
        first = math.log((_FIRST_DF - LEAST_DF) / (MOST_DF - _FIRST_DF))
        return LEAST_DF + (MOST_DF - LEAST_DF) * torch.sigmoid(raw[..., 2] + first)

    def loss(self, raw: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """The negative log-density of the scaled value, (...)."""
        width, df = self.width(raw), self.degrees_of_freedom(raw)
        z = (target - raw[..., 0]) / width
        beta = torch.lgamma(df / 2.0) - torch.lgamma((df + 1.0) / 2.0) + math.log(math.pi) / 2.0
        return torch.log(width) + beta + torch.log(df) / 2.0 + (df + 1.0) / 2.0 * torch.log1p(z.square() / df)

    def quantiles(self, raw: Tensor, q: Sequence[float], scale: Tensor) -> Tensor:
        """The quantiles (..., Q)."""
        t = student_t_quantiles(q, self.degrees_of_freedom(raw))
        return raw[..., :1] + self.width(raw).unsqueeze(-1) * t

    def sample(self, raw: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of every element, (...), from two uniform numbers ([Bailey1994])."""
        u, v = torch.rand((2, *raw.shape[:-1]), generator=generator, dtype=torch.float64, device=raw.device)
        df = self.degrees_of_freedom(raw).to(torch.float64)
        # 1 - u lies in (0, 1]; expm1 keeps the digits where it is near 1.
        t = torch.sqrt(df * torch.expm1(-2.0 / df * torch.log1p(-u))) * torch.cos(2.0 * math.pi * v)
        return raw[..., 0] + self.width(raw) * t.to(raw.dtype)


class NegativeBinomial(Distribution):
    """Counts. The point forecast is the mean.

    (1) m = scale · softplus(raw_0),  α = softplus(raw_1 + c) + 1e-6, with α ≈ 1/2 at raw zero
    (2) loss = −log Γ(y + 1/α) + log Γ(1/α) + log y! + (y + 1/α) log(1 + α m) − y log(α m),  y = scale · x

    The loss is that of the count, and computed in float64: 1/α may be a million, whose log Γ leaves float32 no digits.
    """

    counts = True

    def __init__(self) -> None:
        super().__init__("negative-binomial", 2)

    def dispersion(self, raw: Tensor) -> Tensor:
        """α (...): the variance of the count beyond a Poisson's, over the squared mean."""
        return F.softplus(raw[..., 1] + math.log(math.exp(0.5) - 1.0)) + _LEAST_DISPERSION

    def loss(self, raw: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """The negative log-probability of the count, (...)."""
        exact = raw.to(torch.float64)
        scale = scale.to(torch.float64)
        y = torch.round(target.to(torch.float64) * scale)
        alpha = self.dispersion(exact)
        r = 1.0 / alpha
        log_mean = _log_softplus(exact[..., 0]) + torch.log(scale)
        log_odds = log_mean + torch.log(alpha)
        ways = torch.lgamma(y + r) - torch.lgamma(r) - torch.lgamma(y + 1.0)
        return ((y + r) * F.softplus(log_odds) - y * log_odds - ways).to(raw.dtype)

    def shift(self, raw: Tensor, anchor: Tensor) -> Tensor:
        """The mean at raw zero becomes the anchor, or 0.01 where that is less."""
        floor = anchor.clamp(min=_LEAST_MEAN)
        inverse = floor + torch.log(-torch.expm1(-floor))  # of softplus
        return torch.cat((raw[..., :1] + inverse.unsqueeze(-1), raw[..., 1:]), dim=-1)

    def point(self, raw: Tensor) -> Tensor:
        """The mean (...)."""
        return F.softplus(raw[..., 0])

    def quantiles(self, raw: Tensor, q: Sequence[float], scale: Tensor) -> Tensor:
        """Whole counts over the scale, (..., Q)."""
        scale = scale.expand(raw.shape[:-1]).to(torch.float64)
        exact = raw.to(torch.float64)
        counts = negative_binomial_quantiles(q, scale * self.point(exact), self.dispersion(exact))
        return (counts / scale.unsqueeze(-1)).to(raw.dtype)

    def sample(self, raw: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
        """A whole count over the scale, (...)."""
        scale = scale.detach().expand(raw.shape[:-1]).to(torch.float64).cpu()
        exact = raw.detach().to(torch.float64).cpu()
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        r, odds = 1.0 / self.dispersion(exact), self.dispersion(exact) * scale * self.point(exact)
        draw = np.random.Generator(np.random.PCG64(seed)).negative_binomial(r.numpy(), (1.0 / (1.0 + odds)).numpy())
        return (torch.as_tensor(draw, dtype=torch.float64) / scale).to(raw)


def _log_softplus(x: Tensor) -> Tensor:
    """log(log(1 + exp x)), which far to the left is x itself."""
    return torch.where(x < -30.0, x, torch.log(F.softplus(x.clamp(min=-30.0))))


_POINTS = ("mse", "mae", "huber")
_DISTRIBUTIONS: dict[str, type[Distribution]] = {
    "quantiles": Quantiles,
    "gaussian": Gaussian,
    "student-t": StudentT,
    "negative-binomial": NegativeBinomial,
}
OUTPUTS = (*_POINTS, *_DISTRIBUTIONS)


def output_named(name: str) -> Output:
    """The output of one of OUTPUTS."""
    return Output(name) if name in _POINTS else _DISTRIBUTIONS[name]()  # type: ignore[call-arg]
