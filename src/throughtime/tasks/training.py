"""What every task asks of a training that has ended."""

from throughtime.errors import DataError
from throughtime.training import TrainingResult

__all__ = ["check_finite"]


def check_finite(result: TrainingResult, who: str) -> None:
    """Refuse a training that diverged before its first epoch was over: there is nothing to keep.

    Raises:
        DataError: it has no best epoch and ended because a loss or a gradient was not finite.
    """
    if result.best_epoch is None and result.stopped == "non-finite":
        raise DataError(
            f"{who}: expected a finite loss, got none ({result.message}); pass a smaller learning_rate, or values of a "
            "smaller size"
        )
