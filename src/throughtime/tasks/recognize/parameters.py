"""A recognizer's hyper-parameters, checked."""

from numbers import Real
from typing import TYPE_CHECKING, Any

from throughtime.errors import ArgumentError
from throughtime.models.pooling import POOLING_NAMES
from throughtime.nn.arguments import check_flag, check_size
from throughtime.nn.layers import LAYERS
from throughtime.training import TrainingConfig

if TYPE_CHECKING:
    from throughtime.tasks.recognize.recognizer import Recognizer

_CHOICES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("cell", tuple(LAYERS)),
    ("pooling", POOLING_NAMES),
    ("class_weight", (None, "balanced")),
)
_COUNTS = ("hidden_size", "num_layers", "features", "clips")
_FROM_DATA = ("rotation", "smoothing", "shortest")  # may be None
_FLAGS = ("bidirectional", "residual", "grey", "flip")
# Numbers from 0, and what they may at most be.
_AMOUNTS = (
    ("jitter", 10.0), ("scaling", 2.0), ("warp", 4.0), ("rotation", 180.0), ("crop", 0.5), ("colour", 1.0),
    ("smoothing", 1e6), ("shortest", 1e6),
)  # fmt: skip


def check(recognizer: "Recognizer") -> None:
    """Refuse hyper-parameters out of their range; here, since scikit-learn wants `__init__` to store untouched.

    Raises:
        ArgumentError: a value out of its range or an unknown name.
        ArgumentTypeError: a value of a wrong type.
    """
    who = "Recognizer"
    for name, among in _CHOICES:
        if getattr(recognizer, name) not in among:
            raise ArgumentError(
                f"{who}: expected {name} to be one of {', '.join(map(str, among))}, got {getattr(recognizer, name)!r}; "
                "pass one of these"
            )
    for name in _COUNTS:
        check_size(who, name, getattr(recognizer, name))
    for name in _FLAGS:
        check_flag(who, name, getattr(recognizer, name))
    for name in ("rate", "window"):
        value: Any = getattr(recognizer, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1e6):
            raise ArgumentError(f"{who}: expected {name} to be a number above 0 or None, got {value!r}; pass one")
    for name, most in (*_AMOUNTS, ("dropout", 0.95)):
        value = getattr(recognizer, name)
        if value is None and name in _FROM_DATA:
            continue
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= most:
            raise ArgumentError(
                f"{who}: expected {name} to be a number from 0 to {most:g}, got {value!r}; pass 0 for none"
            )
    if recognizer.around is not None:
        around: Any = recognizer.around
        if isinstance(around, bool) or not isinstance(around, Real) or not 0 <= float(around) <= 1e6:
            raise ArgumentError(
                f"{who}: expected around to be a number from 0 or None, got {around!r}; pass 0 for none"
            )
        if around and not recognizer.bidirectional:
            raise ArgumentError(
                f"{who}: expected around=0 for a one-way model, which sees no future, got {around!r}; pass 0 or None"
            )
    # The loop's own checks, here, before files are read.
    given = {name: getattr(recognizer, name) for name in ("learning_rate", "epochs", "batch_size")}
    TrainingConfig(
        seed=recognizer.seed,
        patience=recognizer.patience,
        **{name: value for name, value in given.items() if value is not None},
    )
    size: Any = recognizer.size
    if size is not None and not (
        isinstance(size, tuple | list)
        and len(size) == 2
        and all(isinstance(side, int) and not isinstance(side, bool) and 8 <= side <= 4096 for side in size)
    ):
        raise ArgumentError(f"{who}: expected size to be (width, height) of at least 8 pixels, got {size!r}; pass such")
