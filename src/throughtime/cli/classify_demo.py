"""`throughtime demo classify`: how many stars does this review give?"""

import csv
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from throughtime.cli.options import use_threads
from throughtime.errors import DataError

if TYPE_CHECKING:
    from throughtime.tasks.classify import ClassEvaluation

__all__ = ["OPTIONS", "show"]

TRAINING, TEST = 3000, 1000  # reviews
OPTIONS: dict[str, Any] = {
    "labels": "ordered",
    "hidden_size": 48,
    "embedding_size": 32,
    "dropout": 0.2,
    "members": 1,
    "epochs": 14,
    "learning_rate": 1e-2,
}
QUESTIONS = (
    "They say that it is excellent ; for us it was dull .",
    "For us it was excellent ; they say that it is dull .",
    "There is no good soup here .",
)


def show(out: Path, seed: int, threads: int, quiet: bool) -> None:
    """Train a classifier of reviews, and measure it on others."""
    data, picture, page, folder = _prepare(out)
    use_threads(threads)

    def say(line: str = "") -> None:
        if not quiet:
            typer.echo(line)

    from throughtime.cli.classify import table
    from throughtime.cli.progress import progress
    from throughtime.datasets import reviews
    from throughtime.report import confusion_plot
    from throughtime.tasks import Classifier

    drawn = reviews(TRAINING + TEST, seed)
    texts, stars = [one.text for one in drawn], [one.stars for one in drawn]
    say(f"A recurrent net reads {TRAINING} reviews both ways, each with its stars:\n")
    for one in drawn[:3]:
        say(f"  {'*' * one.stars:5s} {one.text}")
    say("\nThe words are the same in good reviews and in bad ones: their order says which it is.\n")
    classifier = Classifier(**OPTIONS, seed=seed)
    with progress("  training", quiet=quiet) as callbacks:
        classifier.fit(texts[:TRAINING], stars[:TRAINING], callbacks=callbacks)
    if classifier.history_.stopped == "interrupted":
        raise KeyboardInterrupt
    say("\nHow many stars do these give?\n")
    for text, found in zip(QUESTIONS, classifier.predict(list(QUESTIONS)), strict=True):
        say(f"  {'*' * found:5s} {text}")
    evaluation: ClassEvaluation = classifier.evaluate(texts[TRAINING:], stars[TRAINING:])
    if not quiet:
        typer.echo("")
        table(evaluation, "reviews that it has not seen")
    assert evaluation.model.confusion is not None
    confusion_plot(picture, evaluation.model.confusion, [str(name) for name in classifier.labels_.names])
    page.write_text(classifier.explain(texts[TRAINING]).to_page(), encoding="utf-8")
    with data.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("text", "stars"))
        rows.writerows(zip(texts[TRAINING:], stars[TRAINING:], strict=True))
    classifier.save(folder)
    say(f"\nWrote {picture}: which stars are taken for which.")
    say(f"Wrote {page}: why a review got its stars, word by word.")
    say(f"Wrote {folder} and {data}, the reviews that it has not seen. Try next:\n")
    quoted = shlex.quote(str(folder))
    say(f"  throughtime evaluate {quoted} {shlex.quote(str(data))}")
    say(f'  throughtime predict {quoted} "There is no awful fish here ." --explain')


def _prepare(out: Path) -> tuple[Path, Path, Path, Path]:
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
    data, picture, page, folder = (
        out / "reviews.csv", out / "confusion.png", out / "why.html", out / "classify-model",
    )  # fmt: skip
    check_writable(data)
    check_plot_target(picture)
    check_writable(page)
    check_model_target(folder)
    return data, picture, page, folder
