"""Long frames into sets of series, and back.

frames          long frames of pandas, Polars and Arrow in (`read_series`) and out (`build_frame`)
series          a set of series in flat arrays
covariates      columns beside the values: past, known-future, static (`Covariates`)
future          the known-future columns of the steps to forecast (`read_future`)
statics         static columns of a long frame
rows            which series and time each row of a long frame belongs to
columns         ids, text and numbers, checked, as arrays
stamps          a column of times, checked, as an array
native          plain columns straight from pandas, Polars and Arrow
assembly        columns put together into series
grid            gaps, laid onto the regular grid
fill            gaps filled, on request
sentinels       numbers that stand for a missing value
output          frames of the kind that came in
"""

__all__: list[str] = []
