"""torch.compile against eager: the same layer, the same input, forward and backward, and inference.

    python -m benchmarks.speed.compiled --out benchmarks/results/compiled.json

A layer is one operator to the compiler, which can make nothing of it faster; what it adds is its own time at every
call. Beside each figure stands what it adds to a layer of as many parameters that computes next to nothing, the floor
of any module. Eager and compiled calls take turns in one process; a time is the first quartile of single calls, since
what else runs on the machine makes calls slower, not faster.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.speed import machine, store
from throughtime import __version__
from throughtime.nn.layers import LAYERS

SHAPES = ((50, 32, 1, 20, 2), (100, 32, 64, 64, 1), (100, 32, 128, 128, 1))  # T, B, I, H, L
LIMIT = 1.0  # compiled / eager


class Scale(nn.Module):
    """A layer's parameters, and a product with one element of each: what the compiler adds to any such module."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.own = nn.ParameterList(nn.Parameter(p.detach().clone()) for p in layer.parameters())

    def forward(self, x: Tensor) -> tuple[Tensor]:
        for parameter in self.own:
            x = x * parameter.view(-1)[0]
        return (x,)


def training(module: Callable[..., tuple[Tensor, ...]], own: nn.Module, x: Tensor, dy: Tensor) -> Callable[[], None]:
    parameters = list(own.parameters())

    def call() -> None:
        torch.autograd.backward(module(x)[0], dy)
        for parameter in parameters:
            parameter.grad = None

    return call


def inference(module: Callable[..., tuple[Tensor, ...]], own: nn.Module, x: Tensor, dy: Tensor) -> Callable[[], None]:
    @torch.no_grad()
    def call() -> None:
        module(x)

    return call


def race(calls: list[Callable[[], None]], seconds: float) -> list[float]:
    """µs of each call, taking turns: the first quartile."""
    return [statistics.quantiles(found, n=4)[0] * 1e6 for found in turns(calls, seconds)]


def turns(calls: list[Callable[[], None]], seconds: float) -> list[list[float]]:
    """Seconds of each call in each round."""
    for _ in range(20):
        for call in calls:
            call()
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 30:
        for call, found in zip(calls, times, strict=True):
            began = time.perf_counter()
            call()
            found.append(time.perf_counter() - began)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each race, at least")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cells", nargs="+", default=["rnn", "gru", "lstm"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = {}
    for cell in given.cells:
        for T, B, I, H, L in SHAPES:
            torch.manual_seed(0)
            layer = LAYERS[cell](I, H, L)
            scale = Scale(layer)
            x, x_H, dy = torch.randn(T, B, I), torch.randn(1, 1), torch.randn(T, B, H)
            for mode, job in (("train", training), ("inference", inference)):
                torch.compiler.reset()
                calls = [
                    job(layer, layer, x, dy),
                    job(torch.compile(layer, fullgraph=True), layer, x, dy),
                    job(scale, scale, x_H, x_H),
                    job(torch.compile(scale, fullgraph=True), scale, x_H, x_H),
                ]
                eager, compiled, _, floor = race(calls, given.seconds)
                name = f"{mode} {cell} T{T} B{B} I{I} H{H}" + (f" x{L}" if L > 1 else "")
                figures = {
                    "eager, µs": eager,
                    "compiled, µs": compiled,
                    "compiled / eager": compiled / eager,
                    "compiled − eager, µs": compiled - eager,
                    "a compiled call of nothing, µs": floor,
                }
                rows[name] = {figure: round(value, 4) for figure, value in figures.items()}
                met = "" if compiled / eager <= LIMIT else f"  more than {LIMIT}"
                print(
                    f"{name:40s} eager {eager:7.0f} µs, compiled {compiled:7.0f} µs: {compiled / eager:.3f}; "
                    f"{compiled - eager:+.0f} µs, a compiled call of nothing {floor:.0f} µs{met}",
                    flush=True,
                )
    if given.out is not None:
        about = {
            "machine": machine.describe(),
            "versions": {"throughtime": __version__, "torch": version("torch")},
            "threads": given.threads,
            "figures": "µs of a call, the first quartile; compiled with fullgraph=True",
        }
        store.write(given.out, {**about, "limit": LIMIT, "rows": rows})


if __name__ == "__main__":
    main()
