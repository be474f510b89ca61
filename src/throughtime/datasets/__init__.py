"""Series with a known answer, and small real ones.

waves    two sines and noise: the forecasting task whose best possible error is known
real     CO2 at Mauna Loa (monthly) and sunspots (yearly), shipped with the package
"""

from throughtime.datasets.real import load
from throughtime.datasets.waves import WavesSplits, waves, waves_frame, waves_splits

__all__ = ["WavesSplits", "load", "waves", "waves_frame", "waves_splits"]
