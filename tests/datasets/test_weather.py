"""Weather reports: drawn as their probabilities say."""

import math
from collections import Counter

import pytest

from throughtime.datasets import SEASONS, weather, weather_log_prob
from throughtime.errors import ArgumentError, ArgumentTypeError


def test_reports_have_the_probability_that_is_said() -> None:
    texts, seasons = weather(20_000, seed=3)
    log_probs = [weather_log_prob(text, season) for text, season in zip(texts, seasons, strict=True)]
    assert max(log_probs) < 0
    # The entropy of a season: ln(7 · 4 · 16 · 8) and that of its skies.
    skies = {"winter": [0.4, 0.2, 0.1, 0.2, 0.1], "spring": [0.1, 0.4, 0.3, 0.2], "summer": [0.1, 0.2, 0.7],
             "autumn": [0.05, 0.35, 0.4, 0.1, 0.1]}  # fmt: skip
    entropy = sum(-sum(p * math.log(p) for p in skies[s]) for s in SEASONS) / 4 + math.log(7 * 4 * 16 * 8)
    assert -sum(log_probs) / len(log_probs) == pytest.approx(entropy, abs=0.02)
    assert {season: n // 500 for season, n in Counter(seasons).items()} == pytest.approx(
        dict.fromkeys(SEASONS, 10), abs=1
    )


def test_the_same_seed_gives_the_same_reports() -> None:
    assert weather(50, seed=1) == weather(50, seed=1) != weather(50, seed=2)


@pytest.mark.parametrize(
    ("text", "season"),
    [
        ("Monday: 22 degrees, 9 knots from the east, snow today. Wear boots.", "summer"),
        ("Monday: 2 degrees, 9 knots from the east, snow today. Wear boots.", "winter"),
        ("Monday: 1 degrees, 9 knots from the east, snow today. Wear a hat.", "winter"),
        ("Monday: 1 degrees, 4 knots from the east, snow today. Wear boots.", "winter"),
        ("Monday: 01 degrees, 9 knots from the east, snow today. Wear boots.", "winter"),
        ("Monday: 1 degrees, 9 knots from the moon, snow today. Wear boots.", "winter"),
        ("Today: 1 degrees, 9 knots from the east, snow today. Wear boots.", "winter"),
        ("Monday: 1 degrees, 9 knots from the east, snow today. Wear boots. ", "winter"),
        ("", "winter"),
    ],
)
def test_what_is_no_report_has_no_probability(text: str, season: str) -> None:
    assert weather_log_prob(text, season) == -math.inf


def test_a_report_has_the_product_of_its_shares() -> None:
    text = "Monday: 1 degrees, 9 knots from the east, snow today. Wear boots."
    assert weather_log_prob(text, "winter") == pytest.approx(math.log(0.4 / (7 * 4 * 16 * 8)))


def test_arguments_are_checked() -> None:
    with pytest.raises(ArgumentError, match="n >= 1, got 0"):
        weather(0, seed=0)
    with pytest.raises(ArgumentTypeError, match=r"seed to be an int, got 1\.5"):
        weather(3, seed=1.5)  # type: ignore[arg-type]
