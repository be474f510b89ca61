"""The Markdown tables of benchmarks/quality/README.md, made from results files: ours alone, or ours and the peers'.

python -m benchmarks.quality.forecasting.tables forecasting.json
python -m benchmarks.quality.forecasting.tables forecasting.json forecasting_peers.json
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

OURS = "throughtime"
Runs = Sequence[dict[str, Any]]


def name_of(run: dict[str, Any]) -> str:
    """The set, with the horizon where it has several."""
    return f"{run['set']} {run['horizon']}" if run["set"].startswith("ett") else str(run["set"])


def by_set(runs: Runs) -> dict[str, list[dict[str, Any]]]:
    """Runs of a set together, in the order in which the sets came."""
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        found.setdefault(name_of(run), []).append(run)
    return found


def figures_table(runs: Runs) -> str:
    """A row a set: the figure, the mean over seeds, beside target and published figures."""
    lines = [
        "| set | measure | throughtime | asked | | published | minutes (processor) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, of in by_set([run for run in runs if run["method"] == OURS]).items():
        figure, target = mean(run["figure"] for run in of), of[0]["target"]
        verdict = "" if target is None else "met" if figure <= target else "**missed**"
        seeds = "" if len(of) == 1 else f" (mean of {len(of)} seeds)"
        published = ", ".join(f"{who} {value:g}" for who, value in of[0]["published"].items())
        minutes = f"{mean(run['minutes'] for run in of):.1f} ({mean(run['cpu_minutes'] for run in of):.1f})"
        asked = "" if target is None else f"{target:g}"
        lines.append(
            f"| {name} | {of[0]['measure']} | {figure:.4f}{seeds} | {asked} | {verdict} | {published} | {minutes} |"
        )
    return "\n".join(lines)


def peers_table(runs: Runs, peers: Runs) -> str:
    """A row a set, a column a method, the winner in bold; minutes in brackets."""
    ours = by_set([run for run in runs if run["method"] == OURS])
    methods = [OURS, *dict.fromkeys(run["method"] for run in peers)]
    lines = ["| set | measure | " + " | ".join(methods) + " |", "|---" * (len(methods) + 2) + "|"]
    for name, of in by_set(peers).items():
        row = {run["method"]: (run["figure"], run["minutes"]) for run in of}
        if name in ours:
            row[OURS] = (mean(r["figure"] for r in ours[name]), mean(r["minutes"] for r in ours[name]))
        best = min(figure for figure, _ in row.values())
        cells = []
        for method in methods:
            figure, minutes = row.get(method, (None, 0.0))
            mark = "**" if figure == best else ""
            cells.append("" if figure is None else f"{mark}{figure:.4f}{mark} ({minutes:.1f})")
        lines.append(f"| {name} | {of[0]['measure']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    runs, *others = (json.loads(Path(path).read_text())["runs"] for path in sys.argv[1:])
    print(peers_table(runs, others[0]) if others else figures_table(runs))


if __name__ == "__main__":
    main()
