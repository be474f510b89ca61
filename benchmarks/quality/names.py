"""From a class to a sequence: surnames written for a language, judged by a classifier of surnames.

names18: 20,050 surnames of 18 languages, four fifths of each to train on. A `LanguageModel` with labels learns to write
them, a `ManyToOne` both ways learns to tell their language; neither sees the last fifth. Names are then written for the
very labels of that fifth, so that both have the same share of each language. Asked for: that the classifier recognises
the language of written names at 0.9 of its accuracy on real ones or better. A writer that copied its training text
would do well at that, too: so the share of written names that stand in the training text is given, beside the same
share of real names.

    python benchmarks/quality/names.py --out benchmarks/results/names.json
"""

import argparse
import gzip
import os
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import DEFAULT_MACHINE, write
from torch import Tensor, nn

from throughtime import LanguageModel, __version__
from throughtime.models import ManyToOne
from throughtime.nn import GRU
from throughtime.training import SequenceSource, TrainingConfig, train

ASKED = 0.9
WRITER = {
    "cell": "lstm",
    "hidden_size": 192,
    "num_layers": 1,
    "dropout": 0.2,
    "bptt": 64,
    "batch_size": 32,
    "epochs": 30,
    "learning_rate": 3e-3,
    "ema": 0.998,
}
CLASSIFIER = {"embedding": 64, "hidden": 128, "dropout": 0.3, "epochs": 12, "batch_size": 64, "learning_rate": 3e-3}
TEMPERATURES = (1.0, 0.8)
Names = list[tuple[str, str]]


def read_names(path: Path) -> Names:
    """(language, name), as in the file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [(language, name) for language, _, name in (line.rstrip("\n").partition("\t") for line in file)]


def split(names: Names, seed: int) -> tuple[Names, Names]:
    """A fifth of each language apart."""
    order = np.random.default_rng(seed).permutation(len(names))
    training, test = [], []
    seen: Counter[str] = Counter()
    for i in order:
        language = names[i][0]
        seen[language] += 1
        (test if seen[language] % 5 == 0 else training).append(names[i])
    return training, test


class Judge:
    """A classifier of names: characters, a GRU both ways, the mean over time."""

    def __init__(self, training: Names, seed: int) -> None:
        self.languages = sorted({language for language, _ in training})
        self.letters = {c: i + 1 for i, c in enumerate(sorted({c for _, name in training for c in name}))}
        E, H = CLASSIFIER["embedding"], CLASSIFIER["hidden"]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(len(self.letters) + 1, E)
            self.net = ManyToOne(
                GRU(E, H, bidirectional=True),
                nn.Sequential(nn.Dropout(CLASSIFIER["dropout"]), nn.Linear(2 * H, len(self.languages))),
                pooling="mean",
            )
        whole = nn.ModuleList((self.embedding, self.net))
        config = TrainingConfig(
            epochs=CLASSIFIER["epochs"],
            batch_size=CLASSIFIER["batch_size"],
            learning_rate=CLASSIFIER["learning_rate"],
            schedule="onecycle",
            seed=seed,
        )
        source = SequenceSource(
            [self._ids(name) for _, name in training],
            torch.tensor([self.languages.index(language) for language, _ in training]),
        )
        train(whole, self._loss, source, config=config)
        whole.eval()

    def _ids(self, name: str) -> Tensor:
        return torch.tensor([self.letters.get(c, 0) for c in name], dtype=torch.long)

    def _logits(self, ids_TB: Tensor, lengths_B: Tensor) -> Tensor:
        return self.net(self.embedding(ids_TB), lengths=lengths_B)

    def _loss(self, _: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        ids_TB, lengths_B, languages_B = batch
        return nn.functional.cross_entropy(self._logits(ids_TB, lengths_B), languages_B)

    @torch.no_grad()
    def hits(self, names: Names) -> list[bool]:
        """Whether each name's language is recognised."""
        found = []
        for begin in range(0, len(names), 256):
            part = names[begin : begin + 256]
            ids = [self._ids(name) for _, name in part]
            logits = self._logits(nn.utils.rnn.pad_sequence(ids), torch.tensor([len(row) for row in ids]))
            said = logits.argmax(-1).tolist()
            found += [self.languages[i] == language for i, (language, _) in zip(said, part, strict=True)]
        return found


def macro(names: Names, hits: list[bool]) -> float:
    """The mean over languages of the share that is recognised."""
    by: dict[str, list[bool]] = {}
    for (language, _), hit in zip(names, hits, strict=True):
        by.setdefault(language, []).append(hit)
    return statistics.fmean(statistics.fmean(own) for own in by.values())


def copied(names: Names, training: set[tuple[str, str]]) -> float:
    """The share of names that stand in the training text under the same language."""
    return statistics.fmean(one in training for one in names)


def run(names: Names, seed: int) -> dict[str, Any]:
    training, test = split(names, seed)
    began, cpu = time.perf_counter(), time.process_time()
    judge = Judge(training, seed)
    real = judge.hits(test)
    languages, texts = zip(*training, strict=True)
    writer = LanguageModel(**WRITER, seed=seed).fit(list(texts), list(languages))
    bits = writer.evaluate([name for _, name in test], [language for language, _ in test]).metrics
    row: dict[str, Any] = {
        "seed": seed,
        "training": len(training),
        "test": len(test),
        "writer_parameters": writer.n_parameters_,
        "test_bits_per_character": {name: found["bits_per_character"] for name, found in bits.items()},
        "accuracy_on_real_names": statistics.fmean(real),
        "macro_on_real_names": macro(test, real),
        "real_names_that_stand_in_training": copied(test, set(training)),
        "written": {},
    }
    for temperature in TEMPERATURES:
        labels = [language for language, _ in test]
        found = list(
            zip(labels, writer.write(label=labels, length=40, temperature=temperature, seed=seed), strict=True)
        )
        hits = judge.hits(found)
        row["written"][str(temperature)] = {
            "accuracy": statistics.fmean(hits),
            "of_the_real": statistics.fmean(hits) / statistics.fmean(real),
            "macro": macro(found, hits),
            "macro_of_the_real": macro(found, hits) / macro(test, real),
            "copied_from_training": copied(found, set(training)),
            "different": len(set(found)) / len(found),
            "examples": {language: [n for own, n in found if own == language][:5] for language in judge.languages},
        }
    row["minutes"] = round((time.perf_counter() - began) / 60, 2)
    row["cpu_minutes"] = round((time.process_time() - cpu) / 60, 2)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data; THROUGHTIME_DATA or ../shared/data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    folder = given.data or Path(os.environ.get("THROUGHTIME_DATA", "../shared/data"))
    names = read_names(folder / "text/names18/names.tsv.gz")
    rows = []
    for seed in given.seeds:
        row = run(names, seed)
        rows.append(row)
        real = row["accuracy_on_real_names"]
        print(f"seed {seed}: real names {real:.4f} (macro {row['macro_on_real_names']:.4f}), bits per character "
              f"{row['test_bits_per_character']['model']:.3f}, {row['cpu_minutes']} CPU minutes")  # fmt: skip
        for temperature, found in row["written"].items():
            print(f"  temperature {temperature}: recognised {found['accuracy']:.4f}, {found['of_the_real']:.3f} of the "
                  f"real; copied {found['copied_from_training']:.3f} (real names: "
                  f"{row['real_names_that_stand_in_training']:.3f})", flush=True)  # fmt: skip
            print("  ", {language: found["examples"][language][:2] for language in ("Japanese", "Italian", "Russian")})
        write(
            {
                "machine": given.machine,
                "versions": {"throughtime": __version__, "torch": torch.__version__},
                "threads": torch.get_num_threads(),
                "writer": WRITER,
                "classifier": CLASSIFIER,
                "asked_for": ASKED,
                "reached": min(r["written"]["1.0"]["of_the_real"] for r in rows) >= ASKED,
                "runs": rows,
            },
            given.out,
        )


if __name__ == "__main__":
    main()
