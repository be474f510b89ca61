"""Plots and reports, from plain data to PNG and HTML files; they know no task.

panel            Panel: one series, its forecasts, what then happened; choose_series: which of many to draw
forecast         forecast_plot, strategies_plot
comparison       comparison_plot: models side by side
confusion        confusion_plot: which labels are taken for which
attention        attention_plot: what was looked at for each piece written
gradients        gradient_plot: norms over time and layers
gates            gate_plot: what the gates of a trained model keep, word by word
speech           speech_plot: features, probabilities and words over time
unrolled         unrolled_plot: any model along time, forward and backward
learning         learning_curve_plot
music            piano_roll_plot; histogram_plot: what pieces are made of
reliability      reliability_plot: whether probabilities mean what they say
timeline         timeline_plot: found and true labels along time
errors           errors and coverage by step of the horizon, for a report
forecast_report  forecast_report: all about a forecaster on one page; ForecastReport, Backtest: what it shows
explanation      explain_cell: a cell's equations, and the lines where they run; CellExplanation
explanation_words   what is said of each cell, in English and Chinese
explanation_page    explanation_page: the same on one page
html             a page in one file: sections, tables, figures; check_report_target
svg              a figure inside a page, light and dark
style            colours, axes, writing a figure; check_plot_target
"""

from throughtime.report.attention import attention_plot
from throughtime.report.comparison import comparison_plot
from throughtime.report.confusion import confusion_plot
from throughtime.report.explanation import CellExplanation, explain_cell
from throughtime.report.explanation_page import explanation_page
from throughtime.report.forecast import forecast_plot, strategies_plot
from throughtime.report.forecast_report import Backtest, ForecastReport, forecast_report
from throughtime.report.gates import gate_plot
from throughtime.report.gradients import gradient_plot
from throughtime.report.html import check_report_target
from throughtime.report.learning import learning_curve_plot
from throughtime.report.music import histogram_plot, piano_roll_plot
from throughtime.report.panel import Panel, choose_series
from throughtime.report.reliability import reliability_plot
from throughtime.report.speech import speech_plot
from throughtime.report.style import check_plot_target
from throughtime.report.timeline import timeline_plot
from throughtime.report.unrolled import unrolled_plot

__all__ = [
    "Backtest",
    "CellExplanation",
    "ForecastReport",
    "Panel",
    "attention_plot",
    "check_plot_target",
    "check_report_target",
    "choose_series",
    "comparison_plot",
    "confusion_plot",
    "explain_cell",
    "explanation_page",
    "forecast_plot",
    "forecast_report",
    "gate_plot",
    "gradient_plot",
    "histogram_plot",
    "learning_curve_plot",
    "piano_roll_plot",
    "reliability_plot",
    "speech_plot",
    "strategies_plot",
    "timeline_plot",
    "unrolled_plot",
]
