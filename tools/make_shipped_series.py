"""Rebuild the series that ship in src/throughtime/datasets/files, from the copies in statsmodels.

    python tools/make_shipped_series.py [folder]      (needs statsmodels and pandas)

co2: weekly means at Mauna Loa are averaged over the weeks that begin in a month; a month without a week is filled on a
straight line between its neighbours. sunspots: as they are.
"""

import sys
from pathlib import Path

import statsmodels.api as sm

FILES = Path(__file__).resolve().parent.parent / "src" / "throughtime" / "datasets" / "files"


def co2() -> str:
    """Monthly CO2 in ppm as CSV, two decimals (the weekly data has one)."""
    monthly = sm.datasets.co2.load_pandas().data["co2"].resample("MS").mean()
    print("co2: months filled in:", ", ".join(f"{month:%Y-%m}" for month in monthly.index[monthly.isna()]))
    rows = (f"{month:%Y-%m-%d},{value:.2f}" for month, value in monthly.interpolate("linear").items())
    return "\n".join(["ds,y", *rows, ""])


def sunspots() -> str:
    """Yearly mean sunspot number as CSV."""
    data = sm.datasets.sunspots.load_pandas().data
    rows = (f"{year:.0f},{value:.1f}" for year, value in zip(data["YEAR"], data["SUNACTIVITY"], strict=True))
    return "\n".join(["ds,y", *rows, ""])


def main() -> None:
    """Write both files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FILES
    for name, text in (("co2", co2()), ("sunspots", sunspots())):
        (folder / f"{name}.csv").write_text(text, encoding="utf-8", newline="\n")
        print(f"{name}: {text.count(chr(10)) - 1} rows to {folder / name}.csv")


if __name__ == "__main__":
    main()
