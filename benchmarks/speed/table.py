"""The results for people: a line a case."""

from collections.abc import Iterable
from typing import Any

SHOWN = {
    "pair": ("ours / ",),
    "bfloat16": ("float32 / ours",),
    "ragged": ("torch packed / ours", "ours / (", "sorted / ("),
    "step": ("ours, µs", " / ours"),
    "epoch": ("ours, s", "ours − constant, s", "torch / ours", "first in"),
    "pool": ("taking turns", "processor time"),
    "memory": ("ours / torch", "ours, MiB", "torch, MiB"),
}
"""Mode to the beginnings or ends of the figures that a line shows, apart from ratios to peers and the share of peak."""


def header(results: dict[str, Any]) -> str:
    """What all rows have in common."""
    versions = ", ".join(f"{name} {value}" for name, value in sorted(results["versions"].items()))
    peak = results["peak"]
    # Read back from a file, a peak that was not measured is None.
    measured = f"{peak['GFLOP/s']:.0f} GFLOP/s " if peak["GFLOP/s"] else ""
    return (
        f"{results['machine']}; {results['threads']} threads; seed {results['seed']}\n{versions}\n"
        f"float32 FMA peak {measured}({peak['how']}); "
        f"torch's product of {peak['sgemm size']}×{peak['sgemm size']} reaches {peak['sgemm GFLOP/s']:.0f}"
    )


def line(name: str, row: dict[str, Any]) -> str:
    """One case: its figures, the targets beside them, how equal the numbers are, and why it is void."""
    targets = {target["figure"]: target for target in row["targets"]}
    mode = name.partition(" ")[0]
    parts = [
        _figure(figure, value, targets.get(figure))
        for figure, value in row["figures"].items()
        if figure in targets or _shown(mode, figure)
    ]
    worst = max((found["value"] for found in row["differences"].values()), default=None)
    equal = "" if worst is None else f"; equal to {worst:.0e}"
    ours = row.get("seconds", {}).get("ours", {}).get("ours")
    time = f"ours {_time(ours)}; " if ours else ""
    void = "".join(f"\n    void: {fault}" for fault in row["void"])
    return f"{name}: {time}{'; '.join(parts)}{equal}{void}"


def _shown(mode: str, figure: str) -> bool:
    marks = SHOWN.get(mode, ())
    return figure.endswith(" / ours") or figure == "share of peak" or any(figure.startswith(mark) for mark in marks)


def _figure(name: str, value: dict[str, float], target: dict[str, Any] | None) -> str:
    shown = f"{value['value']:.0%}" if name == "share of peak" else f"{value['value']:.3g}"
    spread = f" [{value['p20']:.3g} {value['p80']:.3g}]" if "p20" in value else ""
    asked = "" if target is None else f" ({target['target']}: {'met' if target['met'] else 'NOT MET'})"
    return f"{name} {shown}{spread}{asked}"


def _time(summary: dict[str, float]) -> str:
    middle = summary["median"]
    scale, unit = (1e6, "µs") if middle < 1e-3 else (1e3, "ms") if middle < 1 else (1, "s")
    return f"{scale * middle:.3g} {unit} [{scale * summary['p20']:.3g} {scale * summary['p80']:.3g}]"


def tally(rows: Iterable[dict[str, Any]]) -> str:
    """How many targets were met, of how many, and how many rows are void."""
    kept = list(rows)
    targets = [target for row in kept if not row["void"] for target in row["targets"]]
    met = sum(target["met"] for target in targets)
    return f"{met} of {len(targets)} targets met; {sum(bool(row['void']) for row in kept)} of {len(kept)} rows void"
