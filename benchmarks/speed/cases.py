"""The registry: a row a case.

Axes: T time steps, B batch rows, I input features, H hidden units, L layers.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

# name: (gates, torch.nn's class)
CELLS = {
    "rnn": 1,
    "gru": 3,
    "lstm": 4,
    "gru-reset-before": 3,
    "peephole-lstm": 4,
    "previous-peephole-lstm": 4,
}
"""Cell to its number of gates."""

SHAPES = (
    (50, 32, 1, 20, 2),
    (100, 32, 64, 64, 1),
    (100, 32, 128, 128, 1),
    (100, 64, 256, 256, 1),
    (50, 64, 512, 512, 1),
    (50, 64, 1024, 1024, 1),
    (1000, 1, 128, 128, 1),
)
"""(T, B, I, H, L), from a forecaster's net to a language model's; the last is one long sequence."""


@dataclass(frozen=True)
class Target:
    """What a figure of a case must show.

    Attributes:
        figure: a name that `verdict.figures` gives; "torch / ours" is how many times faster we are.
        stretch: a bound beyond the one asked for.
    """

    figure: str
    at_least: float | None = None
    at_most: float | None = None
    stretch: float | None = None

    def met(self, value: float) -> bool:
        """Whether a value keeps the bounds; NaN does not."""
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        bound = f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"
        return bound if self.stretch is None else f"{bound}, stretch {self.stretch:g}"


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        mode: train (forward and backward, every gradient), inference, ragged (train, lengths uniform in 0..T),
            pair (train, against another cell of ours), bfloat16 (train, against our own float32), step (one time step,
            state carried on), epoch (of the waves task), pool (our work beside torch's), memory (peak of one call),
            sgemm (one product, for the machine).
        peers: libraries that run it, each in a process without us.
        base: in a pair, the other cell.
        examples: in an epoch, how many series.
        rounds: turns that every participant has at least.
        tolerance: the largest difference from a peer, as a share of the largest magnitude of the same array.
    """

    name: str
    mode: str
    cell: str
    T: int
    B: int
    I: int
    H: int
    L: int = 1
    peers: tuple[str, ...] = ("torch",)
    targets: tuple[Target, ...] = ()
    base: str = ""
    examples: int = 0
    rounds: int = 5
    tolerance: float = 1e-4

    @property
    def training_flops(self) -> float:
        """Operations in the products of forward and backward: x·W and h·W, and twice as many for their gradients."""
        first, others = self.I + self.H, 2 * self.H
        return 6.0 * self.T * self.B * CELLS[self.cell] * self.H * (first + (self.L - 1) * others)

    def to_json(self) -> dict[str, Any]:
        """What a worker needs to know, which is all but the targets."""
        return {name: value for name, value in asdict(self).items() if name != "targets"}

    @staticmethod
    def from_json(fields: dict[str, Any]) -> "Case":
        return Case(**{**fields, "peers": tuple(fields["peers"])})


# Ratio to torch eager, forward and backward, in the order of SHAPES.
TRAIN = {
    "rnn": (6, 4, 2.5, 1.7, 1.3, 1.2, 10),
    "gru": (12, 6, 3, 1.6, 1.2, 1.4, 15),
    "lstm": (3, 1.4, 1.2, 1.1, 1.0, 1.0, 2),
}
STRETCH = {("lstm", 512): 1.15, ("lstm", 1024): 1.1}


def label(T: int, B: int, I: int, H: int, L: int = 1) -> str:
    """A shape as the tables write it."""
    return f"T{T} B{B} I{I} H{H}" + (f" x{L}" if L > 1 else "")


def _share_of_peak(cell: str, B: int, H: int) -> tuple[Target, ...]:
    if CELLS[cell] == 1 or B < 32 or H < 64:
        return ()
    return (Target("share of peak", at_least=0.55 if H < 128 else 0.65 if H < 256 else 0.72),)


def _train() -> Iterator[Case]:
    for cell, ratios in TRAIN.items():
        for shape, ratio in zip(SHAPES, ratios, strict=True):
            _, B, _, H, _ = shape
            targets = (Target("torch / ours", at_least=ratio, stretch=STRETCH.get((cell, H))),)
            yield Case(
                f"train {cell} {label(*shape)}",
                "train",
                cell,
                *shape,
                peers=("torch", "keras-jax"),
                targets=targets + _share_of_peak(cell, B, H),
            )


def _pairs() -> Iterator[Case]:
    pairs = (("gru-reset-before", "gru", 1.15), ("peephole-lstm", "lstm", 1.1), ("previous-peephole-lstm", "lstm", 1.1))
    for cell, base, most in pairs:
        for shape in SHAPES[1:4]:
            _, B, _, H, _ = shape
            yield Case(
                f"pair {cell} {label(*shape)}",
                "pair",
                cell,
                *shape,
                base=base,
                peers=("torch", "torchrecurrent") if cell == "peephole-lstm" else ("torch",),
                targets=(Target(f"ours / {base}", at_most=most), *_share_of_peak(cell, B, H)),
            )


def _bfloat16() -> Iterator[Case]:
    for cell in ("rnn", "gru", "lstm"):
        for shape in SHAPES[3:6]:
            # 8 bits of significand over 50 to 100 steps; ADR 8 has the bound that the tests hold.
            yield Case(
                f"bfloat16 {cell} {label(*shape)}",
                "bfloat16",
                cell,
                *shape,
                targets=(Target("float32 / ours", at_least=1.5),),
                tolerance=0.05,
            )


def _inference() -> Iterator[Case]:
    for cell in ("rnn", "gru", "lstm"):
        for shape in SHAPES:
            H = shape[3]
            targets = [Target("onnxruntime / ours", at_least=1.0 if H < 512 else 0.95)]
            if cell == "lstm":
                targets.append(Target("torch / ours", at_least=1.2 if H <= 128 else 0.95))
            if cell == "gru":
                targets.append(Target("torch / ours", at_least=3 if H <= 64 else 2 if H <= 128 else 1.5))
            name = f"inference {cell} {label(*shape)}"
            yield Case(name, "inference", cell, *shape, peers=("torch", "onnxruntime"), targets=tuple(targets))
    for cell in ("gru-reset-before", "peephole-lstm"):
        shape = SHAPES[2]
        targets = [Target("onnxruntime / ours", at_least=1.0)]
        yield Case(
            f"inference {cell} {label(*shape)}",
            "inference",
            cell,
            *shape,
            peers=("torch", "onnxruntime"),
            targets=tuple(targets),
        )


def _ragged() -> Iterator[Case]:
    for cell, ratio in (("rnn", 12), ("gru", 7), ("lstm", 6)):
        targets = (
            Target("torch packed / ours", at_least=ratio),
            Target("ours / (dense × valid)", at_most=1.2),
            Target("sorted / (dense × valid)", at_most=1.2),
        )
        yield Case(f"ragged {cell} T200 B64 I128 H128", "ragged", cell, 200, 64, 128, 128, targets=targets)


def _steps() -> Iterator[Case]:
    for cell in ("rnn", "gru", "lstm"):
        for H, most in ((64, 10), (128, 18)):
            targets = [Target("ours, µs", at_most=most)]
            if cell == "lstm":
                targets.append(Target("LSTMCell / ours", at_least=1.8))
                targets.append(Target("nn.LSTM / ours", at_least=6))
            yield Case(f"step {cell} B1 I{H} H{H}", "step", cell, 1, 1, H, H, targets=tuple(targets), rounds=12)


def _memory() -> Iterator[Case]:
    for cell in ("rnn", "gru", "lstm"):
        for shape in SHAPES:
            name = f"memory {cell} {label(*shape)}"
            yield Case(name, "memory", cell, *shape, targets=(Target("ours / torch", at_most=1.05),))


def _epochs() -> Iterator[Case]:
    for cell in ("rnn", "gru", "lstm"):
        targets = (
            Target("ours − constant, s", at_most=0.20),
            Target("ours, s", at_most=0.40),
            Target("first in the process / second", at_most=1.1),
        )
        # 7000 series in batches of 32 are 219 steps. Ten steps of Adam amplify rounding, hence the tolerance.
        yield Case(
            f"epoch {cell} T50 B32 I1 H20 x2",
            "epoch",
            cell,
            *SHAPES[0],
            targets=targets,
            examples=7000,
            rounds=3,
            tolerance=1e-3,
        )


def _pools() -> Iterator[Case]:
    for cell in ("rnn", "gru", "lstm"):
        targets = (
            Target("taking turns / (ours + product)", at_most=1.1),
            Target("processor time after a call, µs", at_most=100),
        )
        yield Case(f"pool {cell} T50 B32 I1 H20", "pool", cell, 50, 32, 1, 20, peers=(), targets=targets, rounds=12)


CASES = (*_train(), *_pairs(), *_bfloat16(), *_inference(), *_ragged(), *_steps(), *_epochs(), *_pools(), *_memory())
"""Every case, in the order in which they run."""
