"""The folder of a comparison: a file for each run that has ended, so that nothing is made twice.

DIR/question.json       what is compared; another question is refused
DIR/epochs/CELL.json    how many epochs fit into a run of the cell
DIR/runs/CELL-seedN.json
DIR/unfinished/         checkpoints of the run under way
"""

import shutil
from dataclasses import asdict
from pathlib import Path

from throughtime.tasks.comparison_records import Run
from throughtime.tasks.question_folder import QuestionFolder, numbers
from throughtime.training import RunFolder

_CHECKPOINT_MINUTES = 1.0


class ComparisonFolder(QuestionFolder):
    """An open folder."""

    what, again = "comparison", "compare"
    parts = ("epochs", "runs", "unfinished")

    def read_run(self, cell: str, seed: int) -> Run | None:
        """A run that has ended, or None."""
        path = self._run_path(cell, seed)
        if not path.exists():
            return None
        fields = self.read(path)
        try:
            fields["errors"] = numbers(fields["errors"])
            fields["baselines"] = {name: numbers(row) for name, row in fields["baselines"].items()}
            run = Run(**fields)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise self.damaged(path, error) from error
        if (run.cell, run.seed) != (cell, seed):
            raise self.damaged(path, f"{run.cell} and seed {run.seed} inside it")
        shutil.rmtree(self._unfinished(cell, seed), ignore_errors=True)  # left by a kill just after the run was kept
        return run

    def keep_run(self, run: Run) -> None:
        """Write it, whole or not at all, and drop its checkpoints."""
        self.write(self._run_path(run.cell, run.seed), asdict(run))
        shutil.rmtree(self._unfinished(run.cell, run.seed), ignore_errors=True)

    def read_epochs(self, cell: str) -> int | None:
        """The planned epochs of a cell, or None."""
        path = self.path / "epochs" / f"{cell}.json"
        if not path.exists():
            return None
        epochs = self.read(path).get("epochs")
        if type(epochs) is not int or epochs < 1:
            raise self.damaged(path, f"epochs {epochs!r}")
        return epochs

    def keep_epochs(self, cell: str, epochs: int) -> None:
        """So that all seeds of a cell, and a run that is gone on with, train for the same epochs."""
        self.write(self.path / "epochs" / f"{cell}.json", {"epochs": epochs})

    def checkpoints(self, cell: str, seed: int) -> RunFolder:
        """Where the training of a run goes on from."""
        return RunFolder(path=self._unfinished(cell, seed), resume=True, every_minutes=_CHECKPOINT_MINUTES)

    def _run_path(self, cell: str, seed: int) -> Path:
        return self.path / "runs" / f"{cell}-seed{seed}.json"

    def _unfinished(self, cell: str, seed: int) -> Path:
        return self.path / "unfinished" / f"{cell}-seed{seed}"
