"""Number agreement: "the cats, which ..., were", was or were by a subject that stands further and further back.

Layers of 32 units over embeddings of 16, a linear head on the last state (both ends where the layer runs both ways).
A model for each distance is trained on 10 000 sentences of that distance alone (Adam at 0.005, 64 sentences a step, at
most 5 passes; it ends after a pass with a mean loss below 0.001) and asked about 1000 unseen ones. The nouns in between
are singular or plural by coins of their own, so a model that does not see as far as the subject is right in half of the
cases.

RNN, GRU, LSTM            torch's initial values
..., gates begin open     chrono initialisation for sentences of this length
RNN both ways             the backward direction has the subject two words before its end, whatever the distance
..., subject in the middle  as many words before the subject as behind it: far from both ends
RNN, short ones among them  one model for all distances, trained on 50 000 sentences of 0 to 80 words in between

    python benchmarks/quality/agreement.py --out benchmarks/results/agreement.json
"""

import argparse
import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from common import DEFAULT_MACHINE, Enough, measured_before, open_to_the_past, surroundings, write
from torch import Tensor, nn

from throughtime.datasets import AGREEMENT_WORDS, agreement
from throughtime.models import ManyToOne
from throughtime.nn.layers import LAYERS
from throughtime.report.style import BASELINE, COLOURS, INK, QUIET_INK, dress, new_figure, save
from throughtime.training import Callback, EpochRecord, TensorSource, TrainingConfig, train

HIDDEN = 32
EMBEDDING = 16
SENTENCES = 10_000
MIXED_SENTENCES = 50_000  # as many as one model sees in 5 passes
TEST_SENTENCES = 1000
EPOCHS = 5
BATCH = 64
RATE = 0.005
ENOUGH = 0.001
DISTANCES = (2, 5, 10, 15, 20, 30, 40, 60, 80)
TEST_SEED = 2**40


class Case(NamedTuple):
    """One layer, and how it is given its sentences."""

    label: str
    cell: str
    open_gates: bool = False
    bidirectional: bool = False
    subject_in_the_middle: bool = False
    mixed: bool = False


CASES = (
    Case("RNN", "rnn"),
    Case("GRU", "gru"),
    Case("LSTM", "lstm"),
    Case("GRU, gates begin open", "gru", open_gates=True),
    Case("LSTM, gates begin open", "lstm", open_gates=True),
    Case("RNN both ways", "rnn", bidirectional=True),
    Case("RNN both ways, subject in the middle", "rnn", bidirectional=True, subject_in_the_middle=True),
    Case("RNN, short ones among them", "rnn", mixed=True),
)


class WasOrWere(nn.Module):
    """Ids (B, T) and lengths (B,) to the logits of "was" and "were" (B, 2)."""

    def __init__(self, case: Case, distance: int) -> None:
        super().__init__()
        layer = LAYERS[case.cell](EMBEDDING, HIDDEN, bidirectional=case.bidirectional)
        if case.open_gates:
            open_to_the_past(layer, distance + 2)
        self.words = nn.Embedding(len(AGREEMENT_WORDS), EMBEDDING)
        self.topology = ManyToOne(layer, nn.Linear(HIDDEN * layer.num_directions, 2))

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor) -> Tensor:
        logits: Tensor = self.topology(self.words(tokens_BT.T), lengths=lengths_B)
        return logits


class StopsWhenLearnt(Callback):
    """Ends the training after an epoch whose mean loss is low enough."""

    def on_epoch(self, record: EpochRecord) -> None:
        if record.train_loss < ENOUGH:
            raise Enough


def sentences(n: int, seed: int, case: Case, shortest: int, longest: int) -> TensorSource:
    """Ids, lengths and targets."""
    lead = longest if case.subject_in_the_middle else 0
    drawn = agreement(n, seed, min_distance=shortest, max_distance=longest, lead=lead)
    return TensorSource(*map(torch.from_numpy, (drawn.tokens, drawn.lengths, drawn.targets)))


def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    tokens_BT, lengths_B, targets_B = batch
    return nn.functional.cross_entropy(model(tokens_BT, lengths_B), targets_B)


def trained(case: Case, seed: int, shortest: int, longest: int) -> WasOrWere:
    """A model of sentences with these distances."""
    torch.manual_seed(seed)
    model = WasOrWere(case, longest)
    data = sentences(MIXED_SENTENCES if case.mixed else SENTENCES, seed, case, shortest, longest)
    config = TrainingConfig(epochs=1 if case.mixed else EPOCHS, batch_size=BATCH, learning_rate=RATE, seed=seed)
    with suppress(Enough):
        train(model, cross_entropy, data, config=config, callbacks=[StopsWhenLearnt()])
    return model


@torch.no_grad()
def accuracy(model: nn.Module, case: Case, distance: int) -> float:
    """The share of unseen sentences of one distance with the right verb."""
    tokens_BT, lengths_B, targets_B = sentences(TEST_SENTENCES, TEST_SEED + distance, case, distance, distance).tensors
    return (model(tokens_BT, lengths_B).argmax(1) == targets_B).double().mean().item()


def run(case: Case, seed: int) -> dict[str, Any]:
    """Train a model for each distance, or one for all of them, and measure."""
    began = time.process_time()
    every = trained(case, seed, 0, DISTANCES[-1]) if case.mixed else None
    found = {d: accuracy(every or trained(case, seed, d, d), case, d) for d in DISTANCES}
    minutes = (time.process_time() - began) / 60
    shown = ", ".join(f"{distance}: {value:.3f}" for distance, value in found.items())
    print(f"{case.label:38s} seed {seed}: {minutes:.2f} minutes; accuracy {shown}", flush=True)
    return {
        **case._asdict(),
        "seed": seed,
        "cpu_minutes": round(minutes, 2),
        "accuracy": {str(distance): value for distance, value in found.items()},
    }


def over_seeds(rows: list[dict[str, Any]], case: Case) -> list[list[float]]:
    """At each distance, the accuracy of every seed."""
    mine = [row["accuracy"] for row in rows if row["label"] == case.label]
    return [[of[str(distance)] for of in mine] for distance in DISTANCES]


def print_table(rows: list[dict[str, Any]]) -> None:
    print(f"\n{'median accuracy by distance':38s}" + "".join(f"{distance:7d}" for distance in DISTANCES))
    for case in CASES:
        medians = [statistics.median(values) for values in over_seeds(rows, case)]
        print(f"{case.label:38s}" + "".join(f"{value:7.3f}" for value in medians))


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Accuracy over the distance: the median of the seeds, and a band from the lowest to the highest."""
    figure = new_figure(10.0, 4.2)
    panels = figure.subplots(1, 2, sharey=True)
    blue, red, green, pink, yellow = (colour for colour, _ in COLOURS)
    solid, dashed = "-", (0, (4, 2))
    styles = dict(zip(CASES, [
        (blue, solid), (red, dashed), (green, dashed), (red, solid), (green, solid),
        (pink, solid), (yellow, solid), (blue, dashed),
    ], strict=True))  # fmt: skip
    titles = ("One way", "An RNN, both ways, and with short sentences among the long")
    for axes, title, cases in zip(panels, titles, (CASES[:5], (CASES[0], *CASES[5:])), strict=True):
        for width, case in zip((4.5, 3.6, 2.8, 2.0, 1.2), cases, strict=False):  # what lies on top is thinner
            values, (colour, dashes) = over_seeds(rows, case), styles[case]
            axes.fill_between(
                DISTANCES, [*map(min, values)], [*map(max, values)], color=colour, alpha=0.12, linewidth=0
            )
            axes.plot(
                DISTANCES, [statistics.median(of) for of in values], color=colour, linestyle=dashes, linewidth=width,
                marker="o", markersize=width + 2, label=case.label,
            )  # fmt: skip
        axes.axhline(0.5, color=BASELINE, linewidth=1, linestyle=(0, (1, 2)))
        axes.set_ylim(0.42, 1.02)
        dress(axes)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.set_xlabel("words between the subject and the verb", fontsize=9, color=QUIET_INK)
        axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="center right")
    panels[0].set_ylabel("share of right verbs", fontsize=9, color=QUIET_INK)
    figure.suptitle("Number agreement over a distance", x=0.01, ha="left", fontsize=12, fontweight="bold")
    print(f"drawn in {save(figure, path)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path, help="JSON; what it holds of these settings is not measured again")
    given = parser.parse_args()

    content = {
        "task": "agreement",
        "data": {
            "generator": "throughtime.datasets.agreement",
            "training_sentences": SENTENCES,
            "mixed_training": {"sentences": MIXED_SENTENCES, "min_distance": 0, "max_distance": DISTANCES[-1]},
            "test": {"sentences": TEST_SENTENCES, "seed": f"{TEST_SEED} + distance"},
        },
        **surroundings(given.machine, WasOrWere(CASES[0], 0).topology.recurrent),
        "training": {
            "hidden": HIDDEN,
            "embedding": EMBEDDING,
            "epochs_at_most": EPOCHS,
            "ends_below": ENOUGH,
            "batch": BATCH,
            "rate": RATE,
        },
        "chance": 0.5,
    }
    rows = measured_before(content, given.out)
    done = {(row["label"], row["seed"]) for row in rows}
    for seed in given.seeds:
        for case in CASES:
            if (case.label, seed) not in done:
                rows.append(run(case, seed))
                write({**content, "runs": rows}, given.out)  # an interrupted benchmark keeps what it measured
    print_table(rows)
    if given.out is not None:
        draw(rows, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
