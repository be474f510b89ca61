"""Forecasting on public data sets, each under the protocol of the figures it is set beside.

panels     the files, as series
task       a data set under its protocol: split, origins, what is measured
sets       the data sets, and what was published about them
figures    errors as each protocol defines them
simple     forecasts that need no training, and that prove a protocol
ours       `throughtime.Forecaster` under a protocol
records    runs as JSON lines, and the table of them
tables     the tables of the README, made from the results files
peers      other libraries under the same protocols, in an environment of their own

`python -m benchmarks.quality.forecasting --data DIR --set hospital --out hospital.jsonl`
"""
