"""The net of a forecaster: segments in, a residual recurrent stack, a context for each series, what is fed to them.

Axes in names: B windows, L steps of history, K steps of the horizon, s steps a segment, n = L/s segments of history,
H units, F numbers a step, E numbers of context, R numbers that describe one forecast value. Values are in scaled units.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.nn.layers import LAYERS

ANCHORS = ("auto", "level", "last", "seasonal", "smoothed")
_UNKNOWN = 0.1  # how often a series is shown in training as one never seen, so that a new one can be forecast


@dataclass(frozen=True)
class Design:
    """Everything that decides the shape of a net.

    Attributes:
        input_size: L, a multiple of `segment`.
        outputs: R.
        linear: whether a linear map of the history stands beside the recurrent layers.
        missing: whether the net is told which values were missing.
        n_series: series with an embedding of their own; 0: none has one.
        past, future, static: numbers a step, or a series, beside the values.
        categories: sizes of the vocabularies of the static categories, unknown included.
        lags: steps, each a season or several, by which past values are set beside the forecast; see `Direct`.
    """

    strategy: str
    cell: str
    hidden_size: int
    num_layers: int
    dropout: float
    horizon: int
    input_size: int
    segment: int
    anchor: str
    season_length: int
    outputs: int = 1
    linear: bool = False
    missing: bool = False
    n_series: int = 0
    past: int = 0
    future: int = 0
    static: int = 0
    categories: tuple[int, ...] = ()
    lags: tuple[int, ...] = ()

    @property
    def seasonal(self) -> bool:
        """Whether a segment is shorter than a season, so that the change over one is news to the net."""
        return self.segment < self.season_length < self.input_size

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**asdict(self), "categories": list(self.categories), "lags": list(self.lags)}


@dataclass(frozen=True)
class Batch:
    """Windows, aligned at their origins: a window that is younger than L has missing values in front.

    Attributes:
        values: (B, L + K), or (B, L) where the horizon is not known; filled where a value is missing.
        mask: of the same shape, 1 where a value was observed and 0 elsewhere; None: all were.
        scale: (B,) what one scaled unit is in the series' own.
        series: (B,) number of the series, 0 for one unknown; None where no net asks.
        past: (B, L, P); future: (B, L + K, F); static: (B, Q); categories: (B, C); None where there are none.
        history: L.
        anchor: (B, K) forecasts of exponential smoothing, for nets whose anchor they are; else None.
    """

    values: Tensor
    mask: Tensor | None
    scale: Tensor
    series: Tensor | None
    past: Tensor | None
    future: Tensor | None
    static: Tensor | None
    categories: Tensor | None
    history: int
    anchor: Tensor | None = None

    @property
    def history_BL(self) -> Tensor:
        """The values before the origin."""
        return self.values[:, : self.history]

    @property
    def horizon_BK(self) -> Tensor:
        """The values to forecast."""
        return self.values[:, self.history :]

    @property
    def horizon_mask(self) -> Tensor | None:
        """Where the horizon was observed."""
        return None if self.mask is None else self.mask[:, self.history :]


class SkipStack(nn.Module):
    """Recurrent layers on top of one another; from the second on, each adds to what it reads.

    (1) u^1 = layer_1(x),   u^l = u^{l−1} + drop(layer_l(u^{l−1}))

    No line in front and no normalisation, unlike `throughtime.models.ResidualStack`.

    **Shapes** x (T, B, I) → (T, B, H) and the state of each layer.
    """

    def __init__(self, cell: str, inputs: int, hidden_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        sizes = [inputs] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(LAYERS[cell](size, hidden_size) for size in sizes)
        self.drop = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x_TBI: Tensor, states: list[Any] | None = None) -> tuple[Tensor, list[Any]]:
        """All steps, from the states given (zeros where None)."""
        after: list[Any] = []
        u_TBH = x_TBI
        for number, layer in enumerate(self.layers):
            h_TBH, state = layer(u_TBH, None if states is None else states[number])
            u_TBH = h_TBH if number == 0 else u_TBH + self.drop(h_TBH)
            after.append(state)
        return u_TBH, after

    def step(self, x_BI: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        """One step."""
        after: list[Any] = []
        u_BH = x_BI
        for number, layer in enumerate(self.layers):
            recurrent: Any = layer
            h_BH, state = recurrent.step(u_BH, states[number])
            u_BH = h_BH if number == 0 else u_BH + self.drop(h_BH)
            after.append(state)
        return u_BH, after


class Context(nn.Module):
    """What is known of a series as a whole: its embedding, static numbers and static categories.

    Number 0 is a series, or a category, never seen. In training a series is shown as such one time in ten.
    """

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.series = _embedding(design.n_series + 1, _width(design.n_series)) if design.n_series else None
        self.categories = nn.ModuleList(_embedding(size, _width(size)) for size in design.categories)
        self.size = design.static + sum(_width(size) for size in design.categories)
        if self.series is not None:
            self.size += self.series.embedding_dim
            if not self.series.weight.is_meta:
                nn.init.normal_(self.series.weight, std=0.1)

    def forward(self, batch: Batch) -> Tensor | None:
        """(B, E), or None where nothing is known."""
        if not self.size:
            return None
        found: list[Tensor] = []
        if self.series is not None:
            assert batch.series is not None
            number = batch.series
            if self.training:
                number = torch.where(torch.rand(number.shape) < _UNKNOWN, 0, number)
            found.append(self.series(number))
        if batch.static is not None:
            found.append(batch.static)
        if batch.categories is not None:
            found += [embed(batch.categories[:, c]) for c, embed in enumerate(self.categories)]
        return torch.cat(found, dim=-1)


def _embedding(size: int, width: int) -> nn.Embedding:
    # A normal draw on the meta device, where a folder's shapes are checked, makes torch import its compiler: 1.3 s.
    if torch.empty(0).is_meta:
        return nn.Embedding(size, width, _weight=torch.empty(size, width))
    return nn.Embedding(size, width)


def _width(vocabulary: int) -> int:
    return min(32, 2 + round(2 * math.sqrt(vocabulary)))


class Encoder(nn.Module):
    """Segments of history through the stack.

    (1) x_i = [v, observed, v − v one season before, covariates] of segment i's s steps, and the context
    (2) h_i = stack(relu(W x_i + b));   stack(x_i) where a segment is one step
    """

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design = design
        self.context = Context(design)
        inputs = self.inputs
        self.inward = nn.Linear(inputs, design.hidden_size) if design.segment > 1 else None
        self.stacked = inputs if self.inward is None else design.hidden_size
        self.stack = SkipStack(design.cell, self.stacked, design.hidden_size, design.num_layers, design.dropout)

    @property
    def local(self) -> bool:
        """Whether segments are centred each for itself, and the change of the centre is an input."""
        d = self.design
        return d.strategy != "direct" and d.segment > 1 and d.anchor in ("last", "seasonal")

    @property
    def inputs(self) -> int:
        """Numbers that describe a segment."""
        d = self.design
        return d.segment * (1 + d.missing + d.seasonal + d.past + d.future) + self.local + self.context.size

    def describe(
        self,
        values_BnS: Tensor,
        change_BnS: Tensor | None,
        mask_BnS: Tensor | None,
        past_BnSF: Tensor | None,
        future_BnSF: Tensor | None,
        move_Bn: Tensor | None,
        context_BE: Tensor | None,
    ) -> Tensor:
        """x of equation (1), time first: (n, B, inputs)."""
        if self.design.missing and mask_BnS is None:
            mask_BnS = torch.ones_like(values_BnS)
        parts = [values_BnS]
        parts += [part for part in (change_BnS, mask_BnS if self.design.missing else None) if part is not None]
        parts += [part.flatten(2) for part in (past_BnSF, future_BnSF) if part is not None]
        if move_Bn is not None:
            parts.append(move_Bn.unsqueeze(-1))
        if context_BE is not None:
            parts.append(context_BE.unsqueeze(1).expand(-1, values_BnS.shape[1], -1))
        return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)).transpose(0, 1)

    def project(self, x: Tensor) -> Tensor:
        """What the stack reads for a described segment."""
        return x if self.inward is None else torch.relu(self.inward(x))

    def forward(self, batch: Batch, centre: Tensor, context_BE: Tensor | None) -> tuple[Tensor, list[Any]]:
        """Outputs of every segment (n, B, H), and the states after the last.

        **Shapes** centre (B, 1), one for the window, or (B, n), one for each segment.
        """
        d, s = self.design, self.design.segment
        B, L = batch.history_BL.shape
        n = L // s
        values_BnS = batch.history_BL.reshape(B, n, s)
        change_BnS = change_over(batch.history_BL, d.season_length).reshape(B, n, s) if d.seasonal else None
        mask_BnS = None if batch.mask is None else batch.mask[:, :L].reshape(B, n, s)
        past = None if batch.past is None else batch.past.reshape(B, n, s, -1)
        future = None if batch.future is None else batch.future[:, :L].reshape(B, n, s, -1)
        move_Bn = None
        if self.local:
            move_Bn = torch.cat((torch.zeros_like(centre[:, :1]), centre[:, 1:] - centre[:, :-1]), dim=1)
        if d.anchor in ("last", "seasonal") and s > 1:
            values_BnS = values_BnS - centre.unsqueeze(-1)
        x_nBX = self.describe(values_BnS, change_BnS, mask_BnS, past, future, move_Bn, context_BE)
        hidden: tuple[Tensor, list[Any]] = self.stack(self.project(x_nBX))
        return hidden


def change_over(values_BT: Tensor, season_length: int) -> Tensor:
    """Each value less the one a season before; 0 in the first season."""
    before_BT = torch.cat((values_BT[:, :season_length], values_BT[:, :-season_length]), dim=1)
    return values_BT - before_BT


def centre_at(values_BL: Tensor, ends: list[int], design: Design) -> Tensor:
    """What the window's values are looked at from, after so many steps of history: (B, len(ends)).

    The last value; the mean of the last season for the anchor "seasonal"; 0 for "level" and "smoothed".
    """
    if design.anchor in ("level", "smoothed"):
        return values_BL.new_zeros(values_BL.shape[0], len(ends))
    m = design.season_length if design.anchor == "seasonal" else 1
    if len(ends) == 1:  # by a slice, since a forecast of one window takes as long as its operations are many
        last_Bm = values_BL[:, max(ends[0] - m, 0) : ends[0]]
        return last_Bm if m == 1 else last_Bm.mean(1, keepdim=True)
    if design.anchor == "last":
        return values_BL[:, [end - 1 for end in ends]]
    return torch.stack([values_BL[:, max(end - m, 0) : end].mean(1) for end in ends], dim=1)


def anchor_at(values_BL: Tensor, ends: list[int], design: Design, K: int) -> Tensor:
    """The anchor of K forecasts after so many steps of history: (B, len(ends), K)."""
    B, N = values_BL.shape[0], len(ends)
    if design.anchor == "level":
        return values_BL.new_zeros(B, N, K)
    if design.anchor == "last":
        return values_BL[:, [end - 1 for end in ends]].unsqueeze(-1).expand(B, N, K)
    m = design.season_length
    if N == 1 and K <= m <= ends[0]:
        return values_BL[:, ends[0] - m : ends[0] - m + K].unsqueeze(1)
    k = torch.arange(K)
    position_NK = torch.tensor(ends).unsqueeze(1) + k - m * (k // m + 1)
    return values_BL[:, position_NK.clamp(min=0)]


class Lags(nn.Module):
    """Past values a season or several before those to forecast, and how far off each lag was lately.

    **Shapes** values (B, L) to (B, K, l), the latest value known a multiple of each lag before; and (B, l), the mean
    absolute change over each lag in the last `reach` steps, as far as the window shows both ends.
    """

    def __init__(self, lags: tuple[int, ...], history: int, horizon: int, reach: int) -> None:
        super().__init__()
        self.before: Tensor
        self.starts: Tensor
        self.share: Tensor
        # Not asked for where the shapes of a folder are checked; arithmetic there makes torch import its compiler.
        if torch.empty(0).is_meta:
            return
        k, lag = torch.arange(horizon).unsqueeze(1), torch.tensor(lags)
        self.register_buffer("before", (history + k - lag * (k // lag + 1)).clamp(min=0), persistent=False)
        ends = torch.arange(max(history - reach, 0), history).unsqueeze(1)
        shown = ends >= lag
        self.register_buffer("starts", (ends - lag).clamp(min=0), persistent=False)
        self.register_buffer("share", shown / shown.sum(0).clamp(min=1), persistent=False)

    def forward(self, values_BL: Tensor) -> tuple[Tensor, Tensor]:
        """What each lag says, and how far off it was."""
        change_BRl = values_BL[:, -len(self.starts) :].unsqueeze(-1) - values_BL[:, self.starts]
        missed_Bl = (change_BRl.abs() * self.share.to(change_BRl.dtype)).sum(1)
        return values_BL[:, self.before], missed_Bl
