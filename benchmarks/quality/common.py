"""What the quality scripts share: where and with what a figure was made, and how it is written down."""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from throughtime import Forecaster, __version__

DEFAULT_MACHINE = "2-core x86-64 (Zen 4)"


def surroundings(machine: str, model: Forecaster) -> dict[str, Any]:
    """Machine class, versions, and the backend of the recurrent layers."""
    packages = {"throughtime": __version__} | {name: version(name) for name in ("torch", "numpy", "polars")}
    return {
        "machine": machine,
        "versions": {"python": platform.python_version(), **packages},
        "backend": model.model_.net.recurrent.backend,
    }


def write(content: dict[str, Any], out: Path | None) -> None:
    """Write the figures as JSON, if a path was given."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        print(f"written to {out}")
