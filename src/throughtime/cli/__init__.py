"""The command line: one file a subcommand.

    train       throughtime train TASK DATA --out MODEL
    predict     throughtime predict MODEL [DATA]
    evaluate    throughtime evaluate MODEL DATA
    update      throughtime update MODEL DATA
    compare     throughtime compare TASK DATA
    tune        throughtime tune TASK DATA --out MODEL
    inspect     throughtime inspect MODEL [DATA]
    explain     throughtime explain CELL
    export      throughtime export MODEL --to onnx
    bench       throughtime bench
    demo        throughtime demo [TASK]

    app         the commands together, and errors as one line and exit status 2
    options             options that several commands share
    forecaster_options  what makes a forecaster
    forecast_demo       demo forecast
    language            train language, and predict and evaluate for its models
    language_demo       demo language
    tag                 train tag, and predict and evaluate for its models
    tag_demo            demo tag
    classify            train classify, and predict and evaluate for its models
    classify_report     all about a classifier's evaluation on one page
    classify_demo       demo classify
    compose             train compose, and predict and evaluate for its models
    compose_demo        demo compose
    transcribe          train transcribe, and predict and evaluate for its models
    transcribe_demo     demo transcribe
    training            what every training command shares
    translate           train translate, and predict and evaluate for its models
    translate_demo      demo translate
    recognize           train recognize, and predict and evaluate for its models
    recognize_output    what predict says of recordings, and of samples as they come
    recognize_demo      demo recognize
    given_texts         texts as arguments, lines or files
    by_task             predict and evaluate by the task of the model
    progress            the progress of a training, as a bar or as lines
    results             tables and JSON
    panels              from frames of forecasts to plots
    reports             from a forecaster and its evaluation to the report

Exit status: 0 all went well; 2 wrong input or a missing extra, said in one line on stderr with nothing written; 130
Ctrl-C, where `train` first saves the best model so far.

Nothing heavy is imported before a command runs: `throughtime --help` needs neither torch nor polars.
"""

import sys
from collections.abc import Sequence

from throughtime._extras import require
from throughtime.errors import MissingExtraError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and give its exit status.

    Args:
        arguments: without the program's name; None takes those of the process.
    """
    try:
        for package in ("typer", "rich"):
            require(package, extra="cli")
    except MissingExtraError as error:
        print(error, file=sys.stderr)
        return 2
    from throughtime.cli.app import run

    return run(arguments)
