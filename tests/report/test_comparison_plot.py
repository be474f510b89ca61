"""Models side by side: every run, the baselines that are near, the costs."""

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from throughtime.errors import ArgumentError, DataError
from throughtime.report import comparison, comparison_plot

ERRORS = {"gru": [0.5, 0.6, 0.55], "lstm": [0.6, 0.7, 0.8]}
COSTS = {"seconds": {"gru": 3.0, "lstm": 4.0}, "memory": {"gru": 12.0}}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures as they were just before they were written."""
    figures: list[Figure] = []
    save = comparison.save

    def keep(figure: Figure, path: Path) -> Path:
        figures.append(figure)
        return save(figure, path)

    monkeypatch.setattr(comparison, "save", keep)
    return figures


def texts(figure: Figure) -> str:
    return "|".join(text.get_text() for text in figure.findobj(match=lambda a: hasattr(a, "get_text")))


def test_every_run_the_means_and_the_costs(tmp_path: Path, drawn: list[Figure]):
    path = comparison_plot(
        tmp_path / "c.png", ERRORS, COSTS, baselines={"linear": 0.65, "naive": 9.0}, error_label="MASE", title="Which?"
    )
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    (figure,) = drawn
    dots, seconds, memory = figure.axes
    drawn_runs = {
        int(line.get_ydata()[0]): [*line.get_xdata()] for line in dots.get_lines() if line.get_marker() == "o"
    }
    assert drawn_runs == {0: ERRORS["gru"], 1: ERRORS["lstm"]}
    means = [line.get_xdata()[0] for line in dots.get_lines() if line.get_marker() == "|"]
    np.testing.assert_allclose(means, [0.55, 0.7])
    assert [line.get_xdata()[0] for line in dots.get_lines() if line.get_marker() == "None"] == [0.65]
    assert "Off the picture: naive 9." in texts(figure)
    assert [bar.get_width() for bar in seconds.patches] == [3.0, 4.0]
    assert [bar.get_width() for bar in memory.patches] == [12.0]
    for word in ("MASE, less is better", "Which?", "gru", "lstm", "seconds", "memory", " linear 0.65"):
        assert word in texts(figure)


def test_the_first_model_stands_at_the_top(tmp_path: Path, drawn: list[Figure]):
    comparison_plot(tmp_path / "c.png", ERRORS, {})
    (axes,) = drawn[0].axes
    assert axes.get_ylim() == (1.5, -0.5)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["gru", "lstm"]


def test_a_model_without_a_result_is_told(tmp_path: Path, drawn: list[Figure]):
    comparison_plot(tmp_path / "c.png", {"gru": [0.5, math.nan], "rnn": [math.nan], "lstm": []}, {})
    assert texts(drawn[0]).count("no result") == 2
    assert [*drawn[0].axes[0].get_lines()[0].get_xdata()] == [0.5]


def test_nothing_to_draw(tmp_path: Path):
    with pytest.raises(ArgumentError, match="got none for 2 models"):
        comparison_plot(tmp_path / "c.png", {"gru": [math.nan], "lstm": []}, {})
    with pytest.raises(ArgumentError, match="expected seconds of 0 or more for the models given, got 3 for 'rnn'"):
        comparison_plot(tmp_path / "c.png", ERRORS, {"seconds": {"rnn": 3.0}})
    with pytest.raises(ArgumentError, match="got -1 for 'gru'"):
        comparison_plot(tmp_path / "c.png", ERRORS, {"seconds": {"gru": -1.0}})
    with pytest.raises(ArgumentError, match=r"got 'c\.pdf'"):
        comparison_plot("c.pdf", ERRORS, {})
    with pytest.raises(DataError, match="got none; create it first"):
        comparison_plot(tmp_path / "no" / "c.png", ERRORS, {})
    assert [*tmp_path.iterdir()] == []
