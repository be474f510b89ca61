"""results/speed.json: what ran where, and a row a case. Rows that stand there already are not measured again."""

import json
import os
from pathlib import Path
from typing import Any

FORMAT = 1


def read(path: Path) -> dict[str, Any]:
    """The results so far, or an empty set of them."""
    if not path.exists():
        return {"format": FORMAT, "rows": {}}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if found.get("format") != FORMAT:
        raise SystemExit(f"{path}: expected format {FORMAT}, got {found.get('format')!r}; give another --out")
    return found


def write(path: Path, results: dict[str, Any]) -> None:
    """All of it or nothing: an interrupted run leaves the rows that it had."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(_rounded(results), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def same_conditions(row: dict[str, Any] | None, conditions: dict[str, Any]) -> bool:
    """Whether a row is there, is not void, and was taken under these conditions."""
    return row is not None and not row["void"] and row["conditions"] == conditions


def _rounded(value: Any) -> Any:
    """Five significant digits, and null for what is not finite."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if abs(value) < float("inf") else None
    return value
