"""Memory and time of a long sequence's forward and backward pass: plain, and checkpointed in time.

`python -m benchmarks.speed.checkpointing --out benchmarks/results/checkpointing.json`. Each way runs in a process of
its own. Its memory is the peak of the resident set above the level before the call: output and the gradient of the
input count, weights, input and the gradient that comes in do not.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.memory import RESET_PEAK, STATUS, _kilobytes
from benchmarks.speed.race import ROOT
from throughtime import nn

STEPS = 10_000
WAYS = ("plain", "checkpointed")


def measure(way: str, layer: nn.Recurrent, steps: int, rows: int) -> dict[str, float]:
    """Peak mebibytes and seconds of one forward and backward pass, after a short one that warms everything up."""
    H = layer.hidden_size

    def call(x: torch.Tensor, dy: torch.Tensor) -> None:
        layer.zero_grad(set_to_none=False)
        output, _ = nn.checkpointed(layer, x) if way == "checkpointed" else layer(x)
        output.backward(dy)

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(steps, rows, layer.input_size, generator=generator).requires_grad_()
    dy = torch.randn(steps, rows, H, generator=generator)
    call(x.detach()[:4].requires_grad_(), dy[:4])
    RESET_PEAK.write_text("5")
    before, begin = _kilobytes("VmRSS"), time.perf_counter()
    call(x, dy)
    return {"MiB": (_kilobytes("VmHWM") - before) / 1024, "seconds": time.perf_counter() - begin}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layer", default="LSTM", choices=("RNN", "GRU", "LSTM", "PeepholeLSTM"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layer = getattr(nn, options.layer)(options.hidden // 2, options.hidden)
    if options.way:
        print(json.dumps(measure(options.way, layer, options.steps, options.rows)))
        return
    if not (STATUS.exists() and RESET_PEAK.exists()):
        sys.exit(f"this system has no {STATUS} and {RESET_PEAK}, which tell a process's peak memory")
    figures: dict[str, Any] = {}
    for way in WAYS:
        words = [sys.executable, "-m", __spec__.name, *sys.argv[1:], "--way", way]
        figures[way] = json.loads(subprocess.check_output(words, cwd=ROOT, text=True))
        print(f"{way}: {figures[way]['MiB']:.0f} MiB, {figures[way]['seconds']:.2f} s")
    ratio = {unit: figures["checkpointed"][unit] / figures["plain"][unit] for unit in ("MiB", "seconds")}
    sizes = {name: getattr(options, name) for name in ("layer", "steps", "rows", "hidden")}
    print(f"{options.layer}, {options.steps} steps, {options.rows} rows, {options.hidden} units")
    print(f"checkpointed / plain: {ratio['MiB']:.3f} of the memory, {ratio['seconds']:.2f} of the time")
    if options.out is not None:
        content = {**sizes, "torch": torch.__version__, "threads": 1, **figures, "checkpointed / plain": ratio}
        options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
