"""How fast a translator translates: sentences a second in batches, one sentence at a time, a beam over greedy.

A trained model translates the sentences of a file, as `Translator.translate` does for everybody: text in, text out. Of
each way the median of some rounds, taken in turn; of single sentences the median over the first two hundred. Beside
the time on the wall stands the processor's, of all threads, which says more where the machine has other work.

    python benchmarks/speed/translate.py MODEL test.fr --out benchmarks/results/translate_speed.json
"""

import argparse
import gzip
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from throughtime import __version__
from throughtime.tasks.translate import Translator

ASKED = {"greedy_sentences_per_second": 300, "single_greedy_ms": 30}
SINGLE = 200  # sentences


def read(path: Path) -> list[str]:
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file]


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """On the wall, and of the processor."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def medians(took: list[tuple[float, float]]) -> tuple[float, float]:
    wall, cpu = zip(*took, strict=True)
    return statistics.median(wall), statistics.median(cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("source", type=Path, help="sentences, one a line; also .gz")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--machine", default="2-core x86-64 (Zen 4)")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    translator, texts = Translator.load(given.model), read(given.source)
    ways = {f"batched, beam {beam}": beam for beam in (1, 5)}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    single: dict[str, list[tuple[float, float]]] = {"single, beam 1": [], "single, beam 5": []}
    translator.predict(texts[:64])
    for _ in range(given.rounds):
        for name, beam in ways.items():
            took[name].append(seconds(lambda beam=beam: translator.predict(texts, beam=beam)))
    for text in texts[:SINGLE]:
        for name, beam in (("single, beam 1", 1), ("single, beam 5", 5)):
            single[name].append(seconds(lambda beam=beam, text=text: translator.predict(text, beam=beam)))
    batched = {name: medians(each) for name, each in took.items()}
    found = {
        "machine": given.machine,
        "threads": given.threads,
        "versions": {"python": platform.python_version(), "throughtime": __version__, "torch": torch.__version__},
        "sentences": len(texts),
        "parameters": translator.n_parameters_,
        "sentences_per_second": {name: round(len(texts) / wall, 1) for name, (wall, _) in batched.items()},
        "sentences_per_processor_second": {name: round(len(texts) / cpu, 1) for name, (_, cpu) in batched.items()},
        "beam_5_over_greedy_time": round(batched["batched, beam 5"][1] / batched["batched, beam 1"][1], 2),
        "single_ms": {
            name: {
                "median": round(1000 * medians(each)[0], 2),
                "median, processor": round(1000 * medians(each)[1], 2),
                "90th percentile": round(1000 * statistics.quantiles([wall for wall, _ in each], n=10)[-1], 2),
            }
            for name, each in single.items()
        },
        "asked": ASKED,
        "rounds": {name: [[round(value, 3) for value in pair] for pair in each] for name, each in took.items()},
    }
    print(json.dumps(found, indent=1))
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
