"""`throughtime train recognize DATA --out MODEL`, and `predict` and `evaluate` for what it wrote."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from throughtime.cli.options import CELLS, AsJson, Model, Plot, Quiet, Threads, help_of, use_threads
from throughtime.cli.train import train
from throughtime.cli.training import (
    TRAINING,
    Checkpoint,
    CheckpointMinutes,
    CheckpointSteps,
    Minutes,
    Out,
    Resume,
    Seed,
    TrainingJob,
    flag,
    option,
    passed,
)
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from throughtime.data.sensors import Columns
    from throughtime.tasks import Recognizer
    from throughtime.tasks.recognize import ActivityEvaluation

__all__ = ["evaluate_recognize", "predict_recognize", "table"]

_DATA, _MODEL, _CHANGES, _OUTPUT = "The recordings", "The model", "What is changed at random in training", "Output"

Recordings = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A table of samples or a list of files (.csv, .csv.gz, .parquet), or a folder of tables, .npy arrays, "
        "videos and folders of frames (docs/activity.md says how).",
        show_default=False,
    ),
]
Label = Annotated[str | None, option("Column of the label.", "found by its name", _DATA, "NAME")]
Time = Annotated[str | None, option("Column of the time: seconds or dates.", "found by its name", _DATA, "NAME")]
Group = Annotated[
    str | None, option("Column of who or what it is of; groups are held out whole.", "found by its name", _DATA, "NAME")
]
OneRecording = Annotated[str | None, option("Column that tells recordings apart.", "found by its name", _DATA, "NAME")]
Channels = Annotated[str | None, option("Columns of the values.", "all the others", _DATA, "NAME,...")]
PerStep = Annotated[
    int | None, option("A sequence in each row: so many values a step.", "a sample in each row", _DATA, "COUNT")
]


def recognize(
    context: typer.Context,
    data: Recordings,
    out: Out,
    label: Label = None,
    time: Time = None,
    group: Group = None,
    recording: OneRecording = None,
    channels: Channels = None,
    per_step: PerStep = None,
    validation: Annotated[
        Path | None, option("Recordings to validate on.", "an eighth of the groups", _DATA, "DATA")
    ] = None,
    rate: Annotated[
        float | None, option("Steps a second that are read.", "as recorded; at most 25, of frames 10", _MODEL)
    ] = None,
    window: Annotated[float | None, option("Seconds of a training clip.", "whole recordings", _MODEL)] = None,
    around: Annotated[
        float | None,
        option("Seconds around each step whose figures are read, too.", "1.5 both ways with labelled samples", _MODEL),
    ] = None,
    size: Annotated[str | None, option("Pixels that frames are read at.", "64x48", _MODEL, "WIDTHxHEIGHT")] = None,
    grey: Annotated[bool, flag("--grey", "Read frames without colours.", _MODEL)] = False,
    cell: Annotated[str | None, option(f"{CELLS}.", "gru", _MODEL)] = None,
    hidden_size: Annotated[int | None, option("Units in a layer and direction.", "64", _MODEL)] = None,
    layers: Annotated[int | None, option("Layers on top of one another.", "2", _MODEL)] = None,
    one_way: Annotated[
        bool, flag("--one-way", "Read forwards alone, so that a stream is answered at once.", _MODEL)
    ] = False,
    pooling: Annotated[str | None, option("mean, max, last, attention or concat.", "mean", _MODEL)] = None,
    dropout: Annotated[float | None, option("Share of numbers dropped in training.", "0.2", _MODEL)] = None,
    smoothing: Annotated[
        float | None, option("Seconds over which labels are averaged.", "half a short stretch of a label", _MODEL)
    ] = None,
    shortest: Annotated[float | None, option("Seconds that a label lasts, at least.", "as --smoothing", _MODEL)] = None,
    jitter: Annotated[float | None, option("Noise on samples, in their deviations.", "0.05", _CHANGES)] = None,
    scaling: Annotated[float | None, option("Deviation of a factor on each channel.", "0.1", _CHANGES)] = None,
    warp: Annotated[float | None, option("How much faster or slower.", "0.1", _CHANGES)] = None,
    rotation: Annotated[
        float | None, option("Degrees that x, y, z of a sensor are turned.", "20 where there are such", _CHANGES)
    ] = None,
    crop: Annotated[float | None, option("Share of an image that it is moved by.", "0", _CHANGES)] = None,
    flip: Annotated[bool, flag("--flip", "Mirror images; not where left and right are labels.", _CHANGES)] = False,
    colour: Annotated[float | None, option("How much brightness and contrast differ.", "0", _CHANGES)] = None,
    balanced: Annotated[bool, flag("--balanced", "Rare labels count as much as frequent ones.", TRAINING)] = False,
    epochs: Annotated[
        int | None,
        option("Times to go through the recordings.", "for 1500 steps, or 750 with labelled samples", TRAINING),
    ] = None,
    batch_size: Annotated[int | None, option("Clips a step.", "16, frames 32, labelled samples 8", TRAINING)] = None,
    minutes: Minutes = None,
    learning_rate: Annotated[
        float | None, option("How far one step goes, at its peak.", "0.003, frames 0.002", TRAINING)
    ] = None,
    patience: Annotated[
        int | None, option("Stop after so many epochs without a better validation loss.", "never early", TRAINING)
    ] = None,
    seed: Seed = None,
    checkpoint: Checkpoint = None,
    resume: Resume = False,
    checkpoint_steps: CheckpointSteps = None,
    checkpoint_minutes: CheckpointMinutes = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Train a recognizer: it says what is happening, from sensors, key points or a camera.

    DATA is a folder with a table for each recording (columns of values, and a label on every sample), or one with a
    sub-folder of videos for each label, or a table. Ctrl-C ends the training early and saves the best model so far
    (exit status 130).

    [bold]throughtime train recognize recordings/ --one-way --out model[/bold]
    """
    job = TrainingJob(
        context,
        out,
        checkpoint=checkpoint,
        resume=resume,
        checkpoint_steps=checkpoint_steps,
        checkpoint_minutes=checkpoint_minutes,
        minutes=minutes,
        threads=threads,
        quiet=quiet,
    )
    given = passed(
        rate=rate, window=window, around=around, size=None if size is None else _size(size), grey=grey or None,
        cell=cell, hidden_size=hidden_size, num_layers=layers, bidirectional=False if one_way else None,
        pooling=pooling, dropout=dropout, smoothing=smoothing, shortest=shortest, jitter=jitter, scaling=scaling,
        warp=warp, rotation=rotation, crop=crop, flip=flip or None, colour=colour,
        class_weight="balanced" if balanced else None, epochs=epochs, batch_size=batch_size,
        learning_rate=learning_rate, patience=patience, seed=seed,
    )  # fmt: skip
    from throughtime.cli.progress import progress
    from throughtime.tasks import Recognizer

    recognizer = Recognizer(**given)
    columns = _columns(label, time, group, recording, channels, per_step)
    with progress("training", quiet=quiet) as callbacks:
        recognizer.fit(data, validation=validation, columns=columns, callbacks=callbacks, **job.limits)
    job.finish(recognizer, "Let it say what happens in other recordings with:", "DATA")


train.command("recognize", help=help_of(recognize))(recognize)


def predict_recognize(
    model: Model,
    data: Annotated[
        str,
        typer.Argument(
            metavar="[DATA|-]",
            help="A table, video or folder as for training; or -, samples as lines of CSV, or a video, on standard "
            "input, which are answered as they come.",
            show_default="standard input",
        ),
    ] = "-",
    delay: Annotated[
        float | None,
        option("Of a stream to a model that reads both ways: seconds it may look ahead.", False, _OUTPUT),
    ] = None,
    mattered: Annotated[
        bool, flag("--mattered", "Say which moments made the label, by their seconds.", _OUTPUT)
    ] = False,
    video: Annotated[
        Path | None,
        option("Write the frames with labels over them: .mp4, .webm, .mkv or .gif.", False, _OUTPUT, "FILE"),
    ] = None,
    plot: Plot = None,
    as_json: Annotated[bool, flag("--json", "Print a JSON object a line.", _OUTPUT)] = False,
    threads: Threads = None,
) -> None:
    """Say what is happening in recordings, with a recognizer.

    A model of whole recordings gives a line for each, its label and probability; a model of samples a line for each
    stretch of one label, with its seconds. --plot draws the first recording along time; --video writes it.

    [bold]throughtime predict model recording.csv[/bold]
    """
    from throughtime.cli.recognize_output import say, stream

    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    if video is not None:
        from throughtime.data.video.writing import check_video_target

        check_video_target(video)
    use_threads(threads)
    recognizer = _load(model)
    if data == "-":
        if plot is not None or video is not None or mattered:
            name = "--plot" if plot is not None else "--video" if video is not None else "--mattered"
            raise ArgumentError(f"predict: expected a file or folder for {name}, got standard input; save it first")
        for line in stream(recognizer, sys.stdin.buffer, delay, as_json=as_json):
            typer.echo(line)
            sys.stdout.flush()
        return
    if delay is not None:
        raise ArgumentError(f"--delay: expected a stream (-) beside it, got {data!r}; leave it out")
    for line in say(recognizer, Path(data), plot, video, mattered=mattered, as_json=as_json):
        typer.echo(line)


def evaluate_recognize(
    model: Model,
    data: Recordings,
    label: Label = None,
    time: Time = None,
    group: Group = None,
    recording: OneRecording = None,
    plot: Plot = None,
    timeline: Annotated[
        Path | None, option("Draw truth and prediction of the first recording along time.", False, _OUTPUT, "FILE.png")
    ] = None,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Measure a recognizer on labelled recordings that it has not seen, beside two baselines.

    Beside the model stand a linear classifier of means, deviations, extremes and mean changes, which are the same if
    time goes backwards, and the most frequent label. A recording or group that training had, too, is said to leak.
    --plot draws which labels are taken for which.

    [bold]throughtime evaluate model others/ --plot confusion.png[/bold]
    """
    for path in (plot, timeline):
        if path is not None:
            from throughtime.report import check_plot_target

            check_plot_target(path)
    use_threads(threads)
    recognizer = _load(model)
    columns = _columns(label, time, group, recording, None, None)
    found = recognizer.evaluate(data, columns=columns)
    if plot is not None:
        from throughtime.report import confusion_plot

        confusion_plot(plot, found.model.confusion, [str(name) for name in recognizer.labels_.names])
    if timeline is not None:
        from throughtime.cli.recognize_output import draw_timeline

        draw_timeline(recognizer, data, timeline, columns)
    if as_json:
        from throughtime.cli.results import print_json

        print_json(found.as_dict())
        return
    table(found)
    for path in (plot, timeline):
        if path is not None:
            typer.echo(f"Wrote {path}.")


def table(found: "ActivityEvaluation") -> None:
    """Print the figures, and the outcome in words."""
    from throughtime.cli.results import print_table

    unit = "samples" if found.aligned else "recordings"
    rows = [
        [str(name), *(f"{x:.2f}" for x in (s.precision, s.recall, s.f1)), str(s.true), str(s.found)]
        for name, s in found.model.labels.items()
    ]
    print_table(
        ["", "precision", "recall", "F1", "true", "found"], rows, title=f"{found.recordings} recordings, by {unit}"
    )
    typer.echo("")
    columns = ["", "accuracy", "macro F1", *(["segment F1"] if found.aligned else []), "nats"]
    rows = [
        [
            name, f"{s.accuracy:.2f}", f"{s.macro_f1:.2f}",
            *([] if s.segment_f1 is None else [f"{s.segment_f1:.2f}"]), f"{s.nll:.4f}",
        ]
        for name, s in found.scores.items()
    ]  # fmt: skip
    print_table(columns, rows)
    for sentence in found.sentences():
        typer.echo(sentence)


def _columns(
    label: str | None, time: str | None, group: str | None, recording: str | None, channels: str | None,
    per_step: int | None,
) -> "Columns | None":  # fmt: skip
    from throughtime.data.sensors import Columns

    names = None if channels is None else tuple(name.strip() for name in channels.split(",") if name.strip())
    found = Columns(label=label, time=time, group=group, recording=recording, channels=names, per_step=per_step)
    return None if found == Columns() else found


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise ArgumentError(f"--size: expected WIDTHxHEIGHT in pixels, got {text!r}; write 64x48") from error
    return width, height


def _load(path: Path) -> "Recognizer":
    from throughtime.tasks import Recognizer

    return Recognizer.load(path)
