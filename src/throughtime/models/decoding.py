"""What every decoder shares: which rows are still being written, when a row stops, the loop over steps.

Axes in names: T steps, B batch rows, V vocabulary, O features of an output.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError, BackendError
from throughtime.models.sampling import Draws, Sampler, read_seeds
from throughtime.nn import Recurrent
from throughtime.nn.autocast import active_dtype
from throughtime.nn.sequence_layer import SequenceLayer

StepFunction = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""What was just written, (B,) ids or (B, O) outputs, and a state; to the next logits or outputs and the next state."""

KeepFunction = Callable[[Any, Tensor], Any]
"""A state and some of its rows, (R,); to the state of these. What `step` reads beside it is theirs from now on."""

Until = Callable[[Tensor], Tensor]
"""What has been written so far, (t, B) or (t, B, O); to the rows that stop here, (B,) bool."""

_NARROW = 0.75  # of the rows that are stepped on still go on, or fewer: the others are let go

_log = logging.getLogger("throughtime")


class Decoded(NamedTuple):
    """Ids that were written.

    **Shapes** T is the longest row's length; ids (T, B), `pad` past each length; lengths (B,), the stop token counted;
    log_probs (T, B), each id's log-probability under the model, zero past each length; stopped (B,), False where the
    row ended at the limit.
    """

    ids: Tensor
    lengths: Tensor
    log_probs: Tensor
    stopped: Tensor

    def rows(self, without: int | Sequence[int] | None = None) -> list[list[int]]:
        """The ids of each row up to its length; a last one that is in `without`, such as the stop token, left off."""
        drop = _as_ids(without)
        found = [ids[:n] for ids, n in zip(self.ids.T.tolist(), self.lengths.tolist(), strict=True)]
        return [ids[:-1] if ids and ids[-1] in drop else ids for ids in found]


class DecodedVectors(NamedTuple):
    """Outputs that were written.

    **Shapes** outputs (T, B, O), zero past each length; lengths (B,); stopped (B,), False where the row ended at the
    limit.
    """

    outputs: Tensor
    lengths: Tensor
    stopped: Tensor


class DecodingState:
    """Which rows are finished, and how long each has become.

    **Shapes** finished, stopped (B,) bool; lengths, limits (B,) int64.
    """

    def __init__(self, limits: Tensor) -> None:
        self.limits = limits
        self.lengths = torch.zeros_like(limits)
        self.stopped = torch.zeros_like(limits, dtype=torch.bool)
        self.finished = limits <= 0
        self.left = self._count()

    def advance(self, ended: Tensor) -> None:
        """Count one more step of the rows that were not finished; `ended` (B,) are those that stop with it."""
        live = ~self.finished
        self.lengths += live
        self.stopped |= ended & live
        self.finished = self.stopped | (self.lengths >= self.limits)
        self.left = self._count()

    @property
    def done(self) -> bool:
        """Whether every row is finished."""
        return self.left == 0

    def _count(self) -> int:
        """Rows that go on."""
        return len(self.finished) - int(self.finished.count_nonzero())


class _Written:
    """A row a step, in one tensor that doubles when it is full: a view of all so far costs nothing."""

    def __init__(self) -> None:
        self._all: Tensor | None = None
        self._count = 0

    def add(self, row: Tensor) -> None:
        if self._all is None:
            self._all = row.new_empty((16, *row.shape))
        elif self._count == self._all.shape[0]:
            self._all = torch.cat((self._all, torch.empty_like(self._all)))
        self._all[self._count] = row
        self._count += 1

    def so_far(self, like: Tensor) -> Tensor:
        return like.new_empty((0, *like.shape)) if self._all is None else self._all[: self._count]


def decode(
    logits: Tensor,
    state: Any,
    step: StepFunction,
    *,
    limit: int | Tensor,
    sampler: Sampler,
    seed: Any = 0,
    stop: int | Sequence[int] | None = None,
    until: Until | None = None,
    keep: KeepFunction | None = None,
    pad: int = 0,
    who: str = "decode",
) -> Decoded:
    """Write ids until every row has stopped.

    (1) id_t = sampler(logits_t), the draw of row b at t from its seed and t alone
    (2) a row stops with an id in `stop`, where `until` says so, or at `limit` ids
    (3) logits_{t+1}, state = step(id_t, state), while a row goes on

    Finished rows are stepped on with `pad` and not read; with `keep` they are let go as soon as they are a quarter of
    those that are stepped on. No gradient is recorded.

    **Shapes** logits (B, V), of the first id; `step`: ids (B,) to logits (B, V); with `keep`, of the rows kept.

    Args:
        logits: for the first id.
        state: what `step` takes first; of any form.
        step: see (3).
        limit: how many ids a row may get: an int, or (B,).
        sampler: how an id is chosen.
        seed: row b of an int draws with seed + b; or one seed for each row. Read unless the sampler is greedy.
        stop: the id or ids that end a row; written and counted.
        until: see `Until`; called after each step.
        keep: see `KeepFunction`; None steps on all rows to the end.
        pad: what stands past a row's length.
        who: who speaks in error messages.

    Raises:
        ArgumentError: a limit below 1 (0 in a tensor: the row gets nothing), a stop id outside the vocabulary, `until`
            gives another shape, or what `Sampler` refuses.
        ArgumentTypeError: `limit` or an id is not a whole number, or `until` gives no bools.
    """
    B, V = logits.shape
    rows = DecodingState(read_limits(who, limit, B, logits.device))
    stops = _as_ids(stop)
    for name, value in [*(("stop", id) for id in stops), ("pad", pad)]:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ArgumentTypeError(f"{who}: expected {name} to be an int, got {value!r}; pass an id")
        if not 0 <= value < V:
            raise ArgumentError(f"{who}: expected {name} in [0, {V}), the vocabulary, got {value}; pass an id in it")
    draws = None if sampler.greedy else Draws(read_seeds(who, seed, B), logits.device)
    ids_TB, log_probs_TB = _Written(), _Written()
    at_R: Tensor | None = None  # the rows that are stepped on, where not all are
    t = 0
    with torch.no_grad():
        while not rows.done:
            finished_R = rows.finished if at_R is None else rows.finished[at_R]
            # What a row that has ended would choose from is not looked at: a NaN there is nobody's.
            if rows.left < len(finished_R):
                logits = logits.masked_fill(finished_R.unsqueeze(1), 0.0)
            draws_B = None if draws is None else draws.at(t)
            ids_R, log_probs_R = sampler(logits, draws_B if draws_B is None or at_R is None else draws_B[at_R])
            ids_R.masked_fill_(finished_R, pad)
            log_probs_R.masked_fill_(finished_R, 0.0)
            ids_B, log_probs_B = ids_R, log_probs_R
            if at_R is not None:
                ids_B = ids_R.new_full((B,), pad).index_copy_(0, at_R, ids_R)
                log_probs_B = log_probs_R.new_zeros(B).index_copy_(0, at_R, log_probs_R)
            ids_TB.add(ids_B)
            log_probs_TB.add(log_probs_B)
            ended_B = _ended(ids_B, stops)
            if until is not None:
                ended_B = ended_B | _ask(who, until, ids_TB.so_far(ids_B))
            rows.advance(ended_B)
            t += 1
            if not rows.left:
                break
            if keep is not None and rows.left <= _NARROW * len(ids_R):
                going_B = ~rows.finished
                kept_R = (going_B if at_R is None else going_B[at_R]).nonzero().squeeze(1)
                at_R = kept_R if at_R is None else at_R[kept_R]
                ids_R, state = ids_R[kept_R], keep(state, kept_R)
            logits, state = step(ids_R, state)
    return Decoded(ids_TB.so_far(rows.lengths), rows.lengths, log_probs_TB.so_far(logits.new_empty(B)), rows.stopped)


def decode_vectors(
    output: Tensor,
    state: Any,
    step: StepFunction,
    *,
    limit: int | Tensor,
    until: Until | None = None,
    who: str = "decode_vectors",
) -> DecodedVectors:
    """Write outputs until every row has stopped: `decode` without the choice of an id.

    **Shapes** output (B, O), the first; `step`: outputs (B, O) to outputs (B, O).

    Raises:
        ArgumentError: a limit below 1, or `until` gives another shape.
        ArgumentTypeError: `limit` is not a whole number, or `until` gives no bools.
    """
    B = output.shape[0]
    rows = DecodingState(read_limits(who, limit, B, output.device))
    outputs_TBO = _Written()
    nobody_B = torch.zeros_like(rows.finished)
    with torch.no_grad():
        while not rows.done:
            output = output.masked_fill(rows.finished.unsqueeze(1), 0.0)
            outputs_TBO.add(output)
            rows.advance(nobody_B if until is None else _ask(who, until, outputs_TBO.so_far(output)))
            if not rows.done:
                output, state = step(output, state)
    return DecodedVectors(outputs_TBO.so_far(output), rows.lengths, rows.stopped)


def read_limits(who: str, limit: Any, B: int, device: torch.device) -> Tensor:
    """How many steps each row may take, (B,) int64.

    Raises:
        ArgumentTypeError: not a whole number, nor a tensor of them.
        ArgumentError: an int below 1, a negative one in a tensor, or a tensor of another shape.
    """
    if isinstance(limit, Tensor):
        if limit.is_floating_point() or limit.is_complex() or limit.dtype == torch.bool:
            raise ArgumentTypeError(f"{who}: expected limit of an integer dtype, got {limit.dtype}; pass whole numbers")
        if tuple(limit.shape) != (B,):
            raise ArgumentError(
                f"{who}: expected limit to be an int or of shape ({B},), got {tuple(limit.shape)}; pass one a row"
            )
        if B and int(limit.min()) < 0:
            raise ArgumentError(
                f"{who}: expected limit >= 0 in each row, got {int(limit.min())}; pass a count of steps"
            )
        return limit.to(device=device, dtype=torch.int64)
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise ArgumentTypeError(f"{who}: expected limit to be an int, got {limit!r}; pass a count of steps")
    if limit < 1:
        raise ArgumentError(f"{who}: expected limit >= 1, got {limit}; pass how many steps a row may take")
    return torch.full((B,), limit, dtype=torch.int64, device=device)


def step_of(recurrent: SequenceLayer) -> StepFunction:
    """One time step of a one-way layer, x (B, I) and a state: its `stepper()`, or `step` where there is none.

    Under autocast it is `step`, too, since states are of autocast's dtype there and packed weights are not.
    """
    if not isinstance(recurrent, Recurrent):
        return recurrent.step
    if active_dtype(recurrent.layer_params(0).weight_ih.device.type) is not None:
        return recurrent.step
    try:
        return recurrent.stepper()
    except BackendError as error:
        _log.info("%s goes step by step without a stepper: %s", type(recurrent).__name__, error)
        return recurrent.step


def _as_ids(given: int | Sequence[int] | None) -> tuple[int, ...]:
    return () if given is None else tuple(given) if isinstance(given, Sequence) else (given,)


def _ended(ids_B: Tensor, stops: tuple[int, ...]) -> Tensor:
    """Which ids are among `stops`."""
    if not stops:
        return torch.zeros_like(ids_B, dtype=torch.bool)
    ended_B = ids_B == stops[0]
    for stop in stops[1:]:
        ended_B |= ids_B == stop
    return ended_B


def _ask(who: str, until: Until, written: Tensor) -> Tensor:
    answer = until(written)
    if not isinstance(answer, Tensor) or answer.dtype != torch.bool:
        got = answer.dtype if isinstance(answer, Tensor) else type(answer).__name__
        raise ArgumentTypeError(f"{who}: expected until to return a tensor of torch.bool, got {got}; compare in it")
    if tuple(answer.shape) != (written.shape[1],):
        raise ArgumentError(
            f"{who}: expected until to return shape ({written.shape[1]},), got {tuple(answer.shape)}; "
            "return one flag for each row"
        )
    return answer
