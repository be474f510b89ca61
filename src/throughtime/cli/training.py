"""What every `throughtime train TASK` shares: its limits, its restarts, and what it does and says at its end."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from throughtime.cli.options import use_threads
from throughtime.errors import ArgumentError

__all__ = [
    "INTERRUPTED",
    "RESTARTS",
    "TRAINING",
    "Bfloat16",
    "Checkpoint",
    "CheckpointMinutes",
    "CheckpointSteps",
    "Minutes",
    "Out",
    "Resume",
    "Seed",
    "TrainingJob",
    "flag",
    "option",
    "passed",
]

INTERRUPTED = 130
TRAINING, RESTARTS = "The training", "Restarts and logs"


def option(words: str, default: str | bool, panel: str, metavar: str | None = None) -> Any:
    """An option without a value of its own, whose default is said in words."""
    return typer.Option(help=words, show_default=default, rich_help_panel=panel, metavar=metavar)


def flag(name: str, words: str, panel: str) -> Any:
    """An option that is there or not."""
    return typer.Option(name, help=words, show_default=False, rich_help_panel=panel)


Out = Annotated[Path, typer.Option(metavar="MODEL", help="Folder to save the model in.", show_default=False)]
Minutes = Annotated[float | None, option("End the training after so many.", "never early", TRAINING)]
Bfloat16 = Annotated[bool, flag("--bfloat16", "Compute in bfloat16: faster where the processor has it.", TRAINING)]
Seed = Annotated[int | None, option("The same seed gives the same model, bit by bit.", "0", TRAINING)]
Checkpoint = Annotated[Path | None, option("Folder for checkpoints and a log, log.jsonl.", False, RESTARTS, "DIR")]
Resume = Annotated[
    bool,
    flag(
        "--resume", "Go on from the last checkpoint, to the same model bit by bit; begin where there is none.", RESTARTS
    ),
]
CheckpointSteps = Annotated[int | None, option("Steps between checkpoints.", "by time alone", RESTARTS)]
CheckpointMinutes = Annotated[float | None, option("Minutes between checkpoints.", "10", RESTARTS)]


def passed(**given: Any) -> dict[str, Any]:
    """The options that were given: an estimator's own defaults stand for the others.

    >>> passed(cell="gru", hidden_size=None)
    {'cell': 'gru'}
    """
    return {name: value for name, value in given.items() if value is not None}


class TrainingJob:
    """One call of `throughtime train`: checked before any data is read, ended by `finish`.

    Args:
        context: of the command; its object is the command line.
        out: folder for the model.
        checkpoint, resume, checkpoint_steps, checkpoint_minutes: as the options of those names.
        minutes: after which training ends; None: never early.
        threads: of torch; None: torch's own choice.
        quiet: print nothing but errors.

    **Raises** ArgumentError for a folder that cannot be written, one for both restarts and the model, minutes or
    threads out of range, or restarts without a folder.
    """

    def __init__(
        self,
        context: typer.Context,
        out: Path,
        *,
        checkpoint: Path | None,
        resume: bool,
        checkpoint_steps: int | None,
        checkpoint_minutes: float | None,
        minutes: float | None = None,
        threads: int | None = None,
        quiet: bool = False,
    ) -> None:
        from throughtime.data import check_model_target

        check_model_target(out)
        if checkpoint is not None and checkpoint.resolve().is_relative_to(out.resolve()):
            raise ArgumentError(
                f"--checkpoint: expected a folder outside --out {out}, which is replaced as a whole, got {checkpoint}; "
                "give another one"
            )
        self._run = _run_options(checkpoint, resume, checkpoint_steps, checkpoint_minutes)
        use_threads(threads)
        if minutes is not None and not 0 < minutes < float("inf"):
            raise ArgumentError(f"--minutes: expected a number above 0, got {minutes:g}; give 5 or so")
        self.out, self.quiet = out, quiet
        self._seconds = None if minutes is None else 60 * minutes
        self._command = shlex.join(["throughtime", *context.obj])

    @property
    def limits(self) -> dict[str, Any]:
        """For `fit`: its `run`, and its `max_seconds` where there is a limit."""
        limits: dict[str, Any] = {} if self._seconds is None else {"max_seconds": self._seconds}
        if self._run is not None:
            from throughtime.training import RunFolder

            limits["run"] = RunFolder(**self._run)
        return limits

    def finish(self, model: Any, hint: str, command: str = "", *, draw: Callable[[], list[str]] | None = None) -> None:
        """Save a fitted model and say so; a training that Ctrl-C ended then ends with status 130.

        Args:
            hint: what can be done with it now, in words that end with a colon.
            command: what follows ``throughtime predict MODEL``.
            draw: called when the model is saved; its lines stand below the summary.
        """
        model.origin_["command"] = self._command
        history = model.history_
        interrupted = history.stopped == "interrupted"
        if interrupted and history.best_epoch is None:
            typer.echo("throughtime: interrupted before the first epoch ended; nothing was written", err=True)
            raise typer.Exit(INTERRUPTED)
        model.save(self.out)
        lines = [] if draw is None else draw()
        if not self.quiet:
            if history.resumed_at is not None and self._run is not None:
                typer.echo(f"resumed     {self._run['path']}, after step {history.resumed_at}")
            typer.echo(model.summary())
            for line in lines:
                typer.echo(line)
            shown = " ".join(["throughtime predict", shlex.quote(str(self.out)), command]).rstrip()
            typer.echo(f"\nSaved {self.out}. {hint}\n\n  {shown}")
        if interrupted:
            kept = f"epoch {history.best_epoch} of {history.history[-1].epoch}"
            typer.echo(f"throughtime: interrupted; the best model so far ({kept}) was saved in {self.out}", err=True)
            raise typer.Exit(INTERRUPTED)


def _run_options(folder: Path | None, resume: bool, steps: int | None, minutes: float | None) -> dict[str, Any] | None:
    """What a `RunFolder` is made of; None without a folder, which the other options need.

    Raises:
        ArgumentError: another option without a folder.
    """
    given = {"--resume": resume or None, "--checkpoint-steps": steps, "--checkpoint-minutes": minutes}
    if folder is None:
        for name, value in given.items():
            if value is not None:
                shown = name if value is True else f"{name} {value}"
                raise ArgumentError(f"train: expected --checkpoint DIR beside {name}, got {shown} alone; give a folder")
        return None
    options: dict[str, Any] = {"path": folder, "resume": resume, "every_steps": steps}
    return options if minutes is None else {**options, "every_minutes": minutes}
