"""Plain columns of pandas, Polars and Arrow frames, read straight from their library.

narwhals reads every frame and every column, at 20 to 60 µs a call. The usual columns (numbers, stamps, text or whole
numbers for ids, nothing missing) come as arrays from one or two calls of their own library, which is what makes a
forecast of one series take less than a millisecond. Everything else, and everything that is wrong and needs a message,
goes through narwhals: the methods here answer None then.
"""

import sys
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require

if TYPE_CHECKING:
    from narwhals import DataFrame, Series

__all__ = ["ArrowFrame", "Frame", "PandasFrame", "PolarsFrame", "adapt"]

Runs = tuple[list[Any], NDArray[np.int64]]


class Frame:
    """A frame of any library that narwhals knows; subclasses know shorter ways to plain columns."""

    def __init__(self, native: Any) -> None:
        self.native = native

    @cached_property
    def table(self) -> "DataFrame[Any]":
        """The frame as narwhals sees it."""
        frame: DataFrame[Any] = require("narwhals", extra="frames").from_native(self.native, eager_only=True)
        return frame

    @cached_property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self.table.columns

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, name: str) -> "Series[Any]":
        return self.table[name]

    @property
    def backend(self) -> Any:
        """The library, as narwhals names it."""
        return self.table.implementation

    def dtype(self, name: str) -> Any:
        """The narwhals type of a column."""
        return self[name].dtype

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        """A column of numbers; NaN where a value is missing."""
        return None

    def stamps(self, name: str) -> NDArray[Any] | None:
        """A column of whole numbers or dates as int64 or datetime64[us] (UTC where there is a zone), none missing."""
        return None

    def runs(self, name: str) -> Runs | None:
        """Different ids, each in rows of its own that lie together: the ids, and where the rows of each begin."""
        return None


class PandasFrame(Frame):
    """A pandas frame with one level of names, all different."""

    def __init__(self, native: Any) -> None:
        super().__init__(native)
        self._columns: dict[str, Any] = {}

    def _column(self, name: str) -> Any:
        # A look-up in a pandas frame takes 15 µs.
        if name not in self._columns:
            self._columns[name] = self.native[name]
        return self._columns[name]

    @cached_property
    def columns(self) -> list[str]:
        names: list[str] = self.native.columns.tolist()
        return names

    def __len__(self) -> int:
        return len(self.native)

    @property
    def backend(self) -> Any:
        return require("narwhals", extra="frames").Implementation.PANDAS

    def dtype(self, name: str) -> Any:
        dtype = self._column(name).dtype
        # Columns of objects and of categories have the type of what is in them.
        return _pandas_dtype(dtype) if dtype.kind in "iufM" or str(dtype) == "str" else super().dtype(name)

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        column = self._column(name)
        return column.to_numpy().astype(np.float64) if _is_numpy(column, "iuf") else None

    def stamps(self, name: str) -> NDArray[Any] | None:
        column = self._column(name)
        if _is_numpy(column, "iu"):
            return np.array(column.to_numpy(), dtype=np.int64)
        if _is_numpy(column, "M"):
            return _whole(column.to_numpy().astype("datetime64[us]"))
        if isinstance(column.dtype, sys.modules["pandas"].DatetimeTZDtype):
            # pandas documents that they become UTC where a NumPy type is asked for.
            return _whole(np.array(column, dtype="datetime64[us]"))
        return None

    def runs(self, name: str) -> Runs | None:
        column = self._column(name)
        if str(column.dtype) == "str" and hasattr(column.array, "__arrow_array__"):
            return _arrow_runs(column.array.__arrow_array__())
        if _is_numpy(column, "iu"):
            return _array_runs(column.to_numpy())
        return _array_runs(column.to_numpy(), text=True) if _is_numpy(column, "O") else None


class PolarsFrame(Frame):
    """A Polars frame."""

    @cached_property
    def columns(self) -> list[str]:
        names: list[str] = self.native.columns
        return names

    def __len__(self) -> int:
        return int(self.native.height)

    @property
    def backend(self) -> Any:
        return require("narwhals", extra="frames").Implementation.POLARS

    def dtype(self, name: str) -> Any:
        return _polars_dtype(self.native.get_column(name).dtype)

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        column = self.native.get_column(name)
        plain = column.dtype.is_float() or column.dtype.is_integer()
        return column.to_numpy().astype(np.float64) if plain else None

    def stamps(self, name: str) -> NDArray[Any] | None:
        column = self.native.get_column(name)
        if column.null_count():
            return None
        if column.dtype.is_integer():
            return np.array(column.to_numpy(), dtype=np.int64)
        if column.dtype.is_temporal():
            values = column.to_numpy()
            return values.astype("datetime64[us]") if values.dtype.kind == "M" else None
        return None

    def runs(self, name: str) -> Runs | None:
        column = self.native.get_column(name)
        if column.null_count() or not len(column):
            return None
        if column.dtype.is_integer():
            return _array_runs(column.to_numpy())
        if column.dtype != sys.modules["polars"].String:
            return None
        first = column[0]
        if column[-1] == first and column.n_unique() == 1:  # one series, in a tenth of the time
            return [first], np.zeros(1, dtype=np.int64)
        starts = _starts((column[1:] != column[:-1]).to_numpy())
        return None if starts is None else _distinct(column[starts].to_list(), starts)


class ArrowFrame(Frame):
    """An Arrow table whose columns have different names."""

    @cached_property
    def columns(self) -> list[str]:
        names: list[str] = self.native.column_names
        return names

    def __len__(self) -> int:
        return int(self.native.num_rows)

    @property
    def backend(self) -> Any:
        return require("narwhals", extra="frames").Implementation.PYARROW

    def dtype(self, name: str) -> Any:
        return _arrow_dtype(self.native.column(name).type)

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        column, types = self.native.column(name), sys.modules["pyarrow"].types
        plain = types.is_floating(column.type) or types.is_integer(column.type)
        return column.to_numpy().astype(np.float64) if plain else None

    def stamps(self, name: str) -> NDArray[Any] | None:
        column, types = self.native.column(name), sys.modules["pyarrow"].types
        if column.null_count:
            return None
        if types.is_integer(column.type):
            return np.array(column.to_numpy(), dtype=np.int64)
        if types.is_timestamp(column.type) or types.is_date(column.type):
            return np.array(column.to_numpy(), dtype="datetime64[us]")
        return None

    def runs(self, name: str) -> Runs | None:
        return _arrow_runs(self.native.column(name))


def adapt(frame: Any) -> Frame:
    """The frame with the shortest ways to its columns.

    Raises:
        TypeError, DuplicateError: as narwhals, for what is no frame, or names a column twice.
    """
    pandas, polars, arrow = (sys.modules.get(name) for name in ("pandas", "polars", "pyarrow"))
    # Exact types: a subclass may mean something else by a column.
    if pandas is not None and type(frame) is pandas.DataFrame:
        names = frame.columns
        if names.nlevels == 1 and names.is_unique:
            return PandasFrame(frame)
    elif polars is not None and type(frame) is polars.DataFrame:
        return PolarsFrame(frame)
    elif arrow is not None and type(frame) is arrow.Table and len(set(frame.column_names)) == frame.num_columns:
        return ArrowFrame(frame)
    general = Frame(frame)
    _ = general.columns
    return general


def _is_numpy(column: Any, kinds: str) -> bool:
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in kinds


def _whole(stamps: NDArray[Any]) -> NDArray[Any] | None:
    return None if np.isnat(stamps).any() else stamps


def _starts(change: NDArray[np.bool_]) -> NDArray[np.int64] | None:
    """Where runs begin; None where there are so many that the rows cannot lie together by series."""
    starts = np.concatenate([[0], np.flatnonzero(change) + 1]).astype(np.int64)
    return None if starts.size > 1000 and starts.size > change.size // 2 else starts


def _distinct(heads: list[Any], starts: NDArray[np.int64]) -> Runs | None:
    return (heads, starts) if len(heads) == 1 or len(set(heads)) == len(heads) else None


def _array_runs(values: NDArray[Any], *, text: bool = False) -> Runs | None:
    starts = _starts(np.asarray(values[1:] != values[:-1], dtype=bool)) if len(values) else None
    if starts is None:
        return None
    heads = values[starts].tolist() if text else values[starts].astype(np.int64).tolist()
    # Text is equal to nothing but text, so the first of each run speaks for all.
    return _distinct(heads, starts) if not text or all(type(head) is str for head in heads) else None


def _arrow_runs(column: Any) -> Runs | None:
    arrow = sys.modules["pyarrow"]
    kind = column.type
    if column.null_count or not len(column):
        return None
    if arrow.types.is_integer(kind):
        return _array_runs(column.to_numpy())
    if not (arrow.types.is_string(kind) or arrow.types.is_large_string(kind)):
        return None
    different = require("pyarrow.compute", extra="frames").not_equal(column.slice(1), column.slice(0, len(column) - 1))
    starts = _starts(different.to_numpy() if len(column) > 1 else np.zeros(0, dtype=bool))
    if starts is None:
        return None
    return _distinct([column[0].as_py()] if len(starts) == 1 else column.take(starts).to_pylist(), starts)


def _narwhals_dtype(empty: Any) -> Any:
    return require("narwhals", extra="frames").from_native(empty, series_only=True).dtype


@lru_cache(maxsize=64)
def _pandas_dtype(dtype: Any) -> Any:
    return _narwhals_dtype(sys.modules["pandas"].Series([], dtype=dtype))


@lru_cache(maxsize=64)
def _polars_dtype(dtype: Any) -> Any:
    return _narwhals_dtype(sys.modules["polars"].Series([], dtype=dtype))


@lru_cache(maxsize=64)
def _arrow_dtype(dtype: Any) -> Any:
    arrow = sys.modules["pyarrow"]
    return _narwhals_dtype(arrow.chunked_array([arrow.array([], dtype)]))
