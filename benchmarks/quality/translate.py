"""Translators on data that others have measured on.

multi30k.fr-en   29,000 captions, raw text, test 2016 (flickr): sacreBLEU of cased, detokenised text
multi30k.de-en   likewise
multi30k.en-fr   the tokenised, lower-cased files: BLEU of what stands between blanks, as older tables have it
tatoeba.fr-en    sentences of learners; no English sentence of the test set is in the training set

A model is trained from one seed with the options below, and translates the test set once with a beam and once greedily.
Epochs are chosen by the loss on the validation set; no figure of the test set decides anything.

    python benchmarks/quality/translate.py multi30k.fr-en --minutes 55 --out benchmarks/results/translate.json
"""

import argparse
import gzip
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import DEFAULT_MACHINE, write

from throughtime import __version__
from throughtime.tasks.translate import Translator
from throughtime.training import RunFolder

PUBLISHED = {
    "multi30k.fr-en": {"OPUS-MT big, a web-scale transformer, not tuned on it: sacreBLEU": 49.7},
    "multi30k.en-fr": {"GRU of 256 with attention, one run: BLEU, tokenised lower-case": 59.0},
    "multi30k.de-en": {"recurrent tutorials, metrics not stated: BLEU, lowest": 28.0, "highest": 38.0},
    "tatoeba.fr-en": {},
}
OPTIONS: dict[str, Any] = {"bfloat16": True}
OF_PART: dict[str, dict[str, Any]] = {"multi30k.en-fr": {"casing": "keep"}}


class Split(NamedTuple):
    """Sentences and translations to train, to validate and to test on."""

    training: tuple[list[str], list[str]]
    validation: tuple[list[str], list[str]]
    test: tuple[list[str], list[str]]


def lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [line.rstrip("\n") for line in file]


def read_multi30k(folder: Path, source: str, target: str) -> Split:
    # The older tables are of tokenised, lower-case text; the others of the text as it stands.
    middle = "lc.norm.tok." if (source, target) == ("en", "fr") else ""
    parts = [
        tuple(lines(folder / f"multi30k/{part}.{middle}{language}.gz") for language in (source, target))
        for part in ("train", "val", "test_2016_flickr")
    ]
    return Split(*parts)  # type: ignore[arg-type]


def read_tatoeba(folder: Path) -> Split:
    """English sentences drawn to test and to validate on, with one French sentence each; the others train."""
    pairs = [line.split("\t")[:2] for line in lines(folder / "tatoeba_fra_eng/fra.txt.gz")]
    english = sorted({pair[0] for pair in pairs})
    drawn = np.random.default_rng(0).permutation(len(english))
    held = {english[i]: number for number, i in enumerate(drawn[:4000].tolist())}
    found: list[dict[str, str]] = [{}, {}]
    training: tuple[list[str], list[str]] = ([], [])
    for target, source in pairs:
        number = held.get(target)
        if number is None:
            training[0].append(source)
            training[1].append(target)
        else:
            found[number % 2].setdefault(target, source)
    held_out = [([*one.values()], [*one]) for one in found]
    return Split(training, held_out[0], held_out[1])


def read(part: str, folder: Path) -> Split:
    corpus, languages = part.split(".")
    return read_tatoeba(folder) if corpus == "tatoeba" else read_multi30k(folder, *languages.split("-"))


def run(part: str, folder: Path, seed: int, options: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    split = read(part, folder)
    training = tuple(side[: given.pairs] for side in split.training)
    extra: dict[str, Any] = {}
    if given.run is not None:
        extra["run"] = RunFolder(path=given.run, resume=True, every_minutes=2.0)
    start = None if given.start is None else Translator.load(given.start)
    began, cpu = time.perf_counter(), time.process_time()
    translator = Translator(**options, seed=seed)
    translator.fit(*training, split.validation, max_seconds=60 * given.minutes, start=start, **extra)
    minutes, cpu_minutes = (time.perf_counter() - began) / 60, (time.process_time() - cpu) / 60
    print(translator.summary(), flush=True)
    if given.model is not None:
        translator.save(given.model)
    found: dict[str, Any] = {}
    for name, how in (("beam", {}), ("greedy", {"beam": 1})):
        began = time.perf_counter()
        evaluation = translator.evaluate(*split.test, **how)
        found[name] = {**evaluation.as_dict(), "seconds": round(time.perf_counter() - began, 2)}
    bleu = {name: one["scores"]["model"]["BLEU"] for name, one in found.items()}
    return {
        "seed": seed,
        "training": len(training[0]),
        "test": len(split.test[0]),
        **found,
        "beam_over_greedy": round(bleu["beam"] - bleu["greedy"], 2),
        "validation_loss": [epoch.validation_loss for epoch in translator.history_.history],
        "epochs": len(translator.history_.history),
        "epochs_of_start": 0 if start is None else start.metrics_["epochs"],
        "stopped": translator.history_.stopped,
        "subwords": len(translator.units_),
        "parameters": translator.n_parameters_,
        "minutes": round(minutes, 2),
        "cpu_minutes": round(cpu_minutes, 2),
        "training_seconds": round(translator.history_.seconds, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PUBLISHED)
    parser.add_argument("--data", type=Path, help="folder of the data; THROUGHTIME_DATA or ../shared/data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--option", nargs=2, action="append", default=[], metavar=("NAME", "JSON"))
    parser.add_argument("--pairs", type=int, help="to train on, at most; the figure is then none")
    parser.add_argument("--minutes", type=float, default=85.0, help="end the training after so many")
    parser.add_argument("--run", type=Path, help="folder of checkpoints: a run that was stopped goes on")
    parser.add_argument("--start", type=Path, help="folder of a model that training begins with")
    parser.add_argument("--model", type=Path, help="folder to save the model in")
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path, help="JSON; parts that are not measured again stay")
    given = parser.parse_args()
    folder = (given.data or Path(os.environ.get("THROUGHTIME_DATA", "../shared/data"))) / "text"
    options = OPTIONS | OF_PART.get(given.part, {})
    options |= {name: json.loads(value) for name, value in given.option}
    whole = json.loads(given.out.read_text()) if given.out is not None and given.out.exists() else {}
    before = whole.get(given.part, {})
    rows = [row for row in before.get("runs", []) if before["options"] == options and row["seed"] not in given.seeds]
    for seed in given.seeds:
        rows.append(run(given.part, folder, seed, options, given))
        print(json.dumps(rows[-1]), flush=True)
        found = {
            "machine": given.machine,
            "threads": torch.get_num_threads(),
            "versions": {"throughtime": __version__, "torch": torch.__version__},
            "options": options,
            "published": PUBLISHED[given.part],
            "runs": rows,
        }
        whole = json.loads(given.out.read_text()) if given.out is not None and given.out.exists() else {}
        write({**whole, given.part: found}, given.out)


if __name__ == "__main__":
    main()
