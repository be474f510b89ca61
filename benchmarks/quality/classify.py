"""Classifiers of text on data that others have measured on, with the options that every user gets.

mr        rt-polarity sentences, 7108 drawn to train and 3554 to test on, a draw a seed
sst2      Stanford Sentiment Treebank, the phrases of nine tenths of the training sentences; dev sentences, two labels
sst5      the same with five stars: accuracy, and the mean absolute error in stars
imdb      reviews: train.jsonl to train, val.jsonl to test on
hotels    Chinese hotel reviews, a tenth drawn to test on, a draw a seed

With --pretrain the net first learns, as a language model, the training texts themselves; with --pretrain-imdb (of mr)
those of IMDB's train.jsonl. No text to test on is read before. Beside the model stand its two parts alone, and the
baselines that it fits: words and pairs of words weighted as NB-SVM does, and the most frequent label.

    python benchmarks/quality/classify.py mr --seeds 0 1 2 --out benchmarks/results/classify.json
"""

import argparse
import csv
import gzip
import json
import lzma
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import DEFAULT_MACHINE, write

from throughtime import Classifier, __version__
from throughtime.training import RunFolder

# Accuracies that others report.
PUBLISHED = {
    "mr": {"LSTM, random initialisation": 75.06, "BiLSTM with GloVe": 77.68},
    "sst2": {"CNN without vectors (test)": 83.5, "LSTM with GloVe (test)": 88.6},
    "imdb": {
        "LSTM (25,000 to train and to test)": 86.5,
        "BiLSTM of Keras' example": 87.8,
        "NB-SVM bigrams": 91.2,
        "language-model pretraining on 75,000 texts, then LSTM": 92.8,
        "ULMFiT": 95.4,
    },
}
ASKED = {"sst2": 84.0, "imdb": 88.0, "imdb, pretrained": 90.0}
OPTIONS: dict[str, dict[str, Any]] = {"sst5": {"labels": "ordered"}}
# A recipe for language, the same for every data set.
PRETRAINED = {
    "pretrain": True,
    "bidirectional": False,
    "vocabulary_size": 15000,
    "embedding_size": 100,
    "hidden_size": 160,
    "pretrain_epochs": 3,
    "bfloat16": True,
}


class Split(NamedTuple):
    """Texts and labels to train, to validate and to test on."""

    texts: list[str]
    labels: list[Any]
    validation: tuple[list[str], list[Any]] | None
    test: tuple[list[str], list[Any]]


def drawn(texts: list[str], labels: list[Any], training: int, seed: int) -> Split:
    """So many texts to train on, the rest to test on."""
    order = np.random.default_rng(seed).permutation(len(texts))
    first, later = order[:training], order[training:]
    return Split(
        [texts[i] for i in first], [labels[i] for i in first], None,
        ([texts[i] for i in later], [labels[i] for i in later]),
    )  # fmt: skip


def read_mr(folder: Path, seed: int) -> Split:
    texts, labels = [], []
    for label in ("neg", "pos"):
        with gzip.open(folder / f"mr/rt-polarity.{label}.gz", "rt", encoding="cp1252") as file:
            lines = [line.strip() for line in file]
        texts += lines
        labels += [label] * len(lines)
    return drawn(texts, labels, 7108, seed)


def phrases(tree: str) -> list[tuple[str, int]]:
    """Every phrase of a tree with its stars, the whole sentence last.

    >>> phrases("(3 (2 very) (4 good))")
    [('very', 2), ('good', 4), ('very good', 3)]
    """
    found, open_ = [], []
    for part in tree.replace("(", " ( ").replace(")", " ) ").split():
        if part == "(":
            open_.append([None])
        elif part == ")":
            stars, *words = open_.pop()
            found.append((" ".join(words).replace("-LRB-", "(").replace("-RRB-", ")"), int(stars)))
            if open_:
                open_[-1] += words
        elif open_[-1][0] is None:
            open_[-1][0] = part
        else:
            open_[-1].append(part)
    return found


def read_sst(folder: Path, seed: int, classes: int) -> Split:
    trees = {}
    for part in ("train", "dev"):
        with gzip.open(folder / f"sst/trees.{part}.txt.gz", "rt", encoding="utf-8") as file:
            trees[part] = [phrases(line) for line in file if line.strip()]
    kept = (lambda stars: stars != 2) if classes == 2 else (lambda stars: True)
    name = (lambda stars: "pos" if stars > 2 else "neg") if classes == 2 else (lambda stars: stars + 1)

    def pairs(rows: list[tuple[str, int]]) -> tuple[list[str], list[Any]]:
        rows = [(text, name(stars)) for text, stars in rows if kept(stars)]
        return [text for text, _ in rows], [label for _, label in rows]

    order = np.random.default_rng(seed).permutation(len(trees["train"]))
    held = set(order[: len(order) // 10].tolist())
    training = {one: None for i, tree in enumerate(trees["train"]) if i not in held for one in tree}
    validation = pairs([tree[-1] for i, tree in enumerate(trees["train"]) if i in held])
    return Split(*pairs(list(training)), validation, pairs([tree[-1] for tree in trees["dev"]]))


def read_imdb(folder: Path, seed: int) -> Split:
    parts = []
    for part in ("train", "val"):
        with lzma.open(folder / f"imdb/{part}.jsonl.xz", "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        parts.append(([row["text"] for row in rows], [row["label"] for row in rows]))
    return Split(*parts[0], None, parts[1])


def read_hotels(folder: Path, seed: int) -> Split:
    path = folder / "chnsenticorp_htl/ChnSentiCorp_htl_all.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["review"].strip()]
    return drawn([row["review"] for row in rows], [row["label"] for row in rows], len(rows) * 9 // 10, seed)


READERS: dict[str, Callable[[Path, int], Split]] = {
    "mr": read_mr,
    "sst2": lambda folder, seed: read_sst(folder, seed, 2),
    "sst5": lambda folder, seed: read_sst(folder, seed, 5),
    "imdb": read_imdb,
    "hotels": read_hotels,
}


def run(part: str, folder: Path, seed: int, options: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    split = READERS[part](folder, seed)
    if given.texts is not None:
        split = split._replace(texts=split.texts[: given.texts], labels=split.labels[: given.texts])
    classifier = Classifier(**options, seed=seed)
    began, cpu = time.perf_counter(), time.process_time()
    extra: dict[str, Any] = {}
    if given.run is not None:
        extra["run"] = RunFolder(path=given.run, resume=True, every_minutes=2.0)
    if given.pretrain_imdb:
        extra["pretrain_on"] = read_imdb(folder, 0).texts
    classifier.fit(split.texts, split.labels, split.validation, max_seconds=60 * given.minutes, **extra)
    minutes, cpu_minutes = (time.perf_counter() - began) / 60, (time.process_time() - cpu) / 60
    print(classifier.summary(), flush=True)
    began = time.perf_counter()
    classifier.predict(split.test[0])
    texts_per_second = len(split.test[0]) / (time.perf_counter() - began)
    found = classifier.evaluate(*split.test)
    if given.model is not None:
        classifier.save(given.model)
    return {
        "seed": seed,
        "training": len(split.texts),
        "test": len(split.test[0]),
        "accuracy": {name: round(scores.accuracy, 2) for name, scores in found.scores.items()},
        "macro_f1": {name: round(scores.macro_f1, 2) for name, scores in found.scores.items()},
        "mean_absolute_error": {name: scores.distance for name, scores in found.scores.items()},
        "calibration_error": round(found.calibration_error, 4),
        "mixture": [round(x, 3) for x in classifier.model_.mixture.tolist()],
        "epochs": [len(history.history) for history in classifier.histories_],
        "stopped": [history.stopped for history in classifier.histories_],
        "pretrained": classifier.pretrained_ or None,
        "texts_per_second": round(texts_per_second, 1),
        "minutes": round(minutes, 2),
        "cpu_minutes": round(cpu_minutes, 2),
    }  # fmt: skip


def whole(out: Path | None) -> dict[str, Any]:
    """What a file of results holds already."""
    return json.loads(out.read_text()) if out is not None and out.exists() else {}


def before(out: Path | None, name: str, options: dict[str, Any], seeds: list[int]) -> list[dict[str, Any]]:
    """The runs of other seeds that were made with the same options: they are kept."""
    found = whole(out).get(name, {})
    return [row for row in found.get("runs", []) if found["options"] == options and row["seed"] not in seeds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=READERS)
    parser.add_argument("--data", type=Path, help="folder of the data; THROUGHTIME_DATA or ../shared/data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--pretrain", action="store_true")
    parser.add_argument("--pretrain-imdb", action="store_true")
    parser.add_argument("--option", nargs=2, action="append", default=[], metavar=("NAME", "JSON"))
    parser.add_argument("--texts", type=int, help="to train on, at most; the figure is then none")
    parser.add_argument("--minutes", type=float, default=40.0, help="end the training after so many")
    parser.add_argument("--run", type=Path, help="folder of checkpoints: a run that was stopped goes on")
    parser.add_argument("--model", type=Path, help="folder to save the model in")
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path, help="JSON; parts that are not measured again stay")
    given = parser.parse_args()
    folder = (given.data or Path(os.environ.get("THROUGHTIME_DATA", "../shared/data"))) / "text"
    options = OPTIONS.get(given.part, {}) | (PRETRAINED if given.pretrain or given.pretrain_imdb else {})
    options |= {name: json.loads(value) for name, value in given.option}
    name = given.part + (", pretrained" if given.pretrain else ", pretrained on imdb" if given.pretrain_imdb else "")
    rows = before(given.out, name, options, given.seeds)
    for seed in given.seeds:
        rows.append(run(given.part, folder, seed, options, given))
        print(json.dumps(rows[-1]), flush=True)
        accuracy = {
            model: {"mean": statistics.fmean(values), "std": statistics.stdev(values) if len(values) > 1 else None}
            for model in rows[0]["accuracy"]
            for values in [[row["accuracy"][model] for row in rows]]
        }
        found = {
            "machine": given.machine,
            "threads": torch.get_num_threads(),
            "versions": {"throughtime": __version__, "torch": torch.__version__},
            "options": options,
            "accuracy": accuracy,
            "above_words_and_pairs": accuracy["model"]["mean"] - accuracy["words and pairs"]["mean"],
            "asked": ASKED.get(name, "0.5 above words and pairs" if name == "mr" else None),
            "published": PUBLISHED.get(given.part, {}),
            "runs": rows,
        }
        write({**whole(given.out), name: found}, given.out)


if __name__ == "__main__":
    main()
