"""`throughtime demo recognize`: which way does it move?"""

import shlex
from pathlib import Path
from typing import Any

import typer

from throughtime.cli.options import use_threads
from throughtime.errors import DataError

__all__ = ["OPTIONS", "show"]

TRAINING, TEST = 2700, 450  # clips
OPTIONS: dict[str, Any] = {"epochs": 6}
_SECONDS_A_FRAME = 0.25  # of the clips that are written


def show(out: Path, seed: int, threads: int, quiet: bool) -> None:
    """Train a recognizer on clips whose class is visible only in the motion, and measure it on others."""
    clips, picture, timeline, gif, folder = _prepare(out)
    use_threads(threads)

    def say(line: str = "") -> None:
        if not quiet:
            typer.echo(line)

    import numpy as np

    from throughtime.cli.progress import progress
    from throughtime.cli.recognize import table
    from throughtime.data.video import write_video
    from throughtime.datasets import MOTIONS, motions
    from throughtime.report import confusion_plot, timeline_plot
    from throughtime.tasks import Recognizer

    drawn, test = motions(TRAINING, 2 * seed), motions(TEST, 2 * seed + 1)
    labels, true = ([MOTIONS[k] for k in one.labels] for one in (drawn, test))
    say(
        f"A convolutional encoder and a recurrent net learn {TRAINING} clips of balls and a disc: {', '.join(MOTIONS)}."
    )
    say("In each clip everything changes from frame to frame; one thing changes in order, and that is the label.\n")
    recognizer = Recognizer(**OPTIONS, seed=seed)
    with progress("  training", quiet=quiet) as callbacks:
        recognizer.fit(list(drawn.frames), labels, callbacks=callbacks)
    if recognizer.history_.stopped == "interrupted":
        raise KeyboardInterrupt
    found = recognizer.evaluate(list(test.frames), true)
    rng = np.random.Generator(np.random.PCG64(seed))
    shuffled = [clip[rng.permutation(len(clip))] for clip in test.frames]
    if not quiet:
        table(found)
    say(
        f"With their frames shuffled, {100 * recognizer.score(shuffled, true):.1f} % of the clips are right; by chance "
        f"it is {100 / len(MOTIONS):.1f}."
    )
    confusion_plot(picture, found.model.confusion, [str(name) for name in recognizer.labels_.names])
    clip, label = test.frames[0], recognizer.predict([test.frames[0]])[0]
    probability = float(recognizer.predict_proba([clip]).max())
    times = np.arange(len(clip)) * _SECONDS_A_FRAME
    write_video(gif, list(clip[..., None]), times.tolist(), [f"{label}  {probability:.2f}"] * len(clip))
    why = recognizer.moments(clip)
    number = MOTIONS.index(label)
    timeline_plot(
        timeline, times, np.full(len(clip), number), MOTIONS, true=np.full(len(clip), test.labels[0]),
        values=why.values, title="Which frames mattered",
    )  # fmt: skip
    np.save(clips, test.frames[0])
    recognizer.save(folder)
    say(f"\nWrote {picture}: which motions are taken for which.")
    say(f"Wrote {gif}: a clip with its label, and {timeline}: which of its frames mattered.")
    say(f"Wrote {folder} and {clips}, a clip that it has not seen. Try next:\n")
    say(f"  throughtime predict {shlex.quote(str(folder))} {shlex.quote(str(clips))} --mattered")


def _prepare(out: Path) -> tuple[Path, Path, Path, Path, Path]:
    """The files to write, with the folder made and each found writable."""
    from throughtime._atomic import check_parent, check_room
    from throughtime.data import check_model_target, check_writable
    from throughtime.data.video.writing import check_video_target
    from throughtime.report import check_plot_target

    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder to write in, got a file; give another --out")
    if not out.exists():
        check_parent(out)
        check_room(out)
        out.mkdir()
    clips, picture, timeline, gif, folder = (
        out / "clip.npy", out / "confusion.png", out / "mattered.png", out / "clip.gif", out / "recognize-model",
    )  # fmt: skip
    check_writable(clips)
    check_plot_target(picture)
    check_plot_target(timeline)
    check_video_target(gif)
    check_model_target(folder)
    return clips, picture, timeline, gif, folder
