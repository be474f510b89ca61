"""The folder of a tuning: a file for each trial that has ended, so that nothing is trained twice.

DIR/question.json       what is tuned on what; another question is refused
DIR/trials/0007.json

JSON alone: the sampler's state is not kept, since it follows from the seed and from the trials before.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from throughtime.tasks.question_folder import QuestionFolder, numbers
from throughtime.tasks.tuning_records import Dimension, State, Trial


class TuningFolder(QuestionFolder):
    """An open folder."""

    what, again = "tuning", "tune"
    parts = ("trials",)

    def read_trial(self, number: int) -> Trial | None:
        """A trial that has ended, or None."""
        path = self._path(number)
        if not path.exists():
            return None
        fields = self.read(path)
        try:
            for name in ("early", "error"):
                fields[name] = numbers({name: fields[name]})[name]
            fields["later"] = numbers(fields["later"])
            trial = Trial(**fields)
            if trial.number != number or trial.state not in get_args(State):
                raise ValueError(f"trial {trial.number!r} in state {trial.state!r}")
            if not all(isinstance(each, Mapping) for each in (trial.options, trial.values)):
                raise ValueError("options that are not a table")
            if not (trial.seconds >= 0.0 and trial.last_seconds >= 0.0):
                raise ValueError(f"{trial.seconds} seconds")
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise self.damaged(path, error) from error
        return trial

    def check(self, trial: Trial, space: Mapping[str, Dimension]) -> None:
        """Refuse a trial whose options the space does not hold.

        Raises:
            DataError: the file was changed, or written by a version with another space.
        """
        for name, value in trial.options.items():
            if name not in space or not space[name].holds(value):
                raise self.damaged(self._path(trial.number), f"{name} {value!r}, which this version does not try")

    def keep(self, trial: Trial) -> None:
        """Write it, whole or not at all."""
        self.write(self._path(trial.number), asdict(trial))

    def _path(self, number: int) -> Path:
        return self.path / "trials" / f"{number:04d}.json"
