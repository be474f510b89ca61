"""What follows from the data: windows, validation, anchor."""

import numpy as np
import polars as pl
import pytest

from tests.tasks.forecast.series import UNSCALED, counting, frame, series_of
from throughtime.data import read_series
from throughtime.errors import DataError
from throughtime.tasks.forecast import plan
from throughtime.tasks.forecast.windows import training_windows

K = 3


def test_a_few_series_give_up_their_end():
    series = counting(40, 60)
    split = plan.split(series, 6, K, seed=0)
    held = set(split.validation.targets().ravel())
    # A tenth of the points, at least a horizon.
    assert held == {*range(36, 40), *range(154, 160)}
    assert not held & set(split.training.targets().ravel())
    assert not held & set(split.training.history()[0].ravel())
    assert split.how == "by time: the last 5 points of a series"


def test_many_short_series_are_held_out_whole():
    series = counting(*[20] * 30)
    split = plan.split(series, 6, K, seed=0, clean=True)
    assert len(set(split.validation.series)) == 3
    assert not set(split.validation.series) & set(split.training.series)
    assert len(split.training) + len(split.validation) == 30 * (20 - 6 - K + 1)
    assert split.how == "whole series: 3 of 30, since most are shorter than 27 points"
    again, other = plan.split(series, 6, K, seed=0, clean=True), plan.split(series, 6, K, seed=1, clean=True)
    assert set(again.validation.series) == set(split.validation.series) != set(other.validation.series)


def test_noisy_short_series_give_up_their_end_but_for_the_shortest():
    series = counting(*[20] * 30)
    split = plan.split(series, 6, K, seed=0)
    assert split.how == "by time: the last 3 points of a series"
    assert len(split.validation) == 30
    # Training shows shorter histories, too.
    assert split.training.lengths.min() == plan.least_history(series, 6, K) == 2
    shortest = plan.split(counting(*[4 * K - 1] * 30), 6, K, seed=0)
    assert shortest.how.startswith("whole series")
    assert (shortest.validation.lengths == 6).all()


def test_long_series_are_held_out_by_time_however_many():
    split = plan.split(counting(*[27] * 30), 6, K, seed=0, clean=True)  # three windows exactly
    assert split.how.startswith("by time")


def test_a_gap_as_long_as_the_series_leaves_something_to_learn_from():
    """No window before the border holds a whole history: shorter ones are taken."""
    kept = frame(1060).filter(~pl.col("ds").is_between(200, 999))
    split = plan.split(read_series(kept, missing="keep"), 210, K, seed=0)
    assert len(split.training) > 0
    assert len(split.validation) > 0


def test_a_series_too_short_to_give_up_its_end_keeps_it():
    split = plan.split(counting(60, K + plan.MIN_HISTORY), 6, K, seed=0)
    assert set(split.validation.series) == {0}
    assert set(split.training.series) == {0, 1}


@pytest.mark.parametrize("horizon", [1, 2, 5, 12])
def test_the_shortest_series_that_will_do(horizon):
    alone = 2 * horizon + 2
    plan.check_long_enough(counting(alone), horizon, "who")
    with pytest.raises(
        DataError, match=rf"at least {alone} points .* horizon {horizon}, got {alone - 1} in series 's0'"
    ):
        plan.check_long_enough(counting(alone - 1), horizon, "who")
    beside = horizon + 2
    plan.check_long_enough(counting(50, beside), horizon, "who")
    with pytest.raises(DataError, match=rf"at least {beside} points .*, got {beside - 1} in series 's1' \(and 1 more"):
        plan.check_long_enough(counting(50, beside - 1, beside - 1), horizon, "who")
    for lengths in ((alone,), (50, beside), (beside, beside)):
        series = counting(*lengths)
        size = plan.choose_input_size(series, horizon, 1)
        assert size >= 1
        assert len(plan.split(series, size, horizon, 0).training) >= 1


def test_the_window_is_five_horizons_or_thirty_seasons_as_far_as_the_data_reach_and_no_more_than_720_or_a_horizon():
    assert plan.choose_input_size(counting(1000), 4, 1) == 20
    assert plan.choose_input_size(counting(4000), 4, 12) == 360
    assert plan.choose_input_size(counting(1000), 1, 1) == 10
    assert plan.choose_input_size(counting(9000), 192, 24) == 720
    assert plan.choose_input_size(counting(9000), 900, 1) == 900
    assert plan.choose_input_size(counting(60), 10, 1) <= 60 - 2 * 10
    assert plan.choose_input_size(counting(*[60] * 9), 10, 1) == 30
    assert plan.choose_input_size(counting(*[60] * 9), 10, 1, clean=True) == 50


@pytest.mark.parametrize("horizon", [1, 12, 48, 96, 720])
@pytest.mark.parametrize("season", [1, 7, 12, 24, 96])
@pytest.mark.parametrize("input_size", [5, 60, 90, 336, 720])
def test_segments_are_whole_parts_or_multiples_of_a_season(input_size, season, horizon):
    segment = plan.choose_segment(input_size, horizon, season)
    assert 1 <= segment <= max(1, horizon // 2)
    assert season % segment == 0 or segment % season == 0 or season == 1
    assert input_size > 60 or segment == 1
    whole = plan.whole_segments(input_size, segment)
    assert whole % segment == 0
    assert input_size - segment < whole <= input_size
    assert segment == 1 or whole // segment >= 15


def test_the_anchor_is_the_rule_that_errs_least():
    def chosen(value, m: int = 4) -> str:
        return plan.choose_anchor(training_windows(series_of(60, value=value), 12, K), UNSCALED, m)

    assert chosen(lambda t, i: t * 1.0) == "last"
    assert chosen(lambda t, i: np.random.default_rng(0).normal(size=len(t))) == "level"
    assert chosen(lambda t, i: np.array([3.0, -2.0, 7.0, 0.0])[t % 4]) == "seasonal"
    assert chosen(lambda t, i: np.array([3.0, -2.0, 7.0, 0.0])[t % 4], m=1) != "seasonal"


def test_a_given_frame_is_validated_on_every_window_inside_it():
    other = counting(20, 12, K, K + 1, K + 2)
    split = plan.given_validation(counting(40), other, 6, K, "who")
    # Of a series with K or K + 1 points nothing, or one point alone, would be history.
    own = [i for i, n in enumerate((20, 12, K, K + 1, K + 2)) for _ in range(max(n - 6 - K + 1, n == K + 2))]
    starts = np.concatenate(([0], np.cumsum([20, 12, K + 2])))
    assert split.validation.series_starts.tolist() == [starts[{0: 0, 1: 1, 4: 2}[i]] for i in own]
    assert len(split.training) == 40 - 6 - K + 1
    assert split.how == "the given frame: 3 series"


def test_a_given_frame_too_short_for_a_window_is_refused():
    with pytest.raises(DataError, match=r"who: expected series of at least 5 points for horizon 3, got at most 4; "):
        plan.given_validation(counting(40), counting(2, 4), 6, K, "who")
