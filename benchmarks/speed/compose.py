"""How long a composer takes to write 32 bars on one core.

    python benchmarks/speed/compose.py --model MODEL --style jigs --out benchmarks/results/compose_speed.json

MODEL is styles/ in the folder that benchmarks/quality/compose.py keeps with --model: an LSTM layer of 256 units. The
first piece, for which the index of passages is made, is timed beside the median of the later ones; reading the folder
is part of neither.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from throughtime import Composer, __version__


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--style", required=True)
    parser.add_argument("--metre", default="6/8")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--machine", default="2-core x86-64 (Zen 4)")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    composer = Composer.load(given.model)
    found = {}
    for name, options in (("as it comes", {"max_copy": None}), ("copies avoided", {})):
        seconds, notes = [], []
        for seed in range(given.rounds + 1):
            began = time.process_time()
            (one,) = composer.write(style=given.style, bars=32, metre=given.metre, seed=seed, **options)
            seconds.append(time.process_time() - began)
            notes.append(len(one.piece))
        found[name] = {
            "first": round(seconds[0], 3),
            "median": round(statistics.median(seconds[1:]), 3),
            "slowest": round(max(seconds[1:]), 3),
            "notes": statistics.median(notes),
        }
        print(name, found[name])
    if given.out is not None:
        versions = {"throughtime": __version__, "torch": torch.__version__}
        content = {"machine": given.machine, "versions": versions, "asked_for": "1 s", "cpu seconds of 32 bars": found}
        given.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
