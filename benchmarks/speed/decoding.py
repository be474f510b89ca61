"""What writing costs beside the kernels that it stands on: sampling in a batch, and a beam beside greedy.

    python -m benchmarks.speed.decoding --out benchmarks/results/decoding.json

Turns are taken within one process: the bare kernels of a step (embedding, stepper, head), then each sampler, around and
around; then greedy and the beam. Times are medians over the rounds. A share is the kernels' time over the whole's.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed import machine, store
from throughtime import __version__
from throughtime.models import EncoderDecoder, OneToMany, Sampler
from throughtime.nn import GRU, LSTM, MultiplicativeAttention

SIZES = [(128, 64), (256, 64), (256, 1000), (512, 10_000)]  # hidden units, vocabulary
# Untrained logits are nearly equal, and a nucleus of them holds nearly all ids; times this, about a seventh.
LOGIT_SCALE = 30.0
SAMPLERS = {
    "greedy": Sampler(greedy=True),
    "draw": Sampler(),
    "temperature": Sampler(temperature=0.8),
    "top-k": Sampler(top_k=40),
    "nucleus": Sampler(top_p=0.9),
    "all three": Sampler(temperature=0.8, top_k=40, top_p=0.9),
}


def in_turns(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median seconds of each job; one round before them warms up."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            if turn:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in times.items()}


def sampling(H: int, V: int, B: int, steps: int, rounds: int) -> dict[str, Any]:
    """Milliseconds a step of the kernels and of `OneToMany.generate`, and the kernels' share."""
    torch.manual_seed(0)
    head = torch.nn.Linear(H, V)
    with torch.no_grad():
        head.weight *= LOGIT_SCALE
    model = OneToMany(torch.nn.Embedding(V, H), LSTM(H, H), head).eval()
    stepper, ids = model.recurrent.stepper(), torch.randint(0, V, (B,))
    embed = model.embedding

    @torch.no_grad()
    def kernels() -> None:
        state = None
        for _ in range(steps):
            hidden, state = stepper(embed(ids), state)
            head(hidden)

    jobs: dict[str, Callable[[], object]] = {"kernels": kernels}
    for name, sampler in SAMPLERS.items():
        jobs[name] = lambda sampler=sampler: model.generate(steps, rows=B, sampler=sampler, stop=0, seed=1)
    seconds = in_turns(jobs, rounds)
    return {
        "hidden": H,
        "vocabulary": V,
        "batch": B,
        "steps": steps,
        "ms_a_step": {name: 1e3 * s / steps for name, s in seconds.items()},
        "kernels_share": {name: seconds["kernels"] / seconds[name] for name in SAMPLERS},
    }


def beam(H: int, V: int, B: int, S: int, width: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of greedy and of a beam over the same steps: the end token never comes, so both go to the limit."""
    torch.manual_seed(0)
    head = torch.nn.Linear(H, V)
    with torch.no_grad():
        head.bias[0] = -1e4
    model = EncoderDecoder(
        torch.nn.Embedding(V, H),
        GRU(H, H),
        torch.nn.Embedding(V, H),
        GRU(H, H),
        head,
        MultiplicativeAttention(H, H),
        bos=1,
        eos=0,
    ).eval()
    source = torch.randint(2, V, (S, B))
    jobs: dict[str, Callable[[], object]] = {
        "greedy": lambda: model.greedy(source, limit=S),
        "beam": lambda: model.beam(source, limit=S, width=width),
    }
    seconds = in_turns(jobs, rounds)
    return {
        "hidden": H,
        "vocabulary": V,
        "batch": B,
        "source": S,
        "width": width,
        "ms": {name: 1e3 * s for name, s in seconds.items()},
        "times_greedy": seconds["beam"] / seconds["greedy"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    parser.add_argument("--threads", type=int, default=1, help="of torch and of the kernels")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=40, help="that each sampler writes")
    parser.add_argument("--only", choices=["sampling", "beam"], help="one of the two tables")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    results: dict[str, Any] = {
        "machine": machine.describe(),
        "versions": {"throughtime": __version__, "torch": version("torch")},
        "threads": given.threads,
        "rounds": given.rounds,
        "sampling": [],
        "beam": [],
    }
    if given.only != "beam":
        print(f"{'H':>5} {'V':>6} {'B':>4}  ms a step of the kernels; share of it in a step of " + ", ".join(SAMPLERS))
        for H, V in SIZES:
            row = sampling(H, V, 256, given.steps, given.rounds)
            results["sampling"].append(row)
            shares = "  ".join(f"{row['kernels_share'][name]:.2f}" for name in SAMPLERS)
            print(f"{H:>5} {V:>6} {row['batch']:>4}  {row['ms_a_step']['kernels']:8.3f}  {shares}", flush=True)
    if given.only != "sampling":
        print(f"{'H':>5} {'V':>6} {'B':>4}  ms greedy, ms beam of 5, ratio")
        for H, V, B in [(128, 1000, 32), (256, 8000, 16), (256, 8000, 1)]:
            row = beam(H, V, B, 20, 5, given.rounds)
            results["beam"].append(row)
            ms = row["ms"]
            print(f"{H:>5} {V:>6} {B:>4}  {ms['greedy']:8.1f} {ms['beam']:8.1f} {row['times_greedy']:6.2f}", flush=True)
    if given.out is not None:
        store.write(given.out, results)


if __name__ == "__main__":
    main()
