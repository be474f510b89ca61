"""`throughtime demo translate`: from French into English, a phrasebook at a time."""

import shlex
from pathlib import Path
from typing import Any

import typer

from throughtime.cli.options import use_threads
from throughtime.errors import DataError

__all__ = ["OPTIONS", "show"]

TRAINING, TEST = 3000, 500  # sentences
OPTIONS: dict[str, Any] = {
    "hidden_size": 96,
    "embedding_size": 48,
    "vocabulary_size": 200,
    "dropout": 0.1,
    "embedding_dropout": 0.1,
    "word_dropout": 0.0,
    "epochs": 12,
    "batch_size": 32,
    "learning_rate": 1e-2,
    "ema": 0.99,
    "beam": 3,
}
QUESTIONS = (
    "Le chat noir ne voit pas les petites maisons.",
    "Est-ce qu'un oiseau vert cherche la voiture dans le jardin ?",
    "Deux abeilles attendent l'enfant lent tous les jours.",
)


def show(out: Path, seed: int, threads: int, quiet: bool) -> None:
    """Train a translator on a phrasebook, and measure it on sentences that are not in it."""
    french, english, picture, folder = _prepare(out)
    use_threads(threads)

    def say(line: str = "") -> None:
        if not quiet:
            typer.echo(line)

    from throughtime.cli.progress import progress
    from throughtime.cli.translate import table
    from throughtime.datasets import phrasebook
    from throughtime.report import attention_plot
    from throughtime.tasks import Translator

    drawn = phrasebook(TRAINING, seed)
    known = {one.french for one in drawn}
    later = [one for one in phrasebook(2 * TEST, seed + 1) if one.french not in known][:TEST]
    say(f"A recurrent net learns from {TRAINING} French sentences with their translations:\n")
    for one in drawn[:3]:
        say(f"  {one.french}  =  {one.english}")
    say("\nIt reads a sentence both ways; then it writes, subword by subword, and looks back at what it read.\n")
    translator = Translator(**OPTIONS, seed=seed)
    with progress("  training", quiet=quiet) as callbacks:
        translator.fit([one.french for one in drawn], [one.english for one in drawn], callbacks=callbacks)
    if translator.history_.stopped == "interrupted":
        raise KeyboardInterrupt
    say("\nSentences that are not in its book:\n")
    asked = translator.translate(list(QUESTIONS))
    for text, ways in zip(QUESTIONS, asked, strict=True):
        say(f"  {text}\n    {ways[0].text}  (confidence {ways[0].confidence:.2f})")
    evaluation = translator.evaluate([one.french for one in later], [one.english for one in later])
    right = sum(
        text == one.english for text, one in zip(translator.predict([one.french for one in later]), later, strict=True)
    )
    if not quiet:
        typer.echo("")
        table(evaluation)
    say(f"{right} of {len(later)} are right to the letter; each has one right answer.")
    attention_plot(picture, asked[0][0].weights_TS, asked[0][0].source_pieces, asked[0][0].target_pieces)
    french.write_text("".join(one.french + "\n" for one in later), encoding="utf-8")
    english.write_text("".join(one.english + "\n" for one in later), encoding="utf-8")
    translator.save(folder)
    say(f"\nWrote {picture}: what was looked at for each piece of the first sentence.")
    say(f"Wrote {folder}, {french} and {english}, the sentences that it has not seen. Try next:\n")
    quoted = shlex.quote(str(folder))
    say(f"  throughtime evaluate {quoted} {shlex.quote(str(french))} {shlex.quote(str(english))}")
    say(f'  throughtime predict {quoted} "Les chiens dessinent une fleur bleue ce soir." --json')


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
    french, english, picture, folder = (
        out / "phrases.fr", out / "phrases.en", out / "attention.png", out / "translate-model",
    )  # fmt: skip
    check_writable(french)
    check_writable(english)
    check_plot_target(picture)
    check_model_target(folder)
    return french, english, picture, folder
