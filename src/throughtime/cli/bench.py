"""`throughtime bench`: this machine's own ratios to torch, with the equality check beside them."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.options import AsJson, Threads, use_threads
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Case", "Measured", "bench", "measure", "quantile"]

TOLERANCE = 1e-4
"""The largest difference from torch that counts as equal, as a share of the largest magnitude of the same tensor."""
LEAST_ROUNDS = 3
# Calls shorter than this are timed several at once.
_SAMPLE_SECONDS = 5e-4
_SHARE_OF_MEASURING = 0.75  # the rest goes to imports, making the layers and the equality check
_FAILED = 1


@dataclass(frozen=True)
class Case:
    """A layer of torch.nn's name against torch.nn's: T steps of B rows, I features, H units, L layers.

    One row of one step is streaming, through `stepper()`; anything else is forward and backward with every gradient.
    """

    layer: str
    T: int
    B: int
    I: int
    H: int
    L: int = 1

    @property
    def name(self) -> str:
        """As the table writes it."""
        layers = f" x{self.L}" if self.L > 1 else ""
        start = "one step" if self.streams else f"T{self.T} B{self.B}"
        return f"{start} I{self.I} H{self.H}{layers}"

    @property
    def streams(self) -> bool:
        """Whether it is one step of one row."""
        return self.T == self.B == 1


SHAPES = ((50, 32, 1, 20, 2), (100, 32, 64, 64, 1), (100, 32, 128, 128, 1), (1, 1, 64, 64, 1))
CASES = tuple(Case(layer, *shape) for shape in SHAPES for layer in ("RNN", "GRU", "LSTM"))


@dataclass(frozen=True)
class Measured:
    """Seconds of single calls, by turns, and the largest difference between the two results."""

    case: Case
    ours: list[float]
    torch: list[float]
    difference: float

    @property
    def equal(self) -> bool:
        """Whether both computed the same numbers."""
        return self.difference <= TOLERANCE

    @property
    def ratio(self) -> float:
        """How many times as fast as torch: the ratio of the medians."""
        return quantile(self.torch, 0.5) / quantile(self.ours, 0.5)

    @property
    def spread(self) -> tuple[float, float]:
        """p20 and p80 of the ratios of single turns."""
        ratios = [theirs / mine for theirs, mine in zip(self.torch, self.ours, strict=True)]
        return quantile(ratios, 0.2), quantile(ratios, 0.8)

    def as_dict(self) -> dict[str, Any]:
        """Everything, with times in seconds; `ratio` is None where the numbers differ."""
        low, high = self.spread
        return {
            **asdict(self.case),
            "ours_seconds": quantile(self.ours, 0.5),
            "torch_seconds": quantile(self.torch, 0.5),
            "ratio": self.ratio if self.equal else None,
            "ratio_p20": low,
            "ratio_p80": high,
            "turns": len(self.ours),
            "difference": self.difference,
            "equal": self.equal,
        }


def bench(
    threads: Threads = None,
    seconds: Annotated[float, typer.Option(help="How long to measure, about.")] = 18.0,
    seed: Annotated[int, typer.Option(help="Of the weights and the input.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure the recurrent layers beside torch's on this machine.

    Both run by turns in this process, with the same weights and input; a ratio of 3 means three times as fast as torch.
    Beside each ratio stands the largest difference between the two results: above 1e-4 of a tensor's size the ratio is
    void, and the exit status is 1. Other programs at work make the figures worthless: stop them first.
    """
    if not seconds > 0:
        raise ArgumentError(f"--seconds: expected more than 0, got {seconds:g}; give 10 or so")
    use_threads(threads)
    import torch

    from throughtime.cli.results import print_json, print_table

    each = seconds * _SHARE_OF_MEASURING / len(CASES)
    found = []
    for case in CASES:
        found.append(measure(case, each, seed))
        if not as_json:
            typer.echo(f"\r{len(found)}/{len(CASES)} ", nl=False, err=True)
    if not as_json:
        typer.echo("\r", nl=False, err=True)
    about = {"threads": torch.get_num_threads(), "seed": seed, "torch": torch.__version__, **_core()}
    if as_json:
        print_json({**about, "tolerance": TOLERANCE, "rows": [measured.as_dict() for measured in found]})
    else:
        title = ", ".join(f"{name} {value}" for name, value in about.items())
        columns = ["shape", "layer", "ours", "torch", "ratio", "p20", "p80", "differ"]
        print_table(columns, [_line(measured) for measured in found], title=title, numbers_from=2)
        typer.echo(
            "ratio: torch's time over ours, medians by turns; difference: the largest, as a share of the tensor."
        )
    unequal = [measured for measured in found if not measured.equal]
    for measured in unequal:
        typer.echo(
            f"throughtime: bench: expected {measured.case.layer}, {measured.case.name}, to equal torch's within "
            f"{TOLERANCE:g}, got a difference of {measured.difference:.1e}",
            err=True,
        )
    if unequal:
        raise typer.Exit(_FAILED)


def measure(case: Case, seconds: float, seed: int) -> Measured:
    """Compare once, then time by turns: for so many seconds, three turns at least."""
    import torch

    from throughtime import nn

    generator = torch.Generator().manual_seed(seed)
    theirs = getattr(torch.nn, case.layer)(case.I, case.H, case.L)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.uniform_(-(case.H**-0.5), case.H**-0.5, generator=generator)
    ours = getattr(nn, case.layer)(case.I, case.H, case.L)
    ours.load_state_dict(theirs.state_dict())
    x_TBI = torch.randn(case.T, case.B, case.I, generator=generator)
    dy_TBH = torch.randn(case.T, case.B, case.H, generator=generator)
    if case.streams:
        step = ours.stepper()
        with torch.inference_mode():
            states = step(x_TBI[0])[1], theirs(x_TBI)[1]
            calls = (lambda: _flat(step(x_TBI[0], states[0])), lambda: _flat(theirs(x_TBI, states[1])))
            return _measure(case, calls, seconds)
    return _measure(case, (_training(ours, x_TBI, dy_TBH), _training(theirs, x_TBI, dy_TBH)), seconds)


def quantile(values: Sequence[float], share: float) -> float:
    """Linear between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


Call = Callable[[], "list[Tensor]"]


def _training(layer: "nn.Module", x_TBI: "Tensor", dy_TBH: "Tensor") -> Call:
    x_TBI = x_TBI.clone().requires_grad_()
    leaves = [x_TBI, *layer.parameters()]

    def call() -> "list[Tensor]":
        for leaf in leaves:
            leaf.grad = None
        output_TBH, _ = layer(x_TBI)
        output_TBH.backward(dy_TBH)
        return [output_TBH.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    return call


def _flat(result: tuple["Tensor", Any]) -> "list[Tensor]":
    """Output and state tensors, flat: a step has no axis of time."""
    output, state = result
    return [tensor.flatten() for tensor in (output, *(state if isinstance(state, tuple) else (state,)))]


def _measure(case: Case, calls: tuple[Call, Call], seconds: float) -> Measured:
    difference = _difference(*(call() for call in calls))
    numbers = []
    for call in calls:
        call()
        numbers.append(max(1, round(_SAMPLE_SECONDS / max(_seconds(call, 1), 1e-9))))
    times: tuple[list[float], list[float]] = ([], [])
    ends = time.perf_counter() + seconds
    gc.collect()
    collects = gc.isenabled()
    gc.disable()
    try:
        while len(times[0]) < LEAST_ROUNDS or time.perf_counter() < ends:
            for found, call, number in zip(times, calls, numbers, strict=True):
                call()  # what the other one left in the caches goes
                found.append(_seconds(call, number))
    finally:
        if collects:
            gc.enable()
    return Measured(case, *times, difference)


def _seconds(call: Call, number: int) -> float:
    began = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - began) / number


def _difference(ours: "list[Tensor]", theirs: "list[Tensor]") -> float:
    """The largest, as a share of the largest magnitude of the same tensor; infinite where something is not finite."""
    worst = 0.0
    for mine, other in zip(ours, theirs, strict=True):
        share = float((mine - other).abs().max() / other.abs().max().clamp(min=1e-30))
        worst = max(worst, share if share == share else float("inf"))
    return worst


def _core() -> dict[str, str]:
    """What our layers run on."""
    from throughtime import nn

    backend = nn.LSTM(1, 1).backend
    if backend != "native":
        return {"backend": backend}
    from throughtime.kernels import native

    return {"instruction set": native.instruction_set()}


def _line(measured: Measured) -> list[str]:
    low, high = measured.spread
    return [
        measured.case.name,
        measured.case.layer,
        _time(quantile(measured.ours, 0.5)),
        _time(quantile(measured.torch, 0.5)),
        f"{measured.ratio:.2f}" if measured.equal else "void",
        f"{low:.2f}",
        f"{high:.2f}",
        f"{measured.difference:.0e}",
    ]


def _time(seconds: float) -> str:
    return f"{1e6 * seconds:.1f} µs" if seconds < 1e-3 else f"{1e3 * seconds:.2f} ms"
