"""Data with a known answer, and small real series.

waves              two sines and noise: the forecasting task whose best possible error is known
xor                one-to-one: exclusive or, parity
adding             many-to-one: the sum of two marked numbers, over any number of steps
agreement          many-to-one: was or were, by a subject at any distance
reviews            many-to-one: reviews with stars, in which the order of words decides
running_maximum    aligned: the largest number so far
copy_memory        aligned: symbols to be given back after a delay
patterns           one-to-many: a string for each class
weather            one-to-many: weather reports of a season, text whose probability is known
notices            aligned: sentences with persons, places, organisations and dates marked
reversal           encoder-decoder: strings of unequal length, reversed
arguments          what every generator checks
real               CO2 at Mauna Loa (monthly) and sunspots (yearly), shipped with the package

Generators take a seed and give NumPy arrays with examples first.
"""

from throughtime.datasets.adding import ADDING_BASELINE, Adding, adding
from throughtime.datasets.agreement import AGREEMENT_WORDS, Agreement, agreement
from throughtime.datasets.copy_memory import CopyMemory, copy_memory, copy_memory_baseline
from throughtime.datasets.notices import NOTICE_LABELS, notices
from throughtime.datasets.patterns import Patterns, patterns
from throughtime.datasets.real import load
from throughtime.datasets.reversal import Reversal, reversal
from throughtime.datasets.reviews import STARS, Review, reviews
from throughtime.datasets.running_maximum import RunningMaximum, running_maximum
from throughtime.datasets.waves import WavesSplits, waves, waves_frame, waves_splits
from throughtime.datasets.weather import SEASONS, weather, weather_log_prob
from throughtime.datasets.xor import Xor, xor

__all__ = [
    "ADDING_BASELINE",
    "AGREEMENT_WORDS",
    "NOTICE_LABELS",
    "SEASONS",
    "STARS",
    "Adding",
    "Agreement",
    "CopyMemory",
    "Patterns",
    "Reversal",
    "Review",
    "RunningMaximum",
    "WavesSplits",
    "Xor",
    "adding",
    "agreement",
    "copy_memory",
    "copy_memory_baseline",
    "load",
    "notices",
    "patterns",
    "reversal",
    "reviews",
    "running_maximum",
    "waves",
    "waves_frame",
    "waves_splits",
    "weather",
    "weather_log_prob",
    "xor",
]
