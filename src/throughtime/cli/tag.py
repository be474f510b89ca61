"""`throughtime train tag FILE --out MODEL`, and `predict` and `evaluate` for what it wrote."""

import json
import shlex
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.given_texts import STDIN, encodable, is_file, stdin_lines
from throughtime.cli.options import CELLS, AsJson, Model, Plot, Quiet, Threads, help_of, run_options, use_threads
from throughtime.cli.train import train
from throughtime.errors import ArgumentError, DataError

if TYPE_CHECKING:
    from throughtime.tasks import Tagger
    from throughtime.tasks.tag import Entity, TagEvaluation

__all__ = ["evaluate_tag", "marked", "predict_tag", "table"]

_INTERRUPTED = 130
_DATA, _MODEL, _TRAINING, _RESTARTS = "The sentences", "The model", "The training", "Restarts and logs"


def _option(words: str, default: str | bool, panel: str, metavar: str | None = None) -> Any:
    """An option without a value of its own, whose default is said in words."""
    return typer.Option(help=words, show_default=default, rich_help_panel=panel, metavar=metavar)


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
    out: Annotated[Path, typer.Option(metavar="MODEL", help="Folder to save the model in.", show_default=False)],
    scheme: Annotated[
        str | None, _option("IOB1, BIO, BIOES or BMES; impossible tags are then refused.", "found", _DATA)
    ] = None,
    rule: Annotated[
        str | None,
        _option("How raw text is cut later: words, characters or a regular expression.", "as the tokens are", _DATA),
    ] = None,
    validation: Annotated[
        Path | None, _option("Sentences to validate on.", "a tenth of the sentences", _DATA, "FILE")
    ] = None,
    vectors: Annotated[
        Path | None, _option("Words' vectors: a text file of GloVe, word2vec or fastText.", "learned", _DATA, "FILE")
    ] = None,
    cell: Annotated[str | None, _option(f"{CELLS}.", "lstm", _MODEL)] = None,
    hidden_size: Annotated[int | None, _option("Units in a layer and direction.", "128", _MODEL)] = None,
    layers: Annotated[int | None, _option("Layers on top of one another.", "1", _MODEL)] = None,
    one_way: Annotated[
        bool,
        typer.Option("--one-way", help="Read from left to right alone.", show_default=False, rich_help_panel=_MODEL),
    ] = False,
    dropout: Annotated[float | None, _option("Share of features dropped in training.", "0.5", _MODEL)] = None,
    word_size: Annotated[int | None, _option("Features learned for a word.", "100, or the vectors'", _MODEL)] = None,
    characters: Annotated[
        str | None,
        _option(
            "How a word's characters are read: lstm, cnn or none.", "lstm; none where tokens are characters", _MODEL
        ),
    ] = None,
    character_size: Annotated[int | None, _option("Features from a word's characters.", "50", _MODEL)] = None,
    no_crf: Annotated[
        bool,
        typer.Option("--no-crf", help="A softmax at every token, no CRF.", show_default=False, rich_help_panel=_MODEL),
    ] = False,
    epochs: Annotated[
        int | None,
        _option("Times to go through the sentences.", "as many as make about 5000 steps, 8 to 40", _TRAINING),
    ] = None,
    batch_tokens: Annotated[int | None, _option("Tokens a step, padding counted.", "512", _TRAINING)] = None,
    minutes: Annotated[float | None, _option("End the training after so many.", "never early", _TRAINING)] = None,
    learning_rate: Annotated[float | None, _option("How far one step goes, at its peak.", "0.004", _TRAINING)] = None,
    patience: Annotated[
        int | None, _option("Stop after so many epochs without a better F1.", "never early", _TRAINING)
    ] = None,
    seed: Annotated[int | None, _option("The same seed gives the same model, bit by bit.", "0", _TRAINING)] = None,
    checkpoint: Annotated[
        Path | None, _option("Folder for checkpoints and a log, log.jsonl.", False, _RESTARTS, "DIR")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from the last checkpoint, to the same model bit by bit; begin where there is none.",
            show_default=False,
            rich_help_panel=_RESTARTS,
        ),
    ] = False,
    checkpoint_steps: Annotated[int | None, _option("Steps between checkpoints.", "by time alone", _RESTARTS)] = None,
    checkpoint_minutes: Annotated[float | None, _option("Minutes between checkpoints.", "10", _RESTARTS)] = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Train a tagger: it finds pieces of text, such as names, and says what they are.

    FILE has a token and its tag on each line (Rome, a tab, B-LOC), O for what is no piece. Ctrl-C ends the training
    early and saves the best model so far (exit status 130).

    [bold]throughtime train tag train.conll --validation dev.conll --out model[/bold]
    """
    from throughtime.data import check_model_target

    check_model_target(out)
    run = run_options(checkpoint, resume, checkpoint_steps, checkpoint_minutes)
    use_threads(threads)
    if minutes is not None and not 0 < minutes < float("inf"):
        raise ArgumentError(f"--minutes: expected a number above 0, got {minutes:g}; give 5 or so")
    given: dict[str, Any] = {
        "scheme": scheme,
        "rule": rule,
        "cell": cell,
        "hidden_size": hidden_size,
        "num_layers": layers,
        "bidirectional": False if one_way else None,
        "dropout": dropout,
        "word_size": word_size,
        "characters": characters,
        "character_size": character_size,
        "crf": False if no_crf else None,
        "epochs": epochs,
        "batch_tokens": batch_tokens,
        "learning_rate": learning_rate,
        "patience": patience,
        "seed": seed,
    }
    from throughtime.cli.progress import progress
    from throughtime.tasks import Tagger

    tagger = Tagger(**{name: value for name, value in given.items() if value is not None})
    options: dict[str, Any] = {"max_seconds": None if minutes is None else 60 * minutes, "vectors": vectors}
    if run is not None:
        from throughtime.training import RunFolder

        options["run"] = RunFolder(**run)
    with progress("training", quiet=quiet) as callbacks:
        tagger.fit(file, validation, callbacks=callbacks, **options)
    tagger.origin_["command"] = shlex.join(["throughtime", *context.obj])
    interrupted = tagger.history_.stopped == "interrupted"
    if interrupted and tagger.history_.best_epoch is None:
        typer.echo("throughtime: interrupted before the first epoch ended; nothing was written", err=True)
        raise typer.Exit(_INTERRUPTED)
    tagger.save(out)
    if not quiet:
        if tagger.history_.resumed_at is not None:
            typer.echo(f"resumed     {checkpoint}, after step {tagger.history_.resumed_at}")
        typer.echo(tagger.summary())
        typer.echo(f"\nSaved {out}. Let it read a file, line by line, with:\n")
        typer.echo(f"  throughtime predict {shlex.quote(str(out))} FILE")
    if interrupted:
        typer.echo(f"throughtime: interrupted; the best model so far was saved in {out}", err=True)
        raise typer.Exit(_INTERRUPTED)


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
    at_once = 2048
    lines: Iterator[str | list[str]]
    if words == [STDIN]:
        lines, at_once = stdin_lines(), 1
    elif len(words) == 1 and is_file(words[0]):
        from throughtime.data.text.tagged import read_untagged

        lines = read_untagged(words[0])
    else:
        lines = iter(encodable(words))
    asked: deque[str | list[str]] = deque()

    def remembered() -> Iterator[str | list[str]]:
        for line in lines:
            asked.append(line)
            yield line

    for found in tagger.stream(remembered(), at_once=at_once):
        given = asked.popleft()
        text = given if isinstance(given, str) else " ".join(given)
        if as_json:
            row = {"text": text, "entities": [entity._asdict() for entity in found]}
            typer.echo(json.dumps(row, ensure_ascii=False, allow_nan=False))
        else:
            typer.echo(marked(text, found))
        sys.stdout.flush()


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
