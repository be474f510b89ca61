"""How well the default tagger tags, with and without characters and CRF; no vectors from elsewhere.

    python benchmarks/quality/tag.py --data ../shared/data --seeds 0 --out benchmarks/results/tag.json

Every run is `Tagger()` as it comes, but for what its row names. Training validates on a tenth that it holds out, except
where the data have a validation part of their own (Resume). A run that stands in --out is not made again.

    wnut17     trained on wnut17train, tested on emerging.dev
    wikigold   one file: sentences 4, 9, 14, ... (counted from 0) are the test
    btc        sections a, b, e, f, g and h, one after another, parted in the same way
    resume     Chinese, by characters: its own train, dev and test; only with and without CRF
"""

import argparse
import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from common import DEFAULT_MACHINE, measured_before, write

from throughtime import Tagger, __version__
from throughtime.data.text.conll import TaggedSentence, read_conll

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "characters, CRF": {},
    "characters": {"crf": False},
    "CRF": {"characters": "none"},
    "neither": {"characters": "none", "crf": False},
}
SETS = ("resume", "wikigold", "wnut17", "btc")
ASKED = {"resume": 93.5}
PUBLISHED = {
    "resume": "test F1: LSTM-CRF over characters with pretrained vectors 93.48, lattice LSTM with a lexicon 94.46",
    "wnut17": "test F1 (another part), with pretrained vectors: 40.3 +- 1.1",
    "ablation": "on CoNLL-2003, with pretrained vectors: characters +2 F1, CRF +0.4 to +0.9",
}


class Parts(NamedTuple):
    """Sentences to train on, to validate on (None: a tenth of those) and to test on."""

    training: list[TaggedSentence]
    validation: list[TaggedSentence] | None
    test: list[TaggedSentence]


def load(name: str, data: Path) -> Parts:
    text = data / "text"
    if name == "resume":
        folder = text / "resume_ner_zh"
        return Parts(*(list(read_conll(folder / f"{part}.char.bmes.gz")) for part in ("train", "dev", "test")))
    if name == "wnut17":
        return Parts(
            list(read_conll(text / "wnut17/wnut17train.conll.gz")), None,
            list(read_conll(text / "wnut17/emerging.dev.conll.gz")),
        )  # fmt: skip
    files = {"wikigold": ["wikigold/wikigold.conll.txt.gz"], "btc": [f"btc/{part}.conll.gz" for part in "abefgh"]}
    sentences = [sentence for file in files[name] for sentence in read_conll(text / file)]
    training = [sentence for i, sentence in enumerate(sentences) if i % 5 != 4]
    return Parts(training, None, sentences[4::5])


def run(name: str, variant: str, seed: int, parts: Parts) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    tagger = Tagger(**VARIANTS[variant], seed=seed).fit(parts.training, parts.validation)
    fitted = (time.perf_counter() - began, time.process_time() - cpu)
    found = tagger.evaluate(parts.test)
    score = found.model.overall
    return {
        "set": name,
        "variant": variant,
        "seed": seed,
        "sentences": {"training": len(parts.training), "test": len(parts.test)},
        "parameters": sum(p.numel() for p in tagger.model_.parameters()),
        "epochs": tagger.metrics_["epochs"],
        "best_epoch": tagger.metrics_["best_epoch"],
        "validation_f1": tagger.metrics_["validation_f1"],
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
        "f1_by_label": {label: each.f1 for label, each in found.model.by_label.items()},
        "baselines": {other: scores.overall.f1 for other, scores in found.scores.items() if other != "model"},
        "calibration_error": found.calibration_error,
        "pieces_found": score.found,
        "fit_minutes": round(fitted[0] / 60, 2),
        "fit_cpu_minutes": round(fitted[1] / 60, 2),
    }


def ablation(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Per set, what characters and the CRF are worth in F1: the mean over seeds and over the other with and without."""
    f1: dict[str, dict[str, float]] = {}
    for name in SETS:
        by = {v: [r["f1"] for r in runs if (r["set"], r["variant"]) == (name, v)] for v in VARIANTS}
        mean = {variant: statistics.fmean(found) for variant, found in by.items() if found}
        pairs = {
            "characters": (("characters, CRF", "CRF"), ("characters", "neither")),
            "CRF": (("characters, CRF", "characters"), ("CRF", "neither")),
        }
        for what, ways in pairs.items():
            gains = [mean[a] - mean[b] for a, b in ways if a in mean and b in mean]
            if gains:
                f1.setdefault(name, {})[what] = round(statistics.fmean(gains), 2)
    return f1


def summary(runs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation of F1 over seeds, by set and variant."""
    found: dict[str, dict[str, Any]] = {}
    for name in SETS:
        for variant in VARIANTS:
            f1 = [r["f1"] for r in runs if (r["set"], r["variant"]) == (name, variant)]
            if f1:
                spread = round(statistics.stdev(f1), 2) if len(f1) > 1 else None
                mean = round(statistics.fmean(f1), 2)
                found.setdefault(name, {})[variant] = {"f1": mean, "std": spread, "seeds": len(f1)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("THROUGHTIME_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", default="0", help="comma-separated")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    about: dict[str, Any] = {
        "machine": given.machine,
        "versions": {"throughtime": __version__, "torch": torch.__version__},
        "threads": given.threads,
        "recipe": {name: value for name, value in Tagger().get_params().items() if name != "seed"},
        "published": PUBLISHED,
        "asked_for": ASKED,
    }
    derived = ("summary", "ablation")
    runs = measured_before(about, given.out, derived)
    done = {(r["set"], r["variant"], r["seed"]) for r in runs}
    for name in given.sets.split(","):
        parts = load(name, given.data)
        variants = ("CRF", "neither") if name == "resume" else tuple(VARIANTS)
        for seed in map(int, given.seeds.split(",")):
            for variant in variants:
                if (name, variant, seed) in done or variant not in given.variants:
                    continue
                runs.append(run(name, variant, seed, parts))
                row = runs[-1]
                print(
                    f"{name:9s} {variant:16s} seed {seed}: F1 {row['f1']:.2f} (validation {row['validation_f1']:.2f}), "
                    f"calibration {row['calibration_error']:.3f}, {row['fit_cpu_minutes']} CPU minutes",
                    flush=True,
                )
                write(about | {"summary": summary(runs), "ablation": ablation(runs), "runs": runs}, given.out)


if __name__ == "__main__":
    main()
