"""The ratios as a picture."""

from pathlib import Path
from typing import Any

from benchmarks.speed.cases import CASES

PANELS = (
    ("train", "torch / ours", "Forward and backward"),
    ("inference", "torch / ours", "Inference"),
    ("ragged", "torch packed / ours", "Ragged batches, against packed"),
    ("step", " / ours", "One step, one row"),
    ("epoch", "torch / ours", "An epoch of the waves task"),
)
COLORS = {"rnn": "#7a8b99", "gru": "#d9822b", "lstm": "#2b6cb0"}


def draw(results: dict[str, Any], path: Path) -> None:
    """A bar a ratio, how many times faster we are than torch eager; targets as ticks, p20 to p80 as whiskers.

    Void rows are left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [(title, bars) for mode, figure, title in PANELS if (bars := _bars(results, mode, figure))]
    if not panels:
        return
    heights = [len(bars) + 1.5 for _, bars in panels]
    picture = Figure(figsize=(9, 0.24 * sum(heights) + 1.2), layout="constrained")
    FigureCanvasAgg(picture)
    axes = picture.subplots(len(panels), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    for axis, (title, bars) in zip(axes, panels, strict=True):
        for place, (_, cell, value, target) in enumerate(bars):
            middle = value["value"]
            spread = [[max(middle - value["p20"], 0)], [max(value["p80"] - middle, 0)]]
            axis.barh(place, middle, color=COLORS[cell], height=0.75)
            axis.errorbar(middle, place, xerr=spread, color="#222222", linewidth=1, capsize=2)
            axis.annotate(f" {middle:.3g}", (max(middle, value["p80"]), place), va="center", fontsize=7)
            if target is not None:
                axis.plot([target, target], [place - 0.45, place + 0.45], color="#c53030", linewidth=1.6)
        axis.set_yticks(range(len(bars)), [label for label, *_ in bars], fontsize=7)
        axis.invert_yaxis()
        axis.set_xscale("log")
        axis.axvline(1, color="#222222", linewidth=0.8)
        axis.set_title(title, fontsize=9, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    low, high = axes[0].get_xlim()
    ticks = [tick for tick in (0.5, 1, 2, 3, 5, 10, 20, 30, 50, 100) if low <= tick <= high]
    axes[-1].set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes[-1].minorticks_off()
    axes[-1].set_xlabel("times as fast as torch eager (red: what was asked for)", fontsize=8)
    picture.suptitle(
        f"throughtime against torch {results['versions'].get('torch', '')}: {results['machine']}, "
        f"{results['threads']} threads",
        fontsize=10,
    )
    picture.savefig(path, dpi=130)


def _bars(results: dict[str, Any], mode: str, figure: str) -> list[tuple[str, str, dict[str, float], float | None]]:
    """Label, cell, ratio and least value asked for, of every row that is not void."""
    found = []
    for case in CASES:
        row = results["rows"].get(case.name)
        if case.mode != mode or row is None or row["void"]:
            continue
        for name, value in row["figures"].items():
            if not name.endswith(figure) or case.cell not in COLORS or "onnx" in name:
                continue
            asked = next((target.at_least for target in case.targets if target.figure == name), None)
            what = case.name.removeprefix(f"{mode} ")
            if figure.startswith(" "):
                what += f", {name.removesuffix(figure)}"
            found.append((what, case.cell, value, asked))
    return found
