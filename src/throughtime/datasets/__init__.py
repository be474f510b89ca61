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
tunes              one-to-many: folk tunes in three styles, shipped with the package
notices            aligned: sentences with persons, places, organisations and dates marked
phrasebook         encoder-decoder: French sentences with their one English translation
motions            many-to-one: clips whose class is visible only in the motion
reversal           encoder-decoder: strings of unequal length, reversed
spoken             speech: made-up words by made-up voices, and when each is said
joined_clips       speech: clips of single words joined, with gaps between them
arguments          what every generator checks
real               CO2 at Mauna Loa (monthly) and sunspots (yearly), shipped with the package

Generators take a seed and give NumPy arrays with examples first.
"""

from throughtime.datasets.adding import ADDING_BASELINE, Adding, adding
from throughtime.datasets.agreement import AGREEMENT_WORDS, Agreement, agreement
from throughtime.datasets.copy_memory import CopyMemory, copy_memory, copy_memory_baseline
from throughtime.datasets.joined_clips import JoinedClip, joined_clips
from throughtime.datasets.motions import MOTIONS, Motions, motions
from throughtime.datasets.notices import NOTICE_LABELS, notices
from throughtime.datasets.patterns import Patterns, patterns
from throughtime.datasets.phrasebook import Phrase, phrasebook
from throughtime.datasets.real import load
from throughtime.datasets.reversal import Reversal, reversal
from throughtime.datasets.reviews import STARS, Review, reviews
from throughtime.datasets.running_maximum import RunningMaximum, running_maximum
from throughtime.datasets.spoken import SPOKEN_WORDS, SpokenClip, SpokenTime, spoken
from throughtime.datasets.tunes import folk_tunes
from throughtime.datasets.waves import WavesSplits, waves, waves_frame, waves_splits
from throughtime.datasets.weather import SEASONS, weather, weather_log_prob
from throughtime.datasets.xor import Xor, xor

__all__ = [
    "ADDING_BASELINE",
    "AGREEMENT_WORDS",
    "MOTIONS",
    "NOTICE_LABELS",
    "SEASONS",
    "SPOKEN_WORDS",
    "STARS",
    "Adding",
    "Agreement",
    "CopyMemory",
    "JoinedClip",
    "Motions",
    "Patterns",
    "Phrase",
    "Reversal",
    "Review",
    "RunningMaximum",
    "SpokenClip",
    "SpokenTime",
    "WavesSplits",
    "Xor",
    "adding",
    "agreement",
    "copy_memory",
    "copy_memory_baseline",
    "folk_tunes",
    "joined_clips",
    "load",
    "motions",
    "notices",
    "patterns",
    "phrasebook",
    "reversal",
    "reviews",
    "running_maximum",
    "spoken",
    "waves",
    "waves_frame",
    "waves_splits",
    "weather",
    "weather_log_prob",
    "xor",
]
