"""The Markdown tables of benchmarks/quality/README.md, made from the results files and put between their marks there.

python -m benchmarks.quality.forecasting.tables
"""

import json
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
        "| set | measure | throughtime | asked | | published | intervals held, in % | minutes (processor) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, of in by_set([run for run in runs if run["method"] == OURS]).items():
        figure, target = mean(run["figure"] for run in of), of[0]["target"]
        verdict = "" if target is None else "met" if figure <= target else "**missed**"
        seeds = "" if len(of) == 1 else f" (mean of {len(of)} seeds)"
        published = ", ".join(f"{who} {value:g}" for who, value in of[0]["published"].items())
        minutes = f"{mean(run['minutes'] for run in of):.1f} ({mean(run['cpu_minutes'] for run in of):.1f})"
        asked = "" if target is None else f"{target:g}"
        intervals = ", ".join(
            f"{level}: {mean(run['coverage'][level]['coverage'] for run in of):.1f}"
            for level in of[0].get("coverage", {})
        )
        cells = (name, of[0]["measure"], f"{figure:.4f}{seeds}", asked, verdict, published, intervals, minutes)
        lines.append(f"| {' | '.join(cells)} |")
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


def put(table: str, mark: str, page: str) -> str:
    """The page with the table between its two marks."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"tables: expected the marks {begin.strip()} and {end} in the page, got none; put them there")
    return f"{before}{begin}\n{table}\n\n{end}{after}"


def main() -> None:
    quality = Path(__file__).resolve().parents[1]
    readme, results = quality / "README.md", quality.parent / "results"
    ours, peers = (
        json.loads(path.read_text())["runs"] if path.exists() else []
        for path in (results / "forecasting.json", results / "forecasting_peers.json")
    )
    page = put(figures_table(ours), "forecasting.json", readme.read_text())
    readme.write_text(put(peers_table(ours, peers), "forecasting_peers.json", page))


if __name__ == "__main__":
    main()
