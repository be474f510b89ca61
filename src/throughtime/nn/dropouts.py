"""Dropout inside the recurrence: what a layer is built with, and what one call draws from it.

(1) recurrent dropout: the products with W_hh see m ∗ h, one m a sequence: 0 with probability p, else 1/(1 − p)
(2) weight dropout: W_hh ∗ m for the length of a call, m elementwise as above; the parameter itself is never written
(3) zoneout: a unit keeps its old h (and c) with probability p at every step; in evaluation s' = p ∗ s + (1 − p) ∗ ŝ

Every mask is a function of a seed of 63 bits, the layer and direction, the row as it stands in the batch that is run
(a PackedSequence's: sorted by length), the unit, and for (3) the time: see `throughtime.kernels.masks`.

**Source** (1) [Gal2016], (2) [Merity2018], (3) [Krueger2017].

Axes in names: T time, B batch, I input features, H hidden units.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.kernels import dispatch, masks
from throughtime.kernels.recording import traced
from throughtime.kernels.variation import Variation


@dataclass(frozen=True)
class Dropouts:
    """The probabilities that a layer was built with; `zoneout` by the state's fields."""

    recurrent: float = 0.0
    weight: float = 0.0
    zoneout: tuple[float, ...] = ()

    def shown(self) -> list[str]:
        """Those that are not 0, as arguments."""
        named = {"recurrent_dropout": self.recurrent, "weight_dropout": self.weight}
        shown = [f"{name}={p}" for name, p in named.items() if p]
        if any(self.zoneout):
            same = len(set(self.zoneout)) == 1
            shown.append(f"zoneout={self.zoneout[0] if same else self.zoneout}")
        return shown

    def draws(self, training: bool) -> bool:
        """Whether a call draws anything."""
        return training and bool(self.recurrent or self.weight or any(self.zoneout))

    def acts(self, training: bool) -> bool:
        """Whether a call computes anything but the plain equations."""
        return self.draws(training) or any(self.zoneout)

    def varies(self, training: bool) -> bool:
        """Whether `variation` gives anything."""
        return (training and bool(self.recurrent)) or any(self.zoneout)

    def drop_weights(self, params: Any, seed: Tensor, stream: int) -> Any:
        """The parameters with a masked copy of W_hh."""
        if not self.weight:
            return params
        weight = params.weight_hh
        kind = masks.Kind.WEIGHT
        rows, columns = weight.shape
        mask = dispatch.drop_mask(seed, stream, kind, self.weight, rows, columns, _mask_dtype(weight.dtype))
        return params._replace(weight_hh=(weight * mask).to(weight.dtype))

    def variation(self, state_BH: Tensor, seed: Tensor | None, stream: int, step0: int) -> Variation | None:
        """What a call of one layer and direction does differently; `seed` None: in evaluation."""
        zoneout = self.zoneout if any(self.zoneout) else None
        mask = None
        if self.recurrent and seed is not None:
            shape, dtype = state_BH.shape, _mask_dtype(state_BH.dtype)
            mask = dispatch.drop_mask(seed, stream, masks.Kind.RECURRENT, self.recurrent, shape[0], shape[1], dtype)
        if mask is None and zoneout is None:
            return None
        return Variation(mask, zoneout, seed if zoneout else None, stream, step0)


def over_pieces(layer: Any, device: torch.device) -> Callable[[int], dict[str, Any]]:
    """The masks of one sequence that is run in pieces: by the time of a piece's first step, arguments of `forward`.

    One seed is drawn here where the layer draws; a layer without masks, or in evaluation, gets no argument.
    """
    own: Dropouts | None = getattr(layer, "dropouts", None)
    if own is None or not own.draws(layer.training):
        return lambda begin: {}
    seed = masks.draw_seed(device)
    return lambda begin: {"mask_seed": seed, "step0": begin}


def _mask_dtype(dtype: torch.dtype) -> torch.dtype:
    """Half precision has no 1/(1 − p) that is near enough: its masks are float32, and the products are rounded."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _probability(who: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ArgumentError(f"{who}: expected {name} in [0, 1], got {value!r}; pass a probability")
    return float(value)


def read(who: str, recurrent_dropout: Any, weight_dropout: Any, zoneout: Any, fields: Sequence[str]) -> Dropouts:
    """The three arguments, checked.

    Raises:
        ArgumentError: something is no probability, or zoneout has not one for each of the state's `fields`.
    """
    given = tuple(zoneout) if isinstance(zoneout, tuple | list) else (zoneout,) * len(fields)
    if len(given) != len(fields):
        raise ArgumentError(
            f"{who}: expected zoneout as one number or {len(fields)}, for {' and '.join(fields)}, got {zoneout!r}; "
            "pass one probability, or one for each"
        )
    return Dropouts(
        _probability(who, "recurrent_dropout", recurrent_dropout),
        _probability(who, "weight_dropout", weight_dropout),
        tuple(_probability(who, "zoneout", p) for p in given),
    )


def read_seed(who: str, given: Any, device: torch.device) -> Tensor:
    """The seed of a call's masks: the one given, or 63 bits from torch's default generator.

    Raises:
        ArgumentTypeError: it is neither an int nor one int64.
        ArgumentError: it is outside [0, 2⁶³).
    """
    if given is None:
        return masks.draw_seed(device)
    if isinstance(given, Tensor):
        if given.dtype != torch.int64 or given.dim() != 0:
            raise ArgumentTypeError(
                f"{who}: expected mask_seed to be an int or one int64, got {tuple(given.shape)} of {given.dtype}; "
                "pass torch.randint(2**63 - 1, ())"
            )
        # Its value is not there while tracing; a sign, which is no bit of a seed, is dropped then.
        if not traced() and not dispatch.transformed() and int(given) < 0:
            raise ArgumentError(f"{who}: expected mask_seed in [0, 2**63), got {int(given)}; pass 63 bits")
        return (given & (2**63 - 1)).to(device)
    if isinstance(given, bool) or not isinstance(given, int):
        raise ArgumentTypeError(f"{who}: expected mask_seed to be an int, got {given!r}; pass a whole number")
    if not 0 <= given < 2**63:
        raise ArgumentError(f"{who}: expected mask_seed in [0, 2**63), got {given}; pass 63 bits")
    return torch.full((), given, dtype=torch.int64, device=device)


def check_masks(who: str, dropouts: Dropouts, mask_seed: Any, step0: Any) -> None:
    """Refuse masks for a layer that has none, and a step that is none.

    Raises:
        ArgumentError: the layer has no mask, or step0 is negative.
        ArgumentTypeError: step0 is no int.
    """
    if isinstance(step0, bool) or not isinstance(step0, int | torch.SymInt):
        raise ArgumentTypeError(f"{who}: expected step0 to be an int, got {step0!r}; pass the time of the first step")
    if step0 < 0:
        raise ArgumentError(f"{who}: expected step0 >= 0, got {step0}; pass the time of the first step")
    if not dropouts.draws(True) and (mask_seed is not None or step0 != 0):
        what = f"mask_seed={mask_seed!r}" if mask_seed is not None else f"step0={step0}"
        raise ArgumentError(
            f"{who}: expected a layer with recurrent_dropout, weight_dropout or zoneout, got {what} for one without; "
            "leave it out"
        )
