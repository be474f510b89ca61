"""What is known beside the values of series: past, known-future and static columns.

Axes: N rows of all series, S series; P past, F known-future, Q static numeric and C static category columns.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.times.clock import format_time
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError

__all__ = ["Covariates", "check_known", "column_names"]

Values = NDArray[np.float64]
Codes = NDArray[np.int64]

_NAMES = ("past_names", "future_names", "static_numeric_names", "static_category_names")


@dataclass(frozen=True, eq=False)
class Covariates:
    """Columns beside the target, in the order of the rows and series that they belong to.

    Attributes:
        past_names: columns known up to the present, such as a measured temperature.
        past: (N, P) float64; NaN where nothing was measured.
        future_names: columns known for the future too, such as a holiday or a price list.
        future: (N, F) float64, finite.
        static_numeric_names: columns with one number a series.
        static_numeric: (S, Q) float64, finite.
        static_category_names: columns with one label a series.
        static_categories: (S, C) int64: 0 where the label is missing or not in the vocabulary, i + 1 for
            `categories[c][i]`.
        categories: the C vocabularies, each sorted.
    """

    past_names: tuple[str, ...] = ()
    past: Values = dataclasses.field(default_factory=lambda: np.zeros((0, 0)))
    future_names: tuple[str, ...] = ()
    future: Values = dataclasses.field(default_factory=lambda: np.zeros((0, 0)))
    static_numeric_names: tuple[str, ...] = ()
    static_numeric: Values = dataclasses.field(default_factory=lambda: np.zeros((0, 0)))
    static_category_names: tuple[str, ...] = ()
    static_categories: Codes = dataclasses.field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    categories: tuple[tuple[str, ...], ...] = ()

    @property
    def static_names(self) -> tuple[str, ...]:
        """Static columns of both kinds."""
        return self.static_numeric_names + self.static_category_names

    def take(self, series: NDArray[np.int64], rows: NDArray[np.int64]) -> "Covariates":
        """Those of some series (by number) and of some rows."""
        return dataclasses.replace(
            self,
            past=self.past[rows],
            future=self.future[rows],
            static_numeric=self.static_numeric[series],
            static_categories=self.static_categories[series],
        )

    def labels(self, column: int) -> list[str | None]:
        """The labels of static category `column`, one a series; None for code 0."""
        known = (None, *self.categories[column])
        return [known[code] for code in self.static_categories[:, column].tolist()]

    def to_json(self) -> dict[str, Any]:
        """Names and vocabularies, without rows: what a fitted model keeps."""
        names = {name: list(getattr(self, name)) for name in _NAMES}
        return {**names, "categories": [list(each) for each in self.categories]}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Covariates":
        """What `to_json` wrote, with no rows: pass it as `fitted` to `read_series`.

        Raises:
            DataError: a field is missing, unknown or of a wrong type.
        """

        def is_texts(value: object) -> bool:
            return isinstance(value, list) and all(type(each) is str for each in value)

        wanted = {*_NAMES, "categories"}
        if (
            not isinstance(fields, Mapping)
            or set(fields) != wanted
            or not all(is_texts(fields[name]) for name in _NAMES)
            or not isinstance(fields["categories"], list)
            or not all(is_texts(each) for each in fields["categories"])
            or len(fields["categories"]) != len(fields["static_category_names"])
        ):
            raise DataError(
                f"Covariates.from_json: expected the fields that to_json writes, got {fields!r}; pass what it wrote"
            )
        P, F, Q, C = (len(fields[name]) for name in _NAMES)
        return cls(
            past_names=tuple(fields["past_names"]),
            past=np.zeros((0, P)),
            future_names=tuple(fields["future_names"]),
            future=np.zeros((0, F)),
            static_numeric_names=tuple(fields["static_numeric_names"]),
            static_numeric=np.zeros((0, Q)),
            static_category_names=tuple(fields["static_category_names"]),
            static_categories=np.zeros((0, C), dtype=np.int64),
            categories=tuple(tuple(each) for each in fields["categories"]),
        )


def column_names(who: str, role: str, names: str | Sequence[str]) -> tuple[str, ...]:
    """The names in an argument: a name, or several.

    Raises:
        ArgumentTypeError: something that is not a name.
        ArgumentError: a name twice.
    """
    found = (names,) if isinstance(names, str) else names
    if not isinstance(found, Sequence) or not all(isinstance(name, str) for name in found):
        raise ArgumentTypeError(f"{who}: expected {role} to be names of columns, got {names!r}; pass a list of text")
    repeated = next((name for name in found if found.count(name) > 1), None)
    if repeated is not None:
        raise ArgumentError(f"{who}: expected columns of {role} that differ, got {repeated!r} twice; name it once")
    return tuple(found)


def check_known(
    covariates: Covariates,
    times: NDArray[Any],
    offsets: NDArray[np.int64],
    ids: Sequence[str | int],
    time_zone: str | None,
    who: str,
    *,
    fitted: bool = False,
) -> None:
    """Check that known-future columns have a value in every step.

    Args:
        fitted: a model expects these columns, so that no other role is left for them.

    Raises:
        DataError: names the column, the series and the first step without a value.
    """
    gone = np.isnan(covariates.future)
    if not gone.any():
        return
    step, column = (int(each[0]) for each in np.nonzero(gone))
    series = int(np.searchsorted(offsets, step, side="right")) - 1
    count = int(gone.any(axis=1).sum())
    others = "" if count == 1 else f" (and in {count - 1} more step{'s' if count > 2 else ''})"
    other_way = "" if fitted else ", or name the column in past"
    raise DataError(
        f"{who}: expected {covariates.future_names[column]}, which is known for the future too, in every step of "
        f"series {ids[series]!r}, got none for {format_time(times[step], time_zone)}{others}; fill it in (the value to "
        f"forecast may stay empty){other_way}"
    )
