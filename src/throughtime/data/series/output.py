"""Frames out: of the kind that the series came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from throughtime.data.series.series import SeriesSet

__all__ = ["FrameKind", "build_frame"]

Times = NDArray[Any]


@dataclass(frozen=True)
class FrameKind:
    """What the frame was, so that the same kind comes out.

    Attributes:
        backend: the library, as narwhals names it.
        id_dtype: narwhals type of the id column; None where there was no column.
        time_dtype: narwhals type of the time column.
        text_form: strftime form of dates that came as text.
    """

    backend: Any
    id_dtype: Any = None
    time_dtype: Any = None
    text_form: str | None = None


def build_frame(columns: Mapping[str, NDArray[Any]], like: "SeriesSet") -> Any:
    """A frame of the kind that `like` came from.

    Every datetime64 column is written as the time column came (type, zone, or text in the same form); the id and the
    time column get their own type back.

    Args:
        columns: name to (N,) array: numbers, text (object or str), int64 or datetime64[us] (UTC where there is a zone).

    Raises:
        ArgumentError: the columns differ in length.
    """
    nw = require("narwhals", extra="frames")
    sizes = {name: len(values) for name, values in columns.items()}
    if len(set(sizes.values())) != 1:
        raise ArgumentError(f"build_frame: expected columns of one length, got {sizes}; pass arrays of as many values")
    plain = _plain_frame(columns, like)
    if plain is not None:
        return plain
    kind = like.kind
    built = []
    for name, values in columns.items():
        if np.issubdtype(values.dtype, np.datetime64):
            column = _times_column(name, values, like)
        else:
            dtype = nw.String if values.dtype.kind in "OU" else None
            content = values.tolist() if dtype is not None else np.ascontiguousarray(values)
            column = nw.new_series(name, content, dtype, backend=kind.backend)
            wanted = {like.id_col: kind.id_dtype, like.time_col: kind.time_dtype}.get(name)
            if wanted is not None and column.dtype != wanted and wanted not in (nw.Object, nw.Unknown):
                column = column.cast(wanted)
        built.append(column)
    # narwhals' from_dict loses the zone of a pandas column on the way.
    return built[0].to_frame().with_columns(*built[1:]).to_native()


def _plain_frame(columns: Mapping[str, NDArray[Any]], like: "SeriesSet") -> Any:
    """The frame by one call of its own library, where every column is a plain one; else None.

    A forecast of one series has some tens of rows, and narwhals takes longer to build their frame than the net to
    make the numbers.
    """
    kind, nw = like.kind, require("narwhals", extra="frames")
    library = str(getattr(kind.backend, "value", kind.backend))
    if library not in ("pandas", "polars", "pyarrow"):
        return None
    native = require(library, extra="frames")
    found: dict[str, Any] = {}
    for name, values in columns.items():
        wanted = {like.id_col: kind.id_dtype, like.time_col: kind.time_dtype}.get(name)
        if values.dtype.kind == "M" and kind.text_form is not None:
            if kind.time_dtype != nw.String:
                return None
            found[name] = _plain_text(_stamps_as_text(values, _form(kind.text_form, like)), library, native)
        elif values.dtype.kind == "M":
            if not isinstance(kind.time_dtype, nw.Datetime):
                return None
            found[name] = _plain_stamps(values, kind.time_dtype, library, native)
        elif values.dtype.kind in "fi":
            if wanted not in (None, nw.Int64 if values.dtype == np.int64 else None):
                return None
            found[name] = np.ascontiguousarray(values)
        elif values.dtype.kind == "O":
            if wanted not in (None, nw.String) or not all(type(each) is str for each in values.tolist()):
                return None
            found[name] = _plain_text(values, library, native)
        else:
            return None
    if library == "pyarrow":
        return native.table(found)
    if library == "pandas":
        return native.DataFrame(found)
    first, *others = (
        native.Series(name, values) if isinstance(values, np.ndarray) else values.alias(name)
        for name, values in found.items()
    )
    return first.to_frame().hstack(others)


def _plain_text(text: NDArray[Any], library: str, native: Any) -> Any:
    if library == "pandas":
        return text
    return (
        native.array(text, native.string())
        if library == "pyarrow"
        else native.Series(text.tolist(), dtype=native.String)
    )


def _plain_stamps(times: Times, dtype: Any, library: str, native: Any) -> Any:
    """Stamps (UTC where there is a zone) as a column in the unit and zone of the time column."""
    stamps, zone = times.astype(f"datetime64[{dtype.time_unit}]"), dtype.time_zone
    if zone is None:
        return _polars_stamps(stamps, dtype, native) if library == "polars" else stamps
    if library == "pandas":
        return native.DatetimeIndex(stamps).tz_localize("UTC").tz_convert(zone)
    if library == "pyarrow":
        return native.array(stamps, native.timestamp(dtype.time_unit, zone))
    return _polars_stamps(stamps, dtype, native).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)


def _polars_stamps(stamps: Times, dtype: Any, native: Any) -> Any:
    """By way of whole numbers, which takes half the time."""
    return native.Series(stamps.view(np.int64)).cast(native.Datetime(dtype.time_unit))


def _form(form: str, like: "SeriesSet") -> str:
    """A form that holds every stamp of the frequency, as close to that of the text that came as may be.

    A frequency that was given can be finer than what was written: hours, where the file has dates.
    """
    step = like.frequency
    if step.unit != "months" and "%m%d" not in form and "%m-%d" not in form:
        form = "%Y-%m-%d"
    if step.within_day and "%H" not in form:
        form += " %H:%M"
    if step.within_minute and "%S" not in form:
        form = form.replace("%H:%M", "%H:%M:%S%.f")
    return form


def _stamps_as_text(times: Times, form: str) -> NDArray[Any]:
    pl = require("polars", extra="frames")
    unique, rows = np.unique(times.astype("datetime64[us]"), return_inverse=True)
    return np.array(pl.Series(unique).dt.strftime(form).to_list(), dtype=object)[rows]


def _times_column(name: str, times: Times, like: "SeriesSet") -> Any:
    nw = require("narwhals", extra="frames")
    kind, stamps = like.kind, times.astype("datetime64[us]")
    if kind.text_form is not None:
        text = _stamps_as_text(stamps, _form(kind.text_form, like))
        column = nw.new_series(name, text.tolist(), nw.String, backend=kind.backend)
        return column if kind.time_dtype == nw.String else column.cast(kind.time_dtype)
    column = nw.new_series(name, stamps, nw.Datetime("us"), backend=kind.backend)
    if like.frequency.time_zone is not None:
        column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(like.frequency.time_zone)
    if isinstance(kind.time_dtype, nw.Datetime) or (kind.time_dtype == nw.Date and not like.frequency.within_day):
        column = column.cast(kind.time_dtype)
    return column
