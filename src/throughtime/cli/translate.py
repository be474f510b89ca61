"""`throughtime train translate SOURCE TARGET --out MODEL`, and `predict` and `evaluate` for what it wrote."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.given_texts import STDIN, Remembered, is_file, texts_of
from throughtime.cli.options import CELLS, AsJson, Model, Plot, Quiet, Threads, help_of, use_threads
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
    flag,
    option,
    passed,
)
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from throughtime.tasks.translate import TranslationEvaluation, Translator

__all__ = ["evaluate_translate", "predict_translate", "table"]

_DATA, _MODEL, _SEARCH, _OUTPUT = "The sentences", "The model", "The search", "Output"


Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="Sentences, one a line; or both languages in .jsonl, .csv or .tsv. Also compressed (.gz, .xz, .bz2).",
        show_default=False,
    ),
]
Target = Annotated[
    Path | None,
    typer.Argument(metavar="[TARGET]", help="Their translations: line n of line n.", show_default=False),
]
SourceField = Annotated[
    str | None, option("Field of the sentence, or its column's number.", "source or src", _DATA, "NAME")
]
TargetField = Annotated[
    str | None, option("Field of the translation, or its column's number.", "target, tgt, translation", _DATA, "NAME")
]
Beam = Annotated[int | None, option("Hypotheses kept; 1 is fastest.", "as the model has it, 5", _SEARCH)]
LengthPenalty = Annotated[
    float | None, option("From 0 on; the larger, the longer translations are.", "as the model has it, 1", _SEARCH)
]
CoveragePenalty = Annotated[
    float | None, option("From 0 on; the larger, the less of a sentence is left out.", "0", _SEARCH)
]
NoRepeat = Annotated[int | None, option("No sequence of so many subwords comes twice.", "any may", _SEARCH)]


def translate(
    context: typer.Context,
    source: Source,
    out: Out,
    target: Target = None,
    source_field: SourceField = None,
    target_field: TargetField = None,
    validation_source: Annotated[
        Path | None, option("Sentences to validate on, or pairs.", "one pair of fifty", _DATA, "FILE")
    ] = None,
    validation_target: Annotated[Path | None, option("Their translations.", False, _DATA, "FILE")] = None,
    casing: Annotated[str | None, option("keep: first letters are not made small.", "sentence", _DATA)] = None,
    longest: Annotated[int | None, option("Subwords of the longest sentence.", "100", _DATA)] = None,
    vocabulary_size: Annotated[
        int | None, option("Subwords of both languages together.", "4000, or what there is", _MODEL)
    ] = None,
    cell: Annotated[str | None, option(f"{CELLS}.", "lstm", _MODEL)] = None,
    hidden_size: Annotated[int | None, option("Units in a layer.", "384", _MODEL)] = None,
    embedding_size: Annotated[int | None, option("Numbers that a subword is read as.", "256", _MODEL)] = None,
    encoder_layers: Annotated[int | None, option("Layers that read.", "1", _MODEL)] = None,
    decoder_layers: Annotated[int | None, option("Layers that write.", "2", _MODEL)] = None,
    attention: Annotated[str | None, option("multiplicative or additive.", "multiplicative", _MODEL)] = None,
    decoder: Annotated[
        str | None,
        option("Where attention stands: attention-between, attention-above, input-feeding.", "between", _MODEL),
    ] = None,
    dropout: Annotated[float | None, option("Share of numbers dropped in training.", "0.3", _MODEL)] = None,
    members: Annotated[int | None, option("Nets that translate together.", "1", _MODEL)] = None,
    start: Annotated[
        Path | None, option("Model of the same sizes that training begins with.", "nets drawn anew", TRAINING, "MODEL")
    ] = None,
    epochs: Annotated[
        int | None, option("Times to go through the pairs.", "from 5 to 40, the fewer pairs the more", TRAINING)
    ] = None,
    batch_size: Annotated[int | None, option("Pairs a step, on average.", "64", TRAINING)] = None,
    minutes: Minutes = None,
    learning_rate: Annotated[float | None, option("How far one step goes, at its peak.", "0.0015", TRAINING)] = None,
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
) -> None:  # fmt: skip
    """Train a translator on sentences and their translations.

    SOURCE and TARGET have a sentence in each line; or SOURCE holds both. Ctrl-C ends the training early and saves the
    best model so far (exit status 130).

    [bold]throughtime train translate train.fr train.en --out model[/bold]
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
    if validation_target is not None and validation_source is None:
        raise ArgumentError(
            f"--validation-target: expected --validation-source beside it, got {validation_target} alone; give both"
        )
    given = passed(
        vocabulary_size=vocabulary_size,
        casing=casing,
        longest=longest,
        cell=cell,
        hidden_size=hidden_size,
        embedding_size=embedding_size,
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        attention=attention,
        decoder=decoder,
        dropout=dropout,
        members=members,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        bfloat16=bfloat16 or None,
        patience=patience,
        seed=seed,
    )
    from throughtime.cli.progress import progress
    from throughtime.tasks import Translator

    translator = Translator(**given)
    options = job.limits
    fields = (source_field, target_field)
    pairs = _pairs(source, target, *fields)
    if validation_source is not None:
        options["validation"] = _pairs(validation_source, validation_target, *fields)
    if start is not None:
        options["start"] = _load(start)
    with progress("training", quiet=quiet) as callbacks:
        translator.fit(pairs, callbacks=callbacks, **options)
    job.finish(translator, "Translate a file, line by line, with:", "FILE")


train.command("translate", help=help_of(translate))(translate)


def predict_translate(
    model: Model,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT...|FILE|-]",
            help="Sentences; or one file of them, one a line (of .jsonl, .csv and .tsv a field); or -, the lines of "
            "standard input.",
            show_default="standard input",
        ),
    ] = None,
    source_field: Annotated[
        str | None, option("Field of the sentence.", "found by its name", _DATA, "NAME")
    ] = None,
    beam: Beam = None,
    n_best: Annotated[int, typer.Option(help="Translations of each sentence.", rich_help_panel=_SEARCH)] = 1,
    length_penalty: LengthPenalty = None,
    coverage_penalty: CoveragePenalty = None,
    no_repeat: NoRepeat = None,
    plot: Plot = None,
    as_json: Annotated[
        bool, flag("--json", "Print a JSON object a line, with score and confidence.", _OUTPUT)
    ] = False,
    threads: Threads = None,
) -> None:  # fmt: skip
    """Translate sentences.

    Each sentence comes back as one line; with --n-best as so many lines of score and translation. Lines of standard
    input are answered one by one, as they come. --plot draws which subword of one sentence was looked at for which of
    its translation.

    [bold]throughtime predict model "Voulez-vous chanter avec moi ?"[/bold]
    """
    words = texts or [STDIN]
    if plot is not None:
        from throughtime.report import check_plot_target

        if len(words) != 1 or words == [STDIN] or is_file(words[0]):
            raise ArgumentError(f"--plot: expected one sentence, got {words[0]!r}; give it as an argument")
        check_plot_target(plot)
    use_threads(threads)
    translator = _load(model)
    lines, at_once = texts_of(words, lambda file: _read_texts(file, source_field), 1024)
    asked = Remembered(lines)
    options = _search(beam, length_penalty, coverage_penalty, no_repeat) | {"n_best": n_best}
    for ways in translator.stream(asked, at_once=at_once, **options):
        text = asked.answered()
        if as_json:
            row = {"source": text, **ways[0].as_dict()}
            if n_best > 1:
                row["n_best"] = [way.as_dict() for way in ways]
            typer.echo(json.dumps(row, ensure_ascii=False, allow_nan=False))
        elif n_best > 1:
            for way in ways:
                typer.echo(f"{way.score:.4f}\t{way.text}")
        else:
            typer.echo(ways[0].text)
        sys.stdout.flush()
        if plot is not None:
            from throughtime.report import attention_plot

            if not ways[0].weights_TS.size:
                raise ArgumentError(
                    f"--plot: expected 1 to {translator.longest} subwords, got {text[:40]!r}; give another sentence"
                )
            attention_plot(plot, ways[0].weights_TS, ways[0].source_pieces, ways[0].target_pieces)
    if plot is not None and not as_json:
        typer.echo(f"Wrote {plot}.")


def evaluate_translate(
    model: Model,
    source: Source,
    target: Target = None,
    source_field: SourceField = None,
    target_field: TargetField = None,
    beam: Beam = None,
    length_penalty: LengthPenalty = None,
    coverage_penalty: CoveragePenalty = None,
    no_repeat: NoRepeat = None,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Measure a translator on sentences that it has not seen: BLEU and chrF of sacreBLEU, with their signatures.

    Beside the model stands the sentence as it is, untranslated.

    [bold]throughtime evaluate model test.fr test.en[/bold]
    """
    use_threads(threads)
    translator = _load(model)
    pairs = _pairs(source, target, source_field, target_field)
    found = translator.evaluate(pairs, **_search(beam, length_penalty, coverage_penalty, no_repeat))
    if as_json:
        from throughtime.cli.results import print_json

        print_json(found.as_dict())
        return
    table(found)


def table(found: "TranslationEvaluation") -> None:
    """Print the figures, their signatures, and what confidence says."""
    from throughtime.cli.results import print_table

    rows = [[name, *(f"{value:.2f}" for value in scores.values())] for name, scores in found.scores.items()]
    print_table(["", *found.model], rows, title=f"{found.sentences} sentences")
    for name, signature in found.signatures.items():
        typer.echo(f"{name}: {signature}")
    typer.echo(
        f"Mean confidence {found.confidence:.3f}; its rank correlation with a sentence's chrF is "
        f"{found.rank_correlation:.2f}. Translations are {found.length_ratio:.2f} times as long as the references."
    )


def _search(
    beam: int | None, length_penalty: float | None, coverage_penalty: float | None, no_repeat: int | None
) -> dict[str, Any]:
    given = {
        "beam": beam,
        "length_penalty": length_penalty,
        "coverage_penalty": coverage_penalty,
        "no_repeat": no_repeat,
    }
    return {name: value for name, value in given.items() if value is not None}


def _read_texts(file: str, source_field: str | None) -> Iterator[str]:
    from throughtime.data.text.labelled import read_unlabelled

    return (row.text for row in read_unlabelled(file, text_field=source_field))


def _pairs(source: Path, target: Path | None, source_field: str | None, target_field: str | None) -> Any:
    from throughtime.data.text.parallel import ParallelFiles

    return ParallelFiles(source, target, source_field=source_field, target_field=target_field)


def _load(path: Path) -> "Translator":
    from throughtime.tasks import Translator

    return Translator.load(path)
