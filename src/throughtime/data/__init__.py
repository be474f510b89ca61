"""Readers and writers of the formats people have, and the records that tasks share.

series          long frames into sets of series, and back
times           time stamps: the clock, the calendar, frequencies
tables          CSV, Parquet and JSON files
text            texts in files, their units, tagged sentences
music           pieces on a grid: MIDI, ABC, piano rolls, sound
sensors         samples in tables, arrays and folders, as recordings
video           frames of videos and folders of images, as recordings; annotated videos
recording       Recording: samples or frames, and what is known of them
sound           files and pipes of sound, features, n-gram models
model_folder    model.safetensors + model.json
"""

from throughtime.data.model_folder import ModelFolder, check_model_target, read_model_folder, write_model_folder
from throughtime.data.series.covariates import Covariates
from throughtime.data.series.fill import fill_missing
from throughtime.data.series.frames import SeriesSet, build_frame, read_series
from throughtime.data.series.future import read_future
from throughtime.data.tables.files import Table, check_table_target, check_writable, read_table, write_table
from throughtime.data.tables.holidays_file import read_holidays
from throughtime.data.tables.series_file import read_series_file
from throughtime.data.text.files import TextFiles, Texts
from throughtime.data.text.units import TextUnits
from throughtime.data.text.vocabulary import Vocabulary
from throughtime.data.times.calendar import calendar_features, calendar_names
from throughtime.data.times.frequency import Frequency
from throughtime.data.times.holidays import holiday_dates, holiday_features

__all__ = [
    "Covariates",
    "Frequency",
    "ModelFolder",
    "SeriesSet",
    "Table",
    "TextFiles",
    "TextUnits",
    "Texts",
    "Vocabulary",
    "build_frame",
    "calendar_features",
    "calendar_names",
    "check_model_target",
    "check_table_target",
    "check_writable",
    "fill_missing",
    "holiday_dates",
    "holiday_features",
    "read_future",
    "read_holidays",
    "read_model_folder",
    "read_series",
    "read_series_file",
    "read_table",
    "write_model_folder",
    "write_table",
]
