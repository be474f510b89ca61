"""The three ways of the lecture notes to forecast several steps ahead.

    recursive   predict one step, feed it back, repeat
    direct      all K values at once, from the last state
    sequence    K values at *every* step, so that the loss flows from every step

Every strategy predicts a correction to an anchor, the best simple rule that the data allow:

    level       the level of the window: 0 in scaled units
    last        the last value seen
    seasonal    the value one season (m steps) before the one to forecast

A window that is younger than a season repeats its first value backwards.

A net that says 0 is therefore the simple rule itself, and what it learns is what the rule misses.

Axes in names: T time, B batch, K steps of the horizon, F features. Values are in scaled units.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from throughtime.models import Aligned, ManyToOne
from throughtime.nn import Recurrent
from throughtime.nn.layers import LAYERS

ANCHORS = ("auto", "level", "last", "seasonal")


@dataclass(frozen=True)
class Batch:
    """Windows for one step of training.

    Attributes:
        values_TB: (L + K, B) history, then the horizon, then zeros; without the horizon at prediction time (L, B).
        lengths: (B,) steps of history in each row, or None where all rows have L.
        history: L.
    """

    values_TB: Tensor
    lengths: Tensor | None
    history: int

    @property
    def history_TB(self) -> Tensor:
        """The rows' histories; beyond a row's length stand values that a net must not see."""
        return self.values_TB[: self.history]

    def at_end(self, y_TBX: Tensor) -> Tensor:
        """What stands at each row's last step of history: (B, X)."""
        if self.lengths is None:
            return y_TBX[self.history - 1]
        return y_TBX[self.lengths - 1, torch.arange(y_TBX.shape[1])]

    def horizons(self, K: int) -> Tensor:
        """What follows each step of history: (L, B, K)."""
        return self.values_TB[1:].unfold(0, K, 1)[: self.history]


def anchors(y_TB: Tensor, kind: str, season_length: int, K: int) -> Tensor:
    """The anchor of every step's K forecasts: (T, B, K)."""
    T, B = y_TB.shape
    if kind == "level":
        return y_TB.new_zeros(T, B, K)
    if kind == "last":
        return y_TB.unsqueeze(-1).expand(T, B, K)
    k = torch.arange(K)
    position = torch.arange(T).unsqueeze(1) + 1 + k - season_length * (k // season_length + 1)
    return y_TB[position.clamp(min=0)].transpose(1, 2)


def features(y_TB: Tensor, season_length: int) -> Tensor:
    """What a net reads at every step, (T, B, F): the value and, where there is a season, its change over one."""
    if season_length <= 1:
        return y_TB.unsqueeze(-1)
    before_TB = y_TB[(torch.arange(y_TB.shape[0]) - season_length).clamp(min=0)]
    return torch.stack((y_TB, y_TB - before_TB), dim=-1)


class Strategy(nn.Module):
    """A net and its way to K forecasts. Calling it gives the forecast of a batch, (B, K)."""

    name: ClassVar[str]

    def __init__(self, recurrent: Recurrent, horizon: int, anchor: str, season_length: int) -> None:
        super().__init__()
        self.horizon = horizon
        self.anchor = anchor
        self.season_length = season_length
        self.net = self.build(recurrent)

    def build(self, recurrent: Recurrent) -> Any:
        """The topology on top of the recurrent layers."""
        raise AssertionError("a strategy names its topology")

    def head(self, recurrent: Recurrent, outputs: int) -> nn.Linear:
        """A linear head that begins at zero, so that training begins at the anchor."""
        head = nn.Linear(recurrent.hidden_size * recurrent.num_directions, outputs)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return head

    def read(self, y_TB: Tensor) -> Tensor:
        """The net's input for scaled values."""
        return features(y_TB, self.season_length)

    def errors(self, batch: Batch) -> list[Tensor]:
        """The errors that training minimises, each term a tensor of errors, equally weighted."""
        raise AssertionError("a strategy says what it trains on")


class Direct(Strategy):
    """All K values at once, from the last state: a sequence to a vector."""

    name = "direct"

    def build(self, recurrent: Recurrent) -> ManyToOne:
        """Many to one, K outputs."""
        return ManyToOne(recurrent, self.head(recurrent, self.horizon))

    def forward(self, batch: Batch) -> Tensor:
        """The forecast (B, K)."""
        anchor_TBK = anchors(batch.history_TB, self.anchor, self.season_length, self.horizon)
        correction: Tensor = self.net(self.read(batch.history_TB), lengths=batch.lengths)
        return batch.at_end(anchor_TBK) + correction

    def errors(self, batch: Batch) -> list[Tensor]:
        """The forecast's errors at the origin."""
        return [self(batch) - batch.at_end(batch.horizons(self.horizon))]


class Sequence(Strategy):
    """K values at every time step: a sequence to a sequence. Only the last step's are used to forecast."""

    name = "sequence"

    def build(self, recurrent: Recurrent) -> Aligned:
        """Aligned, K outputs a step."""
        return Aligned(recurrent, self.head(recurrent, self.horizon))

    def everywhere(self, batch: Batch) -> Tensor:
        """The forecasts from every step, (L, B, K)."""
        correction_TBK, _ = self.net(self.read(batch.history_TB), lengths=batch.lengths)
        anchor_TBK = anchors(batch.history_TB, self.anchor, self.season_length, self.horizon)
        forecast_TBK: Tensor = anchor_TBK + correction_TBK
        return forecast_TBK

    def forward(self, batch: Batch) -> Tensor:
        """The forecast (B, K)."""
        return batch.at_end(self.everywhere(batch))

    def errors(self, batch: Batch) -> list[Tensor]:
        """The errors of the forecasts from every step of history."""
        error_TBK = self.everywhere(batch) - batch.horizons(self.horizon)
        if batch.lengths is None:
            return [error_TBK]
        return [error_TBK[torch.arange(batch.history).unsqueeze(1) < batch.lengths]]


class Recursive(Strategy):
    """One value ahead, fed back K − 1 times.

    Trained as it is used: the errors of the K fed-back steps, beside those of one step ahead along the history.
    """

    name = "recursive"

    def build(self, recurrent: Recurrent) -> Aligned:
        """Aligned, one output a step."""
        return Aligned(recurrent, self.head(recurrent, 1))

    def one_ahead(self, batch: Batch) -> tuple[Tensor, Any]:
        """The value after every step of history, (L, B), and the net's state at each row's end."""
        correction_TB1, state = self.net(self.read(batch.history_TB), lengths=batch.lengths)
        anchor_TB1 = anchors(batch.history_TB, self.anchor, self.season_length, 1)
        return (anchor_TB1 + correction_TB1).squeeze(-1), state

    def roll(self, batch: Batch, ahead_TB: Tensor, state: Any) -> Tensor:
        """Feed the forecast back until there are K: (B, K)."""
        m = max(self.season_length, 1)
        recent_TB = self._last_values(batch, m)
        made = [batch.at_end(ahead_TB.unsqueeze(-1)).squeeze(-1)]
        while len(made) < self.horizon:
            recent_TB = torch.cat((recent_TB[1:], made[-1].unsqueeze(0)))
            # Features and anchor of the newest value look back m steps at most.
            correction_B1, state = self.net.step(self.read(recent_TB)[-1], state)
            anchor_B1 = anchors(recent_TB, self.anchor, self.season_length, 1)[-1]
            made.append((anchor_B1 + correction_B1).squeeze(-1))
        return torch.stack(made, dim=1)

    def _last_values(self, batch: Batch, m: int) -> Tensor:
        """The last m + 1 values of every row's history, oldest first: (m + 1, B)."""
        back = torch.arange(m, -1, -1).unsqueeze(1)
        lengths = torch.tensor(batch.history) if batch.lengths is None else batch.lengths
        position = (lengths - 1 - back).clamp(min=0).expand(m + 1, batch.values_TB.shape[1])
        return batch.history_TB.gather(0, position)

    def forward(self, batch: Batch) -> Tensor:
        """The forecast (B, K)."""
        return self.roll(batch, *self.one_ahead(batch))

    def errors(self, batch: Batch) -> list[Tensor]:
        """The errors of the fed-back forecast, and those of one step ahead along the history."""
        ahead_TB, state = self.one_ahead(batch)
        fed_back = self.roll(batch, ahead_TB, state) - batch.at_end(batch.horizons(self.horizon))
        error_TB = ahead_TB - batch.values_TB[1 : batch.history + 1]
        if batch.lengths is not None:
            error_TB = error_TB[torch.arange(batch.history).unsqueeze(1) < batch.lengths]
        return [fed_back, error_TB]


STRATEGIES: dict[str, type[Strategy]] = {strategy.name: strategy for strategy in (Recursive, Direct, Sequence)}


def build(
    strategy: str,
    *,
    cell: str,
    hidden_size: int,
    num_layers: int,
    dropout: float,
    horizon: int,
    anchor: str,
    season_length: int,
) -> Strategy:
    """The net of a strategy, freshly initialised from torch's generator."""
    inputs = 2 if season_length > 1 else 1
    recurrent = LAYERS[cell](inputs, hidden_size, num_layers, dropout=dropout if num_layers > 1 else 0.0)
    return STRATEGIES[strategy](recurrent, horizon, anchor, season_length)
