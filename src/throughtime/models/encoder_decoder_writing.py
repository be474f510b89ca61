"""Ids that an encoder-decoder writes, and where its attention looked while it did.

Axes in names: T target steps, B batch, R rows that are stepped on, S source steps, V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from throughtime.models.decoding import Decoded, decode
from throughtime.models.sampling import Sampler


def write(
    step: Any,
    first_B: Tensor,
    live: Any,
    select: Callable[[Any, Tensor], Any],
    *,
    limit: int | Tensor,
    sampler: Sampler,
    seed: Any = 0,
    stop: int,
    pad: int,
    who: str,
) -> tuple[Decoded, Tensor | None]:
    """Ids to `stop` or `limit`, see `decode`, and the weights (T, B, S), zero past each length; None without.

    Args:
        step: (ids (R,), state) to logits (R, V), the next state and weights (R, S) or None; and `narrow(rows (R',))`,
            after which it goes on with the sources of these.
        first_B: the ids before the first.
        live: the state before any step.
        select: the state of some rows.
    """
    weights: list[tuple[Tensor | None, Tensor]] = []
    at_R: Tensor | None = None  # which rows of the batch are stepped on; None: all

    def step_and_note(ids_R: Tensor, live: Any) -> tuple[Tensor, Any]:
        logits_RV, live, weights_RS = step(ids_R, live)
        if weights_RS is not None:
            weights.append((at_R, weights_RS))
        return logits_RV, live

    def keep(live: Any, rows_R: Tensor) -> Any:
        nonlocal at_R
        at_R = rows_R if at_R is None else at_R[rows_R]
        step.narrow(rows_R)
        return select(live, rows_R)

    logits_BV, live = step_and_note(first_B, live)
    found = decode(
        logits_BV, live, step_and_note, limit=limit, sampler=sampler, seed=seed, stop=stop, keep=keep, pad=pad, who=who
    )
    if not weights:
        return found, None
    T, B = found.ids.shape
    weights_TBS = weights[0][1].new_zeros(T, B, weights[0][1].shape[-1])
    for t, (rows_R, weights_RS) in enumerate(weights[:T]):
        # A row that has ended is stepped on for a while: what it looked at then is nobody's.
        places_R = torch.arange(B, device=weights_RS.device) if rows_R is None else rows_R
        goes_on_R1 = (t < found.lengths[places_R]).unsqueeze(1)
        weights_TBS[t].index_copy_(0, places_R, weights_RS.masked_fill(~goes_on_R1, 0.0))
    return found, weights_TBS
