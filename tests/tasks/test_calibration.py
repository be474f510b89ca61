"""Reliability against counting by hand; the temperature against a known minimum."""

import numpy as np
import pytest

from throughtime.errors import ArgumentError
from throughtime.tasks.calibration import least_temperature, logistic, reliability


def test_bins_are_counted_as_by_hand() -> None:
    p = [0.05, 0.15, 0.95, 0.91, 1.0, 0.0]
    right = [False, True, True, False, True, False]
    found = reliability(p, right)
    assert found.predictions.tolist() == [2, 1, 3]
    np.testing.assert_allclose(found.probability, [0.025, 0.15, (0.95 + 0.91 + 1.0) / 3])
    np.testing.assert_allclose(found.right, [0, 1, 2 / 3])
    want = (2 * 0.025 + 1 * 0.85 + 3 * abs(2.86 / 3 - 2 / 3)) / 6
    assert found.error == pytest.approx(want)


def test_probabilities_that_hold_have_no_error_and_boasting_has() -> None:
    g = np.random.default_rng(0)
    p = g.uniform(size=20_000)
    right = g.uniform(size=20_000) < p
    assert reliability(p, right).error < 0.02
    assert reliability(np.sqrt(p), right).error > 0.1


def test_no_prediction_no_error() -> None:
    found = reliability([], [])
    assert (found.error, len(found.predictions)) == (0.0, 0)


@pytest.mark.parametrize(
    ("p", "right", "message"),
    [
        ([0.5], [True, False], r"got \(2,\) and \(1,\)"),
        ([[0.5]], [[True]], r"got \(1, 1\) and \(1, 1\)"),
        ([0.5, 1.5], [True, True], r"in \[0, 1\], got 1.5"),
        ([float("nan")], [True], r"in \[0, 1\], got nan"),
    ],
)
def test_what_is_no_probability_is_refused(p, right, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        reliability(p, right)


@pytest.mark.parametrize("least", [0.4, 1.0, 3.7])
def test_the_least_temperature_is_found(least: float) -> None:
    found = least_temperature(lambda t: float(np.log(t / least) ** 2))
    assert found == pytest.approx(least, rel=0.01)


def test_a_loss_that_falls_to_the_border_ends_there() -> None:
    assert least_temperature(lambda t: -t) == pytest.approx(8.0, rel=0.01)


def test_scores_that_were_made_too_large_get_their_temperature() -> None:
    g = np.random.default_rng(1)
    logits = g.normal(size=(4000, 3))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    drawn = (g.uniform(size=(4000, 1)) > p.cumsum(1)).sum(1)

    def loss(t: float) -> float:
        x = 2.5 * logits / t
        return float((np.log(np.exp(x).sum(1)) - x[np.arange(4000), drawn]).mean())

    assert least_temperature(loss) == pytest.approx(2.5, rel=0.1)


def test_the_logistic_curve_is_found_and_repairs_probabilities() -> None:
    g = np.random.default_rng(2)
    given = g.uniform(0.02, 0.98, size=20_000)
    logit = np.log(given / (1 - given))
    right = g.uniform(size=20_000) < 1 / (1 + np.exp(-(0.6 * logit + 0.9)))
    a, b = logistic(given, right)
    assert (a, b) == (pytest.approx(0.6, abs=0.05), pytest.approx(0.9, abs=0.05))
    assert reliability(given, right).error > 0.1
    assert reliability(1 / (1 + np.exp(-(a * logit + b))), right).error < 0.02


@pytest.mark.parametrize("n", [60, 600])
def test_what_chance_alone_makes_of_exact_probabilities(n: int) -> None:
    g = np.random.default_rng(3)
    p = g.uniform(size=n)
    errors = [reliability(p, g.uniform(size=n) < p).error for _ in range(300)]
    assert reliability(p, p > 0.5).by_chance == pytest.approx(np.mean(errors), rel=0.05)
    assert reliability([], []).by_chance == 0


def test_of_few_predictions_little_is_learned_and_extremes_stay_finite() -> None:
    assert logistic([], []) == (1.0, 0.0)
    a, b = logistic([0.9], [True])
    assert abs(a - 1) < 0.2
    assert 0 < b < 0.2
    for p, right in (([1.0] * 50, [True] * 50), ([1.0] * 50, [False] * 50), ([0.0, 1.0], [True, False])):
        assert np.isfinite(logistic(p, right)).all()
