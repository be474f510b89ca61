"""Static columns of a long frame: one number or one label for each series."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.series.columns import Place, as_text, read_values
from throughtime.data.series.covariates import Covariates
from throughtime.data.series.native import Frame
from throughtime.errors import DataError

__all__ = ["Statics", "read_statics"]

_log = logging.getLogger("throughtime")

_SHOWN = 3  # unseen labels that a message lists


class Statics:
    """Static columns as they are read, one after another: numbers and labels apart."""

    def __init__(self, codes: NDArray[np.int64], ids: Sequence[str | int], who: str, describe: Place) -> None:
        self.codes, self.ids, self.who, self.describe = codes, ids, who, describe
        self.numbers: dict[str, NDArray[np.float64]] = {}
        self.labels: dict[str, NDArray[np.int64]] = {}
        self.categories: list[tuple[str, ...]] = []

    def add_numbers(self, frame: Frame, name: str) -> None:
        values = read_values(frame, name, self.who, self.describe, missing=True, flags=True)
        chosen = self._one_each(values, ~np.isnan(values), name, lambda row: float(values[row]))
        gone = np.flatnonzero(chosen < 0)
        if gone.size:
            raise DataError(
                f"{self.who}: expected a number in {name} for every series, got none in series "
                f"{self.ids[int(gone[0])]!r}; fill it in or leave the column out"
            )
        self.numbers[name] = values[chosen]

    def add_labels(self, column: Any, vocabulary: tuple[str, ...] | None) -> None:
        pl = require("polars", extra="frames")
        text = as_text(column)
        known = vocabulary if vocabulary is not None else tuple(text.drop_nulls().unique().sort().to_list())
        # Codes of the frame's own labels first, so that two labels that training has not seen still differ.
        own = tuple(text.drop_nulls().unique().sort().to_list())
        numbers = pl.DataFrame(
            {"label": pl.Series(own, dtype=pl.String), "code": np.arange(1, len(own) + 1, dtype=np.int64)}
        )
        rows = text.alias("label").to_frame().join(numbers, on="label", how="left", maintain_order="left")
        codes = rows["code"].fill_null(0).to_numpy().astype(np.int64)
        chosen = self._one_each(codes, codes > 0, column.name, lambda row: own[codes[row] - 1])
        place = {label: number for number, label in enumerate(known, 1)}
        translate = np.array([0, *(place.get(label, 0) for label in own)], dtype=np.int64)
        unseen = [label for label in own if label not in place]
        if unseen:
            shown = ", ".join(map(repr, unseen[:_SHOWN])) + (", ..." if len(unseen) > _SHOWN else "")
            _log.warning(
                "%s: %d label%s of %s not seen in training (%s), handled as unknown",
                self.who, len(unseen), "" if len(unseen) == 1 else "s", column.name, shown,
            )  # fmt: skip
        self.labels[column.name] = np.where(chosen < 0, 0, translate[codes[np.maximum(chosen, 0)]])
        self.categories.append(known)

    def _one_each(self, values: NDArray[Any], given: NDArray[np.bool_], name: str, show: Any) -> NDArray[np.int64]:
        """A row of each series that has a value, -1 where none has; all rows of a series must agree."""
        rows = np.flatnonzero(given)
        chosen = np.full(len(self.ids), -1, dtype=np.int64)
        chosen[self.codes[rows[::-1]]] = rows[::-1]
        other = np.flatnonzero(values[rows] != values[chosen[self.codes[rows]]])
        if other.size:
            row = int(rows[other[0]])
            raise DataError(
                f"{self.who}: expected one value of the static column {name} in every series, got "
                f"{show(int(chosen[self.codes[row]]))!r} and {show(row)!r} at {self.describe(row)}; name a column "
                "that changes with time in past or future"
            )
        return chosen


def read_statics(
    frame: Frame,
    names: Sequence[str],
    fitted: Covariates | None,
    codes: NDArray[np.int64],
    ids: Sequence[str | int],
    who: str,
    describe: Place,
) -> Covariates:
    """Static columns: numbers and flags as numbers, everything else as labels; after `fitted` where it is given.

    Args:
        codes: the series of each row, by number.

    Raises:
        DataError: a column that changes within a series, or a series without a number.
    """
    nw = require("narwhals", extra="frames")
    statics = Statics(codes, ids, who, describe)
    for name in names:
        numeric = frame.dtype(name).is_numeric() or frame.dtype(name) == nw.Boolean
        if fitted is not None:
            numeric = name in fitted.static_numeric_names
        if numeric:
            statics.add_numbers(frame, name)
        else:
            vocabulary = None if fitted is None else fitted.categories[fitted.static_category_names.index(name)]
            statics.add_labels(frame[name], vocabulary)
    S = len(ids)
    return Covariates(
        static_numeric_names=tuple(statics.numbers),
        static_numeric=np.stack(list(statics.numbers.values()), axis=1) if statics.numbers else np.zeros((S, 0)),
        static_category_names=tuple(statics.labels),
        static_categories=np.stack(list(statics.labels.values()), axis=1)
        if statics.labels
        else np.zeros((S, 0), dtype=np.int64),
        categories=tuple(statics.categories),
    )
