"""`throughtime train language FILE... --out MODEL`, and `predict` and `evaluate` for what it wrote."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.options import CELLS, AsJson, Model, Quiet, Threads, help_of, use_threads
from throughtime.cli.train import draw_curve, train
from throughtime.cli.training import (
    RESTARTS,
    TRAINING,
    Bfloat16,
    Checkpoint,
    CheckpointMinutes,
    CheckpointSteps,
    Minutes,
    Out,
    Resume,
    Seed,
    TrainingJob,
    option,
    passed,
)

if TYPE_CHECKING:
    from throughtime.data import TextFiles
    from throughtime.tasks import LanguageModel

__all__ = ["evaluate_language", "predict_language"]

_TEXT, _MODEL, _WRITING = "The text", "The model", "What is written"


Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE",
        help="Plain text or JSON Lines (.jsonl), also compressed (.gz, .xz, .bz2); UTF-8.",
        show_default=False,
    ),
]
Lines = Annotated[
    bool,
    typer.Option("--lines", help="Each line is a text of its own.", rich_help_panel=_TEXT, show_default=False),
]
TextField = Annotated[
    str, typer.Option(help="Field of a JSON line that holds the text.", rich_help_panel=_TEXT, metavar="NAME")
]
LabelField = Annotated[
    str | None, option("Field of a JSON line that holds the text's label.", "no labels", _TEXT, "NAME")
]


def language(
    context: typer.Context,
    files: Files,
    out: Out,
    lines: Lines = False,
    text_field: TextField = "text",
    label_field: LabelField = None,
    unit: Annotated[
        str | None, option("character, word (what stands between blanks) or subword.", "character", _MODEL)
    ] = None,
    vocabulary_size: Annotated[
        int | None, option("Symbols, at most.", "all that occur, or 8000 subwords", _MODEL)
    ] = None,
    min_count: Annotated[int | None, option("Rarer symbols become one, the unknown.", "1", _MODEL)] = None,
    cell: Annotated[
        str | None,
        option(f"{CELLS}.", "lstm", _MODEL),
    ] = None,
    hidden_size: Annotated[int | None, option("Units in a layer.", "256", _MODEL)] = None,
    layers: Annotated[int | None, option("Layers on top of one another.", "2", _MODEL)] = None,
    embedding_size: Annotated[int | None, option("Numbers a symbol is read as.", "at most 128", _MODEL)] = None,
    tie_weights: Annotated[
        bool,
        typer.Option("--tie-weights", help="Read and write by one matrix.", show_default=False, rich_help_panel=_MODEL),
    ] = False,
    softmax: Annotated[
        str | None,
        option("full, or adaptive: rare symbols in clusters.", "adaptive from 20000 symbols, unless tied", _MODEL),
    ] = None,
    condition: Annotated[
        str | None, option("Where a label is seen: at every step, or at the first.", "every", _MODEL)
    ] = None,
    dropout: Annotated[
        float | None, option("Share of numbers dropped before, between and after layers.", "0", _MODEL)
    ] = None,
    input_dropout: Annotated[float | None, option("The share before the layers.", "half of it", _MODEL)] = None,
    weight_dropout: Annotated[float | None, option("Share of recurrent weights dropped.", "0", _MODEL)] = None,
    embedding_dropout: Annotated[float | None, option("Share of symbols dropped.", "0", _MODEL)] = None,
    bptt: Annotated[int | None, option("Symbols through which a gradient goes back.", "128", TRAINING)] = None,
    vary_bptt: Annotated[
        bool,
        typer.Option(
            "--vary-bptt",
            help="Cut the text elsewhere in each epoch.",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = False,
    batch_size: Annotated[int | None, option("Rows of text read beside one another.", "32", TRAINING)] = None,
    epochs: Annotated[
        int | None, option("Times to go through the text.", "as many as make about 3000 steps, at most 100", TRAINING)
    ] = None,
    minutes: Minutes = None,
    learning_rate: Annotated[float | None, option("How far one step goes, at its peak.", "0.003", TRAINING)] = None,
    ema: Annotated[
        float | None, option("Keep a moving average of the weights, of this decay.", "none", TRAINING)
    ] = None,
    bfloat16: Bfloat16 = False,
    patience: Annotated[
        int | None, option("Stop after so many epochs without a better validation loss.", "never early", TRAINING)
    ] = None,
    validation: Annotated[
        Path | None, option("Text to validate on.", "a twentieth of the text", TRAINING, "FILE")
    ] = None,
    seed: Seed = None,
    checkpoint: Checkpoint = None,
    resume: Resume = False,
    checkpoint_steps: CheckpointSteps = None,
    checkpoint_minutes: CheckpointMinutes = None,
    tensorboard: Annotated[Path | None, option("Write curves for TensorBoard.", False, RESTARTS, "DIR")] = None,
    plot: Annotated[Path | None, option("Draw the loss by epoch.", False, RESTARTS, "FILE.png")] = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Train a language model: it learns which symbol comes next, and writes.

    Each FILE of plain text is one text, each line of a .jsonl file is one; --lines makes one of each line of plain
    text. Files may be larger than memory. With --label-field the model learns to write texts of a label. Ctrl-C
    ends the training early and saves the best model so far (exit status 130).

    [bold]throughtime train language book.txt --out model[/bold]
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
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    given = passed(
        unit=unit,
        vocabulary_size=vocabulary_size,
        min_count=min_count,
        cell=cell,
        hidden_size=hidden_size,
        num_layers=layers,
        embedding_size=embedding_size,
        tie_weights=tie_weights or None,
        softmax=softmax,
        condition=condition,
        dropout=dropout,
        input_dropout=input_dropout,
        weight_dropout=weight_dropout,
        embedding_dropout=embedding_dropout,
        bptt=bptt,
        vary_bptt=vary_bptt or None,
        batch_size=batch_size,
        epochs=epochs,
        learning_rate=learning_rate,
        ema=ema,
        bfloat16=bfloat16 or None,
        patience=patience,
        seed=seed,
    )
    texts = _texts(files, lines, text_field, label_field)
    later = None if validation is None else _texts([validation], lines, text_field, label_field)

    from throughtime.cli.progress import progress
    from throughtime.tasks import LanguageModel

    model = LanguageModel(**given)
    options = job.limits
    with progress("training", quiet=quiet) as callbacks:
        if tensorboard is not None:
            from throughtime.training import TensorBoardLog

            callbacks = (*callbacks, TensorBoardLog(tensorboard))
        model.fit(texts, validation=later, callbacks=callbacks, **options)

    def curve() -> list[str]:
        if plot is not None:
            draw_curve(plot, model.history_)
        return []

    label = "" if model.labels_ is None else f"--label {shlex.quote(model.labels_[0])}"
    job.finish(model, "Let it write with:", label, draw=curve)


train.command("language", help=help_of(language))(language)


def predict_language(
    model: Model,
    prefix: Annotated[str | None, option("What the text begins with.", "nothing", _WRITING)] = None,
    label: Annotated[str | None, option("Label of the text, for a model trained with labels.", False, _WRITING)] = None,
    n: Annotated[int, typer.Option(help="How many texts.", rich_help_panel=_WRITING)] = 1,
    length: Annotated[int, typer.Option(help="Symbols, at most.", rich_help_panel=_WRITING)] = 500,
    temperature: Annotated[
        float, typer.Option(help="Below 1 more likely, above 1 odder.", rich_help_panel=_WRITING)
    ] = 1.0,
    top_k: Annotated[int | None, option("Only the k likeliest symbols.", "all", _WRITING)] = None,
    top_p: Annotated[
        float | None, option("Only the likeliest with this probability together.", "all", _WRITING)
    ] = None,
    greedy: Annotated[
        bool,
        typer.Option("--greedy", help="Always the likeliest.", rich_help_panel=_WRITING, show_default=False),
    ] = False,
    repetition_penalty: Annotated[
        float,
        typer.Option(help="Above 1: symbols of the text so far become less likely.", rich_help_panel=_WRITING),
    ] = 1.0,
    stop: Annotated[
        list[str] | None, option("End before this text; may be given again.", False, _WRITING, "TEXT")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed writes the same.", rich_help_panel=_WRITING)] = 0,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Write with a language model.

    One text appears as it is written; several are written beside one another and then printed, a line of dashes between
    them. --json prints a list of texts.

    [bold]throughtime predict model --prefix "Once upon a time" --temperature 0.8[/bold]
    """
    use_threads(threads)
    writer = _load(model)
    options: dict[str, Any] = {
        "prefix": prefix,
        "label": label,
        "length": length,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "greedy": greedy,
        "repetition_penalty": repetition_penalty,
        "stop": stop or None,
        "seed": seed,
    }
    if n == 1 and not as_json:
        for piece in writer.stream(**options):
            typer.echo(piece, nl=False)
        typer.echo()
        return
    texts = writer.write(n=n, **options)
    if as_json:
        from throughtime.cli.results import print_json

        print_json([{"text": text, "prefix": prefix or "", "label": label} for text in texts])
        return
    typer.echo("\n--------\n".join(texts))


def evaluate_language(
    model: Model,
    files: Files,
    lines: Lines = False,
    text_field: TextField = "text",
    label_field: LabelField = None,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Measure a language model on text that it has not seen, beside simple counts.

    Every symbol of every FILE is predicted from all that stands before it in its text. Beside the model stand how often
    each symbol occurs (unigram) and how often it follows another (bigram), both counted in the training text.

    [bold]throughtime evaluate model later.txt[/bold]
    """
    use_threads(threads)
    found = _load(model).evaluate(_texts(files, lines, text_field, label_field))
    from throughtime.cli.results import metric_rows, print_json, print_table

    if as_json:
        print_json(found.as_dict())
        return
    columns = list(found.metrics["model"])
    title = f"{found.symbols} {found.unit}s in {found.texts} text{'s' * (found.texts > 1)}"
    heads = [f"nats per {found.unit}", f"perplexity per {found.unit}", "bits per character"]
    print_table(["model", *heads], metric_rows(found.metrics, columns), title=title)
    typer.echo(found.sentence)


def _texts(files: list[Path], lines: bool, text_field: str, label_field: str | None) -> "TextFiles":
    from throughtime.data import TextFiles

    return TextFiles(files, lines=lines, text_field=text_field, label_field=label_field)


def _load(path: Path) -> "LanguageModel":
    from throughtime.tasks import LanguageModel

    return LanguageModel.load(path)
