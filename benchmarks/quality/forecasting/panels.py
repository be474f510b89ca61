"""Series of public data sets, read from the files as their publishers made them; NaN is a missing value.

NumPy and Polars alone, so that peers in an environment of their own read the same numbers.
"""

import gzip
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The step of time: how many of which of NumPy's units.
STEPS = {
    "yearly": (1, "Y"),
    "quarterly": (3, "M"),
    "monthly": (1, "M"),
    "weekly": (1, "W"),
    "daily": (1, "D"),
    "hourly": (1, "h"),
    "half_hourly": (30, "m"),
    "15 minutes": (15, "m"),
}


@dataclass(frozen=True)
class Panel:
    """Series that step through time alike, in the file's order.

    Attributes:
        starts: the first stamp of each series, in UTC where there is a zone.
        covariates: by name, values as long as those of the series.
        zone: whose clock the frames show; None: stamps without a zone.
    """

    ids: tuple[str, ...]
    values: tuple[Array, ...]
    starts: tuple[np.datetime64, ...]
    step: str
    covariates: Mapping[str, tuple[Array, ...]] = field(default_factory=dict)
    zone: str | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def times(self, series: int, begin: int, end: int) -> NDArray[np.datetime64]:
        """The stamps of the points [begin, end) of a series; they may lie beyond its last value."""
        count, unit = STEPS[self.step]
        first = self.starts[series].astype(f"datetime64[{unit}]")
        found: NDArray[np.datetime64] = (first + count * np.arange(begin, end)).astype("datetime64[us]")
        return found

    def frame(self, begin: Sequence[int] | int = 0, end: Sequence[int] | None = None) -> pl.DataFrame:
        """Points [begin, end) of every series in long format; a missing value is null."""
        begins = [begin] * len(self) if isinstance(begin, int) else list(begin)
        ends = [len(v) for v in self.values] if end is None else list(end)
        sizes = [stop - start for start, stop in zip(begins, ends, strict=True)]
        pieces = list(zip(range(len(self)), begins, ends, strict=True))

        def column(values: Sequence[Array]) -> Array:
            return np.concatenate([values[i][start:stop] for i, start, stop in pieces])

        frame = pl.DataFrame(
            {
                "unique_id": np.repeat(np.array(self.ids), sizes),
                "ds": np.concatenate([self.times(i, start, stop) for i, start, stop in pieces]),
                "y": column(self.values),
                **{name: column(values) for name, values in self.covariates.items()},
            }
        ).with_columns(pl.col("y").fill_nan(None))
        if self.zone is None:
            return frame
        return frame.with_columns(pl.col("ds").dt.replace_time_zone("UTC").dt.convert_time_zone(self.zone))

    def with_values(self, values: Sequence[Array]) -> "Panel":
        """The same series with other values."""
        return replace(self, values=tuple(values))

    def subset(self, which: Sequence[int]) -> "Panel":
        """Some of the series."""
        return replace(
            self,
            ids=tuple(self.ids[i] for i in which),
            values=tuple(self.values[i] for i in which),
            starts=tuple(self.starts[i] for i in which),
            covariates={name: tuple(values[i] for i in which) for name, values in self.covariates.items()},
        )

    def without(self, points: Sequence[int]) -> "Panel":
        """Every series without so many of its first points."""

        def cut(values: Sequence[Array]) -> tuple[Array, ...]:
            return tuple(v[n:] for v, n in zip(values, points, strict=True))

        return replace(
            self,
            values=cut(self.values),
            starts=tuple(self.times(i, n, n + 1)[0] for i, n in enumerate(points)),
            covariates={name: cut(values) for name, values in self.covariates.items()},
        )


def data_folder(given: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder of data sets: as given, or $THROUGHTIME_DATA, or ../shared/data where that exists."""
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    named = given or os.environ.get("THROUGHTIME_DATA")
    return Path(named) if named else beside if beside.is_dir() else None


def read_tsf(path: Path) -> Panel:
    """A .tsf file of the Monash archive: attributes and the frequency in a header, then a line a series."""
    step, attributes, ids, values, starts = "", [], [], [], []
    with gzip.open(path, "rt", encoding="latin-1") as lines:
        for line in map(str.strip, lines):
            if line.startswith("@attribute"):
                attributes.append(line.split()[1])
            elif line.startswith("@frequency"):
                step = line.split()[1]
            elif line and not line.startswith(("#", "@")):
                fields = dict(zip([*attributes, "values"], line.split(":"), strict=True))
                ids.append(fields["series_name"])
                starts.append(np.datetime64(datetime.strptime(fields["start_timestamp"], "%Y-%m-%d %H-%M-%S"), "us"))
                values.append(np.array([np.nan if v == "?" else float(v) for v in fields["values"].split(",")]))
    return Panel(tuple(ids), tuple(values), tuple(starts), step)


def read_m4_hourly(folder: Path) -> Panel:
    """M4's official wide files, training and test part joined: the last 48 values of a series are the test.

    The files hold no dates; every series is given the same first hour.
    """
    parts = []
    for name in ("Hourly-train.csv.gz", "Hourly-test.csv.gz"):
        with gzip.open(folder / name, "rt") as lines:
            next(lines)
            rows = [line.strip().replace('"', "").split(",") for line in lines]
        parts.append({row[0]: np.array([float(v) for v in row[1:] if v]) for row in rows})
    train, test = parts
    values = tuple(np.concatenate((train[name], test[name])) for name in train)
    return Panel(tuple(train), values, (np.datetime64("2015-01-01T00", "us"),) * len(values), "hourly")


def read_csv(path: Path) -> pl.DataFrame:
    """A gzipped CSV file."""
    return pl.read_csv(io.BytesIO(gzip.decompress(path.read_bytes())), try_parse_dates=True)


def read_ett(path: Path, train_rows: int) -> Panel:
    """An ETT file: its 7 variables as 7 series, each standardised by its training rows."""
    table = read_csv(path)
    columns = {name: table[name].to_numpy().astype(np.float64) for name in table.columns if name != "date"}
    values = tuple((v - v[:train_rows].mean()) / v[:train_rows].std() for v in columns.values())
    start = np.datetime64(table["date"][0], "us")
    step = "hourly" if table["date"][1] - table["date"][0] >= np.timedelta64(1, "h") else "15 minutes"
    return Panel(tuple(columns), values, (start,) * len(values), step)


def read_vic_elec(path: Path) -> Panel:
    """Half-hourly demand of Victoria on its own clock, with temperature and public holidays."""
    table = read_csv(path)
    columns = {name: table[name].to_numpy().astype(np.float64) for name in ("Demand", "Temperature", "Holiday")}
    start = np.datetime64(table["time_utc"].dt.replace_time_zone(None)[0], "us")
    covariates = {name.lower(): (columns[name],) for name in ("Temperature", "Holiday")}
    return Panel(("Victoria",), (columns["Demand"],), (start,), "half_hourly", covariates, "Australia/Melbourne")


def weekday_medians(values: Array) -> Array:
    """Gaps filled as NN5's publishers of the filled file did: the median of the same weekday along the whole series."""
    filled = values.copy()
    for day in range(7):
        mine = filled[day::7]
        mine[np.isnan(mine)] = np.nanmedian(mine)
    return filled
