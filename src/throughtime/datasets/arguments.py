"""What every generator checks of its arguments."""

from typing import Any

from throughtime.errors import ArgumentError, ArgumentTypeError

__all__ = ["check_whole"]


def check_whole(who: str, name: str, value: Any, least: int, most: int | None = None) -> None:
    """Refuse what is not a whole number from `least` to `most`.

    Raises:
        ArgumentTypeError: not an int (NumPy's whole numbers and True among them).
        ArgumentError: outside the range.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentTypeError(f"{who}: expected {name} to be an int, got {value!r}; pass a whole number")
    if value < least or (most is not None and value > most):
        bounds = f"{name} >= {least}" if most is None else f"{name} from {least} to {most}"
        raise ArgumentError(f"{who}: expected {bounds}, got {value}; pass a number in this range")
