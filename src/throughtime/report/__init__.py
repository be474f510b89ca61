"""Plots and reports, from plain data to PNG and HTML files; they know no task.

panel            Panel: one series, its forecasts, what then happened; choose_series: which of many to draw
forecast         forecast_plot, strategies_plot
comparison       comparison_plot: models side by side
confusion        confusion_plot: which labels are taken for which
gradients        gradient_plot: norms over time and layers
learning         learning_curve_plot
reliability      reliability_plot: whether probabilities mean what they say
errors           errors and coverage by step of the horizon, for a report
forecast_report  forecast_report: all about a forecaster on one page; ForecastReport, Backtest: what it shows
html             a page in one file: sections, tables, figures; check_report_target
svg              a figure inside a page, light and dark
style            colours, axes, writing a figure; check_plot_target
"""

from throughtime.report.comparison import comparison_plot
from throughtime.report.confusion import confusion_plot
from throughtime.report.forecast import forecast_plot, strategies_plot
from throughtime.report.forecast_report import Backtest, ForecastReport, forecast_report
from throughtime.report.gradients import gradient_plot
from throughtime.report.html import check_report_target
from throughtime.report.learning import learning_curve_plot
from throughtime.report.panel import Panel, choose_series
from throughtime.report.reliability import reliability_plot
from throughtime.report.style import check_plot_target

__all__ = [
    "Backtest",
    "ForecastReport",
    "Panel",
    "check_plot_target",
    "check_report_target",
    "choose_series",
    "comparison_plot",
    "confusion_plot",
    "forecast_plot",
    "forecast_report",
    "gradient_plot",
    "learning_curve_plot",
    "reliability_plot",
    "strategies_plot",
]
