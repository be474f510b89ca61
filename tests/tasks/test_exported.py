"""Whole models as ONNX: the programs of docs/exchange.md, without torch, give what the estimators give."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest

from throughtime.errors import ArgumentError, DataError, NotFittedError
from throughtime.tasks import Classifier, Estimator, Forecaster, LanguageModel, Tagger, export_onnx, load
from throughtime.tasks.exported import TASKS

PAGE = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text()
PROGRAMS = dict(re.findall(r"^### (\w+)\n\n```py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
SENTENCES = [
    (["Ann", "Lee", "lives", "in", "Rome"], ["B-PER", "I-PER", "O", "O", "B-LOC"]),
    (["Bob", "sings"], ["B-PER", "O"]),
] * 8
NO_TORCH = "import sys\nsys.modules['torch'] = sys.modules['throughtime'] = None\n"


def run(program: str, *arguments: Any) -> list[Any]:
    """What a program of the page prints, a JSON value a line; importing torch in it is an error."""
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH + PROGRAMS[program], *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def language() -> LanguageModel:
    text = "the cat sat on the mat. the dog sat on the log.\n" * 40
    return LanguageModel(hidden_size=16, num_layers=2, epochs=3, learning_rate=0.02).fit([text])


def series(n: int = 120) -> pl.DataFrame:
    t, rng = np.arange(n), np.random.default_rng(0)
    y = np.concatenate((10 + np.sin(t / 2) + rng.normal(size=n) / 10, 100 + 5 * np.cos(t / 3)))
    return pl.DataFrame({"unique_id": ["a"] * n + ["b"] * n, "ds": [*range(n)] * 2, "y": y})


def test_every_program_of_the_page_is_short_and_known() -> None:
    assert {name.lower() for name in PROGRAMS} == {*TASKS}
    assert all(sum(bool(line.strip()) for line in body.splitlines()) <= 20 for body in PROGRAMS.values())


def test_a_language_model_writes_and_scores_as_it_does_here(language: LanguageModel, tmp_path: Path) -> None:
    out = export_onnx(language, tmp_path / "out")
    (text,) = run("Language", out, "the c", 40)
    assert text == language.write("the c", greedy=True, length=40)[0]
    told = json.loads((out / "model.json").read_text())
    session = onnxruntime.InferenceSession(out / "model.onnx")
    ids = [told["symbols"].index(c) for c in "the log."]
    zeros = {p.name: np.zeros((1, 1, 16), np.float32) for p in session.get_inputs() if p.type == "tensor(float)"}
    feed = {"ids": np.array([[0, *ids[:-1]]]).T, "begins": np.array([[True] + [False] * 7]).T, **zeros}
    log_p = session.run(["log_probability"], feed)[0]
    assert log_p[np.arange(8), 0, ids].sum() == pytest.approx(language.score_samples(["the log."])[0], abs=1e-4)


@pytest.mark.slow
def test_an_export_replaces_an_export_and_nothing_else(language: LanguageModel, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    with pytest.raises(DataError, match=r"out: expected a new folder, .* got something else"):
        export_onnx(language, out)
    assert (out / "mine.txt").read_text() == "kept"
    (out / "mine.txt").unlink()
    (out / "model.json").write_text("old")
    assert json.loads((export_onnx(language, out) / "model.json").read_text())["format"] == "throughtime-onnx"
    with pytest.raises(DataError, match="missing"):
        export_onnx(language, tmp_path / "missing" / "out")


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match=r"Classifier\.export"):
        export_onnx(Classifier(), tmp_path / "out")

    class Other(Estimator):
        task = "juggle"

    with pytest.raises(ArgumentError, match="'juggle'"):
        export_onnx(Other(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_cell_that_no_operator_computes_is_refused(tmp_path: Path) -> None:
    odd = LanguageModel(hidden_size=4, epochs=1, cell="layer-norm-gru").fit(["abc abd " * 30])
    with pytest.raises(ArgumentError, match="LayerNormGRU"):
        export_onnx(odd, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"labels": True, "cell": "gru"}, {"tie_weights": True, "unit": "word"}])
def test_language_models_of_every_kind(options: dict[str, Any], tmp_path: Path) -> None:
    labelled = options.pop("labels", False)
    texts, labels = ["a b c d " * 20, "d c b a " * 20] * 3, ["up", "down"] * 3
    model = LanguageModel(hidden_size=8, epochs=1, **options).fit(texts, labels if labelled else None)
    out = export_onnx(model, tmp_path / "out")
    session = onnxruntime.InferenceSession(out / "model.onnx")
    ids = model.units_.encode("a b c")
    feed = {
        p.name: np.zeros([n if isinstance(n, int) else 1 for n in p.shape], np.float32)
        for p in session.get_inputs()
        if p.type == "tensor(float)"
    }
    feed |= {"ids": np.array([[0, *ids[:-1]]]).T, "begins": (np.arange(len(ids)) == 0)[:, None]}
    if labelled:
        feed["label"] = np.array([model.labels_.index("up")])
    log_p = session.run(["log_probability"], feed)[0]
    found = log_p[np.arange(len(ids)), 0, ids].sum()
    end = 0.0
    if model.ends_:  # the score of a text counts its end
        feed |= {"ids": np.array([[0, *ids]]).T, "begins": (np.arange(len(ids) + 1) == 0)[:, None]}
        end = session.run(["log_probability"], feed)[0][-1, 0, model.units_.end]
    want = model.score_samples(["a b c"], ["up"] if labelled else None)[0]
    assert found + end == pytest.approx(want, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"cell": "gru-reset-before", "pooling": "attention", "spelling": 0}])
def test_a_classifier_says_what_it_says_here(options: dict[str, Any], tmp_path: Path) -> None:
    texts = ["a good fine film", "a bad, awful film", "nice and good", "dull and bad"] * 10
    model = Classifier(hidden_size=8, epochs=2, **options).fit(texts, ["pos", "neg"] * 20)
    out = export_onnx(model, tmp_path / "out")
    for text in ("A nice, fine film", "bad bad acting", "unknown"):
        (found,) = run("Classify", out, text)
        want = dict(zip(model.classes_, model.predict_proba([text])[0], strict=True))
        assert found == pytest.approx(want, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"bidirectional": False, "wide": False}, {"unit": "character"}])
def test_batches_of_a_classifier_with_an_empty_text(options: dict[str, Any], tmp_path: Path) -> None:
    texts = ["a good fine film", "a bad, awful film", "nice and good", "dull and bad"] * 10
    model = Classifier(hidden_size=8, epochs=1, **options).fit(texts, ["pos", "neg"] * 20)
    session = onnxruntime.InferenceSession(export_onnx(model, tmp_path / "out") / "model.onnx")
    asked = ["good film", "", "a dull and awful film"]
    reads = [model.reader_.read(text) for text in asked]
    ids = np.zeros((max(len(r.ids) for r in reads), 3), np.int64)
    for row, read in enumerate(reads):
        ids[: len(read.ids), row] = read.ids
    feed = {"ids": ids, "lengths": np.array([len(r.ids) for r in reads])}
    if model.wide_ is not None:
        keys = [np.unique(model._grams().occurrences(r.tokens).keys).view(np.int64) for r in reads]
        feed["ngrams"] = np.zeros((3, max(map(len, keys))), np.int64)
        for row, own in enumerate(keys):
            feed["ngrams"][row, : len(own)] = own
    assert np.abs(session.run(None, feed)[0] - model.predict_proba(asked)).max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"characters": "cnn", "cell": "peephole-lstm"}])
def test_a_tagger_finds_what_it_finds_here(options: dict[str, Any], tmp_path: Path) -> None:
    model = Tagger(hidden_size=8, epochs=30, learning_rate=0.02, **options).fit(SENTENCES)
    out = export_onnx(model, tmp_path / "out")
    for text in ("Ann Lee saw Bob in Rome.", "Rome", f"Bob met {'long' * 20} in 1984 and McLee"):
        assert run("Tag", out, text) == [[e.text, e.label] for e in model.predict(text)]


@pytest.mark.slow
def test_a_tagger_without_a_crf_gives_scores(tmp_path: Path) -> None:
    model = Tagger(hidden_size=8, epochs=1, crf=False).fit(SENTENCES)
    out = export_onnx(model, tmp_path / "out")
    told = json.loads((out / "model.json").read_text())
    assert [port["name"] for port in told["outputs"]] == ["emissions"]
    assert "left to right" in told["postprocessing"]["decoding"]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["direct", "sequence", "recursive"])
def test_a_forecaster_forecasts_as_here(strategy: str, tmp_path: Path) -> None:
    model = Forecaster(horizon=6, strategy=strategy, epochs=1, hidden_size=8, input_size=24).fit(series())
    out = export_onnx(model, tmp_path / "out")
    (tmp_path / "values.txt").write_text("\n".join(map(repr, series().filter(unique_id="b")["y"].to_list())))
    (found,) = run("Forecast", out, tmp_path / "values.txt")
    want = model.predict().filter(unique_id="b")["forecast"].to_numpy()
    assert found == pytest.approx(want, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"scaling": "global"},
        {"scaling": "series"},
        {"scaling": "mean", "loss": "quantiles"},
        {"anchor": "smoothed", "season_length": 12},
        {"cell": "peephole-lstm", "season_length": 6, "ensemble": 2, "segment_size": 3},
    ],
    ids=lambda options: "-".join(map(str, options)),
)
def test_a_forecaster_of_every_scaling(options: dict[str, Any], tmp_path: Path) -> None:
    from throughtime.tasks.forecast.smoothing import smoothed
    from throughtime.tasks.forecast.windows import end_windows

    model = Forecaster(horizon=6, epochs=1, hidden_size=8, input_size=24, **options).fit(series())
    session = onnxruntime.InferenceSession(export_onnx(model, tmp_path / "out") / "model.onnx")
    windows = end_windows(model.series_, model.input_size_, 6)
    history, observed = windows.history()
    known = {"history": history, "observed": observed, "series": np.array([1, 2])}
    known["level"], known["scale"] = model.scaler_.apply(windows)
    known["smoothed"] = smoothed(windows, model.season_length_)
    names = [port.name for port in session.get_inputs()]
    assert ("smoothed" in names) == (model.anchor_ == "smoothed")
    found = session.run(None, {name: known[name] for name in names})[0]
    # A float32 of the net's, times a scale, is an exponent where values are seen in logarithms.
    assert found == pytest.approx(model.predict()["forecast"].to_numpy().reshape(2, 6), rel=3e-6)


@pytest.mark.slow
def test_a_forecaster_with_gaps_and_columns(tmp_path: Path) -> None:
    frame = series().with_columns(price=pl.col("ds") % 7 * 1.0)
    frame = frame.with_columns(y=pl.when(pl.col("ds") % 11 == 3).then(None).otherwise(pl.col("y")))
    model = Forecaster(horizon=4, epochs=1, hidden_size=8, input_size=24, future=("price",)).fit(frame)
    loaded_session = onnxruntime.InferenceSession(export_onnx(model, tmp_path / "out") / "model.onnx")
    beyond = pl.DataFrame(
        {"unique_id": ["a"] * 4 + ["b"] * 4, "ds": [*range(120, 124)] * 2, "price": [1.0, 2, 3, 4] * 2}
    )
    from throughtime.data.series.future import read_future
    from throughtime.tasks.forecast.batches import make_batch
    from throughtime.tasks.forecast.windows import end_windows, fill_gaps

    ahead = read_future(beyond, model.series_, 4, spare=0, who="test")
    windows = end_windows(model.series_, 24, 4)
    prepared = model._prepare(model.series_, ahead)
    batch = make_batch(windows, *model.scaler_.apply(windows), prepared, 0)
    filled = fill_gaps(model.series_.flat_values, model.series_.offsets, model.season_length_)
    known = {
        "history": filled[windows.origins[:, None] + np.arange(-24, 0)],
        "observed": windows.history()[1],
        "future": None if batch.future is None else batch.future.numpy(),
        "series": np.array([1, 2]),
    }
    names = [port.name for port in loaded_session.get_inputs()]
    assert "future" in names
    found = loaded_session.run(None, {name: known[name] for name in names})[0]
    assert found == pytest.approx(model.predict(future=beyond)["forecast"].to_numpy().reshape(2, 4), rel=1e-6)


@pytest.mark.slow
def test_a_loaded_model_exports_what_the_fitted_one_does(language: LanguageModel, tmp_path: Path) -> None:
    language.save(tmp_path / "model")
    first = export_onnx(language, tmp_path / "first")
    second = export_onnx(load(tmp_path / "model"), tmp_path / "second")
    assert (first / "model.onnx").read_bytes() == (second / "model.onnx").read_bytes()
