"""Readers and writers of the formats people have, and the records that tasks share.

frames          long frames of pandas, Polars and Arrow in (`read_series`) and out (`build_frame`)
frequency       the step between time stamps, and calendar arithmetic with it
tables          CSV, CSV.gz and Parquet in, CSV, JSON and Parquet out
columns         the three columns of a long frame, checked, as arrays
clock           time stamps as arrays, wall clock and UTC
inference       finding the step of a set of series
series          a set of series in flat arrays
model_folder    model.safetensors + model.json
"""

from throughtime.data.frames import SeriesSet, build_frame, read_series
from throughtime.data.frequency import Frequency
from throughtime.data.model_folder import ModelFolder, check_model_target, read_model_folder, write_model_folder
from throughtime.data.tables import (
    Table,
    check_table_target,
    check_writable,
    read_series_file,
    read_table,
    write_table,
)

__all__ = [
    "Frequency",
    "ModelFolder",
    "SeriesSet",
    "Table",
    "build_frame",
    "check_model_target",
    "check_table_target",
    "check_writable",
    "read_model_folder",
    "read_series",
    "read_series_file",
    "read_table",
    "write_model_folder",
    "write_table",
]
