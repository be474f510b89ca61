"""`throughtime train classify FILE --out MODEL`, and `predict` and `evaluate` for what it wrote."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.given_texts import STDIN, Remembered, is_file, texts_of
from throughtime.cli.options import (
    CELLS,
    AsJson,
    Model,
    Plot,
    Quiet,
    Report,
    Threads,
    help_of,
    use_threads,
)
from throughtime.cli.train import train
from throughtime.cli.training import (
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
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from throughtime.tasks import Classifier
    from throughtime.tasks.classify import ClassEvaluation

__all__ = ["evaluate_classify", "predict_classify", "table"]

_DATA, _MODEL, _OUTPUT = "The texts", "The model", "Output"
_MOST_SHOWN = 12  # labels of a table


Labelled = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Texts with a label each: .jsonl, .csv or .tsv, also compressed (.gz, .xz, .bz2); UTF-8.",
        show_default=False,
    ),
]
TextField = Annotated[str | None, option("Column or field of the text.", "found by its name", _DATA, "NAME")]
LabelField = Annotated[str | None, option("Column or field of the label.", "found by its name", _DATA, "NAME")]
Separator = Annotated[
    str | None, option("What stands between the labels of a text that may have several.", False, _DATA, "SIGN")
]


def classify(
    context: typer.Context,
    file: Labelled,
    out: Out,
    text_field: TextField = None,
    label_field: LabelField = None,
    label_separator: Separator = None,
    labels: Annotated[
        str | None,
        option("one a text, several, or ordered: a scale of numbers.", "several where they are lists", _DATA),
    ] = None,
    validation: Annotated[
        Path | None, option("Texts to validate on.", "parts of the texts in turn", _DATA, "FILE")
    ] = None,
    pretrain: Annotated[
        bool,
        typer.Option(
            "--pretrain", help="First learn the language of the texts.", show_default=False, rich_help_panel=_DATA
        ),
    ] = False,
    pretrain_on: Annotated[
        list[Path] | None,
        option("Texts without labels to learn it from, too; may be given again.", False, _DATA, "FILE"),
    ] = None,
    unit: Annotated[str | None, option("What the net reads: word, character or subword.", "word", _MODEL)] = None,
    cell: Annotated[str | None, option(f"{CELLS}.", "lstm", _MODEL)] = None,
    hidden_size: Annotated[int | None, option("Units in a layer and direction.", "as the class has it", _MODEL)] = None,
    layers: Annotated[int | None, option("Layers on top of one another.", "1", _MODEL)] = None,
    one_way: Annotated[
        bool,
        typer.Option("--one-way", help="Read from left to right alone.", show_default=False, rich_help_panel=_MODEL),
    ] = False,
    embedding_size: Annotated[
        int | None, option("Numbers that a unit is read as.", "as the class has it", _MODEL)
    ] = None,
    pooling: Annotated[
        str | None, option("concat, last, mean, max or attention.", "as the class has it", _MODEL)
    ] = None,
    dropout: Annotated[float | None, option("Share of numbers dropped in training.", "0.5", _MODEL)] = None,
    longest: Annotated[
        int | None, option("Units read of a text; of a longer one its beginning and end.", "400", _MODEL)
    ] = None,
    no_wide: Annotated[
        bool,
        typer.Option(
            "--no-wide", help="The net alone, no n-grams beside it.", show_default=False, rich_help_panel=_MODEL
        ),
    ] = False,
    members: Annotated[
        int | None, option("Nets to train, each with a tenth of the texts held out.", "up to 3", _MODEL)
    ] = None,
    balanced: Annotated[
        bool,
        typer.Option(
            "--balanced",
            help="Rare labels count as much as frequent ones.",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = False,
    epochs: Annotated[
        int | None, option("Times to go through the texts.", "from 4 to 30, the fewer texts the more", TRAINING)
    ] = None,
    pretrain_epochs: Annotated[
        int | None, option("Times to go through them to learn their language.", "by their size", TRAINING)
    ] = None,
    batch_size: Annotated[int | None, option("Texts a step, on average.", "32", TRAINING)] = None,
    minutes: Minutes = None,
    learning_rate: Annotated[
        float | None, option("How far one step goes, at its peak.", "as the class has it", TRAINING)
    ] = None,
    bfloat16: Bfloat16 = False,
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
    """Train a classifier: it says what a text is, such as good or bad news.

    FILE has a text and a label in each row or record. Ctrl-C ends the training early and saves the best model so far
    (exit status 130).

    [bold]throughtime train classify reviews.csv --out model[/bold]
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
        labels=labels,
        unit=unit,
        cell=cell,
        hidden_size=hidden_size,
        num_layers=layers,
        bidirectional=False if one_way else None,
        embedding_size=embedding_size,
        pooling=pooling,
        dropout=dropout,
        longest=longest,
        wide=False if no_wide else None,
        members=members,
        class_weight="balanced" if balanced else None,
        pretrain=pretrain or None,
        pretrain_epochs=pretrain_epochs,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        bfloat16=bfloat16 or None,
        patience=patience,
        seed=seed,
    )
    from throughtime.cli.progress import progress
    from throughtime.tasks import Classifier

    classifier = Classifier(**given)
    options = job.limits
    fields = (text_field, label_field, label_separator)
    texts, found = _read(file, *fields)
    if validation is not None:
        options["validation"] = _read(validation, *fields)
    if pretrain_on:
        from throughtime.data.text.labelled import read_unlabelled

        options["pretrain_on"] = [row.text for path in pretrain_on for row in read_unlabelled(path, text_field=None)]
    with progress("training", quiet=quiet) as callbacks:
        classifier.fit(texts, found, callbacks=callbacks, **options)
    job.finish(classifier, "Let it read a file, line by line, with:", "FILE")


train.command("classify", help=help_of(classify))(classify)


def predict_classify(
    model: Model,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT...|FILE|-]",
            help="Texts; or one file, each line of which is a text (of .jsonl, .csv and .tsv the field of the text); "
            "or -, the lines of standard input.",
            show_default="standard input",
        ),
    ] = None,
    text_field: TextField = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Colour what speaks for the label and against it.",
            rich_help_panel=_OUTPUT,
            show_default=False,
        ),
    ] = False,
    html: Annotated[Path | None, option("Explain one text on a page.", False, _OUTPUT, "FILE.html")] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON object a line.", rich_help_panel="Output", show_default=False),
    ] = False,
    threads: Threads = None,
) -> None:
    """Say what texts are, with a classifier.

    Each text comes back on a line of its own: label, probability, text. --json prints the probability of every label,
    too; --explain what each word adds. Lines of standard input are answered one by one, as they come.

    [bold]throughtime predict model "There is nothing to like in this movie." --explain[/bold]
    """
    words = texts or [STDIN]
    if html is not None:
        from throughtime.data import check_writable

        if html.suffix.lower() != ".html":
            raise ArgumentError(
                f"--html: expected a file name that ends in .html, got {str(html)!r}; rename the output"
            )
        if len(words) != 1 or words == [STDIN] or is_file(words[0]):
            raise ArgumentError(f"--html: expected one text, got {len(words)} and no text; give it as an argument")
        check_writable(html)
    use_threads(threads)
    classifier = _load(model)
    lines, at_once = texts_of(words, lambda file: _read_texts(file, text_field), 2048)
    asked = Remembered(lines)
    names = [str(name) for name in classifier.labels_.names]
    for label, p_K in classifier.stream(asked, at_once=at_once):
        text = asked.answered()
        why = classifier.explain(text) if explain or html is not None else None
        if html is not None and why is not None:
            from throughtime._atomic import replacing

            with replacing(html) as temporary:
                temporary.write_text(why.to_page(), encoding="utf-8")
        if as_json:
            row = {"text": text, "label": label, "probability": dict(zip(names, p_K.tolist(), strict=True))}
            if why is not None:
                row["explanation"] = {k: v for k, v in why.as_dict().items() if k != "text"}
            typer.echo(json.dumps(row, ensure_ascii=False, allow_nan=False))
        else:
            sure = {name: float(p) for name, p in zip(names, p_K, strict=True)}
            said = label if isinstance(label, list) else [label]
            shown = ", ".join(f"{one} {sure[str(one)]:.2f}" for one in said) or "none"
            # On a terminal alone: what reads a pipe wants the text.
            line = text if why is None else why.to_ansi() if sys.stdout.isatty() else _told(why)
            typer.echo(f"{shown}\t{line}")
        sys.stdout.flush()
    if html is not None and not as_json:
        typer.echo(f"Wrote {html}.")


def evaluate_classify(
    model: Model,
    file: Labelled,
    text_field: TextField = None,
    label_field: LabelField = None,
    label_separator: Separator = None,
    plot: Plot = None,
    report: Report = None,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Measure a classifier on labelled texts that it has not seen, beside two baselines.

    Beside the model stand the most frequent label, and a linear classifier of words and word pairs, both fitted to
    the training texts. --plot draws which labels are taken for which (how right probabilities are, where a text may
    have several labels); --report writes all of it on one page.

    [bold]throughtime evaluate model test.csv --plot confusion.png[/bold]
    """
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    if report is not None:
        from throughtime.report import check_report_target

        check_report_target(report)
    use_threads(threads)
    classifier = _load(model)
    found = classifier.evaluate(*_read(file, text_field, label_field, label_separator))
    names = [str(name) for name in classifier.labels_.names]
    if plot is not None:
        from throughtime.report import confusion_plot, reliability_plot

        if found.model.confusion is not None:
            confusion_plot(plot, found.model.confusion, names)
        else:
            reliability_plot(plot, *found.reliability, name="labels")
    if report is not None:
        from throughtime.cli.classify_report import write

        write(report, found, names, str(file))
    if as_json:
        from throughtime.cli.results import print_json

        print_json(found.as_dict())
        return
    table(found, "texts")
    for path in (plot, report):
        if path is not None:
            typer.echo(f"Wrote {path}.")


def table(found: "ClassEvaluation", what: str) -> None:
    """Print the figures, and the outcome in words."""
    from throughtime.cli.results import print_table

    by_label = list(found.model.labels.items())
    if len(by_label) > _MOST_SHOWN:
        by_label = sorted(by_label, key=lambda item: -item[1].true)[:_MOST_SHOWN]
    rows = [
        [str(label), *(f"{x:.2f}" for x in (s.precision, s.recall, s.f1)), str(s.true), str(s.found)]
        for label, s in by_label
    ]
    more = "" if len(by_label) == len(found.model.labels) else f", the {_MOST_SHOWN} commonest labels"
    print_table(["", "precision", "recall", "F1", "true", "found"], rows, title=f"{found.texts} {what}{more}")
    typer.echo("")
    columns, rows = figures(found)
    print_table(columns, rows)
    for sentence in found.sentences():
        typer.echo(sentence)


def figures(found: "ClassEvaluation") -> tuple[list[str], list[list[str]]]:
    """A row a model: the head, and the rows."""
    ordered, several = found.kind == "ordered", found.kind == "several"
    columns = ["", "accuracy", "macro F1", *(["micro F1"] if several else []), "nats", *(["off by"] if ordered else [])]
    rows = []
    for name, scores in found.scores.items():
        row = [name, f"{scores.accuracy:.2f}", f"{scores.macro_f1:.2f}"]
        row += [f"{scores.micro_f1:.2f}"] if several else []
        row += ["–" if scores.nll is None else f"{scores.nll:.4f}"]
        row += ["–" if scores.distance is None else f"{scores.distance:.3f}"] if ordered else []
        rows.append(row)
    return columns, rows


def _told(why: Any) -> str:
    """The tokens that matter most, in words."""
    return ", ".join(f"{part.token} {part.value:+.2f}" for part in why.strongest(8))


def _read_texts(file: str, text_field: str | None) -> Iterator[str]:
    from throughtime.data.text.labelled import read_unlabelled

    return (row.text for row in read_unlabelled(file, text_field=text_field))


def _read(
    path: Path, text_field: str | None, label_field: str | None, separator: str | None
) -> tuple[list[str], list[Any]]:
    from throughtime.data.text.labelled import read_labelled

    rows = list(read_labelled(path, text_field=text_field, label_field=label_field, label_separator=separator))
    return [row.text for row in rows], [row.label for row in rows]


def _load(path: Path) -> "Classifier":
    from throughtime.tasks import Classifier

    return Classifier.load(path)
