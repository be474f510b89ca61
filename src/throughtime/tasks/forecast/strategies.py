"""The three ways of the lecture notes to forecast several steps ahead, over segments of s steps (s = 1: single steps).

    recursive   predict one segment, feed it back, repeat
    direct      all K values at once, from the last state
    sequence    K values after *every* segment, so that the loss flows from every one

Every strategy predicts a correction to an anchor, the best simple rule that the data allow:

    level       the level of the window: 0 in scaled units
    last        the last value seen
    seasonal    the value one season (m steps) before the one to forecast

A window that is younger than a season repeats its first value backwards. A net that says 0 is therefore the simple rule
itself, and what it learns is what the rule misses; beside the recurrent layers may stand a linear map of the window.

Axes in names: as in `network`; J future segments.

**Source** direct over segments is [Lin2023]; differs from it by residual depth, covariates, missing values and the
linear map.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from throughtime.tasks.forecast.network import Batch, Design, Encoder, Lags, anchor_at, centre_at
from throughtime.tasks.forecast.outputs import Output

_RECENT = 7  # seasons over which lags are judged


class Strategy(nn.Module):
    """A net and its way to K forecasts. Calling it gives the forecast of a batch, (B, K)."""

    name: ClassVar[str]

    def __init__(self, design: Design, output: Output) -> None:
        super().__init__()
        self.design = design
        self.output = output
        self.encoder = Encoder(design)
        self.drop = nn.Dropout(design.dropout) if design.dropout else nn.Identity()
        self.linear = nn.Linear(design.input_size, self.reach) if design.linear else None
        if self.linear is not None:
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

    def start_from(self, weight_PK: Any, bias_K: Any) -> None:
        """Put a linear autoregression of the last P values in place of the linear map, and keep it as it is."""
        assert self.linear is not None
        P = len(weight_PK)
        with torch.no_grad():
            self.linear.weight[:, -P:] = torch.as_tensor(weight_PK.T)
            self.linear.bias.copy_(torch.as_tensor(bias_K))
        self.linear.requires_grad_(False)

    @property
    def members(self) -> list["Strategy"]:
        """Itself alone; see `fitting.Ensemble`."""
        return [self]

    @property
    def reach(self) -> int:
        """Steps that one look at the history forecasts."""
        return self.design.horizon

    def head(self, steps: int, beside: int = 0) -> nn.Linear:
        """A linear head that begins at zero, so that training begins at the anchor."""
        head = nn.Linear(self.design.hidden_size + beside, steps * self.design.outputs)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return head

    @abstractmethod
    def raw(self, batch: Batch) -> Tensor:
        """What the output is made of: (B, K, R), in scaled units."""

    @abstractmethod
    def losses(self, batch: Batch) -> list[Tensor]:
        """What training minimises: terms of equal weight, each a mean over observed values."""

    def forward(self, batch: Batch) -> Tensor:
        """The forecast (B, K)."""
        return self.output.point(self.raw(batch))

    def loss(self, batch: Batch) -> Tensor:
        """In training the mean of `losses`; else the loss of the forecast."""
        if self.training:
            return torch.stack(self.losses(batch)).mean()
        return self.at_origin(self.raw(batch), batch)

    def at_origin(self, raw_BKR: Tensor, batch: Batch) -> Tensor:
        """The mean loss of forecasts from the origin."""
        return masked_mean(self.output.loss(raw_BKR, batch.horizon_BK, batch.scale.unsqueeze(-1)), batch.horizon_mask)

    def linear_at(self, values_BL: Tensor, centre_BN: Tensor, ends: list[int]) -> Tensor | float:
        """The linear map of the centred history after so many steps: (B, N, reach); 0 where there is none."""
        if self.linear is None:
            return 0.0
        L = self.design.input_size
        if len(ends) == 1:  # the last L of what has been seen
            return self.linear(values_BL[:, ends[0] - L : ends[0]] - centre_BN).unsqueeze(1)  # type: ignore[no-any-return]
        # What would lie before the window counts as the centre itself.
        seen = [
            nn.functional.pad(values_BL[:, :end] - centre_BN[:, i : i + 1], (L - end, 0)) for i, end in enumerate(ends)
        ]
        return self.linear(torch.stack(seen, dim=1))  # type: ignore[no-any-return]

    def located(
        self, raw_BNKR: Tensor, values_BL: Tensor, centre_BN: Tensor, ends: list[int], given_BK: Tensor | None = None
    ) -> Tensor:
        """Raw numbers with anchor (or the one given) and linear map in their location: (B, N, K, R)."""
        B, N, K, R = raw_BNKR.shape
        own = anchor_at(values_BL, ends, self.design, K) if given_BK is None else given_BK.unsqueeze(1)
        location_BNK = own + self.linear_at(values_BL, centre_BN, ends)
        return self.output.shift(raw_BNKR.reshape(B * N, K, R), location_BNK.reshape(B * N, K)).reshape(B, N, K, R)


def masked_mean(loss_BK: Tensor, mask_BK: Tensor | None) -> Tensor:
    """The mean where there is something to compare with; 0 where there is nothing."""
    if mask_BK is None:
        return loss_BK.mean()
    return (loss_BK * mask_BK).sum() / mask_BK.sum().clamp(min=1.0)


class Direct(Strategy):
    """All K values at once, from the last state.

    Segments of one step without known-future covariates: a linear head on the last output. Else every future segment
    takes one recurrent step of its own from the last state, all in parallel, and says s values:

    (1) z_j = W_z [p_j, known future of segment j, context]     p_j learnt, a position in the horizon
    (2) forecast_j = head(stack(z_j, state_n))

    Where there are seasons, values a season or several before (lags l) are weighed in, by weights that depend on the
    state and on how far off each lag was lately:

    (3) forecast_k += Σ_l w_l (y_{k−l} − anchor_k),   w = W_w [h, misses] + b_w, which begins at zero
    """

    name = "direct"

    def __init__(self, design: Design, output: Output) -> None:
        super().__init__(design, output)
        s = design.segment
        self.weigh = nn.Linear(design.hidden_size + len(design.lags), len(design.lags)) if design.lags else None
        if self.weigh is not None:
            nn.init.zeros_(self.weigh.weight)
            nn.init.zeros_(self.weigh.bias)
            self.lags = Lags(design.lags, design.input_size, design.horizon, _RECENT * design.season_length)
        self.parallel = s > 1 or design.future > 0
        self.ahead = -(-design.horizon // s)
        if not self.parallel:
            self.out = self.head(design.horizon)
            return
        width = design.hidden_size
        position = torch.empty(self.ahead, width)
        self.position = nn.Parameter(position if position.is_meta else torch.randn(self.ahead, width) * 0.02)
        known = design.future * s + self.encoder.context.size
        self.known = nn.Linear(known, width) if known else None
        stacked = self.encoder.stacked
        self.enter = nn.Linear(width, stacked) if stacked != width else None
        self.out = self.head(s)

    def raw(self, batch: Batch) -> Tensor:
        """(B, K, R)."""
        d = self.design
        values_BL = batch.history_BL
        centre_B1 = centre_at(values_BL, [d.input_size], d)
        context_BE = self.encoder.context(batch)
        hidden_nBH, states = self.encoder(batch, centre_B1, context_BE)
        B = values_BL.shape[0]
        if self.parallel:
            u_BJH = self.decode(batch, states, context_BE)
            made = self.out(u_BJH).view(B, -1, d.outputs)[:, : d.horizon]
        else:
            u_BJH = self.drop(hidden_nBH[-1]).unsqueeze(1)
            made = self.out(u_BJH).view(B, d.horizon, d.outputs)
        anchor_BK = batch.anchor
        if self.weigh is not None:
            anchor_BK = self.weighed(values_BL, u_BJH, anchor_BK)
        return self.located(made.unsqueeze(1), values_BL, centre_B1, [d.input_size], anchor_BK).squeeze(1)

    def weighed(self, values_BL: Tensor, u_BJH: Tensor, anchor_BK: Tensor | None) -> Tensor:
        """The anchor with the lags weighed in, equation (3): (B, K)."""
        d = self.design
        assert self.weigh is not None
        if anchor_BK is None:
            anchor_BK = anchor_at(values_BL, [d.input_size], d, d.horizon).squeeze(1)
        before_BKl, missed_Bl = self.lags(values_BL)
        w_BJl = self.weigh(torch.cat((u_BJH, missed_Bl.unsqueeze(1).expand(-1, u_BJH.shape[1], -1)), dim=-1))
        each = d.segment if self.parallel else d.horizon
        w_BKl = w_BJl.repeat_interleave(each, dim=1)[:, : d.horizon]
        apart_BKl = before_BKl - anchor_BK.unsqueeze(-1)
        weighed: Tensor = anchor_BK + (w_BKl * apart_BKl).sum(-1)
        return weighed

    def decode(self, batch: Batch, states: list[Any], context_BE: Tensor | None) -> Tensor:
        """The outputs of the stack for each future segment, equations (1) and (2): (B, J, H)."""
        d, J, s = self.design, self.ahead, self.design.segment
        B = batch.values.shape[0]
        z_BJH = self.position.expand(B, J, -1)
        known: list[Tensor] = []
        if batch.future is not None:
            future_BKF = batch.future[:, d.input_size :]
            spare = J * s - d.horizon
            if spare:  # the last segment reaches past the horizon; what is known there is not asked for
                future_BKF = torch.cat((future_BKF, future_BKF[:, -1:].expand(-1, spare, -1)), dim=1)
            known.append(future_BKF.reshape(B, J, -1))
        if context_BE is not None:
            known.append(context_BE.unsqueeze(1).expand(-1, J, -1))
        if self.known is not None:
            z_BJH = z_BJH + self.known(torch.cat(known, dim=-1))
        z_1BH = z_BJH.reshape(1, B * J, -1)
        if self.enter is not None:
            z_1BH = self.enter(z_1BH)
        repeated = [map_state(state, lambda t: t.repeat_interleave(J, dim=1)) for state in states]
        u_1BH, _ = self.encoder.stack(z_1BH, repeated)
        decoded: Tensor = self.drop(u_1BH[0]).view(B, J, -1)
        return decoded

    def losses(self, batch: Batch) -> list[Tensor]:
        """That of the forecast at the origin."""
        return [self.at_origin(self.raw(batch), batch)]


class Sequence(Strategy):
    """K values after every segment: a sequence to a sequence. Only the last ones are used to forecast.

    In training the last count as much as all together.
    """

    name = "sequence"

    def __init__(self, design: Design, output: Output) -> None:
        super().__init__(design, output)
        self.out = self.head(design.horizon)
        self.known = nn.Linear(design.future * design.horizon, design.hidden_size) if design.future else None

    def everywhere(self, batch: Batch, last: bool = False) -> Tensor:
        """The raw forecasts after every segment, or after the last alone: (B, N, K, R)."""
        d, s = self.design, self.design.segment
        values_BL = batch.history_BL
        ends = list(range(s, d.input_size + 1, s))
        context_BE = self.encoder.context(batch)
        centre_Bn = centre_at(values_BL, ends, d)
        hidden_nBH, _ = self.encoder(batch, centre_Bn, context_BE)
        if last:
            hidden_nBH, ends, centre_Bn = hidden_nBH[-1:], ends[-1:], centre_Bn[:, -1:]
        if self.known is not None:
            assert batch.future is not None
            K = d.horizon
            ahead_BnKF = torch.stack([batch.future[:, end : end + K] for end in ends], dim=1)
            hidden_nBH = hidden_nBH + torch.relu(self.known(ahead_BnKF.flatten(2))).transpose(0, 1)
        made_BnKR = self.out(self.drop(hidden_nBH.transpose(0, 1))).view(values_BL.shape[0], len(ends), d.horizon, -1)
        return self.located(made_BnKR, values_BL, centre_Bn, ends)

    def raw(self, batch: Batch) -> Tensor:
        """(B, K, R)."""
        return self.everywhere(batch, last=True).squeeze(1)

    def losses(self, batch: Batch) -> list[Tensor]:
        """Those of the forecasts after every segment, and of the last, which alone are used."""
        d, K = self.design, self.design.horizon
        raw_BnKR = self.everywhere(batch)
        B, n = raw_BnKR.shape[:2]
        # (B, L + K) to what follows each segment's end.
        follows = batch.values.unfold(1, K, 1)[:, d.segment :: d.segment][:, :n]
        mask = None
        if batch.mask is not None:
            mask = batch.mask.unfold(1, K, 1)[:, d.segment :: d.segment][:, :n].reshape(B * n, K)
        loss = self.output.loss(
            raw_BnKR.reshape(B * n, K, -1), follows.reshape(B * n, K), batch.scale.repeat_interleave(n).unsqueeze(-1)
        )
        return [masked_mean(loss, mask), self.at_origin(raw_BnKR[:, -1], batch)]


class Recursive(Strategy):
    """One segment ahead, fed back until there are K values.

    Trained as it is used: the errors of the fed-back forecast, beside those of one segment ahead along the history.
    """

    name = "recursive"

    def __init__(self, design: Design, output: Output) -> None:
        super().__init__(design, output)
        self.out = self.head(design.segment)
        self.known = nn.Linear(design.future * design.segment, design.hidden_size) if design.future else None

    @property
    def reach(self) -> int:
        """Steps that one look at the history forecasts."""
        return self.design.segment

    def ahead(self, hidden_BnH: Tensor, values_BT: Tensor, centre_BN: Tensor, ends: list[int], future: Any) -> Tensor:
        """The raw numbers of the segment after each end: (B, N, s, R). `future` (B, T, F) reaches past the ends."""
        d, s = self.design, self.design.segment
        if self.known is not None:
            ahead_BNsF = torch.stack([future[:, end : end + s] for end in ends], dim=1)
            hidden_BnH = hidden_BnH + torch.relu(self.known(ahead_BNsF.flatten(2)))
        made = self.out(self.drop(hidden_BnH)).view(values_BT.shape[0], len(ends), s, d.outputs)
        return self.located(made, values_BT, centre_BN, ends)

    def one_ahead(self, batch: Batch, last: bool = False) -> tuple[Tensor, list[Any], Tensor | None]:
        """The segment after every one, or after the last: (B, N, s, R); the states at the end; the context."""
        d, s = self.design, self.design.segment
        values_BL = batch.history_BL
        ends = list(range(s, d.input_size + 1, s))
        context_BE = self.encoder.context(batch)
        centre_Bn = centre_at(values_BL, ends, d)
        hidden_nBH, states = self.encoder(batch, centre_Bn, context_BE)
        if last:
            hidden_nBH, ends, centre_Bn = hidden_nBH[-1:], ends[-1:], centre_Bn[:, -1:]
        future = self.padded_future(batch)
        return self.ahead(hidden_nBH.transpose(0, 1), values_BL, centre_Bn, ends, future), states, context_BE

    def padded_future(self, batch: Batch) -> Tensor | None:
        """The known future, its last step repeated to the end of the last segment."""
        if batch.future is None:
            return None
        spare = -self.design.horizon % self.design.segment
        return torch.cat((batch.future, batch.future[:, -1:].expand(-1, spare, -1)), dim=1)

    def roll(
        self, batch: Batch, first_BsR: Tensor, states: list[Any], context_BE: Tensor | None, draw: Any = None
    ) -> Tensor:
        """Feed the forecast back until there are K: (B, K, R).

        Args:
            draw: raw numbers (B, s, R) to the values that are fed back; None: the point forecast.
        """
        d, s, L = self.design, self.design.segment, self.design.input_size
        draw = self.output.point if draw is None else draw
        future = self.padded_future(batch)
        values_BT = batch.history_BL
        before_B1 = centre_at(values_BT, [L], d)
        made = [first_BsR]
        for number in range(1, -(-d.horizon // s)):
            new_BS = draw(made[-1])
            values_BT = torch.cat((values_BT, new_BS), dim=1)
            T = L + number * s
            centre_B1 = centre_at(values_BT, [T], d)
            own_BS = new_BS - centre_B1 if d.anchor in ("last", "seasonal") and s > 1 else new_BS
            change = None
            if d.seasonal:
                change = (new_BS - values_BT[:, T - s - d.season_length : T - d.season_length]).unsqueeze(1)
            past = None if batch.past is None else batch.past.new_zeros(new_BS.shape[0], 1, s, d.past)
            known = None if future is None else future[:, L + (number - 1) * s : L + number * s].unsqueeze(1)
            move = centre_B1 - before_B1 if self.encoder.local else None
            x_1BX = self.encoder.describe(own_BS.unsqueeze(1), change, None, past, known, move, context_BE)
            u_BH, states = self.encoder.stack.step(self.encoder.project(x_1BX[0]), states)
            made.append(self.ahead(u_BH.unsqueeze(1), values_BT, centre_B1, [T], future).squeeze(1))
            before_B1 = centre_B1
        return torch.cat(made, dim=1)[:, : d.horizon]

    def raw(self, batch: Batch, draw: Any = None) -> Tensor:
        """(B, K, R); `draw` as in `roll`."""
        raw_B1sR, states, context_BE = self.one_ahead(batch, last=True)
        return self.roll(batch, raw_B1sR[:, -1], states, context_BE, draw)

    def losses(self, batch: Batch) -> list[Tensor]:
        """Those of the fed-back forecast, and of one segment ahead along the history."""
        s = self.design.segment
        raw_BnsR, states, context_BE = self.one_ahead(batch)
        B, n = raw_BnsR.shape[:2]
        fed_back = self.at_origin(self.roll(batch, raw_BnsR[:, -1], states, context_BE), batch)
        # A horizon shorter than a segment: the last one is not compared.
        whole = min(n, (batch.values.shape[1] - s) // s)
        follows = batch.values[:, s : s * (whole + 1)].reshape(B * whole, s)
        mask = None if batch.mask is None else batch.mask[:, s : s * (whole + 1)].reshape(B * whole, s)
        raw = raw_BnsR[:, :whole].reshape(B * whole, s, -1)
        ahead = masked_mean(self.output.loss(raw, follows, batch.scale.repeat_interleave(whole).unsqueeze(-1)), mask)
        return [fed_back, ahead] if whole else [fed_back]


def map_state(state: Any, change: Any) -> Any:
    """A recurrent state with every tensor in it changed."""
    if isinstance(state, Tensor):
        return change(state)
    return type(state)(*(change(part) for part in state))


STRATEGIES: dict[str, type[Strategy]] = {strategy.name: strategy for strategy in (Recursive, Direct, Sequence)}


def build(design: Design, output: Output) -> Strategy:
    """The net of a design, freshly initialised from torch's generator."""
    return STRATEGIES[design.strategy](design, output)
