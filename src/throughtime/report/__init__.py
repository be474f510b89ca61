"""Plots, from plain arrays to PNG files; they know no task.

panel       Panel: one series, its forecasts, what then happened; choose_series: which of many to draw
forecast    forecast_plot, strategies_plot
comparison  comparison_plot: models side by side
gradients   gradient_plot: norms over time and layers
learning    learning_curve_plot
style       colours, axes, writing a figure; check_plot_target
"""

from throughtime.report.comparison import comparison_plot
from throughtime.report.forecast import forecast_plot, strategies_plot
from throughtime.report.gradients import gradient_plot
from throughtime.report.learning import learning_curve_plot
from throughtime.report.panel import Panel, choose_series
from throughtime.report.style import check_plot_target

__all__ = [
    "Panel",
    "check_plot_target",
    "choose_series",
    "comparison_plot",
    "forecast_plot",
    "gradient_plot",
    "learning_curve_plot",
    "strategies_plot",
]
