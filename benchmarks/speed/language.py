"""Tokens a second of a language model, trained and writing, against the same model in torch.nn.

    python -m benchmarks.speed.language --out benchmarks/results/language_speed.json

Ours is `LanguageModel`'s own net, in the project's training loop; torch's is nn.Embedding, nn.LSTM or nn.GRU and
nn.Linear in the loop that its users write: detach, backward, clip, fused Adam. Both see the same chunk from the same
initial weights, without dropout, and the first losses must agree before anything is timed. Turns are taken within one
process, one training step or one text at a time; figures are medians. On one thread the clock is the processor's own
time, so that other work on the machine counts less. The recurrent share is that of the layers alone, forward and
backward on inputs of the same shape, in the whole step.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.speed import machine, store
from throughtime import __version__
from throughtime.data import Vocabulary
from throughtime.data.text.units import END, UNKNOWN, Words
from throughtime.models import Sampler
from throughtime.tasks.language.chunks import Chunk
from throughtime.tasks.language.net import LanguageNet, TextEncoder
from throughtime.tasks.language.trainee import Trainee, chunk_loss
from throughtime.tasks.language.writing import Wish, written
from throughtime.training import TrainingConfig, locate_nonfinite
from throughtime.training.batches import Fetched
from throughtime.training.update import Updater

RATE = 1e-3


class Case(NamedTuple):
    """A model and how it is trained; sizes in units, symbols, rows and steps of time."""

    cell: str
    embedding: int
    hidden: int
    layers: int
    vocabulary: int
    rows: int
    steps: int

    @property
    def name(self) -> str:
        return f"{self.cell} {self.layers}x{self.hidden}, {self.vocabulary} symbols, {self.rows} x {self.steps}"


CASES = (
    Case("gru", 128, 512, 2, 67, 32, 128),
    Case("lstm", 128, 512, 2, 67, 32, 128),
    Case("lstm", 256, 256, 2, 10_000, 32, 35),
)


class TorchModel(nn.Module):
    """The word_language_model of a tutorial."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[case.cell]
        self.embedding = nn.Embedding(case.vocabulary, case.embedding)
        self.recurrent = kind(case.embedding, case.hidden, case.layers)
        self.head = nn.Linear(case.hidden, case.vocabulary)

    def forward(self, ids_TB: Tensor, state: Any) -> tuple[Tensor, Any]:
        hidden_TBF, state = self.recurrent(self.embedding(ids_TB), state)
        return self.head(hidden_TBF), state

    def take(self, net: LanguageNet) -> None:
        """The weights of our net."""
        assert isinstance(net.head, nn.Linear)
        self.embedding.load_state_dict(net.encoder.embedding.state_dict())
        self.head.load_state_dict(net.head.state_dict())
        for i, layer in enumerate(net.encoder.layers):
            own = {name.replace("_l0", f"_l{i}"): value for name, value in layer.state_dict().items()}
            self.recurrent.load_state_dict(self.recurrent.state_dict() | own)


class TorchTraining:
    """The loop that users of torch write."""

    def __init__(self, model: TorchModel, bfloat16: bool) -> None:
        self.model = model
        self.bfloat16 = bfloat16
        self.optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
        self.state: Any = None

    def step(self, chunk: Chunk) -> float:
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            logits, state = self.model(chunk.inputs, self.state)
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), chunk.targets.flatten())
        self.state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()


class OurTraining:
    """A step of the project's loop: loss, gradient, clipping, Adam, and its checks of every number."""

    def __init__(self, net: LanguageNet, case: Case, bfloat16: bool) -> None:
        trainee = Trainee(net, case.rows).train()
        config = TrainingConfig(batch_size=1, learning_rate=RATE, bfloat16=bfloat16)
        self.updater = Updater(trainee, chunk_loss, config, locate_nonfinite, 1)
        self.count = 0

    def step(self, chunk: Chunk) -> float:
        self.count += 1
        return self.updater.step([Fetched(chunk, 1, 0, 0)], self.count, RATE, "").loss


def our_net(case: Case) -> LanguageNet:
    torch.manual_seed(0)
    widths = [case.embedding, *[case.hidden] * case.layers]
    return LanguageNet(TextEncoder(case.vocabulary, case.cell, widths))


def torch_net(net: LanguageNet, case: Case) -> TorchModel:
    model = TorchModel(case)
    model.take(net)
    return model


def layers_alone(layers: nn.ModuleList, case: Case, bfloat16: bool) -> Callable[[], None]:
    """Forward and backward of recurrent layers on inputs of the case's shape."""
    x_TBI = torch.randn(case.steps, case.rows, case.embedding, requires_grad=True)
    ones = torch.ones(case.steps, case.rows, case.hidden)

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            hidden = x_TBI
            for layer in layers:
                hidden, _ = layer(hidden)
        hidden.backward(ones.to(hidden.dtype))

    return run


def in_turns(jobs: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """The median seconds of each job; one round before them warms up."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            started = clock()
            job()
            if turn:
                times[name].append(clock() - started)
    return {name: statistics.median(found) for name, found in times.items()}


def training(case: Case, rounds: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Tokens a second of a training step, ours and torch's, in float32 and under autocast to bfloat16."""
    ids = torch.randint(0, case.vocabulary, (case.steps + 1, case.rows))
    first = Chunk(ids[:-1], ids[1:], None, None, True)
    chunk = first._replace(first=False)
    jobs: dict[str, Callable[[], object]] = {}
    losses: dict[str, float] = {}
    for precision, bfloat16 in (("float32", False), ("bfloat16", True)):
        ours = OurTraining(our_net(case), case, bfloat16)
        theirs = TorchTraining(torch_net(our_net(case), case), bfloat16)
        losses |= {f"ours {precision}": ours.step(first), f"torch {precision}": theirs.step(first)}
        jobs[f"ours {precision}"] = lambda ours=ours: ours.step(chunk)
        jobs[f"torch {precision}"] = lambda theirs=theirs: theirs.step(chunk)
        jobs[f"ours {precision}, layers alone"] = layers_alone(our_net(case).encoder.layers, case, bfloat16)
    if (
        abs(losses["ours float32"] - losses["torch float32"]) > 1e-4
        or max(losses.values()) - min(losses.values()) > 0.05
    ):
        raise SystemExit(f"{case.name}: the first losses differ, nothing was timed: {losses}")
    seconds = in_turns(jobs, rounds, clock)
    tokens = case.rows * case.steps
    return {
        "tokens_a_second": {name: tokens / s for name, s in seconds.items() if "alone" not in name},
        "ours_over_torch": {
            precision: seconds[f"torch {precision}"] / seconds[f"ours {precision}"]
            for precision in ("float32", "bfloat16")
        },
        "recurrent_share": {
            precision: seconds[f"ours {precision}, layers alone"] / seconds[f"ours {precision}"]
            for precision in ("float32", "bfloat16")
        },
        "first_losses": losses,
    }


@torch.no_grad()
def torch_writes(model: TorchModel, B: int, length: int) -> Tensor:
    """A step at a time, as tutorials do."""
    ids_B, state, found = torch.ones(B, dtype=torch.long), None, []
    for _ in range(length):
        logits, state = model(ids_B.unsqueeze(0), state)
        ids_B = torch.multinomial(logits[0].softmax(-1), 1).squeeze(1)
        found.append(ids_B)
    return torch.stack(found)


def writing(case: Case, texts: int, length: int, rounds: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Symbols a second, all texts of a call together; ours are texts at the end, torch's are ids."""
    net = our_net(case).eval()
    model = torch_net(net, case).eval()
    symbols = [END, UNKNOWN, *(f"s{i}" for i in range(case.vocabulary - 2))]
    units = Words(Vocabulary(symbols, unknown=UNKNOWN))
    wish = Wish([""] * texts, None, length, Sampler(), 1.0, (), 0)
    jobs: dict[str, Callable[[], object]] = {
        "ours": lambda: list(written(net, units, wish, ends=False)),
        "torch": lambda: torch_writes(model, texts, length),
    }
    seconds = in_turns(jobs, rounds, clock)
    return {
        "texts": texts,
        "length": length,
        "symbols_a_second": {name: texts * length / s for name, s in seconds.items()},
        "ours_over_torch": seconds["torch"] / seconds["ours"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="more than one: wall time on a quiet machine")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    clock = time.process_time if given.threads == 1 else time.perf_counter
    rows = []
    for case in CASES:
        row = {
            "case": case.name,
            "training": training(case, given.rounds, clock),
            "writing": [writing(case, texts, 100, given.rounds, clock) for texts in (1, 32)],
        }
        rows.append(row)
        print(case.name)
        for name, speed in row["training"]["tokens_a_second"].items():
            print(f"  training, {name:16s} {speed:9,.0f} tokens a second")
        for precision, ratio in row["training"]["ours_over_torch"].items():
            share = row["training"]["recurrent_share"][precision]
            print(f"  {precision}: {ratio:.2f} times torch, {share:.0%} of the time in the recurrent layers")
        for found in row["writing"]:
            ours, theirs = found["symbols_a_second"].values()
            print(
                f"  writing {found['texts']:2d} texts: {ours:8,.0f} symbols a second, torch {theirs:8,.0f}", flush=True
            )
    if given.out is not None:
        store.write(
            given.out,
            {
                "machine": machine.describe(),
                "versions": {"throughtime": __version__, "torch": torch.__version__},
                "threads": given.threads,
                "clock": "processor time" if given.threads == 1 else "wall time",
                "rounds": given.rounds,
                "rows": rows,
            },
        )


if __name__ == "__main__":
    main()
