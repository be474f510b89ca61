"""Panels and the choice of series."""

import numpy as np
import pytest

from throughtime.errors import ArgumentError
from throughtime.report import Panel, choose_series


def panel(n_history: int = 200, horizon: int = 12, **changes: object) -> Panel:
    fields: dict[str, object] = {
        "name": "shop",
        "times": np.arange(n_history),
        "values": np.sin(np.arange(n_history) / 5.0),
        "forecast_times": np.arange(n_history, n_history + horizon),
        "forecasts": {"forecast": np.zeros(horizon)},
    }
    return Panel(**(fields | changes))  # type: ignore[arg-type]


def test_recent_history_is_four_horizons():
    recent = panel(horizon=12).recent()
    assert recent.times.tolist() == list(range(152, 200))
    assert recent.values.tobytes() == panel().values[-48:].tobytes()
    assert recent.forecast_times is not None


def test_recent_history_shows_three_seasons_where_the_horizon_allows():
    assert panel(horizon=12).recent(season_length=30).times.size == 90
    assert panel(n_history=5000, horizon=3).recent(season_length=365).times.size == 36, "a short forecast stays visible"
    assert panel(horizon=1).recent().times.size == 24
    assert panel(n_history=7, horizon=3).recent().times.size == 7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"values": np.zeros(3)}, r"\(200,\) and \(3,\) in 'shop'"),
        ({"times": np.zeros(0), "values": np.zeros(0)}, r"\(0,\)"),
        ({"forecast_times": np.zeros(0), "forecasts": {"forecast": np.zeros(0)}}, r"h >= 1.*got \(0,\)"),
        ({"forecasts": {}}, "0 forecasts in 'shop'"),
        ({"forecasts": {"direct": np.zeros(11)}}, r"'direct' of shape \(12,\).*got \(11,\)"),
        ({"actual": np.zeros(13)}, r"'actual' of shape \(12,\).*got \(13,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(changes: dict[str, object], said: str):
    with pytest.raises(ArgumentError, match=said):
        panel(**changes)


def test_few_series_are_all_shown_in_their_order():
    assert choose_series([3.0, 1.0, 2.0], limit=3) == [(0, ""), (1, ""), (2, "")]


def test_of_many_series_the_hardest_and_the_typical_are_shown():
    errors = np.arange(101, dtype=float)
    chosen = choose_series(errors, limit=6)
    assert [i for i, why in chosen if why == "hardest"] == [100, 99, 98]
    assert [i for i, why in chosen if why == "typical"] == [49, 50, 51]


def test_a_series_without_error_is_shown_last():
    chosen = choose_series([np.nan, 1.0, 5.0, 1.1, np.nan, 0.9, 1.0], limit=4)
    assert chosen[:2] == [(2, "hardest"), (3, "hardest")]
    assert 0 not in [i for i, _ in chosen]
    assert 4 not in [i for i, _ in chosen]
    assert len(choose_series([np.nan] * 9, limit=4)) == 4


def test_no_panel_at_all_is_refused():
    with pytest.raises(ArgumentError, match="limit >= 1, got 0"):
        choose_series([1.0], limit=0)
