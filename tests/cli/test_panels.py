"""From frames of forecasts to panels: the right numbers of the right series."""

import numpy as np
import polars as pl
import pytest

from throughtime.cli.panels import future_panels, past_panels
from throughtime.data import SeriesSet, read_series


def many(n: int, length: int = 20) -> SeriesSet:
    frame = pl.DataFrame(
        {
            "unique_id": np.repeat([f"s{i}" for i in range(n)], length),
            "ds": np.tile(np.arange(length), n),
            "y": np.concatenate([100.0 * i + np.arange(length) for i in range(n)]),
        }
    )
    return read_series(frame)


@pytest.mark.parametrize(("n", "shown"), [(1, [0]), (6, [0, 1, 2, 3, 4, 5]), (11, [0, 2, 4, 6, 8, 10])])
def test_future(n: int, shown: list[int]):
    series = many(n)
    values = np.arange(3.0 * n).reshape(n, 3)
    panels, note = future_panels(series, {"forecast": values})
    assert [panel.name for panel in panels] == [f"s{i}" for i in shown]
    for i, panel in zip(shown, panels, strict=True):
        assert panel.forecasts["forecast"].tolist() == values[i].tolist()
        assert panel.forecast_times.tolist() == [20, 21, 22]
        assert panel.values[-1] == 100.0 * i + 19
        assert panel.actual is None
    assert note == ("" if n <= 6 else "Shown: 6 of 11 series, spread over the file.")


def test_past():
    series = many(9)
    horizon, windows = 2, 3
    # s7 is off by 50 and s4 by 10; the last window is marked by a fraction.
    off = np.zeros((9, windows, horizon))
    off[7], off[4] = 50.0, 10.0
    off[:, -1] += 0.25
    actual = np.stack([np.arange(14.0, 20.0).reshape(windows, horizon) + 100 * i for i in range(9)])
    frame = pl.DataFrame({"y": actual.ravel(), "forecast": (actual + off).ravel(), "naive": actual.ravel() * 0})
    panels, note = past_panels(series, frame, horizon, {"forecast": "forecast", "naive": "naive"})
    assert [panel.name for panel in panels[:2]] == ["s7", "s4"]
    assert [panel.note for panel in panels] == ["hardest"] * 3 + ["typical"] * 3
    hardest = panels[0]
    assert hardest.forecast_times.tolist() == [18, 19]
    assert hardest.actual is not None
    assert hardest.actual.tolist() == [718.0, 719.0]
    assert hardest.forecasts["forecast"].tolist() == [768.25, 769.25]
    assert hardest.values[-1] == 717.0
    assert "6 of 9 series, the 3 with the largest error" in note
