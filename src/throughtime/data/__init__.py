"""Readers and writers of the formats people have, and the records that tasks share.

frames          long frames of pandas, Polars and Arrow in (`read_series`) and out (`build_frame`)
covariates      columns beside the values: past, known-future, static (`Covariates`)
future          the known-future columns of the steps to forecast (`read_future`)
calendar        what the calendar says about stamps, holidays too
fill            gaps filled, on request
assembly        columns put together into series
rows            which series and time each row of a long frame belongs to
statics         static columns of a long frame
grid            gaps, laid onto the regular grid
frequency       the step between time stamps, and calendar arithmetic with it
tables          CSV, CSV.gz and Parquet in, CSV, JSON and Parquet out
series_file     series from files, which may be larger than memory
csv_text        CSV, checked and parsed
blocks          large tables in pieces
columns         ids, text and numbers, checked, as arrays
stamps          a column of times, checked, as an array
native          plain columns straight from pandas, Polars and Arrow
sentinels       numbers that stand for a missing value
output          frames of the kind that came in
clock           time stamps as arrays, wall clock and UTC
inference       finding the step of a set of series
series          a set of series in flat arrays
text            texts in files: plain text, JSON Lines, compressed
text_units      characters, words, subwords as ids
vocabulary      symbols and their ids
conll           tagged sentences in columns
tokens          raw text into tokens with exact places
model_folder    model.safetensors + model.json
"""

from throughtime.data.calendar import calendar_features, calendar_names, holiday_features
from throughtime.data.covariates import Covariates
from throughtime.data.fill import fill_missing
from throughtime.data.frames import SeriesSet, build_frame, read_series
from throughtime.data.frequency import Frequency
from throughtime.data.future import read_future
from throughtime.data.model_folder import ModelFolder, check_model_target, read_model_folder, write_model_folder
from throughtime.data.series_file import read_series_file
from throughtime.data.tables import Table, check_table_target, check_writable, read_table, write_table
from throughtime.data.text import TextFiles, Texts
from throughtime.data.text_units import TextUnits
from throughtime.data.vocabulary import Vocabulary

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
    "holiday_features",
    "read_future",
    "read_model_folder",
    "read_series",
    "read_series_file",
    "read_table",
    "write_model_folder",
    "write_table",
]
