"""Gradients along time: how far back they reach, where they vanish, explode or stop being numbers.

The recurrent kernels write the norms while they run backward (`throughtime.kernels.health`); here they are gathered,
named and put into words. A model that is not watched pays for one comparison a call.

Axes in names: T time, B batch, H hidden units.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from throughtime.cells import State
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.kernels.health import Listener, StepHealth
from throughtime.nn import Recurrent
from throughtime.training.callbacks import Callback
from throughtime.training.gradient_health_places import Heard, locate
from throughtime.training.gradient_health_report import HealthReport, LayerHealth, NonFinite
from throughtime.training.losses import Loss, weigh
from throughtime.training.nonfinite import Buffers
from throughtime.training.records import StepRecord, TrainingResult, TrainingStart

MARGIN = 0.05
_PROBED_ROWS = 32

_logger = logging.getLogger("throughtime.training")


class Watch:
    """The ears on a model's recurrent layers. Made by `watch`.

    What is heard is that of the last forward pass and its backward pass: a forward pass after a backward pass begins
    anew. A layer called more than once in a forward pass, step by step in a decoder, has its calls one after the other
    in time, where they are of one batch size; otherwise its longest call counts. `trace` and compiled code are not
    heard. The inputs of the layers are held until the next forward pass.
    """

    def __init__(self, model: nn.Module, margin: float = MARGIN) -> None:
        if not 0.0 < margin < 0.5:
            raise ArgumentError(f"watch: expected a margin in (0, 0.5), got {margin}; 0.05 is usual")
        self.margin = margin
        self.modules = {name: module for name, module in model.named_modules() if isinstance(module, Recurrent)}
        if not self.modules:
            raise ArgumentError(
                f"watch: expected a model with recurrent layers of throughtime.nn, got {type(model).__name__} with "
                "none; torch.nn's own layers tell nothing of their backward pass, throughtime.nn's take their place"
            )
        if any(module._compiled_call_impl is not None for module in model.modules()) or hasattr(model, "_orig_mod"):
            _logger.warning("watch: compiled code is not heard; watch the model before it is compiled, or uncompiled")
        self._heard: list[Heard] = []
        self._answered = 0
        self._nonfinite: NonFinite | None = None
        self._before: dict[str, Any] = {}

    def listen(self) -> None:
        """Begin to hear; another watch on the same layers is deaf meanwhile."""
        for name, module in self.modules.items():
            self._before.setdefault(name, module._listen)
            module._listen = partial(self._enter, name)

    def rest(self) -> None:
        """Stop hearing."""
        for name, before in self._before.items():
            self.modules[name]._listen = before
        self._before = {}

    def _enter(self, name: str, index: int, fast: Any, x_TBI: Tensor, state: State, **where: Any) -> Listener | None:
        # A forward pass inside a backward pass is a checkpointed piece computed again: its own backward never comes.
        if not torch.is_grad_enabled() or torch._C._current_graph_task_id() != -1:
            return None
        if self._answered:
            self._nonfinite = self.nonfinite
            self._heard, self._answered = [], 0
        heard = Heard(name, index, fast, x_TBI.detach(), tuple(s.detach() for s in state), where)
        self._heard.append(heard)
        return Listener(self.margin, partial(self._told, heard))

    def _told(self, heard: Heard, health: StepHealth, d_outputs: tuple[Tensor | None, ...]) -> None:
        self._answered += 1
        heard.health, heard.order = health, self._answered
        heard.bad = bool((health.first_bad >= 0).any())
        heard.d_outputs = d_outputs if heard.bad else ()

    @property
    def nonfinite(self) -> NonFinite | None:
        """The first value that was not finite since the watch began, located; None where all were finite."""
        if self._nonfinite is None and any(heard.bad for heard in self._heard):
            self._nonfinite = locate(self.modules, self._heard)
        return self._nonfinite

    def report(self, *, seed: int = 0) -> HealthReport:
        """All that was heard of the last backward pass.

        The effective memory is measured now, with the weights as they are now: a backward pass through each layer and
        direction, at most 32 rows of the batch, from a random direction (of `seed`) at the end of each row. Borders
        inside the rows are left out of it.
        """
        layers = []
        for name, module in self.modules.items():
            D = module.num_directions
            for index in range(module.num_layers * D):
                calls = [h for h in self._heard if (h.module, h.index) == (name, index) and h.health is not None]
                if calls:
                    layers.append(_layer_health(module, index, _joined(calls), seed))
        return HealthReport(tuple(layers), self.nonfinite, self.margin)


@contextmanager
def watch(model: nn.Module, *, margin: float = MARGIN) -> Iterator[Watch]:
    """Hear the backward passes of a model's recurrent layers inside the block.

    Args:
        model: any module with layers of `throughtime.nn` in it.
        margin: a gate closer than this to an end of its range counts as saturated.

    Raises:
        ArgumentError: the model has no such layer, or `margin` is outside (0, 0.5).

    >>> from throughtime.nn import RNN
    >>> layer = RNN(1, 1, nonlinearity="relu")
    >>> for parameter in layer.parameters():
    ...     _ = nn.init.constant_(parameter, 0.5)
    >>> with watch(layer) as health:
    ...     layer(torch.ones(4, 1, 1))[0][-1].sum().backward()
    >>> health.report().layers[0].dh.tolist()
    [0.125, 0.25, 0.5, 1.0]
    """
    ears = Watch(model, margin)
    ears.listen()
    try:
        yield ears
    finally:
        ears.rest()


class GradientHealth(Callback):
    """Watches a training: every so many steps, and its last look stays in `report`.

    Steps in between cost nothing; a step that is looked at costs 10 to 45 % more, small layers the most. Two copies of
    the weights exist for a moment at such a step.

    Args:
        every: steps from one look to the next; the first step is looked at.
        margin: as in `watch`.

    Raises:
        ArgumentTypeError: `every` is no int.
        ArgumentError: `every` < 1, or what `watch` refuses, when training starts.
    """

    def __init__(self, every: int = 20, *, margin: float = MARGIN) -> None:
        given: Any = every
        if isinstance(given, bool) or not isinstance(given, Integral):
            raise ArgumentTypeError(
                f"GradientHealth: expected every to be an int, got {every!r}; give the steps between two looks"
            )
        if every < 1:
            raise ArgumentError(f"GradientHealth: expected every >= 1, got {every}; give the steps between two looks")
        self.every = every
        self.margin = margin
        self.report: HealthReport | None = None
        """The last look, once the training has ended."""
        self.update_ratios: dict[str, float] = {}
        self._watch: Watch | None = None
        self._parameters: dict[str, nn.Parameter] = {}
        self._before: list[Tensor] = []

    def on_start(self, start: TrainingStart) -> None:
        """Look at the first step."""
        self._watch = Watch(start.model, self.margin)
        self._parameters = {name: p for name, p in start.model.named_parameters() if p.requires_grad}
        self._look()

    def on_step(self, record: StepRecord) -> None:
        """End a look that this step had, and begin one if the next is due."""
        assert self._watch is not None
        if self._before:
            self.update_ratios = _update_ratios(self._parameters, self._before)
            self._before = []
            self._watch.rest()
        if record.global_step % self.every == 0:
            self._look()

    def on_end(self, result: TrainingResult) -> None:
        """Keep what was seen last; the memory is that of the weights the model ends with."""
        assert self._watch is not None
        self._watch.rest()
        found = self._watch.report()
        self.report = HealthReport(found.layers, found.nonfinite, found.margin, self.update_ratios)

    def close(self) -> None:
        """Stop watching, after an exception too."""
        if self._watch is not None:
            self._watch.rest()

    def _look(self) -> None:
        assert self._watch is not None
        self._before = [p.detach().clone() for p in self._parameters.values()]
        self._watch.listen()


def nonfinite_locator(loss: Loss) -> Callable[[nn.Module, Any], str | None]:
    """``locate(model, batch)``: runs a batch again, forward and backward, and says where the first NaN or infinity is.

    Gradients, buffers and the random state of the model stay as they are; dropout drops other units than it did.
    """

    def find(model: nn.Module, batch: Any) -> str | None:
        parameters = [p for p in model.parameters() if p.requires_grad]
        gpus = sorted({p.device.index for p in parameters if p.is_cuda})
        buffers = Buffers(model)
        buffers.keep()
        with torch.random.fork_rng(devices=gpus), torch.enable_grad(), watch(model) as ears:
            value, _ = weigh(loss(model, batch), 1)
            torch.autograd.grad(value, parameters, allow_unused=True)
        buffers.restore()
        return None if ears.nonfinite is None else ears.nonfinite.sentence

    return find


@dataclass(frozen=True)
class _Joined:
    """The calls of a layer and direction as one."""

    longest: Heard
    dh_square_TB: Tensor
    dc_square_TB: Tensor | None
    saturated_GTB: Tensor
    valid: float
    """(t, row) pairs that count."""


def _joined(calls: list[Heard]) -> _Joined:
    longest = max(calls, key=lambda call: call.x_TBI.shape[0])
    if len({call.x_TBI.shape[1] for call in calls}) > 1:
        calls = [longest]
    healths = [call.health for call in calls if call.health is not None]
    dc = [h.dc_square for h in healths if h.dc_square is not None]
    return _Joined(
        longest,
        torch.cat([h.dh_square for h in healths]),
        torch.cat(dc) if dc else None,
        torch.cat([h.saturated for h in healths], dim=1),
        float(sum(int(call.ends().sum()) for call in calls)),
    )


def _layer_health(module: Recurrent, index: int, calls: _Joined, seed: int) -> LayerHealth:
    layer, direction = divmod(index, module.num_directions)
    per_gate = calls.saturated_GTB.sum((1, 2), dtype=torch.float64) / max(calls.valid * module.hidden_size, 1.0)
    dc_TB = calls.dc_square_TB
    return LayerHealth(
        module=calls.longest.module,
        cell=module.cell_name,
        layer=layer,
        direction="reverse" if direction else "forward",
        dh=calls.dh_square_TB.sum(1).sqrt().numpy(),
        dc=None if dc_TB is None else dc_TB.sum(1).sqrt().numpy(),
        reach=_reach(calls.longest, seed),
        saturated=dict(zip(module.cell.gates, per_gate.tolist(), strict=True)),
    )


def _reach(call: Heard, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """See `LayerHealth.reach`."""
    rows = slice(0, _PROBED_ROWS)
    ends_B = call.ends()[rows]
    K = int(ends_B.max(initial=0))
    if K == 0:
        return np.zeros(0)
    x_TBI = call.x_TBI[:, rows].contiguous().requires_grad_()
    state = tuple(s[rows].contiguous() for s in call.state)
    where = call.where | {"reset": None}
    if where["lengths"] is not None:
        where["lengths"] = where["lengths"][rows]
    variation = where.get("variation")
    if variation is not None and variation.h_mask is not None:
        where["variation"] = replace(variation, h_mask=variation.h_mask[rows].contiguous())
    told: list[StepHealth] = []
    listener = Listener(MARGIN, lambda health, _: told.append(health))
    with torch.enable_grad():
        _, (h_BH, *_) = call.fast(x_TBI, state, **where, listener=listener)
        u_BH = torch.randn(h_BH.shape, generator=torch.Generator().manual_seed(seed)).to(h_BH)
        torch.autograd.grad(h_BH, x_TBI, u_BH / u_BH.norm(dim=1, keepdim=True))
    square_TB = told[0].dh_square + (0 if told[0].dc_square is None else told[0].dc_square)
    back = np.arange(K)[:, None]
    t_KB = np.broadcast_to(back, (K, len(ends_B))) if call.where["reverse"] else ends_B - 1 - back
    inside = back < ends_B
    values = np.take_along_axis(square_TB.numpy(), np.where(inside, t_KB, 0), axis=0)
    found: np.ndarray[Any, np.dtype[np.float64]] = np.sqrt(np.where(inside, values, 0.0).sum(1) / inside.sum(1))
    return found


@torch.no_grad()
def _update_ratios(parameters: dict[str, nn.Parameter], before: list[Tensor]) -> dict[str, float]:
    """|Δw| / |w before|; a weight that was all zeros has no ratio."""
    found = {}
    for (name, parameter), old in zip(parameters.items(), before, strict=True):
        size = float(old.norm())
        if size > 0.0:
            found[name] = float((parameter - old).norm()) / size
    return found
