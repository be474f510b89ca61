"""Medians, ratios, equality, and what makes a figure void."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.cases import Case, Target

SLOWER_BESIDE_US = 1.05
"""A peer may take so many times as long in a process with us as in one without."""
FOREIGN_SHARE = 0.05
"""Other programs may use such a share of the machine's processors."""
LOOP_SPREAD = 1.10
"""The 80th percentile of a fixed loop's time may be so many times its 20th."""

Rounds = list[list[float]]
"""Seconds of single calls, a list a round."""


def summary(rounds: Rounds) -> dict[str, Any]:
    """Median, p20 and p80 of all calls, in seconds."""
    seconds = np.concatenate([np.asarray(r) for r in rounds])
    low, middle, high = np.quantile(seconds, (0.2, 0.5, 0.8))
    return {"median": float(middle), "p20": float(low), "p80": float(high), "calls": len(seconds)}


def ratio(above: Rounds, below: Rounds) -> dict[str, float]:
    """Ratio of the medians, and p20 and p80 of the rounds' own ratios."""
    of_rounds = [np.median(a) / np.median(b) for a, b in zip(above, below, strict=True)]
    low, high = np.quantile(of_rounds, (0.2, 0.8))
    value = summary(above)["median"] / summary(below)["median"]
    return {"value": float(value), "p20": float(low), "p80": float(high)}


def difference(ours: Mapping[str, NDArray[Any]], theirs: Mapping[str, NDArray[Any]]) -> tuple[float, str]:
    """The largest difference of two sets of arrays, as a share of an array's largest magnitude, and which array it is.

    Arrays that only one side has are not compared; nothing in common, other shapes or a NaN count as infinite.
    """
    common = sorted(set(ours) & set(theirs))
    if not common:
        return float("inf"), "nothing in common"
    worst, where = 0.0, common[0]
    for name in common:
        a, b = np.asarray(ours[name], np.float64), np.asarray(theirs[name], np.float64)
        if a.shape != b.shape:
            return float("inf"), f"{name} {a.shape} and {b.shape}"
        found = float(np.abs(a - b).max(initial=0.0) / max(np.abs(b).max(initial=0.0), np.finfo(np.float32).tiny))
        if not found <= worst:
            worst, where = (found if np.isfinite(found) else float("inf")), name
    return worst, where


def equality_faults(case: Case, differences: Mapping[str, tuple[float, str]]) -> list[str]:
    """Why the numbers of ours and of the peers are not the same."""
    return [
        f"equality: {where} differs from {peer}'s by {value:.1e} of its size, at most {case.tolerance:g} expected"
        for peer, (value, where) in differences.items()
        if not value <= case.tolerance
    ]


def beside_faults(alone: Mapping[str, Rounds], beside: Mapping[str, Rounds]) -> list[str]:
    """Which peers our presence slows."""
    found = []
    for name, rounds in beside.items():
        times = summary(rounds)["median"] / summary(alone[name])["median"]
        if not times <= SLOWER_BESIDE_US:
            found.append(f"beside us: {name} takes {times:.2f}× as long as in a process without us")
    return found


def busy_faults(foreign_share: float | None, loop: Sequence[float]) -> list[str]:
    """Why the machine was not quiet enough; `foreign_share` is None where the system does not tell."""
    found = []
    if foreign_share is not None and not foreign_share <= FOREIGN_SHARE:
        found.append(f"busy: other programs used {100 * foreign_share:.0f} % of the machine")
    low, high = np.quantile(loop, (0.2, 0.8))
    if not high <= LOOP_SPREAD * low:
        found.append(f"busy: a fixed loop took {high / low:.2f}× as long at its 80th percentile as at its 20th")
    return found


def figures(
    case: Case,
    ours: Mapping[str, Rounds],
    peers: Mapping[str, Rounds],
    *,
    first: float,
    valid: float,
    peak_gflops: float,
) -> dict[str, dict[str, float]]:
    """The figures of a case by name: ratios, and what its mode adds.

    Args:
        ours: our jobs, in the process that has us.
        peers: every peer, in a process without us.
        first: seconds of our first call in its process.
        valid: share of time steps that are inside the lengths.
        peak_gflops: fused multiply-adds of float32 that the machine can do at `threads`, counted as two.
    """
    base = ours["ours"]
    middle = {name: summary(rounds)["median"] for name, rounds in ours.items()}
    found = {f"{name} / ours": ratio(rounds, base) for name, rounds in peers.items()}
    if case.mode in ("train", "pair", "bfloat16"):
        rate = case.training_flops / middle["ours"] / 1e9
        found["GFLOP/s"] = {"value": rate}
        if np.isfinite(peak_gflops):
            found["share of peak"] = {"value": rate / peak_gflops}
    if case.mode == "pair":
        found[f"ours / {case.base}"] = ratio(base, ours[case.base])
    if case.mode == "bfloat16":
        found["float32 / ours"] = ratio(ours["float32"], base)
    if case.mode == "ragged":
        found["valid"] = {"value": valid}
        for name in ("ours", "sorted"):
            share = ratio(ours[name], ours["dense"])
            found[f"{name} / (dense × valid)"] = {key: value / valid for key, value in share.items()}
    if case.mode == "step":
        found["ours, µs"] = {key: 1e6 * value for key, value in _three(base).items()}
    if case.mode == "epoch":
        found["ours, s"] = _three(base)
        found["ours − constant, s"] = {"value": middle["ours"] - middle["constant"]}
        found["first in the process / second"] = {"value": first / middle["second epoch"]}
    if case.mode == "pool":
        apart = middle["ours"] + middle["product"]
        found["taking turns / (ours + product)"] = {"value": middle["taking turns"] / apart}
        for name in ("call", "borrowed call", "product"):
            used = 1e6 * (middle[f"after a {name}"] - middle["nap"])
            found[f"processor time after a {name}, µs"] = {"value": used}
    return found


def _three(rounds: Rounds) -> dict[str, float]:
    all_calls = summary(rounds)
    return {"value": all_calls["median"], "p20": all_calls["p20"], "p80": all_calls["p80"]}


def judge(targets: Sequence[Target], found: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Each target with what was found; a figure that was not taken (a peer not installed) is left out."""
    return [
        {
            "figure": target.figure,
            "target": str(target),
            "value": found[target.figure]["value"],
            "met": target.met(found[target.figure]["value"]),
        }
        for target in targets
        if target.figure in found
    ]
