"""`throughtime demo transcribe`: what do made-up voices say?"""

import csv
import shlex
from pathlib import Path
from typing import Any

import typer

from throughtime.cli.options import use_threads
from throughtime.errors import DataError

__all__ = ["OPTIONS", "show"]

TRAINING, TEST = 400, 60  # sentences
OPTIONS: dict[str, Any] = {
    "bidirectional": False,
    "lookahead_ms": 60,
    "hidden_size": 64,
    "num_layers": 1,
    "subsampling": 3,
    "dropout": 0.1,
    "speed": 0.0,
    "warp": 0.0,
    "gain": 0.0,
    "noise": 0.0,
    "masks": 0.05,
    "batch_size": 8,
    "epochs": 14,
    "learning_rate": 6e-3,
}


def show(out: Path, seed: int, threads: int, quiet: bool) -> None:
    """Train a transcriber of made-up sound, and measure it on voices that it has not heard."""
    table_file, picture, folder, clips = _prepare(out)
    use_threads(threads)

    def say(line: str = "") -> None:
        if not quiet:
            typer.echo(line)

    from throughtime._extras import require
    from throughtime.cli.progress import progress
    from throughtime.cli.transcribe import draw, table
    from throughtime.datasets import SPOKEN_WORDS, spoken
    from throughtime.tasks import Transcriber

    soundfile = require("soundfile", extra="speech")
    drawn = spoken(TRAINING + TEST, seed, most=3)
    train, test = drawn[:TRAINING], drawn[TRAINING:]
    minutes = sum(len(clip.sound.samples) / clip.sound.rate for clip in train) / 60
    say(f"A recurrent net hears {minutes:.0f} minutes of made-up voices, each sentence with its text:")
    say(f"one to three of the words {', '.join(SPOKEN_WORDS)}. Which sound is which word, and where it begins, nobody")
    say("tells it. It hears from left to right alone, so that it can write along while somebody speaks.\n")
    transcriber = Transcriber(**OPTIONS, seed=seed)
    with progress("  training", quiet=quiet) as callbacks:
        transcriber.fit([tuple(clip.sound) for clip in train], [clip.text for clip in train], callbacks=callbacks)
    if transcriber.history_.stopped == "interrupted":
        raise KeyboardInterrupt
    with table_file.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("path", "text"))
        for number, clip in enumerate(test):
            path = clips / f"{number:02d}.wav"
            soundfile.write(path, clip.sound.samples, clip.sound.rate, subtype="PCM_16")
            rows.writerow((f"{clips.name}/{path.name}", clip.text))
    say("\nWhat it writes while it hears a new voice, a fifth of a second at a time:\n")
    sound = test[0].sound
    stream, written = transcriber.stream(sound.rate), ""
    for begin in range(0, len(sound.samples), sound.rate // 5):
        ended = stream.feed(sound.samples[begin : begin + sound.rate // 5])
        heard = ended[-1].text if ended else stream.partial
        if heard != written:
            written = heard
            say(f"  {begin / sound.rate + 0.2:4.1f} s  {heard}")
    say(f"\n  said:   {test[0].text}\n")
    evaluation = transcriber.evaluate(table_file)
    if not quiet:
        table(evaluation)
    transcriber.save(folder)
    draw(transcriber, clips / "00.wav", picture)
    say(f"\nWrote {picture}: features, the probability of each word, and the words.")
    say(f"Wrote {folder} and {table_file}, sentences that it has not heard. Try next:\n")
    quoted = shlex.quote(str(folder))
    say(f"  throughtime predict {quoted} {shlex.quote(str(clips / '01.wav'))} --json")
    say(f"  throughtime predict {quoted} - < {shlex.quote(str(clips / '02.wav'))}")


def _prepare(out: Path) -> tuple[Path, Path, Path, Path]:
    """The files to write, with the folders made and each found writable."""
    from throughtime._atomic import check_parent, check_room
    from throughtime.data import check_model_target, check_writable
    from throughtime.report import check_plot_target

    clips = out / "clips"
    for folder in (out, clips):
        if folder.exists() and not folder.is_dir():
            raise DataError(f"{folder}: expected a folder to write in, got a file; give another --out")
        if not folder.exists():
            check_parent(folder)
            check_room(folder)
            folder.mkdir()
    table_file, picture, model = out / "clips.csv", out / "heard.png", out / "transcribe-model"
    check_writable(table_file)
    check_plot_target(picture)
    check_model_target(model)
    return table_file, picture, model, clips
