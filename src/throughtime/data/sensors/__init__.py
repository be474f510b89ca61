"""Recordings of sensors, and files of recordings of any kind.

columns     which columns of a table hold what
tables      from the rows of a table to recordings
files       files and folders of recordings
overlaps    windows that share a stretch of one recording
"""

from throughtime.data.recording import Recording
from throughtime.data.sensors.columns import Columns
from throughtime.data.sensors.files import read_recordings
from throughtime.data.sensors.overlaps import chains, stretches

__all__ = ["Columns", "Recording", "chains", "read_recordings", "stretches"]
