"""A composer for ONNX Runtime, a step: the last event and the states in, log-probabilities of the next and states out.

What may follow (`Grammar`) stands in the graph, so that a caller takes or draws and has a piece. Of frames a step gives
the log-odds of every key, and which keys sound is the caller's.

Axes in names: B pieces, T frames, V events, P what is remembered of a piece, K keys, M units of the joint head,
F features.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from throughtime.data.music.pieces import GRID, Metre
from throughtime.models.note_heads import JointKeys
from throughtime.tasks.compose.composer import Composer
from throughtime.tasks.compose.events import END, EventVocabulary
from throughtime.tasks.compose.frames import KEYS, LOWEST, FramesNet
from throughtime.tasks.exported import Exported, Port
from throughtime.tasks.language.net import LanguageNet

_KINDS = ("", "shift", "metre", "bar", "pos", "pitch", "dur", "vel", "end")
_PLACE = ("last", "left", "begin", "length", "metre", "position", "sounding", "chord", "pitch", "run")
"""What `Grammar` remembers: the last event's kind, ticks of the last metre's bar, and its fields that are numbers."""


class _Legal(nn.Module):
    """`Grammar` over tensors: `place` (B, 10), of zeros before a piece, is what it remembers.

    Position and pitch are counted from 1 here, so that 0 is none.
    """

    def __init__(self, composer: Composer) -> None:
        super().__init__()
        v, facts = composer.vocabulary_, composer.facts_
        self.melody, self.at_once, self.most_repeats = facts.at_once == 1, facts.at_once, facts.most_repeats
        self.velocities, self.longest, self.most_bars = v.velocities, v.longest, v.count["bar"]
        events = [v.read(id) for id in range(len(v))]
        self.kind_V = torch.tensor([_KINDS.index(event.kind) for event in events])
        self.value_V = torch.tensor([event.value for event in events])
        self.seen_V = torch.from_numpy(np.asarray(composer.seen_))
        self.neutral = v.shifts
        self.bar_M = torch.tensor([Metre(0, *metre).bar for metre in v.metres])

    def advance(self, place_BP: Tensor, id_B: Tensor, bars_B: Tensor) -> Tensor:
        """What is remembered after an event; id −1: none has come."""
        _, left, begin, length, metre, position, sounding, chord, pitch, run = place_BP.unbind(1)
        none = id_B < 0
        kind, value = self.kind_V[id_B.clamp(min=0)], self.value_V[id_B.clamp(min=0)]
        said, bar, pos, note, dur = (kind == _KINDS.index(name) for name in ("metre", "bar", "pos", "pitch", "dur"))
        metre = torch.where(said, self.bar_M[value.clamp(max=self.bar_M.shape[0] - 1)], metre)
        begin, length = torch.where(bar, begin + length, begin), torch.where(bar, metre, length)
        first = torch.where(bars_B > 0, bars_B, value + 1)
        left = torch.where(bar, torch.where(left == 0, first, left - 1), left)
        position = torch.where(bar, 0, torch.where(pos, value + 1, position))
        chord = torch.where(bar | pos, 0, torch.where(note, chord + 1, chord))
        run = torch.where(note, torch.where(pitch == value + 1, run + 1, 1), run)
        pitch = torch.where(note, value + 1, pitch)
        sounding = torch.where(dur, torch.maximum(sounding, begin + position - 1 + value + 1), sounding)
        after = torch.stack((kind, left, begin, length, metre, position, sounding, chord, pitch, run), 1)
        return torch.where(none.unsqueeze(1), 0, after)

    def allowed(self, place_BP: Tensor, bars_B: Tensor, metre_B: Tensor) -> Tensor:
        """(B, V) bool, what may come next."""
        columns = [column.unsqueeze(1) for column in (*place_BP.unbind(1), bars_B, metre_B)]
        last, left, begin, length, _, position, sounding, chord, pitch, run, bars, metre = columns
        seen, value = self.seen_V, self.value_V
        # Without torch.where between booleans, which ONNX Runtime does not know.
        of = {name: self.kind_V == number for number, name in enumerate(_KINDS)}
        after = {name: last == number for number, name in enumerate(_KINDS)}
        onwards = after["bar"] | (after["vel"] if self.velocities else after["dur"])
        found = after[""] & of["shift"] & (value == self.neutral)
        found = found | (after["shift"] & of["metre"] & (((metre < 0) & seen) | (value == metre)))
        said = value == bars.clamp(max=self.most_bars) - 1
        found = found | (after["metre"] & of["bar"] & (((bars > 0) & said) | ((bars == 0) & seen)))
        # A pitch: below the last one of a chord; a rule of repetition gives way where a note has to follow.
        more = onwards & (position > 0) & (chord < self.at_once) if not self.melody else onwards & False
        open_BV = of["pitch"] & seen & (after["pos"] | (more & (value + 1 < pitch)))
        kept_BV = open_BV & ~((run >= self.most_repeats) & (value + 1 == pitch))
        found = found | kept_BV | (open_BV & ~(kept_BV.any(1, keepdim=True) | more))
        # A duration: no longer than to the end of the last bar; one tick is always there.
        most = (left * length - (position - 1)).clamp(max=self.longest, min=1)
        fits = after["pitch"] & of["dur"] & (value < most) & seen
        found = found | fits | (after["pitch"] & of["dur"] & (value == 0) & ~fits.any(1, keepdim=True))
        if self.velocities:
            found = found | (after["dur"] & of["vel"] & seen)
        first = torch.maximum(position, sounding - begin) if self.melody else position
        found = found | (onwards & of["pos"] & seen & (value >= first) & (value < length))
        next_bar = value == (left - 1).clamp(max=self.most_bars) - 1
        found = found | (onwards & (left > 1) & of["bar"] & next_bar)
        stuck = ~found.any(1, keepdim=True)
        sounds = (position > 0) | (sounding > begin)
        return found | (of["end"] & (after["end"] | (onwards & (left <= 1) & (sounds | stuck))))


class _Events(nn.Module):
    """The last event (B,), bars, metre, place, the style where there are styles, and each layer's state."""

    def __init__(self, composer: Composer) -> None:
        super().__init__()
        self.net: LanguageNet = composer.model_
        self.legal = _Legal(composer)

    def forward(self, event: Tensor, bars: Tensor, metre: Tensor, place: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        encoder = self.net.encoder
        classes, state = (rest[0], rest[1:]) if encoder.classes is not None else (None, rest)
        if classes is not None:
            classes = classes.unsqueeze(0)
        x_1BE = encoder.embed(event.clamp(min=0).unsqueeze(0), begins=(event < 0).unsqueeze(0), classes=classes)
        h_1BF, after = encoder.run(x_1BE, _grouped(encoder.layers, state))
        log_p_BV = self.net.logits(h_1BF)[0].log_softmax(-1)
        place = self.legal.advance(place, event, bars)
        allowed_BV = self.legal.allowed(place, bars, metre)
        return log_p_BV.masked_fill(~allowed_BV, -torch.inf), place, *_flat(after)


class _Frames(nn.Module):
    """The frame before (B, K), then what `names` says, and each layer's state."""

    def __init__(self, net: FramesNet, names: tuple[str, ...]) -> None:
        super().__init__()
        self.net = net
        self.names = names

    def forward(self, before: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(self.names, rest, strict=False))
        state = rest[len(self.names) :]
        shifts_B = torch.zeros_like(before[:, 0], dtype=torch.int64)
        ahead = given["ahead"].unsqueeze(0) if "ahead" in given else None
        x_1BF = self.net.inputs(before.unsqueeze(0), given.get("styles"), shifts_B, ahead)
        features_1BF, after = self.net.run(x_1BF, _grouped(self.net.layers, state))
        head: Any = self.net.head
        z_BK = head.linear(features_1BF[0])
        if isinstance(head, JointKeys):
            z_BK = z_BK + _joint(head, features_1BF[0], given["keys"].to(z_BK.dtype))
        return z_BK, *_flat(after)


def _joint(head: JointKeys, hidden_BF: Tensor, keys_BK: Tensor) -> Tensor:
    """What the keys above each add to its log-odds: (1) and (2) of `JointKeys`, for every key at once."""
    own_BKM = keys_BK.flip(-1).unsqueeze(2) * head.after
    above_BKM = own_BKM.cumsum(1) - own_BKM
    known_BKM = (head.begin(hidden_BF).unsqueeze(1) + above_BKM).sigmoid()
    found: Tensor = (known_BKM * head.out).sum(2).flip(-1)
    return found


class _Ahead(nn.Module):
    """The voice (T, B, K) and lengths (B,) to what the net reads of it."""

    def __init__(self, net: FramesNet) -> None:
        super().__init__()
        self.ahead: Any = net.ahead

    def forward(self, voice: Tensor, lengths: Tensor) -> Tensor:
        found: Tensor = self.ahead(voice.float(), lengths=lengths)[0]
        return found


def _grouped(layers: Any, parts: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """The state of each layer from one tensor after another."""
    flat, found = iter(parts), []
    for layer in layers:
        of_layer = tuple(next(flat) for _ in layer._state_fields)
        found.append(of_layer if len(of_layer) > 1 else of_layer[0])
    return tuple(found)


def _flat(states: Any) -> list[Tensor]:
    return [part for one in states for part in (one if isinstance(one, tuple) else (one,))]


def exported(composer: Composer) -> Exported:
    """What `export_onnx` writes."""
    return _of_events(composer) if composer.view == "events" else _of_frames(composer)


def _of_events(composer: Composer) -> Exported:
    c, B = composer, 2
    v: EventVocabulary = c.vocabulary_
    whole = torch.zeros(B, dtype=torch.int64)
    inputs = {
        "event": Port(whole, ("batch",), "the number of the last event; -1 begins a piece"),
        "bars": Port(whole, ("batch",), "how many a piece has; 0: as the model begins"),
        "metre": Port(whole, ("batch",), "a number in 'metres'; -1: as the model begins"),
        "place": Port(
            torch.zeros((B, len(_PLACE)), dtype=torch.int64),
            ("batch", "fields"),
            "where in the piece it is: zeros first",
        ),
    }
    if c.labels_ is not None:
        inputs["style"] = Port(whole, ("batch",), "the number of each piece's style in 'styles'")
    states = _states(c.model_.encoder.layers, B)
    return Exported(
        module=_Events(c),
        inputs={**inputs, **states},
        outputs={
            "log_probability": (("batch", "events"), "of each event to come next, in nats; -infinity where none may"),
            "place_after": (("batch", "fields"), "where in the piece it is then"),
            **_after(states),
        },
        open_axes=("batch",),
        around={
            "view": "events",
            "events": [[event.kind, event.value + _FROM.get(event.kind, 0)] for event in map(v.read, range(len(v)))],
            "place": list(_PLACE),
            "end": END,
            "metres": [list(metre) for metre in v.metres],
            "ticks": GRID,
            "styles": c.labels_,
            "tempo": c.facts_.tempo,
            "preprocessing": {
                "primer": "its events are fed one after another, in place of those that are drawn: " + _ORDER
            },
            "postprocessing": {
                "writing": "begin with event -1, 'place' and states of zeros; take or draw the next event from "
                "log_probability, and feed it back with what came after, until 'end'",
                "events": "each is a kind and a value: " + _VALUES,
                "place": "the next note begins at tick begin + position - 1",
            },
        },
    )


_FROM = {"bar": 1, "dur": 1}
"""The least value of a kind."""
_ORDER = (
    "shift, metre, then of each bar bar and its notes, pos pitch dur (vel), highest first where they begin together"
)
_VALUES = (
    "shift: any, the middle one where no transposition is meant; metre: a number in 'metres'; bar: bars that are left; "
    "pos: ticks after the bar's beginning; pitch: MIDI's; dur: ticks; vel: eighths of MIDI's; 'ticks' a quarter note"
)


def _of_frames(composer: Composer) -> Exported:
    c, B, T = composer, 2, 3
    net: FramesNet = c.model_
    keys = torch.zeros((B, KEYS), dtype=torch.uint8)
    inputs = {"before": Port(keys, ("batch", "keys"), "which keys sounded in the frame before; none at first")}
    if isinstance(net.head, JointKeys):
        inputs["keys"] = Port(keys, ("batch", "keys"), "which keys are known to sound in this frame, from the highest")
    if c.labels_ is not None:
        shares = torch.zeros((B, len(c.labels_)))
        inputs["styles"] = Port(shares, ("batch", "styles"), "the share of each of 'styles'")
    before = {}
    if net.ahead is not None:
        F: Any = net.ahead.output_size
        inputs["ahead"] = Port(torch.zeros((B, F)), ("batch", "features"), "of this frame, as ahead.onnx gives it")
        before["ahead"] = Exported(
            module=_Ahead(net),
            inputs={
                "voice": Port(
                    torch.zeros((T, B, KEYS), dtype=torch.uint8), ("time", "batch", "keys"), "the highest voice alone"
                ),
                "lengths": Port(torch.tensor([T, 2]), ("batch",), "how many frames each has"),
            },
            outputs={"ahead": (("time", "batch", "features"), "what the model reads of the voice")},
            open_axes=("time", "batch"),
        )
    names = tuple(inputs)[1:]
    states = _states(net.layers, B)
    return Exported(
        module=_Frames(net, names),
        inputs={**inputs, **states},
        outputs={"log_odds": (("batch", "keys"), "that each key sounds in this frame"), **_after(states)},
        open_axes=("batch",),
        around={
            "view": "frames",
            "lowest": LOWEST,
            "frame": int(c.frame),
            "ticks": GRID,
            "styles": c.labels_,
            "preprocessing": {
                "given": "the keys of a primer, or those of the voice and above it, take the place of drawn ones"
            },
            "postprocessing": {
                "keys": "each key sounds with probability 1 / (1 + exp(-log_odds))"
                if "keys" not in inputs
                else "log_odds of a key are given those in 'keys' above it: choose the next one that sounds below the "
                "last, log p = log sigmoid(log_odds) of it + log sigmoid(-log_odds) of all between, or that none does; "
                "run again with it in 'keys', the states as they were, until none does"
            },
        },
        before=before,
    )


def _states(layers: Any, B: int) -> dict[str, Port]:
    found = {}
    for number, layer in enumerate(layers):
        for name, size in zip(layer._state_fields, layer._state_sizes, strict=True):
            found[f"{name}_{number}"] = Port(
                torch.zeros((1, B, size)), ("1", "batch", "units"), f"the state {name} of layer {number}: zeros first"
            )
    return found


def _after(states: dict[str, Port]) -> dict[str, tuple[tuple[str, ...], str]]:
    return {f"{name}_after": (port.axes, "the same after the step") for name, port in states.items()}
