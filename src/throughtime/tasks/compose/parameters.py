"""A composer's hyper-parameters: checked, and what follows from them."""

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from throughtime.errors import ArgumentError
from throughtime.models.note_heads import NOTE_HEADS
from throughtime.nn.arguments import check_flag, check_size
from throughtime.nn.layers import LAYERS
from throughtime.tasks.compose.frames import FrameDesign
from throughtime.training import OPTIMIZERS, SCHEDULES, TrainingConfig

if TYPE_CHECKING:
    from throughtime.tasks.compose.composer import Composer

VIEWS = ("events", "frames")
_CHOICES = (
    ("view", VIEWS),
    ("head", NOTE_HEADS),
    ("cell", tuple(LAYERS)),
    ("schedule", SCHEDULES),
    ("optimizer", OPTIMIZERS),
)
_COUNTS = ("frame", "hidden_size", "num_layers", "embedding_size", "window", "batch_size")
_DROPOUTS = ("dropout", "input_dropout", "weight_dropout")
_OF_VIEW = {
    "velocity": "events", "embedding_size": "events", "head": "frames", "frame": "frames", "given": "frames",
    "lags": "frames",
}  # fmt: skip
_LONGEST_LAG = 1024
_STEPS = {"events": 2400, "frames": 3000}
_MOST_EPOCHS = {"events": 60, "frames": 200}


def check(composer: "Composer") -> None:
    """Refuse hyper-parameters out of their range; here, since scikit-learn wants `__init__` to store untouched.

    Raises:
        ArgumentError: a value out of its range, an unknown name, or an option of the other view.
        ArgumentTypeError: a value of a wrong type.
    """
    for name, among in _CHOICES:
        if getattr(composer, name) not in among:
            raise ArgumentError(
                f"Composer: expected {name} to be one of {', '.join(among)}, got {getattr(composer, name)!r}; "
                "pass one of these"
            )
    for name in _COUNTS:
        check_size("Composer", name, getattr(composer, name))
    if composer.epochs is not None:
        check_size("Composer", "epochs", composer.epochs)
    for name in ("melody", "velocity", "given"):
        check_flag("Composer", name, getattr(composer, name))
    for name in _DROPOUTS:
        value: Any = getattr(composer, name)
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
            raise ArgumentError(f"Composer: expected {name} to be a number in [0, 1), got {value!r}; pass 0 for none")
    _check_lags(composer.lags)
    keys: Any = composer.transpose
    if isinstance(keys, bool) or not isinstance(keys, int | np.integer) or not 0 <= keys <= 12:
        raise ArgumentError(
            f"Composer: expected transpose to be a whole number from 0 to 12, got {keys!r}; pass 0 for none"
        )
    for name, view in _OF_VIEW.items():
        if composer.view != view and getattr(composer, name) != composer._default(name):
            raise ArgumentError(
                f"Composer: expected {name} with view={view!r} alone, got {getattr(composer, name)!r} with "
                f"view={composer.view!r}; leave it out"
            )
    seed: Any = composer.seed
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ArgumentError(f"Composer: expected seed to be a whole number from 0, got {seed!r}; pass one")
    training_config(composer, 1, None)


def _check_lags(lags: Any) -> None:
    if lags is None:
        return
    whole = isinstance(lags, list | tuple) and all(type(lag) is int and 2 <= lag <= _LONGEST_LAG for lag in lags)
    if not whole or not lags or len(set(lags)) < len(lags):
        raise ArgumentError(
            f"Composer: expected lags to be different whole numbers from 2 to {_LONGEST_LAG}, got {lags!r}; pass [64] "
            "or so, or None for none"
        )


def training_config(composer: "Composer", steps: int, max_seconds: float | None) -> TrainingConfig:
    """The options of `train` for an epoch of so many steps."""
    wanted = max(1, min(_MOST_EPOCHS[composer.view], -(-_STEPS[composer.view] // steps)))
    return TrainingConfig(
        epochs=wanted if composer.epochs is None else int(composer.epochs),
        batch_size=1 if composer.view == "events" else int(composer.batch_size),  # of events a batch is a chunk
        learning_rate=composer.learning_rate,
        schedule=composer.schedule,  # type: ignore[arg-type]
        optimizer=composer.optimizer,  # type: ignore[arg-type]
        weight_decay=composer.weight_decay,
        clip_norm=composer.clip_norm,
        ema=composer.ema,
        patience=composer.patience,
        seed=int(composer.seed),
        max_seconds=max_seconds,
    )


def design(composer: "Composer", styles: int) -> FrameDesign:
    """The net of the frames view."""
    return FrameDesign(
        head=composer.head, cell=composer.cell, hidden_size=int(composer.hidden_size),
        num_layers=int(composer.num_layers), styles=styles, shifts=int(composer.transpose), given=composer.given,
        lags=tuple(composer.lags or ()),
        input_dropout=float(composer.input_dropout), dropout=float(composer.dropout),
        weight_dropout=float(composer.weight_dropout),
    )  # fmt: skip
