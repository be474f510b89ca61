"""Language models on text that others have measured on.

shakespeare: Tiny Shakespeare by character, the first 90 % to train on, the last 10 % to validate, as nanoGPT splits it.
The figure is the mean loss in nats over every one of the 111,540 validation characters, read from first to last with
one state; asked for: at most 1.50 within 30 minutes on two cores. Each epoch looks at the first 16,384 of them only,
for the curve. Two recipes: "short" and "long", wider and
with more dropout, which takes twice the time.

wikitext: WikiText-2 by word, an LSTM of 2 × 650 with tied weights: the perplexity so far after some minutes, and the
hours that the whole would take.

    python benchmarks/quality/language.py shakespeare --data DIR --out benchmarks/results/language.json
"""

import argparse
import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from common import DEFAULT_MACHINE, write

from throughtime import __version__
from throughtime.tasks.language import LanguageModel
from throughtime.training import Callback, EpochRecord, RunFolder, StepRecord

SHARED = {
    "cell": "gru",
    "num_layers": 2,
    "embedding_size": 128,
    "bptt": 128,
    "vary_bptt": True,
    "batch_size": 32,
    "bfloat16": True,
}
_SHORT = {
    "hidden_size": 512,
    "dropout": 0.35,
    "weight_dropout": 0.25,
    "epochs": 16,
    "learning_rate": 3e-3,
    "ema": 0.998,
}
_LONG = {"hidden_size": 640, "dropout": 0.45, "weight_dropout": 0.3, "epochs": 21, "learning_rate": 2e-3, "ema": 0.999}
SHAKESPEARE = {"short": SHARED | _SHORT, "long": SHARED | _LONG | {"input_dropout": 0.1}}
# Mean validation loss in nats: nanoGPT's README, its CPU recipe and its recipe for one A100.
PUBLISHED_SHAKESPEARE = {"nanoGPT, CPU recipe": 1.88, "nanoGPT, 3 minutes on an A100": 1.4697}
ASKED = 1.50

WIKITEXT = {
    "unit": "word",
    "cell": "lstm",
    "hidden_size": 650,
    "num_layers": 2,
    "tie_weights": True,
    "softmax": "full",
    "dropout": 0.5,
    "bptt": 35,
    "batch_size": 32,
    "epochs": 40,
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "clip_norm": 0.25,
    "bfloat16": True,
}
# Test perplexity: the word_language_model example of PyTorch and its like, as collected by Merity et al. (2017).
PUBLISHED_WIKITEXT = {"LSTM 2 × 650 tied": 86.7, "AWD-LSTM": 65.6}


class Curve(Callback):
    """Losses over epochs, with processor time beside time."""

    def __init__(self) -> None:
        self.began = time.process_time()
        self.epochs: list[dict[str, Any]] = []
        self.last: StepRecord | None = None
        self.losses: list[float] = []
        self.steps: list[tuple[int, float, float]] = []
        """Step, mean training loss of the fifty before it, processor minutes."""

    def on_step(self, record: StepRecord) -> None:
        self.last = record
        self.losses.append(record.loss)
        if len(self.losses) == 50:
            cpu = (time.process_time() - self.began) / 60
            self.steps.append((record.global_step, round(sum(self.losses) / 50, 4), round(cpu, 2)))
            print(*self.steps[-1], flush=True)
            self.losses = []

    def on_epoch(self, record: EpochRecord) -> None:
        cpu = (time.process_time() - self.began) / 60
        row = {
            "epoch": record.epoch,
            "train": round(record.train_loss, 4),
            "validation": None if record.validation_loss is None else round(record.validation_loss, 4),
            "minutes": round(record.seconds / 60, 2),
            "cpu_minutes_so_far": round(cpu, 2),
        }
        self.epochs.append(row)
        print(row, flush=True)


def data_folder(given: Path | None) -> Path:
    """Where the texts are: an argument, the environment, or beside the checkout."""
    return given or Path(os.environ.get("THROUGHTIME_DATA", "../shared/data"))


def texts_of(path: Path) -> str:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read()


def log_of(run: Path | None) -> dict[str, Any]:
    """What a run folder says of a training that may have been stopped and gone on with: epochs and seconds."""
    if run is None or not (run / "log.jsonl").exists():
        return {}
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    epochs = [event for event in events if event["event"] == "epoch"]
    return {
        "train_curve": [round(event["train_loss"], 4) for event in epochs],
        "validation_curve": [round(event["validation_loss"], 4) for event in epochs],
        "resumed": sum(event["event"] == "resume" for event in events),
    }


def surroundings(machine: str) -> dict[str, Any]:
    return {
        "machine": machine,
        "threads": torch.get_num_threads(),
        "throughtime": __version__,
        "torch": torch.__version__,
    }


def shakespeare(given: argparse.Namespace) -> dict[str, Any]:
    text = texts_of(data_folder(given.data) / "text/tinyshakespeare/input.txt.gz")
    border = int(0.9 * len(text))
    options = SHAKESPEARE[given.recipe] | ({} if given.epochs is None else {"epochs": given.epochs})
    model, curve = LanguageModel(**options, seed=given.seed), Curve()
    run = None if given.run is None else RunFolder(path=given.run, resume=True, every_minutes=5)
    began, cpu = time.perf_counter(), time.process_time()
    watched = text[border:][: given.watched]
    model.fit(text[:border], validation=watched, callbacks=[curve], run=run, max_seconds=given.seconds)
    trained, cpu_trained = time.perf_counter() - began, time.process_time() - cpu
    began = time.perf_counter()
    found = model.evaluate(text[border:])
    evaluated = time.perf_counter() - began
    if given.model is not None:
        model.save(given.model)
    nats = found.metrics["model"]["nats"]
    print(f"{nats:.4f} nats over {found.symbols} characters ({found.sentence})")
    samples = model.write(prefix="ROMEO:", n=1, length=400, temperature=0.8, seed=given.seed)
    print(samples[0])
    return {
        **surroundings(given.machine),
        "data": {"training": border, "validation": len(text) - border},
        "options": options,
        "seed": given.seed,
        "parameters": model.n_parameters_,
        "validation_nats": nats,
        "reached": nats <= ASKED,
        "asked": ASKED,
        "published": PUBLISHED_SHAKESPEARE,
        "metrics": found.metrics,
        "training_seconds": round(model.history_.seconds),
        "minutes_of_this_call": round(trained / 60, 1),
        "cpu_minutes_of_this_call": round(cpu_trained / 60, 1),
        "evaluation_seconds": round(evaluated, 1),
        "epochs": curve.epochs,
        **log_of(given.run),
        "sample": samples[0],
    }


def wikitext(given: argparse.Namespace) -> dict[str, Any]:
    folder = data_folder(given.data) / "text/wikitext2"
    train, valid, test = (texts_of(folder / f"wiki.{part}.tokens.gz") for part in ("train", "valid", "test"))
    options = WIKITEXT | ({} if given.epochs is None else {"epochs": given.epochs})
    model, curve = LanguageModel(**options, seed=given.seed), Curve()
    run = None if given.run is None else RunFolder(path=given.run, resume=True, every_minutes=5)
    cpu = time.process_time()
    model.fit(train, validation=valid[: given.characters], callbacks=[curve], run=run, max_seconds=given.seconds)
    cpu_trained = time.process_time() - cpu
    assert curve.last is not None
    steps = curve.last.global_step
    whole = curve.last.epochs * curve.last.steps_per_epoch
    found = model.evaluate(test[: given.characters], steps=64)
    return {
        **surroundings(given.machine),
        "options": options,
        "seed": given.seed,
        "parameters": model.n_parameters_,
        "vocabulary": len(model.units_),
        "steps": steps,
        "steps_of_the_whole": whole,
        "epochs": curve.epochs,
        "step_loss_and_cpu_minutes": curve.steps,
        "training_seconds": round(model.history_.seconds),
        "cpu_minutes": round(cpu_trained / 60, 1),
        "projected_cpu_hours": round(cpu_trained / steps * whole / 3600, 1),
        "test_words": found.symbols,
        "metrics": found.metrics,
        "published_test_perplexity": PUBLISHED_WIKITEXT,
    }


PARTS = {"shakespeare": shakespeare, "wikitext": wikitext}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=tuple(PARTS))
    parser.add_argument("--data", type=Path, help="folder of the data; THROUGHTIME_DATA or ../shared/data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", choices=tuple(SHAKESPEARE), default="long", help="of shakespeare")
    parser.add_argument("--epochs", type=int, help="fewer for a quick look")
    parser.add_argument("--seconds", type=float, help="end the training after so many")
    parser.add_argument("--run", type=Path, help="folder of checkpoints: a run that was stopped goes on")
    parser.add_argument("--watched", type=int, default=16384, help="characters of shakespeare's validation, an epoch")
    parser.add_argument("--model", type=Path, help="folder to save the model in")
    parser.add_argument("--characters", type=int, help="of WikiText-2's validation and test text; all where not given")
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path, help="JSON; parts that are not measured again stay")
    given = parser.parse_args()
    found = PARTS[given.part](given)
    before = json.loads(given.out.read_text()) if given.out is not None and given.out.exists() else {}
    name = f"shakespeare, {given.recipe}" if given.part == "shakespeare" else given.part
    write({**before, name: found}, given.out)


if __name__ == "__main__":
    main()
