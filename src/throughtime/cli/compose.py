"""`throughtime train compose FOLDER --out MODEL`, and `predict` and `evaluate` for what it wrote."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from throughtime.tasks import Composer
    from throughtime.tasks.compose import Composition

__all__ = ["evaluate_compose", "predict_compose", "write_files"]

_MUSIC, _MODEL, _WRITING, _OUTPUT = "The music", "The model", "What is written", "Output"

Music = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER",
        help="Folder of .mid and .abc files, or one such file; what stands in folders of its own has their names as "
        "styles, and so have several books of .abc.",
        show_default=False,
    ),
]


def compose(
    context: typer.Context,
    folder: Music,
    out: Out,
    validation: Annotated[Path | None, option("Music to validate on.", "a twentieth of it", _MUSIC, "FOLDER")] = None,
    melody: Annotated[bool, flag("--melody", "Of each piece the highest line alone.", _MUSIC)] = False,
    transpose: Annotated[
        int | None, option("Semitones up and down by which pieces are moved in training.", "0", _MUSIC)
    ] = None,
    view: Annotated[
        str | None, option("events: note by note; frames: which keys sound at each step.", "events", _MODEL)
    ] = None,
    head: Annotated[str | None, option("Of frames: independent keys, or joint: chords.", "independent", _MODEL)] = None,
    frame: Annotated[int | None, option("Of frames: ticks in one, 12 a quarter note.", "12", _MODEL)] = None,
    given: Annotated[
        bool, flag("--given", "Of frames: learn to write below the highest voice, for --harmonise.", _MODEL)
    ] = False,
    lag: Annotated[
        list[int] | None,
        option("Of frames: read those so far back, too, where phrases come again; may be given again.", "none", _MODEL),
    ] = None,
    velocity: Annotated[bool, flag("--velocity", "Of events: learn loudness, too.", _MODEL)] = False,
    cell: Annotated[str | None, option(f"{CELLS}.", "lstm", _MODEL)] = None,
    hidden_size: Annotated[int | None, option("Units in a layer.", "256", _MODEL)] = None,
    layers: Annotated[int | None, option("Layers on top of one another.", "1", _MODEL)] = None,
    embedding_size: Annotated[int | None, option("Numbers an event is read as.", "64", _MODEL)] = None,
    dropout: Annotated[
        float | None, option("Share of numbers dropped between and after layers.", "0.3", _MODEL)
    ] = None,
    input_dropout: Annotated[float | None, option("Share dropped before them.", "0", _MODEL)] = None,
    weight_dropout: Annotated[float | None, option("Share of recurrent weights dropped.", "0", _MODEL)] = None,
    window: Annotated[
        int | None, option("Events or frames through which a gradient goes back.", "128", TRAINING)
    ] = None,
    batch_size: Annotated[int | None, option("Rows read beside one another.", "16", TRAINING)] = None,
    epochs: Annotated[
        int | None, option("Times to go through the music.", "by its size, at most 200", TRAINING)
    ] = None,
    minutes: Minutes = None,
    learning_rate: Annotated[float | None, option("How far one step goes, at its peak.", "0.005", TRAINING)] = None,
    ema: Annotated[
        float | None, option("Keep a moving average of the weights, of this decay.", "none", TRAINING)
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
    """Train a composer: it learns music and writes it.

    Repeats of .abc tunes are read as written, chord symbols and drums left out. Ctrl-C ends the training early and
    saves the best model so far (exit status 130).

    [bold]throughtime train compose tunes --out model[/bold]
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
    from throughtime.cli.progress import progress
    from throughtime.data.music import read_pieces
    from throughtime.tasks import Composer

    composer = Composer(
        **passed(
            melody=melody or None, transpose=transpose, view=view, head=head, frame=frame, given=given or None,
            lags=lag, velocity=velocity or None, cell=cell, hidden_size=hidden_size, num_layers=layers,
            embedding_size=embedding_size, dropout=dropout, input_dropout=input_dropout, weight_dropout=weight_dropout,
            window=window, batch_size=batch_size, epochs=epochs, learning_rate=learning_rate, ema=ema,
            patience=patience, seed=seed,
        )
    )  # fmt: skip
    pieces = read_pieces(folder)
    later = None if validation is None else read_pieces(validation)
    with progress("training", quiet=quiet) as callbacks:
        composer.fit(pieces, validation=later, callbacks=callbacks, **job.limits)
    style = "" if composer.labels_ is None else f"--style {composer.labels_[0]} "
    job.finish(composer, "Let it write with:", f"{style}--out piece" if not composer.given else "--harmonise VOICE")


train.command("compose", help=help_of(compose))(compose)


def predict_compose(
    model: Model,
    out: Annotated[
        Path, typer.Option(metavar="NAME", help="Name of the files to write, without ending.", rich_help_panel=_OUTPUT)
    ] = Path("piece"),
    style: Annotated[
        list[str] | None,
        option("Style; again for a mixture; NAME=2 has twice the share.", False, _WRITING, "NAME[=SHARE]"),
    ] = None,
    primer: Annotated[
        str | None,
        option("What it begins with: a .mid or .abc file, or notes: 'G4:0.5 A4 R:1 B4'.", "nothing", _WRITING),
    ] = None,
    harmonise: Annotated[
        str | None, option("Write the voices below this one: a file or notes.", False, _WRITING, "VOICE")
    ] = None,
    n: Annotated[int, typer.Option(help="How many pieces.", rich_help_panel=_WRITING)] = 1,
    bars: Annotated[
        int | None, option("Bars of a piece, the primer's counted; 0: as the model ends.", "16", _WRITING)
    ] = None,
    metre: Annotated[str | None, option("Such as 6/8.", "as the model begins", _WRITING)] = None,
    temperature: Annotated[
        float | None, option("Below 1 more likely, above 1 odder.", "1, for voices 0.5", _WRITING)
    ] = None,
    top_k: Annotated[int | None, option("Only the k likeliest events.", "all", _WRITING)] = None,
    top_p: Annotated[
        float | None, option("Only the likeliest with this probability together.", "all", _WRITING)
    ] = None,
    greedy: Annotated[bool, flag("--greedy", "Always the likeliest.", _WRITING)] = False,
    most_repeats: Annotated[
        int | None, option("Notes of one pitch that may follow each other.", "as in the training", _WRITING)
    ] = None,
    max_copy: Annotated[
        float | None,
        option(
            "Refuse pieces that share so many bars with the training; 0: any are right.", "2 avoided", _WRITING, "BARS"
        ),
    ] = None,
    tempo: Annotated[float | None, option("Quarter notes a minute.", "as in the training", _WRITING)] = None,
    transpose: Annotated[int | None, option("Semitones by which it is moved.", "0", _WRITING)] = None,
    soundfont: Annotated[
        Path | None, option("A .sf2 or .sf3 file to play with.", "a simple synthesiser", _OUTPUT, "FILE")
    ] = None,
    no_sound: Annotated[bool, flag("--no-sound", "Write no .wav.", _OUTPUT)] = False,
    seed: Annotated[int, typer.Option(help="The same seed writes the same.", rich_help_panel=_WRITING)] = 0,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Write music with a composer: .mid, .abc, .png (a piano roll) and .wav.

    Each piece is told with how likely the model finds it and the longest passage that it shares with a piece of the
    training.

    [bold]throughtime predict model --style jigs --bars 32 --out jig[/bold]
    """
    from throughtime.data import check_writable

    names = [out if n == 1 else out.with_name(f"{out.name}-{i + 1}") for i in range(max(n, 1))]
    for name in names:
        check_writable(name.with_name(name.name + ".mid"))
    if soundfont is not None and no_sound:
        raise ArgumentError(
            f"--no-sound: expected no soundfont beside it, got {str(soundfont)!r}; leave one of them out"
        )
    use_threads(threads)
    composer = _load(model)
    options = passed(temperature=temperature, top_p=top_p, greedy=greedy or None, tempo=tempo, style=_styles(style))
    if harmonise is not None:
        own = passed(
            primer=primer, bars=bars, metre=metre, top_k=top_k, most_repeats=most_repeats, max_copy=max_copy,
            transpose=transpose,
        )  # fmt: skip
        if own:
            option_name, value = next(iter(own.items()))
            raise ArgumentError(
                f"--harmonise: expected no --{option_name.replace('_', '-')} beside it, got {value!r}; leave it out"
            )
        found = composer.harmonise(harmonise, n, seed=seed, **options)
    else:
        options |= passed(
            primer=primer, bars=bars, metre=metre, top_k=top_k, most_repeats=most_repeats, max_copy=max_copy,
            transpose=transpose,
        )  # fmt: skip
        options |= {name: None for name, value in (("bars", bars), ("max_copy", max_copy)) if value == 0}
        found = composer.write(n=n, seed=seed, **options)
    files = [write_files(one, name, soundfont, sound=not no_sound) for one, name in zip(found, names, strict=True)]
    if as_json:
        from throughtime.cli.results import print_json

        rows = [one.as_dict() | {"files": list(map(str, f))} for one, f in zip(found, files, strict=True)]
        print_json(rows)
        return
    for one, paths in zip(found, files, strict=True):
        typer.echo(told(one))
        typer.echo(f"  wrote {', '.join(map(str, paths))}")


def told(one: "Composition") -> str:
    """A piece in a line."""
    piece, shared = one.piece, one.shared
    copy = (
        f"{shared.bars:.1f} bars ({shared.notes} notes) shared with {shared.piece!r}"
        if shared.notes
        else "nothing shared"
    )
    return (
        f"{piece.name}: {len(piece.bars)} bars of {piece.metres[0]}, {len(piece)} notes, {piece.seconds:.0f} s; "
        f"{one.nats_per_note:.2f} nats a note; {copy}"
    )


def write_files(one: "Composition", name: Path, soundfont: Path | None = None, *, sound: bool = True) -> list[Path]:
    """Write a piece as .mid, .abc, .png and .wav; the paths written."""
    from throughtime.data.music import play, write_abc, write_midi, write_wav
    from throughtime.report import piano_roll_plot

    piece = one.piece
    mid, abc, png, wav = (name.with_name(name.name + ending) for ending in (".mid", ".abc", ".png", ".wav"))
    write_midi(piece, mid)
    write_abc(piece, abc)
    bars = piece.bars
    piano_roll_plot(
        png, piece.notes[:, :3], [*(bar.begin for bar in bars), bars[-1].end], title=piece.name,
        given=len(piece) - one.written,
    )  # fmt: skip
    if sound:
        write_wav(play(piece, soundfont=soundfont), wav)
    return [mid, abc, png, wav][: 4 if sound else 3]


def evaluate_compose(
    model: Model,
    folder: Music,
    written: Annotated[
        int, typer.Option(help="Pieces to write and set beside the given ones.", rich_help_panel=_WRITING)
    ] = 0,
    plot: Plot = None,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Measure a composer on music that it has not seen, beside simple counts.

    With --written it writes pieces, too: how far their pitch classes, intervals and durations overlap with the given
    ones, drawn by --plot.

    [bold]throughtime evaluate model later --written 20 --plot alike.png[/bold]
    """
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
        if not written:
            raise ArgumentError("--plot: expected --written beside it, got 0 pieces; give --written 20")
    use_threads(threads)
    composer = _load(model)
    from throughtime.cli.results import metric_rows, print_json, print_table
    from throughtime.data.music import read_pieces

    pieces = read_pieces(folder)
    found = composer.evaluate(pieces, written=written)
    if plot is not None:
        from throughtime.report import histogram_plot
        from throughtime.tasks.compose import histograms

        own = [one.piece for one in composer.write_many(written)]
        real = [piece.melody() for piece in pieces] if composer.melody else pieces
        histogram_plot(plot, histograms(own), histograms(real))
    if as_json:
        print_json(found.as_dict())
        return
    heads = [f"nats per {found.step}", "nats per note"]
    title = f"{found.notes} notes in {found.pieces} piece{'s' * (found.pieces > 1)}"
    print_table(["model", *heads], metric_rows(found.metrics, ["nats_per_step", "nats_per_note"]), title=title)
    if found.overlaps:
        shares = ", ".join(f"{kind} {share:.2f}" for kind, share in found.overlaps.items())
        typer.echo(f"Overlap of {written} written pieces with these: {shares}.")
    typer.echo(found.sentence)


def _styles(given: list[str] | None) -> Any:
    """One style, or a mixture."""
    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    shares: dict[str, float] = {}
    for word in given:
        name, _, share = word.partition("=")
        try:
            shares[name] = float(share or 1)
        except ValueError:
            raise ArgumentError(f"--style: expected NAME or NAME=SHARE, got {word!r}; write jigs=2 or so") from None
    return shares


def _load(path: Path) -> "Composer":
    from throughtime.tasks import Composer

    return Composer.load(path)
