"""Makes tests/data/golden_v1: model folders of format version 1 and what they forecast.

Every later version must read these folders and forecast the same within 1e-6. They are made once, when a format
version is settled, and never again: this script refuses to write over them.

    python tools/make_golden.py [FOLDER]
"""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl

from throughtime import Forecaster

GOLDEN = Path(__file__).parents[1] / "tests" / "data" / "golden_v1"

MODELS = {
    "recursive-lstm": {"strategy": "recursive", "cell": "lstm", "scaling": "window", "anchor": "last"},
    "direct-peephole-lstm": {"strategy": "direct", "cell": "peephole-lstm", "scaling": "global", "anchor": "level"},
    "sequence-gru": {"strategy": "sequence", "cell": "gru", "scaling": "series", "anchor": "seasonal"},
}


def history() -> pl.DataFrame:
    """Two series of months, of unequal length: a formula, so that no file has to be kept."""
    rows = []
    for i, n in enumerate((40, 33)):
        t = np.arange(n)
        months = pl.date_range(pl.date(2015, 1 + i, 1), pl.date(2030, 1, 1), "1mo", eager=True)[:n]
        y = 10.0 * (i + 1) + 0.1 * t + np.sin(np.pi * t / 6) + 0.3 * np.cos(1.7 * t * t)
        rows.append(pl.DataFrame({"unique_id": [f"golden {i}"] * n, "ds": months, "y": y}))
    return pl.concat(rows)


def main(folder: Path) -> None:
    if folder.exists():
        sys.exit(f"make_golden: expected a new folder, got {folder}, which is there; golden models are made once")
    folder.mkdir(parents=True)
    df, expected = history(), {}
    for name, options in MODELS.items():
        model = Forecaster(3, hidden_size=4, num_layers=2, epochs=3, input_size=14, seed=1, **options).fit(df)
        model.save(folder / name)
        found = model.predict()
        expected[name] = {
            "unique_id": found["unique_id"].to_list(),
            "ds": [str(day) for day in found["ds"]],
            "forecast": found["forecast"].to_list(),
            "forecast of the first 20": model.predict(df.group_by("unique_id", maintain_order=True).head(20))[
                "forecast"
            ].to_list(),
            "metrics": model.evaluate(df).metrics,
        }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN)
