"""Two small real series in the public domain, for the demo and the tests; files/README.md says where they come from."""

from importlib import resources
from typing import TYPE_CHECKING

from throughtime._extras import require
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from polars import DataFrame

__all__ = ["SERIES", "load"]

SERIES = ("co2", "sunspots")


def load(name: str) -> "DataFrame":
    """A shipped series as a long Polars frame: `unique_id` (its name), `ds`, `y`.

    - `"co2"`: monthly mean CO2 at Mauna Loa, March 1958 to December 2001; `ds` is the first of the month (Date). Five
      months without a measurement (June and October 1958, February to April 1964) are interpolated.
    - `"sunspots"`: yearly mean sunspot number, 1700 to 2008; `ds` is the year (an integer).

    Units:
        co2 in parts per million by volume; sunspots in sunspot numbers.

    Raises:
        ArgumentError: no such series.

    Source:
        co2: Keeling and Whorf 2004. sunspots: NOAA National Geophysical Data Center. Both by way of statsmodels.

    >>> load("co2").shape
    (526, 3)
    """
    pl = require("polars", extra="frames")
    if name not in SERIES:
        raise ArgumentError(
            f"datasets.load: expected one of {', '.join(map(repr, SERIES))}, got {name!r}; pass one of these"
        )
    time_type = {"co2": pl.Date, "sunspots": pl.Int64}[name]
    content = resources.files(__package__).joinpath("files", f"{name}.csv").read_bytes()
    frame: DataFrame = pl.read_csv(content, schema={"ds": time_type, "y": pl.Float64})
    return frame.select(pl.lit(name).alias("unique_id"), "ds", "y")
