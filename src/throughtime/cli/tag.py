"""`throughtime train tag FILE --out MODEL`, and `predict` and `evaluate` for what it wrote."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from throughtime.cli.given_texts import STDIN, Remembered, texts_of
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
    option,
    passed,
)
from throughtime.errors import DataError

if TYPE_CHECKING:
    from throughtime.tasks import Tagger
    from throughtime.tasks.tag import Entity, TagEvaluation

__all__ = ["evaluate_tag", "marked", "predict_tag", "table"]

_DATA, _MODEL = "The sentences", "The model"


Columns = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Sentences in columns, the token first and its tag last, an empty line between sentences; or .jsonl, .csv "
        "or .tsv (docs/tagging.md says how); also compressed (.gz, .xz, .bz2); UTF-8.",
        show_default=False,
    ),
]


def tag(
    context: typer.Context,
    file: Columns,
    out: Out,
    scheme: Annotated[
        str | None, option("IOB1, BIO, BIOES or BMES; impossible tags are then refused.", "found", _DATA)
    ] = None,
    rule: Annotated[
        str | None,
        option("How raw text is cut later: words, characters or a regular expression.", "as the tokens are", _DATA),
    ] = None,
    validation: Annotated[
        Path | None, option("Sentences to validate on.", "a tenth of the sentences", _DATA, "FILE")
    ] = None,
    vectors: Annotated[
        Path | None, option("Words' vectors: a text file of GloVe, word2vec or fastText.", "learned", _DATA, "FILE")
    ] = None,
    cell: Annotated[str | None, option(f"{CELLS}.", "lstm", _MODEL)] = None,
    hidden_size: Annotated[int | None, option("Units in a layer and direction.", "128", _MODEL)] = None,
    layers: Annotated[int | None, option("Layers on top of one another.", "1", _MODEL)] = None,
    one_way: Annotated[
        bool,
        typer.Option("--one-way", help="Read from left to right alone.", show_default=False, rich_help_panel=_MODEL),
    ] = False,
    dropout: Annotated[float | None, option("Share of features dropped in training.", "0.5", _MODEL)] = None,
    word_size: Annotated[int | None, option("Features learned for a word.", "100, or the vectors'", _MODEL)] = None,
    characters: Annotated[
        str | None,
        option(
            "How a word's characters are read: lstm, cnn or none.", "lstm; none where tokens are characters", _MODEL
        ),
    ] = None,
    character_size: Annotated[int | None, option("Features from a word's characters.", "50", _MODEL)] = None,
    no_crf: Annotated[
        bool,
        typer.Option("--no-crf", help="A softmax at every token, no CRF.", show_default=False, rich_help_panel=_MODEL),
    ] = False,
    epochs: Annotated[
        int | None,
        option("Times to go through the sentences.", "as many as make about 5000 steps, 8 to 40", TRAINING),
    ] = None,
    batch_tokens: Annotated[int | None, option("Tokens a step, padding counted.", "512", TRAINING)] = None,
    minutes: Minutes = None,
    learning_rate: Annotated[float | None, option("How far one step goes, at its peak.", "0.004", TRAINING)] = None,
    patience: Annotated[
        int | None, option("Stop after so many epochs without a better F1.", "never early", TRAINING)
    ] = None,
    seed: Seed = None,
    checkpoint: Checkpoint = None,
    resume: Resume = False,
    checkpoint_steps: CheckpointSteps = None,
    checkpoint_minutes: CheckpointMinutes = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Train a tagger: it finds pieces of text, such as names, and says what they are.

    FILE has a token and its tag on each line (Rome, a tab, B-LOC), O for what is no piece. Ctrl-C ends the training
    early and saves the best model so far (exit status 130).

    [bold]throughtime train tag train.conll --validation dev.conll --out model[/bold]
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
        scheme=scheme,
        rule=rule,
        cell=cell,
        hidden_size=hidden_size,
        num_layers=layers,
        bidirectional=False if one_way else None,
        dropout=dropout,
        word_size=word_size,
        characters=characters,
        character_size=character_size,
        crf=False if no_crf else None,
        epochs=epochs,
        batch_tokens=batch_tokens,
        learning_rate=learning_rate,
        patience=patience,
        seed=seed,
    )
    from throughtime.cli.progress import progress
    from throughtime.tasks import Tagger

    tagger = Tagger(**given)
    options = {**job.limits, "vectors": vectors}
    with progress("training", quiet=quiet) as callbacks:
        tagger.fit(file, validation, callbacks=callbacks, **options)
    job.finish(tagger, "Let it read a file, line by line, with:", "FILE")


train.command("tag", help=help_of(tag))(tag)


def predict_tag(
    model: Model,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT...|FILE|-]",
            help="Texts; or one file, each line a text (of .jsonl, .csv and .tsv the field text or tokens); "
            "or -, the lines of standard input.",
            show_default="standard input",
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON object a line.", rich_help_panel="Output", show_default=False),
    ] = False,
    threads: Threads = None,
) -> None:
    """Find pieces of text with a tagger.

    Each text comes back on a line of its own, its pieces in brackets with label and probability. --json prints the text
    and its pieces with their places: text[start:end] counts characters from 0. Lines of standard input are answered one
    by one, as they come.

    [bold]throughtime predict model "Ann lives in Rome."[/bold]
    """
    use_threads(threads)
    tagger = _load(model)
    words = texts or [STDIN]
    lines, at_once = texts_of(words, _read_sentences, 2048)
    asked = Remembered(lines)
    for found in tagger.stream(asked, at_once=at_once):
        given = asked.answered()
        text = given if isinstance(given, str) else " ".join(given)
        if as_json:
            row = {"text": text, "entities": [entity._asdict() for entity in found]}
            typer.echo(json.dumps(row, ensure_ascii=False, allow_nan=False))
        else:
            typer.echo(marked(text, found))
        sys.stdout.flush()


def _read_sentences(file: str) -> "Iterator[str | list[str]]":
    from throughtime.data.text.tagged import read_untagged

    return read_untagged(file)


def evaluate_tag(
    model: Model, file: Columns, plot: Plot = None, as_json: AsJson = False, threads: Threads = None
) -> None:
    """Measure a tagger on tagged sentences that it has not seen, beside two baselines.

    Precision, recall and F1 of pieces are conlleval's. Beside the model stand each token's most frequent tag, and a
    linear classifier of each token by its spelling and its neighbours, both fitted to the training sentences. --plot
    draws how often the pieces found were right, by their probability.

    [bold]throughtime evaluate model test.conll --plot reliability.png[/bold]
    """
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    use_threads(threads)
    found = _load(model).evaluate(file)
    if plot is not None:
        _draw(plot, found)
    if as_json:
        from throughtime.cli.results import print_json

        print_json(found.as_dict())
        return
    table(found, "sentences")
    if plot is not None:
        typer.echo(f"Wrote {plot}.")


def table(found: "TagEvaluation", what: str) -> None:
    """Print the figures, and the outcome in words."""
    from throughtime.cli.results import print_table

    columns = ["", "precision", "recall", "F1", "true", "found", "right"]
    scores = [(label, score) for label, score in found.model.by_label.items()]
    scores += [(name, other.overall) for name, other in found.scores.items()]
    rows = [
        [name, *(f"{x:.2f}" for x in (s.precision, s.recall, s.f1)), *(str(n) for n in (s.true, s.found, s.right))]
        for name, s in scores
    ]
    title = f"{found.model.tokens} tokens in {found.model.sentences} {what}"
    print_table(columns, rows, title=title, sections=(len(found.model.by_label) - 1,))
    for sentence in found.sentences():
        typer.echo(sentence)


def _draw(path: Path, found: "TagEvaluation") -> None:
    from throughtime.report import reliability_plot

    if not found.model.overall.found:
        raise DataError(f"--plot: expected pieces that the model found, got none; {path} was not drawn")
    reliability_plot(path, *found.reliability, name="pieces")


def _load(path: Path) -> "Tagger":
    from throughtime.tasks import Tagger

    return Tagger.load(path)


def marked(text: str, found: "list[Entity]") -> str:
    """The text with each piece in brackets: [Ann PER 0.98] lives in [Rome LOC 0.97]."""
    parts, at = [], 0
    for entity in found:
        parts += [text[at : entity.start], f"[{entity.text} {entity.label} {entity.probability:.2f}]"]
        at = entity.end
    return "".join([*parts, text[at:]])
