"""`throughtime train transcribe DATA --out MODEL`, and `predict` and `evaluate` for what it wrote."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.options import CELLS, AsJson, Model, Plot, Quiet, Threads, help_of, use_threads
from throughtime.cli.train import draw_curve, train
from throughtime.cli.training import (
    RESTARTS,
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
from throughtime.errors import ArgumentError, DataError

if TYPE_CHECKING:
    from throughtime.tasks import Transcriber
    from throughtime.tasks.transcribe import Decoding, SpeechEvaluation

__all__ = ["evaluate_transcribe", "predict_transcribe", "table"]

_DATA, _MODEL, _WORDS, _OUTPUT = "The clips", "The model", "How words are found", "Output"
_STDIN = "-"

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A table of paths and texts (.csv, .tsv, .jsonl with the fields path and text), or a folder of files with "
        "--pattern. Sound in WAV, FLAC, OGG, MP3 and what PyAV reads, of any rate.",
        show_default=False,
    ),
]
Pattern = Annotated[
    str | None,
    option("File names in the folder, such as {text}_{speaker}_{index}.", False, _DATA, "PATTERN"),
]
Width = Annotated[int | None, option("Sequences that the beam keeps; 1: the likeliest path alone.", "8", _WORDS)]
LanguageModelFile = Annotated[Path | None, option("N-gram language model.", False, _WORDS, "FILE.arpa")]
Weight = Annotated[float | None, option("How much the language model counts.", "0.5", _WORDS)]
Bonus = Annotated[float | None, option("Nats for each word.", "0", _WORDS)]
HotWords = Annotated[str | None, option("Words to listen for, with commas between: yes,no.", False, _WORDS, "WORD,...")]


def transcribe(
    context: typer.Context,
    data: Data,
    out: Out,
    pattern: Pattern = None,
    validation: Annotated[
        Path | None, option("Clips to validate on, as DATA.", "a tenth of the clips", _DATA, "DATA")
    ] = None,
    keep_capitals: Annotated[bool, flag("--keep-capitals", "Tell capitals from small letters.", _DATA)] = False,
    alphabet: Annotated[
        str | None, option("All characters that transcripts may have.", "those that they have", _DATA)
    ] = None,
    unit: Annotated[
        str | None, option("word, character or subword.", "word where there are few, else character", _MODEL)
    ] = None,
    rate: Annotated[
        int | None, option("Samples a second that the model hears.", "the first clip's, at most 16000", _MODEL)
    ] = None,
    cell: Annotated[str | None, option(f"{CELLS}.", "gru", _MODEL)] = None,
    hidden_size: Annotated[int | None, option("Units in a layer and direction.", "96", _MODEL)] = None,
    layers: Annotated[int | None, option("Layers on top of one another.", "2", _MODEL)] = None,
    one_way: Annotated[
        bool, flag("--one-way", "Hear from left to right alone: such a model can stream.", _MODEL)
    ] = False,
    lookahead_ms: Annotated[
        float | None, option("So much of the future a one-way model waits for.", "0", _MODEL)
    ] = None,
    subsampling: Annotated[int | None, option("Frames of 10 ms in a step.", "3 of words, else 2", _MODEL)] = None,
    dropout: Annotated[
        float | None, option("Share of numbers dropped in training.", "0.4, of --one-way 0.2", _MODEL)
    ] = None,
    epochs: Annotated[
        int | None, option("Times to go through the clips.", "as many as make about 2000 steps, 15 to 60", TRAINING)
    ] = None,
    batch_size: Annotated[int | None, option("Clips a step, on average.", "16", TRAINING)] = None,
    minutes: Minutes = None,
    learning_rate: Annotated[float | None, option("How far one step goes, at its peak.", "0.004", TRAINING)] = None,
    patience: Annotated[
        int | None, option("Stop after so many epochs without a better loss.", "never early", TRAINING)
    ] = None,
    seed: Seed = None,
    checkpoint: Checkpoint = None,
    resume: Resume = False,
    checkpoint_steps: CheckpointSteps = None,
    checkpoint_minutes: CheckpointMinutes = None,
    plot: Annotated[Path | None, option("Draw the loss by epoch.", False, RESTARTS, "FILE.png")] = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Train a transcriber: it writes down what is said.

    DATA says which file holds which text. Ctrl-C ends the training early and saves the best model so far (exit status
    130).

    [bold]throughtime train transcribe clips.csv --one-way --out model[/bold]
    """
    job = TrainingJob(
        context, out, checkpoint=checkpoint, resume=resume, checkpoint_steps=checkpoint_steps,
        checkpoint_minutes=checkpoint_minutes, minutes=minutes, threads=threads, quiet=quiet,
    )  # fmt: skip
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    from throughtime.cli.progress import progress
    from throughtime.tasks import Transcriber

    transcriber = Transcriber(
        **passed(
            lower=False if keep_capitals else None, alphabet=alphabet, unit=unit, rate=rate, cell=cell,
            hidden_size=hidden_size, num_layers=layers, bidirectional=False if one_way else None,
            lookahead_ms=lookahead_ms, subsampling=subsampling, dropout=dropout, epochs=epochs, batch_size=batch_size,
            learning_rate=learning_rate, patience=patience, seed=seed,
        )
    )  # fmt: skip
    with progress("training", quiet=quiet) as callbacks:
        transcriber.fit(data, validation=validation, pattern=pattern, callbacks=callbacks, **job.limits)

    def drawn() -> list[str]:
        if plot is None:
            return []
        draw_curve(plot, transcriber.history_)
        return [f"Wrote {plot}."]

    job.finish(transcriber, "Let it hear a file with:", "FILE", draw=drawn)


train.command("transcribe", help=help_of(transcribe))(transcribe)


def predict_transcribe(
    model: Model,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...|-",
            help="Files of sound; or -, WAV or bare samples from standard input, written down as they come.",
            show_default=False,
        ),
    ],
    rate: Annotated[
        int | None,
        option("Samples a second of bare samples from -: signed 16 bits, one channel.", "what the model hears", _DATA),
    ] = None,
    width: Width = None,
    lm: LanguageModelFile = None,
    lm_weight: Weight = None,
    word_bonus: Bonus = None,
    hot_words: HotWords = None,
    n_best: Annotated[int | None, option("Alternatives to tell, in --json.", "1", _WORDS)] = None,
    plot: Annotated[
        Path | None, option("Draw features, probabilities and words of one file.", False, _OUTPUT, "FILE.png")
    ] = None,
    as_json: Annotated[bool, flag("--json", "Print a JSON object a line: words, times, confidence.", _OUTPUT)] = False,
    threads: Threads = None,
) -> None:
    """Write down what is said, with a transcriber.

    Each file comes back on a line of its own: its name, a tab, its text. From - each utterance comes back as it ends,
    after a pause; on a terminal, and with --json, also what has been heard of it so far. That needs a model trained
    with --one-way.

    [bold]arecord -f S16_LE -r 8000 -t raw | throughtime predict model -[/bold]
    """
    use_threads(threads)
    piped = [str(file) for file in files] == [_STDIN]
    if rate is not None and not piped:
        raise ArgumentError(f"--rate: expected standard input (-) beside it, got {rate} and files; leave it out")
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
        if piped or len(files) != 1:
            raise ArgumentError(f"--plot: expected one file, got {'-' if piped else len(files)}; give one")
    decoding = _decoding(width, lm, lm_weight, word_bonus, hot_words, n_best)
    transcriber = _load(model)
    if piped:
        _listen(transcriber, rate, decoding, as_json=as_json)
        return
    for file in files:
        (found,) = transcriber.transcribe([file], decoding)
        if as_json:
            typer.echo(json.dumps(found.as_dict(), ensure_ascii=False, allow_nan=False))
        else:
            typer.echo(f"{file}\t{found.text}")
        sys.stdout.flush()
        if plot is not None:
            draw(transcriber, file, plot)
            if not as_json:
                typer.echo(f"Wrote {plot}.")


def evaluate_transcribe(
    model: Model,
    data: Data,
    pattern: Pattern = None,
    width: Width = None,
    lm: LanguageModelFile = None,
    lm_weight: Weight = None,
    word_bonus: Bonus = None,
    hot_words: HotWords = None,
    plot: Plot = None,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Measure a transcriber on clips that it has not heard.

    Word and character error rates beside those of the commonest transcript of the training, and the worst clips, what
    was said above what was heard. --plot draws how often words were right, by their confidence.

    [bold]throughtime evaluate model test.csv[/bold]
    """
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    use_threads(threads)
    decoding = _decoding(width, lm, lm_weight, word_bonus, hot_words, None)
    found = _load(model).evaluate(data, pattern=pattern, decoding=decoding)
    if plot is not None:
        from throughtime.report import reliability_plot

        reliability_plot(plot, *found.reliability, name="words")
    if as_json:
        from throughtime.cli.results import print_json

        print_json(found.as_dict())
        return
    table(found)
    if plot is not None:
        typer.echo(f"Wrote {plot}.")


def table(found: "SpeechEvaluation") -> None:
    """Print the figures, and the worst clips."""
    from throughtime.cli.results import print_table

    rows = [
        [name, *(f"{x:.2f}" for x in rates)]
        for name, rates in (("model", found.model), ("always the commonest text", found.baseline))
    ]
    print_table(["", "WER %", "CER %", "clips right %"], rows, title=f"{found.words} words in {len(found.clips)} clips")
    typer.echo(
        f"Confidence is off by {found.reliability.error:.3f} on average; hearing took {found.real_time_factor:.4f} s "
        "for a second of sound."
    )
    worst = found.alignments()
    if worst:
        typer.echo(f"\nThe worst clips:\n\n{worst}")


def draw(transcriber: "Transcriber", file: Path, plot: Path) -> None:
    """Features, probabilities and words of a file, as a picture."""
    from throughtime.report import speech_plot

    speech_plot(plot, **transcriber.picture(file))


def _listen(transcriber: "Transcriber", rate: int | None, decoding: "Decoding", *, as_json: bool) -> None:
    """Standard input, as it comes."""
    from throughtime.data.sound.pipe import PipedSound

    stream, partial = None, ""
    live = sys.stdout.isatty() and not as_json
    source = PipedSound(transcriber.ear_.rate if rate is None else rate)
    transcriber.stream()  # refuses before anything is read

    def tell(text: str, found: Any) -> None:
        if as_json:
            row = {"final": False, "text": text} if found is None else {"final": True, **found.as_dict()}
            typer.echo(json.dumps(row, ensure_ascii=False, allow_nan=False))
        elif live:
            typer.echo(f"\r\x1b[K{text}", nl=found is not None)
        elif found is not None:
            typer.echo(text)
        sys.stdout.flush()

    pipe: Any = sys.stdin.buffer  # whose read1 gives what is there
    while given := pipe.read1(8192):
        samples = source.feed(given)
        if stream is None and len(samples):
            stream = transcriber.stream(source.rate, decoding)
        if stream is None or not len(samples):
            continue
        for found in stream.feed(samples):
            tell(found.text, found)
            partial = ""
        if (live or as_json) and stream.partial != partial:
            partial = stream.partial
            tell(partial, None)
    if stream is None:
        raise DataError(f"{source.name}: expected sound, got 0 samples; send WAV, or bare samples of 16 bits")
    for found in stream.finish():
        tell(found.text, found)


def _decoding(
    width: int | None,
    lm: Path | None,
    weight: float | None,
    bonus: float | None,
    hot_words: str | None,
    n_best: int | None,
) -> "Decoding":
    from throughtime.tasks.transcribe import Decoding

    for name, value in (("--lm-weight", weight), ("--word-bonus", bonus)):
        if value is not None and lm is None:
            raise ArgumentError(f"{name}: expected --lm FILE beside it, got {value:g} alone; give a language model")
    hot = [] if hot_words is None else [word.strip() for word in hot_words.split(",") if word.strip()]
    told = passed(ngrams=lm, weight=weight, bonus=bonus, hot_words=hot or None, n_best=n_best)
    if width is None and n_best is not None:
        width = max(8, 2 * n_best)
    return Decoding(**told, **passed(width=width))


def _load(path: Path) -> "Transcriber":
    from throughtime.tasks import Transcriber

    return Transcriber.load(path)
