"""What a forecaster costs in use: the script measures what it says."""

import time

import pytest

from benchmarks.speed import forecast_use


def test_calls_are_timed_each_by_itself():
    found = forecast_use.timed({"long": lambda: time.sleep(0.01), "none": lambda: None}, 3)
    assert found["long"]["median_ms"] >= 10.0
    assert found["long"]["processor_ms"] < 5.0, "asleep, it uses none"
    assert found["none"]["median_ms"] < 5.0


def test_the_history_is_one_frame_of_series():
    frame = forecast_use.hours(3, 5)
    assert frame["unique_id"].to_list() == [0] * 5 + [1] * 5 + [2] * 5
    assert frame.height == len(frame.unique(["unique_id", "ds"]))


@pytest.mark.slow
def test_everything_is_measured(tmp_path):
    found = forecast_use.measure(tmp_path, 1, 3)
    assert set(found["recursive_us_a_step"]) == {"recursive", "recursive, by single steps"}
    assert found["direct_ms"] == found["calls"]["direct"]["median_ms"] > 0.0
    assert found["values_a_second"] > 0.0
    assert 0.0 < found["load"]["processor_s"] < 10.0
