"""Gradients against time on the number agreement task: "the cats, which ..., were", with 40 words in between.

The models of `agreement.py`, before and after their training on sentences of this distance (or, for "short ones among
them", of 0 to 80 words in between). The loss is the mean cross entropy of 1000 unseen sentences, at the last word;
what is drawn is |∂L/∂(h, c)| at every word, as a part of its value at the last word. Memory is the steps back after
which that of a random direction at the end stays below 1e-6 of its largest (`throughtime.training.watch`).

    OMP_NUM_THREADS=1 python benchmarks/quality/gradients.py --out benchmarks/results/gradients.json
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from agreement import (
    CASES,
    TEST_SEED,
    TEST_SENTENCES,
    Case,
    WasOrWere,
    accuracy,
    cross_entropy,
    sentences,
    surroundings,
    trained,
)
from common import DEFAULT_MACHINE, measured_before, write

from throughtime.report.style import BASELINE, COLOURS, INK, QUIET_INK, dress, new_figure, save
from throughtime.training import watch
from throughtime.training.gradient_health_report import FADED

DISTANCE = 40
SHOWN = tuple(case for case in CASES if not case.bidirectional)


def gradients(model: WasOrWere, case: Case) -> dict[str, Any]:
    """The norm of the state's gradient at each step back from the end, the effective memory, saturated gates."""
    batch = sentences(TEST_SENTENCES, TEST_SEED + DISTANCE, case, DISTANCE, DISTANCE).tensors
    with watch(model) as ears:
        torch.autograd.grad(cross_entropy(model, batch), list(model.parameters()))
    (layer,) = ears.report().layers
    state = np.hypot(layer.dh, 0 if layer.dc is None else layer.dc)[::-1]
    return {
        "norms_back": [float(f"{value:.4g}") for value in state],
        "memory": layer.memory,
        "saturated": {gate: round(share, 3) for gate, share in layer.saturated.items()},
    }


def run(case: Case, seed: int) -> dict[str, Any]:
    """One model before and after its training."""
    torch.manual_seed(seed)
    untrained = gradients(WasOrWere(case, DISTANCE), case)
    shortest, longest = (0, 2 * DISTANCE) if case.mixed else (DISTANCE, DISTANCE)
    model = trained(case, seed, shortest, longest)
    found = {"untrained": untrained, "trained": gradients(model, case), "accuracy": accuracy(model, case, DISTANCE)}
    memories = f"memory {untrained['memory']:2d}, trained {found['trained']['memory']:2d}"
    print(f"{case.label:26s} seed {seed}: {memories} of {DISTANCE + 2} steps; accuracy {found['accuracy']:.3f}")
    return {**case._asdict(), "seed": seed, **found}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """The geometric mean of the seeds, and a band from the lowest to the highest."""
    figure = new_figure(10.0, 4.8)
    panels = figure.subplots(1, 2, sharey=True)
    styles = [*COLOURS, ("#56B4E9", (0, (3, 1, 1, 1)))]
    for axes, which in zip(panels, ("untrained", "trained"), strict=True):
        for case, (colour, dashes) in zip(SHOWN, styles, strict=True):
            mine = [row for row in rows if row["label"] == case.label]
            values = np.array([row[which]["norms_back"] for row in mine])
            part = np.maximum(values / values[:, :1], 1e-30)
            right = statistics.median(row["accuracy"] for row in mine)
            label = f"{case.label} (trained: {right:.0%} right)" if which == "trained" else None
            back = np.arange(values.shape[1])
            axes.fill_between(back, part.min(0), part.max(0), color=colour, alpha=0.12, linewidth=0)
            axes.plot(back, np.exp(np.log(part).mean(0)), color=colour, linestyle=dashes, linewidth=1.6, label=label)
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_ylim(1e-9, 30)
        axes.axhline(FADED, color=BASELINE, linewidth=1, linestyle=(0, (1, 2)))
        axes.axvline(DISTANCE, color=BASELINE, linewidth=1)
        dress(axes, back)
        axes.annotate(
            "the subject", (DISTANCE, 8), xytext=(-4, 0), textcoords="offset points", ha="right", fontsize=8.5,
            color=QUIET_INK,
        )  # fmt: skip
        axes.set_title(f"{which.capitalize()}", loc="left", fontsize=10, color=INK)
        axes.set_xlabel("words back from the verb", fontsize=9, color=QUIET_INK)
    figure.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="outside lower center", ncols=3)
    panels[0].set_ylabel("norm of the gradient, 1 at the last word", fontsize=9, color=QUIET_INK)
    figure.suptitle("How far back the loss of one verb reaches", x=0.01, ha="left", fontsize=12, fontweight="bold")
    print(f"drawn in {save(figure, path)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path, help="JSON; what it holds of these settings is not measured again")
    given = parser.parse_args()

    content = {
        "task": "gradients",
        "data": {"generator": "throughtime.datasets.agreement", "distance": DISTANCE, "sentences": TEST_SENTENCES},
        **surroundings(given.machine, WasOrWere(CASES[0], 0).topology.recurrent),
        "faded": FADED,
    }
    rows = measured_before(content, given.out)
    done = {(row["label"], row["seed"]) for row in rows}
    for seed in given.seeds:
        for case in SHOWN:
            if (case.label, seed) not in done:
                rows.append(run(case, seed))
                write({**content, "runs": rows}, given.out)
    if given.out is not None:
        draw(rows, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
