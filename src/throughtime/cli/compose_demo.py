"""`throughtime demo compose`: a style in, a tune out, to see and to hear."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from throughtime.cli.options import use_threads
from throughtime.errors import DataError

if TYPE_CHECKING:
    from throughtime.tasks import Composer

__all__ = ["OPTIONS", "show"]

BARS = 8
OPTIONS: dict[str, Any] = {
    "hidden_size": 96,
    "num_layers": 1,
    "embedding_size": 48,
    "dropout": 0.3,
    "transpose": 0,
    "window": 128,
    "batch_size": 8,
    "epochs": 60,
    "learning_rate": 1e-2,
}


def show(out: Path, seed: int, threads: int, quiet: bool) -> None:
    """Train a composer of short tunes in three styles, and let it write one of each."""
    folder = _prepare(out)
    use_threads(threads)

    def say(line: str = "") -> None:
        if not quiet:
            typer.echo(line)

    from throughtime.cli.compose import told, write_files
    from throughtime.cli.progress import progress
    from throughtime.datasets import folk_tunes
    from throughtime.tasks import Composer

    tunes = folk_tunes()
    say(f"A recurrent net learns {len(tunes)} tunes, each with its style, note by note:\n")
    for style in ("even", "jig", "waltz"):
        say(f"  {style:6s} {', '.join([tune.name for tune in tunes if tune.style == style][:3])}, ...")
    say()
    composer = Composer(**OPTIONS, seed=seed)
    with progress("  training", quiet=quiet) as callbacks:
        composer.fit(tunes, callbacks=callbacks)
    if composer.history_.stopped == "interrupted":
        raise KeyboardInterrupt
    say(f"\nIt now writes tunes of {BARS} bars in a style that it is given, none with two bars copied:\n")
    for style in ("even", "jig", "waltz"):
        (one,) = composer.write(style=style, bars=BARS, max_copy=2.0, temperature=0.9, seed=seed + 1)
        files = write_files(one, out / style)
        say(f"  {told(one)}")
        say(f"    wrote {', '.join(str(path) for path in files)}")
    _primed(composer, out, seed, say)
    composer.save(folder)
    say(f"\nWrote {folder}. Try next:\n")
    mixed = shlex.quote(str(out / "mixed"))
    say(f"  throughtime predict {shlex.quote(str(folder))} --style jig=2 --style waltz=1 --bars 16 --out {mixed}")


def _primed(composer: "Composer", out: Path, seed: int, say: Callable[[str], None]) -> None:
    """How it goes on from notes that it is given."""
    from throughtime.cli.compose import told, write_files

    (one,) = composer.write(style="even", primer="C4 E4 G4 E4", bars=BARS, temperature=0.9, seed=seed)
    files = write_files(one, out / "begun")
    say(f"\nGiven the notes C4 E4 G4 E4 it goes on:\n\n  {told(one)}")
    say(f"    wrote {', '.join(str(path) for path in files)}")


def _prepare(out: Path) -> Path:
    """The folder of the model, with that around it made and found writable."""
    from throughtime._atomic import check_parent, check_room
    from throughtime.data import check_model_target, check_writable

    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder to write in, got a file; give another --out")
    if not out.exists():
        check_parent(out)
        check_room(out)
        out.mkdir()
    folder = out / "composer"
    check_model_target(folder)
    check_writable(out / "even.mid")
    return folder
