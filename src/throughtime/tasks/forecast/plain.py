"""The nets of model folders written before forecasts went over segments: read and used, no longer trained.

One step at a time through a plain stack, without a mask, covariates or a series embedding.

Axes in names: T time, B batch, L steps of history, K steps of the horizon, F features. Values are in scaled units.
"""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.models import Aligned, ManyToOne
from throughtime.nn.layers import LAYERS
from throughtime.tasks.forecast.network import Batch
from throughtime.tasks.forecast.outputs import Output


class PlainNet(nn.Module):
    """The recursive, direct or sequence net of such a folder."""

    def __init__(
        self,
        strategy: str,
        *,
        cell: str,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        horizon: int,
        anchor: str,
        season_length: int,
        loss: str,
    ) -> None:
        super().__init__()
        self.horizon, self.anchor, self.season_length, self.strategy = horizon, anchor, season_length, strategy
        self.output = Output(loss)
        recurrent = LAYERS[cell](
            2 if season_length > 1 else 1, hidden_size, num_layers, dropout=dropout if num_layers > 1 else 0.0
        )
        head = nn.Linear(hidden_size, 1 if strategy == "recursive" else horizon)
        self.net: Any = ManyToOne(recurrent, head) if strategy == "direct" else Aligned(recurrent, head)

    @property
    def members(self) -> list["PlainNet"]:
        """Itself alone."""
        return [self]

    def forward(self, batch: Batch) -> Tensor:
        """The forecast (B, K)."""
        values_TB, lengths = _from_the_left(batch)
        if self.strategy == "recursive":
            return self._roll(values_TB, lengths)
        if self.strategy == "direct":
            correction_BK: Tensor = self.net(self._read(values_TB), lengths=lengths)
        else:
            correction_BK = _at_end(self.net(self._read(values_TB), lengths=lengths)[0], lengths)
        return _at_end(self._anchors(values_TB, self.horizon), lengths) + correction_BK

    def raw(self, batch: Batch) -> Tensor:
        """The forecast as raw numbers (B, K, 1)."""
        return self(batch).unsqueeze(-1)  # type: ignore[no-any-return]

    def loss(self, batch: Batch) -> Tensor:
        """The mean loss of the forecast at the origin."""
        return self.output.loss(self.raw(batch), batch.horizon_BK, batch.scale.unsqueeze(-1)).mean()

    def _anchors(self, y_TB: Tensor, K: int) -> Tensor:
        """The anchor of every step's K forecasts: (T, B, K)."""
        T, B = y_TB.shape
        if self.anchor == "level":
            return y_TB.new_zeros(T, B, K)
        if self.anchor == "last":
            return y_TB.unsqueeze(-1).expand(T, B, K)
        k, m = torch.arange(K), self.season_length
        position = torch.arange(T).unsqueeze(1) + 1 + k - m * (k // m + 1)
        return y_TB[position.clamp(min=0)].transpose(1, 2)

    def _read(self, y_TB: Tensor) -> Tensor:
        """The value and, where there is a season, its change over one: (T, B, F)."""
        if self.season_length <= 1:
            return y_TB.unsqueeze(-1)
        before_TB = y_TB[(torch.arange(y_TB.shape[0]) - self.season_length).clamp(min=0)]
        return torch.stack((y_TB, y_TB - before_TB), dim=-1)

    def _roll(self, values_TB: Tensor, lengths: Tensor) -> Tensor:
        """Feed the forecast back until there are K: (B, K)."""
        correction_TB1, state = self.net(self._read(values_TB), lengths=lengths)
        ahead_TB1 = self._anchors(values_TB, 1) + correction_TB1
        m = max(self.season_length, 1)
        back = torch.arange(m, -1, -1).unsqueeze(1)
        recent_TB = values_TB.gather(0, (lengths - 1 - back).clamp(min=0).expand(m + 1, values_TB.shape[1]))
        made = [_at_end(ahead_TB1, lengths).squeeze(-1)]
        while len(made) < self.horizon:
            recent_TB = torch.cat((recent_TB[1:], made[-1].unsqueeze(0)))
            correction_B1, state = self.net.step(self._read(recent_TB)[-1], state)
            made.append((self._anchors(recent_TB, 1)[-1] + correction_B1).squeeze(-1))
        return torch.stack(made, dim=1)


def _from_the_left(batch: Batch) -> tuple[Tensor, Tensor]:
    """Histories (L, B) that begin at 0, their first value repeated past their end, and their lengths (B,)."""
    values_BL, L = batch.history_BL, batch.history
    if batch.mask is None:
        return values_BL.t(), torch.full((values_BL.shape[0],), L)
    before = batch.mask[:, :L].argmax(dim=1)
    index = (torch.arange(L).unsqueeze(0) + before.unsqueeze(1)) % L
    return values_BL.gather(1, index).t(), L - before


def _at_end(y_TBX: Tensor, lengths: Tensor) -> Tensor:
    """What stands at each row's last step of history: (B, X)."""
    return y_TBX[lengths - 1, torch.arange(y_TBX.shape[1])]
