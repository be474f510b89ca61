"""The forecasting benchmark: its files, its protocols, its formulas, and what it writes down.

The slow tests need the data sets: $THROUGHTIME_DATA, or ../shared/data beside the checkout.
"""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.forecasting import __main__ as command
from benchmarks.quality.forecasting import figures, records, sets, simple, tables
from benchmarks.quality.forecasting.panels import Panel, data_folder, read_m4_hourly, read_tsf, weekday_medians
from benchmarks.quality.forecasting.task import Published, Task, made_small
from throughtime import Forecaster
from throughtime.tasks.forecast.naive2 import naive2
from throughtime.tasks.forecast.windows import Windows

PUBLISHED = Published("MASE", 0.5, {"somebody": 0.7})


def mase_of(m):
    def measures(F_NK, Y_NK, pasts):
        return {"MASE": figures.mase(F_NK, Y_NK, figures.scales(pasts, m)), "MAE": figures.mae(F_NK, Y_NK)}

    return measures


def rolling_task(n_windows=7, step=2, horizon=3):
    generator = np.random.Generator(np.random.PCG64(0))
    values = tuple(generator.normal(size=n).cumsum() for n in (40, 50, 60))
    panel = Panel(("b", "a", "c"), values, (np.datetime64("2020-01-31", "us"),) * 3, "daily")
    first = np.array([len(v) - horizon - (n_windows - 1) * step for v in values])
    return Task("made", panel, horizon, 5, first, first, mase_of(5), PUBLISHED, n_windows=n_windows, step=step)


def test_tsf_lines_become_series(tmp_path):
    text = "# café\n@relation X\n@attribute series_name string\n@attribute start_timestamp date\n"
    text += "@frequency monthly\n@missing true\n@data\nT1:2000-03-01 00-00-00:1,?,2.5\nT2:2001-01-01 00-00-00:7\n"
    (tmp_path / "x.tsf.gz").write_bytes(gzip.compress(text.encode("latin-1")))
    panel = read_tsf(tmp_path / "x.tsf.gz")
    assert panel.ids == ("T1", "T2")
    np.testing.assert_array_equal(panel.values[0], [1, np.nan, 2.5])
    frame = panel.frame()
    assert frame["y"].to_list() == [1, None, 2.5, 7]
    assert frame["ds"].dt.to_string("%Y-%m-%d").to_list() == ["2000-03-01", "2000-04-01", "2000-05-01", "2001-01-01"]
    assert panel.frame(1, [2, 1])["ds"].dt.month().to_list() == [4]


def test_m4_files_are_joined(tmp_path):
    for name, rows in {"train": '"H1","1","2"\n"H2","3",\n', "test": '"H1","5","6"\n"H2","7","8"\n'}.items():
        (tmp_path / f"Hourly-{name}.csv.gz").write_bytes(gzip.compress(f'"V1","V2","V3"\n{rows}'.encode()))
    panel = read_m4_hourly(tmp_path)
    assert [v.tolist() for v in panel.values] == [[1, 2, 5, 6], [3, 7, 8]]


def test_gaps_are_filled_with_the_median_of_their_weekday():
    values = np.arange(28.0)
    values[[9, 23]] = np.nan
    values[2] = 100
    filled = weekday_medians(values)
    assert filled[9] == filled[23] == (100 + 16) / 2
    assert filled[8] == 8
    assert np.isnan(values[9])


def test_errors_by_hand():
    F, Y = np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([[2.0, np.nan], [0.0, 0.1]])
    assert figures.mse(F, Y) == pytest.approx((1 + 0 + 0.01) / 3)
    assert figures.smape(F, Y) == pytest.approx((200 / 3 + 0 + 200) / 3)
    assert figures.guarded_smape(F, Y) == pytest.approx((200 / 3.1 + 0 + 20 / 0.6) / 3)
    scale = figures.scales([np.array([1.0, np.nan, 3.0, 7.0]), np.full(4, 2.0)], 1)
    assert scale[0] == 4
    assert np.isnan(scale[1])
    assert figures.mase(F, Y, scale) == pytest.approx(0.25)
    assert (
        figures.coverage(np.array([[0.0, 1.0, 5.0]]), np.array([[2.0, 2.0, 6.0]]), np.array([[2.0, 3.0, np.nan]])) == 50
    )


def test_the_judge_and_the_library_agree():
    """Two hands wrote the formulas; the figures of the simple methods are the same."""
    task = rolling_task(1)
    positive = task.panel.with_values([np.abs(values) + 1 for values in task.panel.values])
    model = Forecaster(3, hidden_size=2, num_layers=1, epochs=1, season_length=5).fit(positive.frame(0, [30, 30, 30]))
    theirs = model.evaluate(positive.frame()).metrics
    task = replace(task, panel=positive)
    mine = task.simple_figures()
    for name in ("naive", "seasonal naive"):
        F_NK, Y_NK = task.simple_forecasts(0, 1)[name], task.targets(0, 1)
        found = {**mine[name], "MSE": figures.mse(F_NK, Y_NK), "sMAPE": figures.smape(F_NK, Y_NK)}
        assert {measure: theirs[name][measure] for measure in found} == pytest.approx(found)


@pytest.mark.parametrize("m", [4, 5])
def test_naive2_is_the_library_s(m):
    generator = np.random.Generator(np.random.PCG64(2))
    past = np.resize(np.arange(1.0, m + 1), 43) * generator.uniform(0.8, 1.2, 43)
    flat = np.append(past, np.zeros(7))
    windows = Windows(flat, np.zeros(1, int), np.zeros(1, int), np.array([43]), 10, 7)
    np.testing.assert_allclose(simple.naive2(past, 7, m), naive2(windows, m)[0], rtol=1e-12)


def test_covariates_stand_beside_the_series():
    values = (np.arange(4.0), np.arange(3.0))
    panel = Panel(
        ("a", "b"),
        values,
        (np.datetime64("2024-10-05T15:00", "us"),) * 2,
        "half_hourly",
        {"x": (values[0] * 2, values[1] * 3)},
    )
    frame = replace(panel, zone="Australia/Melbourne").without([1, 2]).frame()
    assert frame["x"].to_list() == [2, 4, 6, 6]
    # The clocks go forward at two.
    assert frame["ds"].dt.to_string("%H:%M").to_list() == ["01:30", "03:00", "03:30", "03:00"]


def test_naive2_follows_a_multiplicative_season_and_refuses_none():
    index = np.array([0.5, 1.0, 1.5, 1.0])
    np.testing.assert_allclose(simple.naive2(10 * np.resize(index, 30), 6, 4), 10 * np.resize(np.roll(index, -2), 6))
    noise = np.random.Generator(np.random.PCG64(1)).normal(10, 1, 30)
    assert not simple.is_seasonal(noise, 4)
    np.testing.assert_array_equal(simple.naive2(noise, 3, 4), noise[-1])
    assert not simple.is_seasonal(np.resize(index, 11), 4)  # fewer than three seasons


def test_blocks_of_windows_give_the_figures_of_the_whole():
    task = rolling_task()
    whole, parts = [
        task.score(lambda first, count: task.simple_forecasts(first, count)["naive"], windows) for windows in (10**6, 6)
    ]
    assert list(task.blocks(6)) == [(0, 2), (2, 2), (4, 2), (6, 1)]
    assert whole == pytest.approx(parts)
    last = task.targets(6, 1)
    np.testing.assert_array_equal(last, [values[-3:] for values in task.panel.values])
    assert task.pasts(6, 1)[1][-1] == task.panel.values[1][-4]
    assert task.train_frame().filter(unique_id="a").height == len(task.panel.values[1]) - 3 - 12


def test_series_without_a_scale_are_listed():
    task = rolling_task(1)
    flat, empty = np.full(40, 3.0), np.r_[np.ones(47), np.full(3, np.nan)]
    task = replace(task, panel=task.panel.with_values((flat, empty, task.panel.values[2])))
    assert task.unscored() == {"no value to compare with": ["a"], "no finite scale": ["b"]}


def test_a_small_task_keeps_the_windows_where_they_were():
    task = rolling_task()
    small = made_small(task, series=2, points=10, windows=2)
    assert small.panel.ids == ("b", "c")
    np.testing.assert_array_equal(small.targets(0, 2), task.targets(0, 2)[[0, 1, 4, 5]])
    assert small.panel.times(1, 10, 11) == task.panel.times(2, int(task.train_ends[2]), int(task.train_ends[2]) + 1)
    assert small.train_frame().height == 20


def test_the_command_goes_on_where_it_was(monkeypatch, tmp_path, capsys):
    out, results = tmp_path / "runs.jsonl", tmp_path / "found.json"
    monkeypatch.setitem(command.sets.SETS, "made", {None: lambda data: rolling_task()})
    words = f"forecasting --data {tmp_path} --set made --out {out} --results {results} --option epochs=1 cell=rnn"
    monkeypatch.setattr("sys.argv", [*words.split(), "--seed", "0"])
    command.main()
    shown = capsys.readouterr().out
    assert "MASE" in shown
    assert "somebody" in shown
    monkeypatch.setattr("sys.argv", [*words.split(), "--seed", "0", "1"])
    command.main()
    assert "seed 0: " in capsys.readouterr().out
    runs = json.loads(results.read_text())["runs"]
    assert [(run["seed"], run["windows"], run["options"]) for run in runs] == [
        (seed, 21, {"epochs": 1, "cell": "rnn"}) for seed in (0, 1)
    ]
    assert str(tmp_path) not in results.read_text()
    assert runs[0]["met"] == (runs[0]["figure"] <= 0.5)
    out.write_text(out.read_text() + '{"set": "made", "hor')  # killed while it wrote
    assert len(records.read(out)) == 2


def test_tables_of_results():
    run = {"set": "etth1", "horizon": 96, "measure": "MSE", "target": 0.4, "published": {"x": 0.38}, "cpu_minutes": 1}
    held = {"coverage": {"80": {"coverage": 78.25}}}
    ours = [{**run, **held, "method": "throughtime", "figure": f, "minutes": m} for f, m in ((0.39, 3.0), (0.43, 5.0))]
    peers = [{**run, "method": "linear", "figure": 0.37, "minutes": 0.1}]
    row = tables.figures_table(ours).splitlines()[-1]
    assert row == "| etth1 96 | MSE | 0.4100 (mean of 2 seeds) | 0.4 | **missed** | x 0.38 | 80: 78.2 | 4.0 (1.0) |"
    assert tables.peers_table(ours, peers).splitlines()[-1] == "| etth1 96 | MSE | 0.4100 (4.0) | **0.3700** (0.1) |"
    page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n"
    assert tables.put("new", "x", page) == "a\n<!-- x -->\n\nnew\n\n<!-- end of x -->\nb\n"
    assert tables.put("new", "x", tables.put("old", "x", page)) == tables.put("new", "x", page)
    with pytest.raises(SystemExit, match="<!-- y -->"):
        tables.put("new", "y", page)


def test_the_stated_gain_of_temperature_and_holidays_is_the_measured_one():
    quality = Path(command.__file__).parents[1]
    runs = json.loads((quality.parent / "results/forecasting.json").read_text())["runs"]
    found = {run["set"]: run["figure"] for run in runs if run["set"].startswith("vic_elec")}
    gain = 1 - found["vic_elec_covariates"] / found["vic_elec"]
    stated = f"lower the error on Victoria's demand by {100 * gain:.0f} %"
    assert stated in (quality / "README.md").read_text()
    assert gain > 0.2


@pytest.fixture(scope="module")
def data():
    folder = data_folder()
    if folder is None:
        pytest.skip("no data sets: THROUGHTIME_DATA names no folder")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "horizon", "method", "measure", "expected", "decimals"),
    [
        ("hospital", None, "seasonal naive", "MASE", 0.921, 3),
        ("car_parts", None, "seasonal naive", "MASE", 1.201, 3),
        ("us_births", None, "naive", "MASE", 1.865, 3),  # scaled with m = 1, and forecast so too
        ("m4_hourly", None, "seasonal naive", "OWA", 0.627, 2),  # printed as .627 and .628
        ("m4_hourly", None, "seasonal naive", "MASE", 1.193, 3),
        ("m4_hourly", None, "seasonal naive", "sMAPE", 13.912, 3),
        ("tourism_monthly", None, "seasonal naive", "MASE", 1.631, 3),  # Athanasopoulos et al. 2011
        # The last value on ETT (Zeng et al. 2023), who dropped the last batch: hence two decimals.
        ("etth1", 96, "naive", "MSE", 1.295, 2),
        ("etth1", 720, "naive", "MSE", 1.339, 2),
        ("ettm1", 96, "naive", "MSE", 1.214, 3),
    ],
)
def test_simple_methods_print_their_published_figures(data, name, horizon, method, measure, expected, decimals):
    found = sets.load(name, data, horizon).simple_figures()[method][measure]
    assert found == pytest.approx(expected, abs=0.6 * 10**-decimals)


@pytest.mark.slow
def test_naive2_prints_its_published_figures(data):
    task = sets.load("m4_hourly", data)
    found = task.score(lambda first, count: np.array([simple.naive2(p, 48, 24) for p in task.pasts(first, count)]))
    assert found == pytest.approx({"OWA": 1, "sMAPE": 18.383, "MASE": 2.395}, abs=5e-4)


@pytest.mark.slow
def test_every_set_runs(data, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "sys.argv", ["x", "--data", str(data), "--set", *sets.SETS, "--quick", "--out", str(tmp_path / "o")]
    )
    command.main()
    assert [run["set"] for run in records.read(tmp_path / "o")] == list(sets.SETS)
