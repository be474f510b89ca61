"""What a variant of a layer costs beside the plain layer: layer norm, the dropouts, zoneout, `trace`.

    python -m benchmarks.speed.variants --out benchmarks/results/variants.json

Forward and backward, in training mode, the same input and sizes. A variant and its plain layer take turns in one
process; a ratio is the median of the ratios of single rounds, since a machine may have modes that last seconds.
"""

import argparse
import statistics
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed import machine, store
from benchmarks.speed.compiled import training, turns
from throughtime import __version__
from throughtime.nn.layers import LAYERS

SHAPES = ((100, 32, 64, 64), (100, 32, 128, 128), (100, 64, 256, 256))  # T, B, I, H
CELLS = ("rnn", "gru", "lstm")
NORM, MASK, TRACE = 1.5, 1.15, 1.3  # variant / plain, at most
DROPOUTS: dict[str, dict[str, float]] = {
    "recurrent_dropout": {"recurrent_dropout": 0.25},
    "weight_dropout": {"weight_dropout": 0.25},
    "zoneout": {"zoneout": 0.1},
}

Call = Callable[[], None]


def tracing(layer: Any) -> Callable[[Tensor], tuple[Tensor, ...]]:
    return lambda x: (layer.trace(x).output,)


def variants(cell: str, I: int, H: int) -> dict[str, tuple[nn.Module, bool, str, float]]:
    """Layer, whether it is traced, what it stands beside, and the limit of the ratio."""
    found = {
        "plain": (LAYERS[cell](I, H), False, "", 0.0),
        "layer norm": (LAYERS[f"layer-norm-{cell}"](I, H), False, "plain", NORM),
        "trace": (LAYERS[cell](I, H), True, "plain", TRACE),
        "layer norm, trace": (LAYERS[f"layer-norm-{cell}"](I, H), True, "layer norm", TRACE),
    }
    for name, options in DROPOUTS.items():
        found[name] = (LAYERS[cell](I, H, **options), False, "plain", MASK)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each race, at least")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = {}
    for cell in given.cells:
        for T, B, I, H in SHAPES:
            torch.manual_seed(0)
            x, dy = torch.randn(T, B, I), torch.randn(T, B, H)
            known = variants(cell, I, H)
            calls = [training(tracing(m) if traced else m, m, x, dy) for m, traced, _, _ in known.values()]
            times = dict(zip(known, turns(calls, given.seconds), strict=True))
            for name, (_, _, beside, limit) in known.items():
                if not beside:
                    continue
                ratio = statistics.median(a / b for a, b in zip(times[name], times[beside], strict=True))
                took = {which: statistics.median(times[which]) * 1e6 for which in (name, beside)}
                rows[f"{cell} T{T} B{B} I{I} H{H}, {name}"] = {
                    "µs": took[name],
                    f"{beside}, µs": took[beside],
                    "ratio": ratio,
                    "limit": limit,
                    "met": ratio <= limit,
                }
                missed = "" if ratio <= limit else f"  more than {limit}"
                print(
                    f"{cell:4s} H{H:<4d} {name:20s} {took[name]:8.0f} µs, {ratio:.2f} of {beside}{missed}", flush=True
                )
    if given.out is not None:
        about = {
            "machine": machine.describe(),
            "versions": {"throughtime": __version__, "torch": version("torch")},
            "threads": given.threads,
            "figures": "forward + backward, medians; ratios of single rounds, of a trace to its own layer",
        }
        store.write(given.out, {**about, "rows": rows})


if __name__ == "__main__":
    main()
