"""Calibration against ranks counted by hand, and against what it promises on data of a known kind."""

import json
import math

import numpy as np
import pytest

from throughtime.errors import ArgumentError
from throughtime.tasks.forecast.conformal import GRID, Calibration, _offset, balanced, calibrate, tails

Q = len(GRID)


ONE = np.ones((1, 1))


def points(forecast_NK):
    """A point forecast stands for every quantile."""
    return np.repeat(forecast_NK[..., None], Q, axis=-1)


def of_series(n, series=1):
    """Series and origins of n windows."""
    return np.arange(n) % series, np.arange(n)


def test_offsets_are_the_ranks_that_finite_samples_need():
    rng = np.random.default_rng(0)
    error = rng.normal(size=(1250, 2)) * [1.0, 3.0]
    found = calibrate(points(np.zeros_like(error)), error, ONE, *of_series(1250))
    assert found.levels == GRID
    for k in range(2):
        ordered = np.sort(error[:, k])
        for q, offset in zip(GRID, found.offsets_QK[:, k], strict=True):
            if q > 0.5:
                assert offset == ordered[math.ceil(1251 * q - 1e-9) - 1]
            elif q < 0.5:
                assert offset == ordered[math.floor(1251 * q + 1e-9) - 1]
            else:
                assert offset == np.median(ordered)


@pytest.mark.parametrize(("n", "widest"), [(1, 0), (3, 50), (9, 80), (18, 80), (19, 90), (39, 95), (199, 99)])
def test_a_level_is_told_from_as_many_errors_as_it_needs(n, widest):
    error = np.random.default_rng(1).normal(size=(n, 1))
    found = calibrate(points(np.zeros_like(error)), error, ONE, *of_series(n))
    if not widest:
        assert found is None
        return
    assert 100 - 200 * found.levels[0] == pytest.approx(widest)
    assert found.levels[-1] == pytest.approx(1 - found.levels[0])


def test_steps_help_each_other_where_windows_are_few():
    error = np.arange(60.0).reshape(10, 6)
    found = calibrate(points(np.zeros_like(error)), error, ONE, *of_series(10))
    # 95 %: five errors beyond 2.5 % ask for 200, so that all 60 are taken together at every step.
    assert found.offsets_QK[found.levels.index(0.025)].tolist() == [0.0] * 6
    # The median asks for 10, which one step has.
    assert found.offsets_QK[found.levels.index(0.5)].tolist() == [27.0, 28.0, 29.0, 30.0, 31.0, 32.0]


def test_missing_values_are_no_errors():
    error = np.random.default_rng(2).normal(size=(400, 1))
    with_gaps = np.concatenate((error, np.full((300, 1), np.nan)))
    one = calibrate(points(np.zeros_like(error)), error, ONE, *of_series(400))
    other = calibrate(points(np.zeros_like(with_gaps)), with_gaps, ONE, *of_series(700))
    assert np.array_equal(one.offsets_QK, other.offsets_QK)
    assert calibrate(points(np.zeros((5, 2))), np.full((5, 2), np.nan), ONE, *of_series(5)) is None


@pytest.mark.parametrize("series", [1, 40])
def test_the_promise_is_kept_on_new_windows_and_the_measurement_tells_it(series):
    """Skewed errors around a forecast that is off: nothing normal, nothing symmetric."""
    rng = np.random.default_rng(3)

    def draw(n):
        return rng.gamma(1.5, 1.0 + np.arange(4), size=(n, 4)) - 0.7

    held, new = draw(2000), draw(50_000)
    found = calibrate(points(np.zeros_like(held)), held, ONE, *of_series(2000, series))
    for level in (50, 80, 95):
        q = tails(level)
        ends = found.apply(np.zeros((len(new), 4, 2)), ONE, q, "predict")
        inside = (ends[..., 0] <= new) & (new <= ends[..., 1])
        assert (100 * inside.mean(0)).tolist() == pytest.approx([level] * 4, abs=3)
    assert found.coverage == {80.0: pytest.approx(80, abs=2), 95.0: pytest.approx(95, abs=1.5)}
    apart = "series" if series == 40 else "origins"
    assert found.sentence == (
        f"calibrated on 2000 held-out origins; measured on {apart} kept apart: "
        f"80 % held {found.coverage[80.0]:.1f} %, 95 % held {found.coverage[95.0]:.1f} % of the values"
    )


def test_the_measurement_is_of_origins_that_the_offsets_have_not_seen():
    """Errors that grow between the halves: each half calibrated on the other is far off, which no reuse would show."""
    error = np.random.default_rng(4).normal(size=(2000, 1)) * np.repeat([1.0, 20.0], 1000)[:, None]
    found = calibrate(points(np.zeros_like(error)), error, ONE, *of_series(2000))
    small, large = 0.5 * math.erf(20 * 1.2816 / math.sqrt(2)), 0.5 * math.erf(1.2816 / 20 / math.sqrt(2))
    assert found.coverage[80.0] == pytest.approx(100 * (small + large), abs=1.5)


def test_a_models_own_quantiles_are_moved_not_replaced():
    rng = np.random.default_rng(5)
    width = rng.uniform(0.5, 5.0, size=(3000, 1))
    z = np.array([-2.5758, -2.3263, -1.96, -1.6449, -1.2816, -0.8416, -0.6745, -0.5244, -0.2533, 0.0])
    own = (width * 0.5)[..., None] * np.concatenate((z, -z[-2::-1]))  # half as wide as the truth
    found = calibrate(own, rng.normal(size=(3000, 1)) * width, ONE, *of_series(3000, 100))
    assert found.coverage[80.0] == pytest.approx(80, abs=2)
    narrow, wide = found.apply(np.array([[[-1.0, 1.0]], [[-3.0, 3.0]]]), ONE, [0.1, 0.9], "predict")[:, 0]
    assert (wide - narrow).tolist() == pytest.approx([-2.0, 2.0])


def test_quantiles_come_in_order_whatever_order_they_are_asked_in():
    calibration = Calibration((0.1, 0.5, 0.9), np.array([[2.0], [0.0], [-2.0]]), 9, {}, "")
    found = calibration.apply(np.array([[[1.0, -1.0, 0.0]]]), ONE, [0.9, 0.1, 0.5], "predict")
    assert found.tolist() == [[[1.0, -1.0, 0.0]]]


def test_between_the_levels_offsets_are_linear_in_the_normal_quantile():
    calibration = Calibration((0.1, 0.5, 0.9), np.array([[-1.2815515655], [0.0], [1.2815515655]]), 9, {}, "")
    found = calibration.apply(np.zeros((1, 1, 2)), ONE, [0.25, 0.75], "predict")
    assert found[0, 0].tolist() == pytest.approx([-0.6744897502, 0.6744897502])


def test_a_level_beyond_the_errors_is_refused():
    error = np.random.default_rng(6).normal(size=(12, 1))
    found = calibrate(points(np.zeros_like(error)), error, ONE, *of_series(12))
    message = r"predict: expected quantiles from 0.1 to 0.9, .* 12 held-out origins .* up to 80 %\), got 0.975;"
    with pytest.raises(ArgumentError, match=message):
        found.apply(np.zeros((1, 1, 2)), ONE, [0.5, 0.975], "predict")
    assert found.coverage == {}
    assert found.sentence == "calibrated on 12 held-out origins, too few to measure their coverage"


def test_it_lives_in_json_and_a_tensor():
    error = np.random.default_rng(7).normal(size=(60, 3))
    found = calibrate(points(np.zeros_like(error)), error, ONE, *of_series(60))
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    again = Calibration.from_dict(told, found.offsets_QK, 3)
    assert (again.levels, again.origins, again.coverage, again.apart) == (
        found.levels,
        found.origins,
        found.coverage,
        found.apart,
    )
    with pytest.raises(ValueError, match=r"offsets \(\d+, 3\) .* horizon 4"):
        Calibration.from_dict(told, found.offsets_QK, 4)
    with pytest.raises(ValueError, match=r"levels \(0.5, 0.1\)"):
        Calibration.from_dict({**told, "levels": [0.5, 0.1]}, found.offsets_QK, 3)


def test_every_series_counts_alike():
    """One series of 900 windows and wide errors, 20 of 30 windows and narrow ones."""
    rng = np.random.default_rng(8)
    series = np.concatenate((np.zeros(900, dtype=np.int64), 1 + np.arange(600) % 20))
    error = rng.normal(size=(1500, 1)) * np.where(series == 0, 100.0, 1.0)[:, None]
    found = calibrate(points(np.zeros_like(error)), error, ONE, series, np.arange(1500))
    # 1/21 of the weight lies in the wide errors: 90 % is at z where 20/21 (2 P(z) - 1) = 90 %.
    low, high = (found.offsets_QK[found.levels.index(q), 0] for q in (0.05, 0.95))
    assert (-low, high) == (pytest.approx(1.92, abs=0.25), pytest.approx(1.92, abs=0.25))
    assert found.coverage[80.0] == pytest.approx(80, abs=6)


def test_weights_that_are_equal_change_no_rank_and_unequal_ones_ask_for_more():
    errors = np.arange(19.0)
    assert _offset(errors, np.full(19, 0.3), 0.95) == 18.0
    assert _offset(errors, np.full(19, 0.3), 0.05) == 0.0
    uneven = np.ones(19)
    uneven[0] = 1.1  # worth less than 19 equal ones, so that 95 % is out of reach
    assert math.isnan(_offset(errors, uneven, 0.95))
    assert _offset(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), 0.5) == 2.0


def test_a_window_that_lets_expect_more_gets_more():
    rng = np.random.default_rng(9)
    unit = rng.choice([1.0, 10.0], size=(2000, 1))
    error = rng.normal(size=(2000, 1)) * unit
    found = calibrate(points(np.zeros_like(error)), error, unit, *of_series(2000))
    small, large = found.apply(np.zeros((2, 1, 2)), np.array([[1.0], [10.0]]), [0.1, 0.9], "predict")[:, 0]
    assert large.tolist() == pytest.approx((10 * small).tolist())
    assert small.tolist() == pytest.approx([-1.28, 1.28], abs=0.1)
    assert found.coverage[80.0] == pytest.approx(80, abs=2)


def test_windows_are_taken_evenly_from_the_series():
    series = np.repeat([7, 3, 5], [100, 2, 50])
    chosen = balanced(series, 20, 0)
    assert np.bincount(series[chosen])[[7, 3, 5]].tolist() == [9, 2, 9]
    assert (np.diff(chosen) > 0).all()
    assert not np.array_equal(chosen, balanced(series, 20, 1))
    assert np.array_equal(balanced(series, 152, 0), np.arange(152))
