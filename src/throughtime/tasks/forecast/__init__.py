"""Forecasting: the next values of series.

forecaster   Forecaster: fit, predict, update, evaluate, cross_validation, save, load
strategies   recursive, direct, sequence
network      segments in, a residual recurrent stack, the context of a series
outputs      what a net says of a step: a value, quantiles, a distribution
quantile_functions  Student's t and the negative binomial's
plan         what follows from the data: window, segments, validation, anchor
recipe       what follows from the data: size of the net, length of training
fitting      from series to a trained net
reading      a frame, or series that were read already
features     the calendar, holidays, covariates, which series it is
holiday_inputs  which holidays a net reads
standard     columns brought near one
windows      windows over many series, without copies
scaling      level and scale of a window
batches      windows on their way into a net
history      series that go on
baselines    naive, seasonal naive, linear autoregression
season       which series have a season, and its indices
naive2       M4's Naive2, what OWA is measured against
smoothing    exponential smoothing over whole series
peers        Theta and ETS of statsforecast
backtest     rolling origins
metrics      the measures, each formula once
evaluation   Evaluation: errors by model, step and series
conformal    quantiles corrected by the errors on held-out origins
intervals    intervals, quantiles and samples of a fitted forecaster
parameters   the checks of a forecaster's options
health       the gradient health of a fitted forecaster
summary      what was chosen, in a few lines
stored       the parts of a model folder
exported     what ONNX Runtime gets: `throughtime.tasks.export_onnx`
plain        the nets of older folders
held_out     series whose end judges forecasters
contest      ForecastContest: what cells are compared on
tuning_space  ForecastSearch: which options are tuned, around the default's
"""

from throughtime.tasks.forecast.contest import ForecastContest
from throughtime.tasks.forecast.evaluation import Evaluation
from throughtime.tasks.forecast.forecaster import Forecaster
from throughtime.tasks.forecast.tuning_space import ForecastSearch

__all__ = ["Evaluation", "ForecastContest", "ForecastSearch", "Forecaster"]
