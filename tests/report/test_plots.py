"""Plots: whole PNG files that show what they are given, without touching anything global."""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from throughtime.errors import ArgumentError, DataError, MissingExtraError
from throughtime.report import (
    Panel,
    check_plot_target,
    forecast,
    forecast_plot,
    learning,
    learning_curve_plot,
    strategies_plot,
)

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures as they were just before they were written."""
    figures: list[Figure] = []
    save = forecast.save

    def keep(figure: Figure, path: Path) -> Path:
        figures.append(figure)
        return save(figure, path)

    for module in (forecast, learning):
        monkeypatch.setattr(module, "save", keep)
    return figures


def monthly(name: str = "co2", horizon: int = 12, actual: bool = True, note: str = "") -> Panel:
    times = np.arange("2000-01", "2020-01", dtype="datetime64[M]").astype("datetime64[us]")
    values = 300 + np.arange(times.size) / 10 + np.sin(np.arange(times.size) * 2 * np.pi / 12)
    tail = values[-horizon:]
    forecasts = {"recursive": tail + 0.1, "direct": tail + 0.2, "sequence": tail - 0.1, "seasonal naive": tail - 1}
    return Panel(name, times[:-horizon], values[:-horizon], times[-horizon:], forecasts, tail if actual else None, note)


def line(figure: Figure, label: str) -> np.ndarray:
    lines = [each for axes in figure.axes for each in axes.get_lines() if each.get_label() == label]
    return np.asarray(lines[0].get_ydata(), dtype=float)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(match=lambda a: hasattr(a, "get_text"))]


def test_one_series(tmp_path: Path, drawn: list[Figure]):
    panel = monthly()
    path = forecast_plot(tmp_path / "one.png", [panel], title="co2, sequence", value_label="ppm", season_length=12)
    assert path.read_bytes().startswith(PNG)
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.png"]
    (figure,) = drawn
    assert line(figure, "history").tolist() == panel.values[-48:].tolist()
    assert panel.actual is not None
    # Lines of forecast and actual start at the origin, so that nothing floats.
    assert line(figure, "actual").tolist() == [panel.values[-1], *panel.actual]
    assert line(figure, "sequence").tolist() == [panel.values[-1], *panel.forecasts["sequence"]]
    assert {"co2, sequence", "ppm", "forecast from 2018-12"} <= set(texts(figure))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["history", "actual", "recursive", "direct", "sequence", "seasonal naive"]


def test_colours_of_one_plot_differ(tmp_path: Path, drawn: list[Figure]):
    forecast_plot(tmp_path / "one.png", [monthly()], title="")
    lines = [each for each in drawn[0].axes[0].get_lines() if each.get_label()[0] != "_"]
    assert len(lines) == 6
    assert len({each.get_color() for each in lines}) == 6
    coloured = [each for each in lines if each.get_label() in ("recursive", "direct", "sequence")]
    assert len({each.get_linestyle() + str(each._dash_pattern) for each in coloured}) == 3, (
        "told apart in grey print too"
    )


def test_nothing_global_is_touched(tmp_path: Path):
    before = dict(mpl.rcParams)
    forecast_plot(tmp_path / "one.png", [monthly()], title="x")
    assert dict(mpl.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


@pytest.mark.parametrize("n", [2, 3, 6])
def test_small_multiples_say_which_series_they_are(tmp_path: Path, drawn: list[Figure], n: int):
    panels = [monthly(f"shop {i}", note="hardest" if i == 0 else "") for i in range(n)]
    forecast_plot(tmp_path / "many.png", panels, title="many", note="Shown: some.")
    visible = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in visible] == [
        "shop 0  (hardest)",
        *(f"shop {i}" for i in range(1, n)),
    ]
    assert "Shown: some." in texts(drawn[0])


@pytest.mark.parametrize("horizon", [1, 2, 40])
def test_without_actual_values(tmp_path: Path, drawn: list[Figure], horizon: int):
    forecast_plot(tmp_path / "p.png", [monthly(horizon=horizon, actual=False)], title="next")
    assert "actual" not in [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert line(drawn[0], "direct").size == horizon + 1


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (np.arange(1990, 2014), "forecast from 2009"),
        (np.datetime64("2024-02-28", "us") + np.arange(24) * np.timedelta64(1, "D"), "forecast from 2024-03-18"),
        (np.datetime64("2024-02-28", "us") + np.arange(24) * np.timedelta64(1, "h"), "forecast from 2024-02-28 19:00"),
    ],
)
def test_the_origin_is_named_as_shortly_as_the_steps_allow(
    tmp_path: Path, drawn: list[Figure], times: np.ndarray, said: str
):
    values = np.arange(24.0)
    panel = Panel("a", times[:20], values[:20], times[20:], {"forecast": values[20:]})
    forecast_plot(tmp_path / "p.png", [panel], title="t", time_label="step")
    assert said in texts(drawn[0])
    assert drawn[0].axes[0].get_xlabel() == "step"


def test_a_constant_series_and_one_point_of_history_can_be_drawn(tmp_path: Path):
    panel = Panel("flat", np.array([4]), np.array([7.0]), np.array([5]), {"forecast": np.array([7.0])}, np.array([7.0]))
    assert forecast_plot(tmp_path / "flat.png", [panel], title="flat").stat().st_size > 1000


def test_strategies_side_by_side(tmp_path: Path, drawn: list[Figure]):
    panels = [monthly("co2"), monthly("other", horizon=6)]
    labels = {"co2": "ppm", "other": "kW"}
    strategies_plot(tmp_path / "s.png", panels, title="three", value_labels=labels, season_lengths={"co2": 12})
    wide, close, _, other_close = drawn[0].axes
    assert wide.get_ylabel() == "ppm"
    assert close.get_title(loc="left") == "the 12 steps, close up"
    assert other_close.get_title(loc="left") == "the 6 steps, close up"
    shown = {each.get_label() for each in close.get_lines()}
    assert {"actual", "recursive", "direct", "sequence", "seasonal naive"} <= shown


def test_learning_curve(tmp_path: Path, drawn: list[Figure]):
    losses = [1.0, 0.5, 0.25, 0.2]
    path = learning_curve_plot(tmp_path / "c.png", losses, [1.1, 0.6, 0.3, 0.4], best_epoch=3, title="t")
    assert path.read_bytes().startswith(PNG)
    assert line(drawn[0], "training").tolist() == losses
    assert "kept: epoch 3, 0.3" in texts(drawn[0])
    learning_curve_plot(tmp_path / "c.png", [2.0])
    learning_curve_plot(tmp_path / "c.png", [100.0, 1.0, 0.01])
    assert [figure.axes[0].get_yscale() for figure in drawn] == ["linear", "linear", "log"]


@pytest.mark.parametrize(
    ("losses", "validation", "best", "said"),
    [
        ([], None, None, r"got lengths \(0, None\)"),
        ([1.0, 2.0], [1.0], None, r"got lengths \(2, 1\)"),
        ([1.0, 2.0], None, 3, "from 1 to 2, got 3"),
    ],
)
def test_learning_curve_refuses(
    tmp_path: Path, losses: list[float], validation: list[float] | None, best: int, said: str
):
    with pytest.raises(ArgumentError, match=said):
        learning_curve_plot(tmp_path / "c.png", losses, validation, best_epoch=best)


def test_wrong_numbers_of_panels_are_refused(tmp_path: Path):
    with pytest.raises(ArgumentError, match="1 to 6 panels, got 7"):
        forecast_plot(tmp_path / "p.png", [monthly()] * 7, title="")
    with pytest.raises(ArgumentError, match="1 to 6 panels, got 0"):
        forecast_plot(tmp_path / "p.png", [], title="")
    with pytest.raises(ArgumentError, match="1 to 3 panels, got 4"):
        strategies_plot(tmp_path / "p.png", [monthly()] * 4, title="")


def test_targets_are_checked_before_work(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArgumentError, match=r"ends in \.png, got '.*plot\.pdf'"):
        check_plot_target(tmp_path / "plot.pdf")
    with pytest.raises(DataError, match=r"file.*got a file"):
        check_plot_target(tmp_path / "file" / "plot.png")
    with pytest.raises(DataError, match=r"got none"):
        forecast_plot(tmp_path / "nowhere" / "plot.png", [monthly()], title="")
    check_plot_target(tmp_path / "plot.png")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_without_matplotlib_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingExtraError, match=r"matplotlib.*throughtime\[plots\]"):
        check_plot_target(tmp_path / "plot.png")
