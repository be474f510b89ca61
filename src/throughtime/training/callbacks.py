"""Who listens to a training."""

from typing import Protocol

from throughtime.training.records import EpochRecord, StepRecord, TrainingResult, TrainingStart


# Each method has a body beside its docstring: without one, type checkers take a protocol's method for abstract.
class Callback(Protocol):
    """Called by `train`. Subclass it and write the methods you want; the others do nothing.

    A KeyboardInterrupt raised in any of them ends the training as Ctrl-C does; any other exception passes through
    `train` and leaves the model with the weights it has at that moment.
    """

    def on_start(self, start: TrainingStart) -> None:
        """Before the first step."""
        return

    def on_step(self, record: StepRecord) -> None:
        """After the update of every step."""
        return

    def on_epoch(self, record: EpochRecord) -> None:
        """After every epoch and its validation."""
        return

    def on_end(self, result: TrainingResult) -> None:
        """At the end, however it came; the model holds its best weights by now."""
        return

    def close(self) -> None:
        """Last of all, after an exception too: give back what is held. It may come without `on_start`."""
        return
