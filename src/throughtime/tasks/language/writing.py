"""Writing: from a prefix, a label or nothing, symbol by symbol.

Axes in names: T time, B texts, F features, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from throughtime.data.text.units import UNKNOWN, TextUnits
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import Draws, Sampler
from throughtime.models.decoding import DecodingState, read_limits
from throughtime.models.sampling import read_seeds
from throughtime.tasks.language.net import LanguageNet


@dataclass(frozen=True)
class Wish:
    """What is to be written.

    Attributes:
        prefixes: of each text, "" for none.
        classes: the number of each text's label; None for a model without labels.
        length: symbols a text, at most, its prefix not counted.
        sampler: how a symbol is chosen.
        repetition_penalty: θ of `_penalised`.
        stop: a text ends before any of these.
        seed: text b draws with seed + b.
    """

    prefixes: Sequence[str]
    classes: Sequence[int] | None
    length: int
    sampler: Sampler
    repetition_penalty: float
    stop: tuple[str, ...]
    seed: int


class _Text:
    """A text that is being written: from ids to what may be shown of it."""

    def __init__(self, units: TextUnits, prefix: str, stop: tuple[str, ...]) -> None:
        self.write = units.writer()
        for id in units.encode(prefix).tolist():
            self.write(id)
        self.stop = stop
        self.held = ""
        """Written, and not shown yet: it may be how a stop text begins."""
        self.stopped = False

    def add(self, id: int) -> str:
        """What can be shown after one more id."""
        self.held += self.write(id)
        found = [at for stop in self.stop if (at := self.held.find(stop)) >= 0]
        if found:
            self.stopped = True
            shown, self.held = self.held[: min(found)], ""
            return shown
        keep = max((n for stop in self.stop for n in range(1, len(stop)) if self.held.endswith(stop[:n])), default=0)
        shown, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        return shown


def written(net: LanguageNet, units: TextUnits, wish: Wish, *, ends: bool) -> Iterator[list[str]]:
    """What each step adds to each text; the last one is what was held back.

    (1) id_t = sampler(logits_t), UNKNOWN left out, and END where no text of the training had one
    (2) a text ends with END, before a stop text, or at `length` symbols

    Args:
        net: in eval mode, weights as they are at the first step.
        ends: whether the model knows END.
    """
    B = len(wish.prefixes)
    texts = [_Text(units, prefix, wish.stop) for prefix in wish.prefixes]
    classes = None if wish.classes is None else torch.tensor(wish.classes, dtype=torch.long)
    device = net.encoder.embedding.weight.device
    rows = DecodingState(read_limits("write", wish.length, B, device))
    draws = None if wish.sampler.greedy else Draws(read_seeds("write", wish.seed, B), device)
    barred = torch.tensor([units.unknown] if ends else [units.unknown, units.end])
    seen_BV = torch.zeros((B, len(units)), dtype=torch.bool)
    t = 0
    with torch.no_grad():
        hidden_BF, state = _read(net, units, wish.prefixes, classes, seen_BV)
        step = net.encoder.steps(classes)
    while not rows.done:
        with torch.no_grad():
            logits_BV = net.logits(hidden_BF).masked_fill(rows.finished.unsqueeze(1), 0.0)
            if wish.repetition_penalty != 1:
                logits_BV = _penalised(logits_BV, seen_BV, wish.repetition_penalty)
            logits_BV = logits_BV.index_fill(1, barred, -torch.inf)
            ids_B, _ = wish.sampler(logits_BV, None if draws is None else draws.at(t))
        ended_B = ids_B == units.end
        shown = [""] * B
        for b in range(B):
            if not rows.finished[b] and not ended_B[b]:
                shown[b] = texts[b].add(int(ids_B[b]))
                ended_B[b] = texts[b].stopped
        rows.advance(ended_B)
        t += 1
        if not rows.done:
            with torch.no_grad():
                seen_BV.scatter_(1, ids_B.unsqueeze(1), True)
                hidden_BF, state = step(ids_B, state)
        yield shown
    yield [text.held for text in texts]


def _read(
    net: LanguageNet, units: TextUnits, prefixes: Sequence[str], classes: Tensor | None, seen_BV: Tensor
) -> tuple[Tensor, Any]:
    """Read the prefixes: the last output of each (B, F) and the state; their ids are marked as seen."""
    ids = [torch.from_numpy(units.encode(prefix)) for prefix in prefixes]
    lengths_B = torch.tensor([1 + len(row) for row in ids])
    # Before a prefix stands the beginning of a text.
    given_TB = torch.nn.utils.rnn.pad_sequence([torch.cat((row.new_zeros(1), row)) for row in ids])
    begins_TB = torch.zeros(given_TB.shape, dtype=torch.bool)
    begins_TB[0] = True
    hidden_TBF, state = net.encoder(given_TB, None, begins=begins_TB, classes=classes, lengths=lengths_B)
    for b, row in enumerate(ids):
        seen_BV[b, row] = True
    return hidden_TBF[lengths_B - 1, torch.arange(len(ids))], state


def _penalised(logits_BV: Tensor, seen_BV: Tensor, penalty: float) -> Tensor:
    """What was written already, made less likely.

    (1) z' = z / θ where z > 0, else z θ, for the ids in the text so far

    **Source** [Keskar2019]; logits are shifted to have 0 as their mean first, since a softmax does not tell where 0 is.
    """
    z_BV = logits_BV - logits_BV.mean(-1, keepdim=True)
    return torch.where(seen_BV, torch.where(z_BV > 0, z_BV / penalty, z_BV * penalty), z_BV)


def read_wish(
    units: TextUnits,
    labels: Sequence[str] | None,
    *,
    prefix: Any,
    label: Any,
    n: Any,
    length: Any,
    sampler: Sampler,
    repetition_penalty: Any,
    stop: Any,
    seed: Any,
    who: str,
) -> Wish:
    """The arguments of `LanguageModel.write`, checked; n texts for each prefix, or for each label.

    Raises:
        ArgumentError, ArgumentTypeError: what is said there.
    """
    prefixes, given = _texts(who, "prefix", prefix), _texts(who, "label", _named(label))
    if given is not None and labels is None:
        raise ArgumentError(
            f"{who}: expected no label, since the model was trained without labels, got {given[0]!r}; "
            "leave it out, or train with labels"
        )
    if given is None and labels is not None:
        raise ArgumentError(
            f"{who}: expected a label, since the model was trained with labels, got none; "
            f"pass one of {', '.join(map(repr, labels))}"
        )
    for one in given or ():
        if one not in labels:  # type: ignore[operator]
            raise ArgumentError(
                f"{who}: expected a label among {', '.join(map(repr, labels))}, got {one!r}; "  # type: ignore[arg-type]
                "pass one of these"
            )
    for one in prefixes or ():
        _check_seen(who, units, one)
    for name, value in (("n", n), ("length", length)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise ArgumentTypeError(f"{who}: expected {name} to be an int, got {value!r}; pass a count")
        if value < 1:
            raise ArgumentError(f"{who}: expected {name} >= 1, got {value}; pass a positive count")
    if isinstance(repetition_penalty, bool) or not isinstance(repetition_penalty, int | float):
        raise ArgumentTypeError(
            f"{who}: expected repetition_penalty to be a number, got {repetition_penalty!r}; pass a float, 1 for none"
        )
    if not 1 <= repetition_penalty < float("inf"):
        raise ArgumentError(
            f"{who}: expected repetition_penalty of at least 1, got {repetition_penalty}; pass 1 for none"
        )
    stops = _texts(who, "stop", stop) or []
    if "" in stops:
        raise ArgumentError(f"{who}: expected stop texts with at least one character, got ''; leave it out")
    rows = max(len(prefixes or [""]), len(given or [""]))
    prefixes, given = _spread(prefixes or [""], rows), None if given is None else _spread(given, rows)
    if len(prefixes) != rows or (given is not None and len(given) != rows):
        raise ArgumentError(
            f"{who}: expected as many labels as prefixes, or one of either, got {len(given or ())} and "
            f"{len(prefixes)}; pass one label for all"
        )
    classes = None if given is None or labels is None else [labels.index(one) for one in given for _ in range(n)]
    return Wish(
        [one for one in prefixes for _ in range(n)], classes, length, sampler, float(repetition_penalty),
        tuple(stops), seed,
    )  # fmt: skip


def _named(label: Any) -> Any:
    """Labels that are numbers, as texts: so `fit` keeps them."""
    if isinstance(label, list | tuple):
        return [_named(one) for one in label]
    return str(label) if isinstance(label, int | float) and not isinstance(label, bool) else label


def _texts(who: str, name: str, given: Any) -> list[str] | None:
    if given is None:
        return None
    found = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple) else [given]
    for one in found:
        if not isinstance(one, str):
            raise ArgumentTypeError(f"{who}: expected {name} to be text or a list of texts, got {one!r}; pass str")
    if not found:
        raise ArgumentError(f"{who}: expected {name} to be text or a list of texts, got an empty list; leave it out")
    return found


def _spread(given: list[str], rows: int) -> list[str]:
    return given * rows if len(given) == 1 else given


def _check_seen(who: str, units: TextUnits, prefix: str) -> None:
    unseen = units.unseen(prefix)
    if unseen is not None:
        symbol, at = unseen
        instead = f", or {UNKNOWN} in its place" if units.unseen(UNKNOWN) is None else ""
        raise ArgumentError(
            f"{who}: expected a prefix of {units.name}s that the model was trained on, got {symbol!r} at character {at}"
            f" of {prefix!r:.60}; write it otherwise{instead}"
        )
