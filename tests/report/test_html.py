"""The report: one file that fetches nothing, escapes everything, and shows what it is given."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from throughtime.errors import ArgumentError, DataError, MissingExtraError
from throughtime.report import Backtest, ForecastReport, Panel, check_report_target, forecast_report
from throughtime.report.errors import coverage_figure, horizon_figure
from throughtime.report.html import Page, Section, Table, figures_table, write_page
from throughtime.report.style import COLOURS, dress, new_figure
from throughtime.report.svg import DARK, LIGHT, inline_svg

EVIL = "<script>alert(1)</script>&\"'><img src=x onerror=alert(1)>"
NAN = float("nan")


class Read(HTMLParser):
    """Tags with their attributes, the text between them, and whether every element is closed in order."""

    VOID = {"meta", "br", "img", "link", "input"}  # noqa: RUF012

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def panel(name: str = "shop 1", note: str = "", bands: bool = True) -> Panel:
    times = np.arange("2015-01", "2020-01", dtype="datetime64[M]").astype("datetime64[us]")
    values = 100 + np.sin(np.arange(60.0))
    values[20] = NAN
    future, around = values[-6:], np.linspace(0.1, 0.5, 6)
    intervals = {80.0: (future - around, future + around), 95.0: (future - 2 * around, future + 2 * around)}
    return Panel(
        name, times[:-6], values[:-6], times[-6:], {"forecast": future + 0.1, "seasonal naive": future - 0.1}, future,
        note, intervals if bands else {},
    )  # fmt: skip


def report(**changes: object) -> ForecastReport:
    backtest = Backtest(
        metrics={"throughtime": {"MASE": 0.71, "WQL": 0.05}, "linear": {"MASE": 0.8, "WQL": NAN}},
        decisive="MASE",
        by_horizon={"throughtime": np.linspace(0.5, 0.9, 6), "linear": np.linspace(0.6, NAN, 6)},
        sentence="The model beats every baseline.",
        good=True,
        origins="6 steps ahead, 4 origins in each of 3 series",
        coverage={80.0: (78.25, np.linspace(84, 74, 6)), 95.0: (95.5, np.full(6, 95.5))},
    )
    given = ForecastReport(
        title="sales: 6 steps ahead",
        subtitle="by a GRU",
        data=[("series", "3"), ("points", "180"), ("step", "MS"), ("from", "2015-01-01")],
        panels=[panel("shop 1", "hardest"), panel("shop 2", "typical")],
        panels_title="Forecasts",
        panels_note="Shown: 2 of 3 series.",
        season_length=12,
        value_label="litres",
        train_loss=[1.0, 0.5, 0.4],
        validation_loss=[1.1, 0.6, 0.7],
        best_epoch=2,
        training=["Best of 3 epochs."],
        backtest=backtest,
        reach={"recurrent.0": np.exp(-np.arange(20.0))},
        health=["It reaches far."],
        choices=[("window", "30 steps")],
        configuration=[("hidden_size", "64")],
        versions=[("torch", "2.13.0")],
        origin=[("command", "throughtime train")],
    )
    return replace(given, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "r.html"
    assert forecast_report(path, report()) == path
    return path.read_text(encoding="utf-8")


def test_everything_given_is_shown(written: str):
    found = Read(written)
    assert found.count("figure") == 2 + 1 + 1 + 1 + 1
    assert found.count("h2") == 7
    said = " ".join(found.texts)
    for text in (
        "sales: 6 steps ahead", "by a GRU", "The model beats every baseline.", "shop 1", "(hardest)", "shop 2",
        "Shown: 2 of 3 series.", "Values: litres.", "0.7100", "–", "78.2 %", "95.5 %", "Best of 3 epochs.",
        "It reaches far.", "30 steps", "hidden_size", "2.13.0", "throughtime train", "80 % and 95 % intervals",
        "step of the horizon", "kept: epoch 2, 0.6",
    ):  # fmt: skip
        assert text in said, text


def test_it_fetches_nothing(written: str):
    found = Read(written)
    assert found.count("script") == found.count("link") == found.count("img") == found.count("iframe") == 0
    policies = [each["content"] for tag, each in found.tags if each.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    for _, attributes in found.tags:
        for name, value in attributes.items():
            assert not re.search(r"https?:|//", value), (name, value)
            if name in ("src", "href", "xlink:href"):
                assert value.startswith("#")
    assert "@import" not in written
    assert all(each.startswith("#") for each in re.findall(r"url\(([^)]*)\)", written))


def test_every_reference_has_its_target_and_no_id_comes_twice(written: str):
    ids = [attributes["id"] for _, attributes in Read(written).tags if "id" in attributes]
    assert len(ids) == len({*ids})
    referred = {*re.findall(r"url\(#([^)]+)\)", written), *re.findall(r'href="#([^"]+)"', written)}
    assert referred
    assert referred == {*ids}


def test_words_of_the_data_are_words(tmp_path: Path):
    rows = [(EVIL, EVIL)]
    forecast_report(
        tmp_path / "r.html",
        report(
            title=EVIL, subtitle=EVIL, data=rows * 3, panels=[panel(EVIL, EVIL), panel("$x^{")], panels_title=EVIL,
            panels_note=EVIL, value_label=EVIL, training=[EVIL], health=[EVIL], choices=rows, configuration=rows,
            versions=rows, origin=rows,
        ),
    )  # fmt: skip
    found = Read((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert found.count("script") == found.count("img") == 0
    assert found.texts.count(EVIL) >= 10
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert any(EVIL in each.get("aria-label", "") for _, each in found.tags)


def test_the_least_is_a_report_of_a_forecast_alone(tmp_path: Path):
    least = report(
        panels=[replace(panel(bands=False), actual=None)], backtest=None, train_loss=[], reach={}, health=[],
        choices=[], configuration=[], versions=[], origin=[], value_label="", panels_note="", subtitle="",
    )  # fmt: skip
    forecast_report(tmp_path / "r.html", least)
    found = Read((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert found.count("figure") == 1
    assert [text for text in found.texts if text in ("Data", "Forecasts", "Training", "Calibration")] == [
        "Data", "Forecasts"
    ]  # fmt: skip
    assert "actual" not in found.texts


def test_bad_news_is_marked(tmp_path: Path):
    for good, mark in ((False, 'class="verdict worse"'), (True, 'class="verdict"')):
        text = write_page(tmp_path / "p.html", Page("t", [], verdict="So.", good=good)).read_text(encoding="utf-8")
        assert f"<p {mark}>So.</p>" in text


def test_a_figure_follows_the_page_in_light_and_dark():
    figure = new_figure(3, 2)
    axes = figure.subplots()
    for i, (colour, dashes) in enumerate(COLOURS):
        axes.plot([0, 1], [i, i + 1], color=colour, linestyle=dashes)
    dress(axes, np.arange(2))
    axes.set_title("a < b, 0.98765", loc="left")
    before = dict(mpl.rcParams)
    text = inline_svg(figure, 'a "label" & more', "one")
    assert dict(mpl.rcParams) == before
    assert 'aria-label="a &quot;label&quot; &amp; more"' in text
    assert "a &lt; b, 0.98765<" in text, "numbers in words are not shortened"
    names = {*re.findall(r"var\(--([a-z0-9]+)\)", text)}
    assert names == {"quiet", "grid", "rule", *(f"line{i}" for i in range(5))} | ({"ink"} & names)
    assert re.findall(r"#[0-9a-f]{6}", text) == [], "every colour is the page's"
    assert names <= set(LIGHT)
    assert list(LIGHT) == list(DARK)
    assert "<style" not in text
    assert "metadata" not in text
    assert inline_svg(figure, "", "one") != inline_svg(figure, "", "two"), "ids differ"


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_text_can_be_read(colours: dict[str, str]):
    for name in ("ink", "quiet"):
        for ground in ("page", "panel"):
            dark, light = sorted((luminance(colours[name]), luminance(colours[ground])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)


def test_a_table_marks_the_least():
    table = figures_table(
        {"model": {"a": 1.0, "b": NAN}, "naive": {"a": 1.0}, "x": {"a": 12345.6, "b": 2.0}}, ["a", "b"]
    )
    assert table.rows == [["model", "1.000", "–"], ["naive", "1.000", "–"], ["x", "1.235e+04", "2.000"]]
    assert table.best == {(0, 1), (1, 1), (2, 2)}
    assert table.marked == {0}


def test_bold_cells_are_the_best_ones(tmp_path: Path):
    table = Table(rows=[["a", "1", "2"], ["b", "3", "4"]], best=frozenset({(0, 2), (1, 1)}))
    text = write_page(tmp_path / "p.html", Page("t", [Section("s", tables=[table])])).read_text()
    assert re.findall(r'<td class="best">(.)</td>', text) == ["2", "3"]


@pytest.mark.parametrize("name", ["r.pdf", "r", "r.html.txt"])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str):
    with pytest.raises(ArgumentError, match=re.escape(repr(str(tmp_path / name)))):
        check_report_target(tmp_path / name)


def test_a_missing_folder_and_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(DataError, match="nowhere"):
        check_report_target(tmp_path / "nowhere" / "r.html")
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"jinja2.*throughtime\[plots\]"):
        check_report_target(tmp_path / "r.html")


def test_figures_refuse_what_does_not_fit():
    with pytest.raises(ArgumentError, match=r"\(2,\), \(3,\)"):
        horizon_figure({"a": np.ones(2), "b": np.ones(3)}, metric="MASE")
    with pytest.raises(ArgumentError, match=r"got \[\]"):
        horizon_figure({}, metric="MASE")
    with pytest.raises(ArgumentError, match=r"2 levels, got shape \(1, 3\)"):
        coverage_figure([80, 95], np.ones((1, 3)))
    with pytest.raises(ArgumentError, match="got 1 to 101"):
        coverage_figure([80], np.array([[1.0, 101.0]]))
    with pytest.raises(ArgumentError, match="got 100 in 'x'"):
        replace(panel("x"), bands={100.0: (np.ones(6), np.ones(6))})
    with pytest.raises(ArgumentError, match=r"'80 % high' of shape \(6,\).*got \(5,\)"):
        replace(panel("x"), bands={80.0: (np.ones(6), np.ones(5))})


def test_baselines_are_grey_and_the_model_is_not():
    figure = horizon_figure({"throughtime": np.ones(3), "naive": np.ones(3), "linear": np.ones(3)}, metric="MASE")
    lines = {line.get_label(): line.get_color() for line in figure.axes[0].get_lines()}
    assert lines["throughtime"] == COLOURS[0][0]
    assert lines["naive"] == lines["linear"] != COLOURS[0][0]
