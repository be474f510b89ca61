"""The commands together, and what happens to an error."""

import io
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from throughtime import __version__
from throughtime.cli.bench import bench
from throughtime.cli.by_task import command_for
from throughtime.cli.compare import compare
from throughtime.cli.demo import demo
from throughtime.cli.evaluate import evaluate
from throughtime.cli.explain import explain
from throughtime.cli.export import export
from throughtime.cli.inspect import inspect
from throughtime.cli.options import help_of
from throughtime.cli.predict import predict
from throughtime.cli.train import train
from throughtime.cli.tune import tune
from throughtime.cli.update import update
from throughtime.errors import ThroughtimeError

__all__ = ["BAD_INPUT", "INTERRUPTED", "app", "run"]

BAD_INPUT = 2
_NO_MEMORY = ("allocate memory", "out of memory", "storage size calculation overflowed", "too big")
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

# typer exports BadParameter but neither of its bases, and ships click inside itself from 0.20 or so on.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


class _InOrder(TyperGroup):
    """Commands in the order in which they are used; typer puts groups last."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return [
            "train",
            "predict",
            "evaluate",
            "update",
            "inspect",
            "explain",
            "export",
            "compare",
            "tune",
            "bench",
            "demo",
        ]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of the model's task, where it has one of its own."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command_for(name, rest) or command, rest


app = typer.Typer(
    name="throughtime", cls=_InOrder, rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False
)
app.add_typer(train, name="train")
app.add_typer(compare, name="compare")
app.add_typer(tune, name="tune")
for command in (predict, evaluate, update, inspect, explain, export, bench, demo):
    app.command(command.__name__, help=help_of(command))(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"throughtime {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Recurrent sequence modelling: train RNN, GRU and LSTM models on your data, and use them.

    Start with [bold]throughtime demo[/bold].
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; every error of the user's is one line on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # Where the locale is not UTF-8, a letter that it lacks is written as its number.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = typer.main.get_command(app).main(words, prog_name="throughtime", standalone_mode=False, obj=words)
    except ThroughtimeError as error:
        return _refuse(str(error))
    except _USAGE_ERROR as error:
        return _refuse(_usage(error, words))
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone; Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _refuse(f"expected to reach {error.filename or 'a file'}, got: {error.strerror or error}")
    except (MemoryError, OverflowError, RuntimeError, ValueError) as error:
        if not isinstance(error, MemoryError | OverflowError) and not any(sign in str(error) for sign in _NO_MEMORY):
            raise
        return _refuse(
            f"expected numbers and data for which there is memory, got: {str(error) or type(error).__name__}; pass "
            "smaller numbers or less data"
        )
    return int(status or 0)


def _refuse(message: str) -> int:
    line = " ".join(message.split())
    typer.echo(line if line.startswith("throughtime: ") else f"throughtime: {line}", err=True)
    return BAD_INPUT


def _usage(error: Exception, words: list[str]) -> str:
    """click's message, the value where it leaves that out, and where the options of that command stand."""
    message: str = getattr(error, "format_message", lambda: str(error))().rstrip(".")
    value = _value_of(getattr(getattr(error, "param", None), "opts", ()), words)
    if value is not None and value not in message:
        message += f", got {value!r}"
    context = getattr(error, "ctx", None)
    return f"{message}; see: {'throughtime' if context is None else context.command_path} --help"


def _value_of(names: Sequence[str], words: list[str]) -> str | None:
    """What follows an option, as in `--horizon 3` and `--horizon=3`."""
    for word, following in pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else following
    return None
