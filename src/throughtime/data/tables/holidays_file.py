"""Holidays from files."""

import datetime
import os

from throughtime.data.tables.files import read_table
from throughtime.data.times.holidays import holiday_dates
from throughtime.errors import DataError

__all__ = ["read_holidays"]

_DATE, _NAME = "ds", "holiday"


def read_holidays(path: str | os.PathLike[str]) -> dict[str, tuple[str, ...]]:
    """Holidays from a table (`read_table`): dates by name, as `holiday_dates` gives them.

    The table has a column `ds` of dates and, where there are several kinds, a column `holiday` of their names; other
    columns are left alone. Without names all are called "holiday".

    Raises:
        DataError: as `read_table`; no column `ds`; a date that cannot be read, or a row without a name, by its line.
    """
    table = read_table(path)
    frame = table.frame
    if _DATE not in frame.columns:
        shown = ", ".join(map(repr, frame.columns))
        raise DataError(
            f"{path}: expected a column {_DATE!r} of dates, got the columns {shown}; rename that of the dates"
        )
    dates = frame[_DATE].to_list()
    names = frame[_NAME].to_list() if _NAME in frame.columns else [_NAME] * len(dates)
    found: dict[str, list[datetime.date]] = {}
    for row, (date, name) in enumerate(zip(dates, names, strict=True)):
        text = "" if name is None else str(name).strip()
        if not text:
            raise DataError(
                f"{path}: expected the name of a holiday in every row of {_NAME}, got none at {table.place(row)}; fill "
                "it in, or leave the column out"
            )
        found.setdefault(text, []).append(_day(date, f"{path}, {table.place(row)}"))
    return holiday_dates(found, str(path))


def _day(date: object, where: str) -> datetime.date:
    if isinstance(date, datetime.datetime):
        return date.date()
    if isinstance(date, datetime.date):
        return date
    try:
        return datetime.date.fromisoformat(str(date).strip())
    except ValueError as error:
        raise DataError(f"{where}: expected a date such as 2024-12-25, got {date!r}; rewrite the date") from error
