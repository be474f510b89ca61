"""`throughtime demo tag`: which words of this sentence are a person's name?"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from throughtime.cli.options import use_threads
from throughtime.errors import DataError

if TYPE_CHECKING:
    from throughtime.tasks.tag import TagEvaluation

__all__ = ["OPTIONS", "show"]

TRAINING, TEST = 2000, 500  # sentences
OPTIONS: dict[str, Any] = {
    "cell": "gru",
    "hidden_size": 48,
    "word_size": 32,
    "character_size": 24,
    "dropout": 0.1,
    "epochs": 6,
    "batch_tokens": 256,
    "learning_rate": 1e-2,
}
# Of one surname, which is also the name of a place.
QUESTIONS = (
    "Professor Norville moved to Norville in May 1998.",
    "Was it Pia Norville who sold the mill to the University of Norville?",
    "Norville, as far as anybody can tell today, was flooded in 1998.",
    "Who was it, as far as anybody can tell today? It was Norville.",
    "Where was it, as far as anybody can tell today? It was Norville.",
)


def show(out: Path, seed: int, threads: int, quiet: bool) -> None:
    """Train a tagger on notices, and measure it on others."""
    data, picture, folder = _prepare(out)
    use_threads(threads)

    def say(line: str = "") -> None:
        if not quiet:
            typer.echo(line)

    from throughtime.cli.progress import progress
    from throughtime.cli.tag import marked, table
    from throughtime.data.text.conll import write_conll
    from throughtime.datasets import notices
    from throughtime.report import reliability_plot
    from throughtime.tasks import Tagger

    sentences = notices(TRAINING + TEST, seed)
    say(f"A recurrent net reads {TRAINING} notices both ways, each word with its tag:\n")
    for tokens, tags in sentences[:2]:
        said = zip(tokens, tags, strict=True)
        say("  " + " ".join(token if tag == "O" else f"{token}/{tag}" for token, tag in said))
    say("\nNorville and 439 other names are persons' and places': what else stands in the sentence says which.\n")
    tagger = Tagger(**OPTIONS, seed=seed)
    with progress("  training", quiet=quiet) as callbacks:
        tagger.fit(sentences[:TRAINING], callbacks=callbacks)
    if tagger.history_.stopped == "interrupted":
        raise KeyboardInterrupt
    say("\nWhich words of these sentences are a person's name?\n")
    for text, found in zip(QUESTIONS, tagger.predict(list(QUESTIONS)), strict=True):
        say("  " + marked(text, found))
    evaluation: TagEvaluation = tagger.evaluate(sentences[TRAINING:])
    if not quiet:
        typer.echo("")
        table(evaluation, "notices that it has not seen")
    write_conll(data, sentences[TRAINING:])
    reliability_plot(picture, *evaluation.reliability, name="pieces")
    tagger.save(folder)
    say(f"\nWrote {picture}: how often pieces were right, by their probability.")
    say(f"Wrote {folder} and {data}, the notices that it has not seen. Try next:\n")
    quoted = shlex.quote(str(folder))
    say(f"  throughtime evaluate {quoted} {shlex.quote(str(data))}")
    say(f'  throughtime predict {quoted} "There is no hotel in Torbury, said Captain Torbury." --json')


def _prepare(out: Path) -> tuple[Path, Path, Path]:
    """The files to write, with the folder made and each found writable."""
    from throughtime._atomic import check_parent, check_room
    from throughtime.data import check_model_target, check_writable
    from throughtime.report import check_plot_target

    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder to write in, got a file; give another --out")
    if not out.exists():
        check_parent(out)
        check_room(out)
        out.mkdir()
    data, picture, folder = out / "notices.conll", out / "reliability.png", out / "tag-model"
    check_writable(data)
    check_plot_target(picture)
    check_model_target(folder)
    return data, picture, folder
