"""Weather reports: text whose probability is known, with a label."""

import math
import re
from collections.abc import Mapping

import numpy as np

from throughtime.datasets.arguments import check_whole

__all__ = ["SEASONS", "weather", "weather_log_prob"]

SEASONS = ("winter", "spring", "summer", "autumn")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WINDS = ("north", "east", "south", "west")
_ADVICE = {
    "snow": "Wear boots.",
    "fog": "Drive slowly.",
    "rain": "Take an umbrella.",
    "clouds": "Enjoy the day.",
    "sun": "Wear a hat.",
}
# Shares of each sky, and the lowest of eight temperatures, in degrees.
_SKIES: Mapping[str, Mapping[str, float]] = {
    "winter": {"snow": 0.4, "fog": 0.2, "rain": 0.1, "clouds": 0.2, "sun": 0.1},
    "spring": {"fog": 0.1, "rain": 0.4, "clouds": 0.3, "sun": 0.2},
    "summer": {"rain": 0.1, "clouds": 0.2, "sun": 0.7},
    "autumn": {"snow": 0.05, "fog": 0.35, "rain": 0.4, "clouds": 0.1, "sun": 0.1},
}
_LOWEST = {"winter": -6, "spring": 8, "summer": 20, "autumn": 4}
_TEMPERATURES = 8
_SLOWEST, _SPEEDS = 5, 16
_REPORT = re.compile(r"(\w+): (-?\d+) degrees, (\d+) knots from the (\w+), (\w+) today\. (.+)")


def weather(n: int, seed: int) -> tuple[list[str], list[str]]:
    """Draw reports, each of a season.

    (1) season, day, wind, its speed and the temperature are uniform over 4, 7, 4, 16 and 8 values, the temperatures
        those of the season
    (2) the sky has shares that are the season's
    (3) the advice at the end follows from the sky alone

    Returns:
        n texts, and their seasons.

    Raises:
        ArgumentTypeError, ArgumentError: n or seed is no whole number, or out of range.

    >>> texts, seasons = weather(1, seed=2)
    >>> texts[0].endswith(".") and weather_log_prob(texts[0], seasons[0]) < 0
    True
    """
    check_whole("weather", "n", n, 1)
    check_whole("weather", "seed", seed, 0)
    rng = np.random.Generator(np.random.PCG64(seed))
    texts, seasons = [], []
    for season in (SEASONS[i] for i in rng.integers(len(SEASONS), size=n)):
        skies = _SKIES[season]
        sky = str(rng.choice(list(skies), p=list(skies.values())))
        day, wind = _DAYS[rng.integers(len(_DAYS))], _WINDS[rng.integers(len(_WINDS))]
        degrees = _LOWEST[season] + int(rng.integers(_TEMPERATURES))
        knots = _SLOWEST + int(rng.integers(_SPEEDS))
        texts.append(f"{day}: {degrees} degrees, {knots} knots from the {wind}, {sky} today. {_ADVICE[sky]}")
        seasons.append(season)
    return texts, seasons


def weather_log_prob(text: str, season: str) -> float:
    """log p of a text given its season, in nats; −inf for what is no report of it."""
    found = _REPORT.fullmatch(text)
    if found is None:
        return -math.inf
    day, degrees, knots, wind, sky, advice = found.groups()
    share = _SKIES[season].get(sky, 0.0)
    above = int(degrees) - _LOWEST[season]
    possible = (
        day in _DAYS
        and wind in _WINDS
        and 0 <= above < _TEMPERATURES
        and 0 <= int(knots) - _SLOWEST < _SPEEDS
        and (str(int(degrees)), str(int(knots))) == (degrees, knots)
        and advice == _ADVICE.get(sky)
        and share > 0
    )
    return math.log(share / (len(_DAYS) * len(_WINDS) * _TEMPERATURES * _SPEEDS)) if possible else -math.inf
