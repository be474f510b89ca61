"""`throughtime demo language`: a class in, text out, measured against what is known of the text."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from throughtime.cli.options import use_threads
from throughtime.errors import DataError

if TYPE_CHECKING:
    from throughtime.tasks import LanguageModel

__all__ = ["OPTIONS", "show"]

TRAINING, TEST, WRITTEN = 4000, 1000, 200  # reports
OPTIONS: dict[str, Any] = {
    "cell": "gru",
    "hidden_size": 96,
    "num_layers": 1,
    "embedding_size": 24,
    "bptt": 128,
    "batch_size": 16,
    "epochs": 12,
    "learning_rate": 1e-2,
}


def show(out: Path, seed: int, threads: int, quiet: bool) -> None:
    """Train a model that writes the weather report of a season, and measure it."""
    data, folder = _prepare(out)
    use_threads(threads)

    def say(line: str = "") -> None:
        if not quiet:
            typer.echo(line)

    from throughtime.cli.progress import progress
    from throughtime.datasets import weather
    from throughtime.tasks import LanguageModel

    texts, seasons = weather(TRAINING + TEST, seed)
    say(f"A recurrent net reads {TRAINING} weather reports, character by character, each with its season:\n")
    for season, text in zip(seasons[:3], texts, strict=False):
        say(f"  {season:7s} {text}")
    say()
    model = LanguageModel(**OPTIONS, seed=seed)
    with progress("  training", quiet=quiet) as callbacks:
        model.fit(texts[:TRAINING], seasons[:TRAINING], callbacks=callbacks)
    if model.history_.stopped == "interrupted":
        raise KeyboardInterrupt
    if not quiet:
        _measure(model, texts[TRAINING:], seasons[TRAINING:])
        _judge(model, set(zip(texts[:TRAINING], seasons, strict=False)), say)
    records = (json.dumps({"text": t, "season": s}) for t, s in zip(texts[TRAINING:], seasons[TRAINING:], strict=True))
    data.write_text("\n".join(records) + "\n", encoding="utf-8")
    model.save(folder)
    say(f"\nWrote {folder} and {data}, the reports that it has not seen. Try next:\n")
    quoted = shlex.quote(str(folder))
    say(f"  throughtime evaluate {quoted} {shlex.quote(str(data))} --label-field season")
    say(f"  throughtime predict {quoted} --label winter --n 3")


def _measure(model: "LanguageModel", texts: list[str], seasons: list[str]) -> None:
    """Nats a report, beside the counts and what no model can go below."""
    from throughtime.cli.results import print_table
    from throughtime.datasets import weather_log_prob

    found = model.evaluate(texts, seasons)
    known = -sum(weather_log_prob(t, s) for t, s in zip(texts, seasons, strict=True))
    bits = found.characters / len(texts) * 0.6931471805599453
    rows = [
        [name, f"{nats / len(texts):.3f}", f"{nats / len(texts) / bits:.4f}"]
        for name, nats in {**found.nats, "the best possible": known}.items()
    ]
    typer.echo("")
    print_table(["", "nats a report", "bits a character"], rows, title=f"{len(texts)} reports that it has not seen")


def _judge(model: "LanguageModel", seen: set[tuple[str, str]], say: Callable[..., None]) -> None:
    """What it writes, and how much of that is right."""
    from throughtime.datasets import SEASONS, weather_log_prob

    labels = [season for season in SEASONS for _ in range(WRITTEN // len(SEASONS))]
    texts = model.write(label=labels, length=100, seed=1)
    say("It now writes reports of a season that it is given:\n")
    for i in range(0, WRITTEN, WRITTEN // len(SEASONS)):
        say(f"  {labels[i]:7s} {texts[i]}")
    written = list(zip(texts, labels, strict=True))
    right = [one for one in written if weather_log_prob(*one) > float("-inf")]
    say(
        f"\nOf {len(texts)} reports, {len(right) / len(texts):.0%} are right from the day to the advice, which follows "
        f"from the sky;\n{sum(one not in seen for one in right) / max(len(right), 1):.0%} of these are not among those "
        "that it has read."
    )


def _prepare(out: Path) -> tuple[Path, Path]:
    """The files to write, with the folder made and each found writable."""
    from throughtime._atomic import check_parent, check_room
    from throughtime.data import check_model_target, check_writable

    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder to write in, got a file; give another --out")
    if not out.exists():
        check_parent(out)
        check_room(out)
        out.mkdir()
    data, folder = out / "reports.jsonl", out / "language-model"
    check_writable(data)
    check_model_target(folder)
    return data, folder
