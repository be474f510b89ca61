"""Forecasting: the next values of series.

forecaster   Forecaster: fit, predict, evaluate, cross_validation, save, load
strategies   recursive, direct, sequence
plan         what follows from the data: window, validation, anchor
windows      windows over many series, without copies
scaling      level and scale of a window
baselines    naive, seasonal naive, linear autoregression
evaluation   Evaluation: errors by model and horizon
batches      windows on their way into a net
health       the gradient health of a fitted forecaster
stored       the parts of a model folder
contest      ForecastContest: what cells are compared on
"""

from throughtime.tasks.forecast.contest import ForecastContest
from throughtime.tasks.forecast.evaluation import Evaluation
from throughtime.tasks.forecast.forecaster import Forecaster

__all__ = ["Evaluation", "ForecastContest", "Forecaster"]
