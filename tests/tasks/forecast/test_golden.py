"""Model folders that an older version wrote still load, and forecast what they did."""

import importlib.util
import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from throughtime import Forecaster, tasks
from throughtime.data.model_folder import FORMAT_VERSION

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "data" / "golden_v1"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
TOLERANCE = 1e-6  # of the level of the series: what a model promises across versions and backends


def known(metrics, expected, model):
    """The metrics that there were when the folder was written."""
    return {name: metrics[model][name] for name in expected["metrics"][model]}


def history():
    specification = importlib.util.spec_from_file_location("make_golden", ROOT / "tools" / "make_golden.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.history()


def test_there_is_a_golden_folder_for_every_format_version():
    assert sorted(path.name for path in (ROOT / "tests" / "data").glob("golden_v*")) == [
        f"golden_v{version}" for version in range(1, FORMAT_VERSION + 1)
    ]
    assert sorted(EXPECTED) == sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
    assert {json.loads((GOLDEN / name / "model.json").read_text())["format_version"] for name in EXPECTED} == {1}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_golden_model_forecasts_what_it_did(name):
    model, expected = tasks.load(GOLDEN / name), EXPECTED[name]
    found = model.predict()
    assert found["unique_id"].to_list() == expected["unique_id"]
    assert [str(day) for day in found["ds"]] == expected["ds"]
    np.testing.assert_allclose(found["forecast"], expected["forecast"], rtol=TOLERANCE, atol=0)
    df = history()
    np.testing.assert_allclose(model.predict(df)["forecast"], expected["forecast"], rtol=TOLERANCE, atol=0)
    early = model.predict(df.group_by("unique_id", maintain_order=True).head(20))["forecast"]
    np.testing.assert_allclose(early, expected["forecast of the first 20"], rtol=TOLERANCE, atol=0)
    metrics = model.evaluate(df).metrics
    for baseline in ("naive", "seasonal naive"):  # no net in these: the same to the last digits
        assert known(metrics, expected, baseline) == pytest.approx(expected["metrics"][baseline], rel=1e-12)
    assert known(metrics, expected, "linear") == pytest.approx(expected["metrics"]["linear"], rel=1e-9)
    assert known(metrics, expected, "throughtime") == pytest.approx(expected["metrics"]["throughtime"], rel=1e-4)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_golden_model_saved_again_is_the_same_model(name, tmp_path):
    model = Forecaster.load(GOLDEN / name)
    model.save(tmp_path / "again")
    old, new = (json.loads((path / "model.json").read_text()) for path in (GOLDEN / name, tmp_path / "again"))
    # Options that came later stand at their defaults beside those that were there.
    later = {key: value for key, value in new["configuration"].items() if key not in old["configuration"]}
    defaults = {name: p.default for name, p in inspect.signature(Forecaster.__init__).parameters.items()}
    assert later == json.loads(json.dumps({key: defaults[key] for key in later}))
    new["configuration"] = {key: new["configuration"][key] for key in old["configuration"]}
    assert {key: value for key, value in old.items() if key != "versions"} == {
        key: value for key, value in new.items() if key != "versions"
    }
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (GOLDEN / name / "model.safetensors").read_bytes()
