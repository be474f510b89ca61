"""Plain columns straight from their library: the same as by way of narwhals, and really taken."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import build_frame, read_series
from throughtime.data.series import output as output_module
from throughtime.data.series import rows as rows_module
from throughtime.data.series.native import Frame, adapt
from throughtime.errors import DataError

KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
DAYS = [datetime.datetime(2020, 1, 1) + datetime.timedelta(days=day) for day in range(6)]
PLAIN = {"unique_id": ["a"] * 3 + ["b"] * 3, "ds": DAYS[:3] * 2, "y": [1.0, 2, 3, 4, 5, 6]}


class ByNarwhals(Frame):
    """A frame whose shorter ways are closed."""


def outcome(frame: object, **options: object) -> object:
    """What is read, as plain values; or the message."""
    try:
        series = read_series(frame, **options)  # type: ignore[arg-type]
    except DataError as error:
        return str(error)
    kind = series.kind
    return (
        series.ids, series.flat_values.tolist(), series.flat_times.tolist(), series.offsets.tolist(), series.frequency,
        kind.backend, kind.id_dtype, kind.time_dtype, kind.text_form,
    )  # fmt: skip


ids = st.sampled_from(
    [
        ["a"] * 6,
        ["b", "b", "a", "a", "c", "c"],
        ["a", "b"] * 3,
        [1, 1, 1, 2, 2, 2],
        [7] * 6,
        ["a", None, "a", "b", "b", "b"],
    ]
)
times = st.sampled_from(
    [
        DAYS, DAYS[:3] * 2, DAYS[::-1], [1, 2, 3, 4, 5, 6], [1, 2, 3] * 2, [day.date() for day in DAYS],
        [*DAYS[:5], None], [str(day)[:10] for day in DAYS], [1.0, 2, 3, 4, 5, 6], [DAYS[0]] * 6,
    ]
)  # fmt: skip
values = st.sampled_from(
    [
        [1.0] * 6, [1, 2, 3, 4, 5, 6], [1.0, None, 3.0, None, 5.0, 6.0], [1.0, float("nan"), 1, 1, 1, 1],
        ["1", "2", "3", "4", "5", "6"], [1.0, float("inf"), 1, 1, 1, 1], [True] * 6, [1, None, 3, 4, 5, 6],
    ]
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    ids=ids,
    times=times,
    values=values,
    kind=st.sampled_from(sorted(KINDS)),
    missing=st.sampled_from(["refuse", "keep"]),
    zone=st.booleans(),
)
def test_both_ways_read_the_same_or_say_the_same(
    ids: list[object], times: list[object], values: list[object], kind: str, missing: str, zone: bool
) -> None:
    columns: dict[str, object] = {"unique_id": ids, "ds": times, "y": values}
    if zone and isinstance(times[0], datetime.datetime) and None not in times:
        stamps = pl.Series(times).dt.replace_time_zone("Europe/Berlin")
        columns["ds"] = {"polars": stamps, "pandas": stamps.to_pandas(), "arrow": stamps.to_arrow()}[kind]
    frame = KINDS[kind](columns)
    short = outcome(frame, missing=missing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "adapt", ByNarwhals)
        assert str(outcome(frame, missing=missing)) == str(short)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ids", [PLAIN["unique_id"], [1, 1, 1, 2, 2, 2]])
def test_usual_frames_are_read_and_built_without_narwhals(
    kind: str, ids: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = KINDS[kind]({**PLAIN, "unique_id": ids})
    read_series(frame)  # the types of the columns are looked up once

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("narwhals was asked")

    monkeypatch.setattr(Frame, "table", property(refuse))
    monkeypatch.setattr(output_module, "_times_column", refuse)
    monkeypatch.setattr(pytest.importorskip("narwhals"), "new_series", refuse)
    series = read_series(frame)
    assert series.flat_values.tolist() == PLAIN["y"]
    assert series.ids == [ids[0], ids[-1]]
    out = build_frame(
        {"unique_id": series.ids_at([0, 1]), "ds": series.future_times(1).ravel(), "forecast": np.zeros(2)}, series
    )
    assert type(out) is type(frame)


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [None, "%Y-%m-%d", "%Y-%m-%d %H:%M"])
def test_both_ways_build_the_same_frame(
    kind: str, zone: str | None, text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = pl.Series(DAYS[:3] * 2).dt.replace_time_zone(zone)
    if text is not None:
        stamps = pl.Series(DAYS[:3] * 2).dt.strftime(text)
    base = pl.DataFrame({**PLAIN, "ds": stamps})
    frame = {"polars": base, "pandas": base.to_pandas(), "arrow": base.to_arrow()}[kind]
    series = read_series(frame)
    columns = {
        "unique_id": series.ids_at([0, 1]),
        "ds": series.future_times(1).ravel(),
        "forecast": np.array([0.5, np.nan]),
        "step": np.array([1, 2]),
        "model": np.array(["gru", "gru"], dtype=object),
    }
    short = build_frame(columns, series)
    monkeypatch.setattr(output_module, "_plain_frame", lambda *_: None)
    general = build_frame(columns, series)
    if kind == "pandas":
        pd.testing.assert_frame_equal(short, general)
    elif kind == "polars":
        assert short.schema == general.schema
        assert short.equals(general)
    else:
        assert short.schema == general.schema
        assert short.to_pandas().equals(general.to_pandas())


def test_a_series_does_not_change_with_its_frame() -> None:
    array = np.array([1.0, 2.0, 3.0])
    frame = pd.DataFrame({"ds": [1, 2, 3], "y": array}, copy=False)
    series = read_series(frame)
    frame.loc[0, "y"] = array[1] = 9.0
    assert series.flat_values.tolist() == [1, 2, 3]


def test_a_subclass_and_levels_of_names_go_by_narwhals() -> None:
    class Mine(pd.DataFrame):
        pass

    assert type(adapt(Mine({"y": [1]}))) is Frame
    assert type(adapt(pd.DataFrame({"y": [1]}))).__name__ == "PandasFrame"
    with pytest.raises(DataError, match=r"column names that differ, got \['ds', 'y', 'y'\]"):
        read_series(pa.table([pa.array([1]), pa.array([1.0]), pa.array([2.0])], names=["ds", "y", "y"]))
