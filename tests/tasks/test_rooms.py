"""The tasks come one by one: loading one model does not import the others."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

import throughtime.tasks
from throughtime.tasks import Forecaster

HEAVY = ("matplotlib", "optuna", "pandas", "pyarrow", "scipy", "sklearn", "tokenizers", "torch._dynamo", "sympy")


def test_loading_a_forecaster_imports_what_it_needs(tmp_path: Path) -> None:
    t = np.arange(96)
    months = pl.date_range(pl.date(2010, 1, 1), pl.date(2017, 12, 1), "1mo", eager=True)
    y = 100 + 20 * np.sin(t * np.pi / 6) + np.random.default_rng(0).normal(size=96)
    frame = pl.concat([pl.DataFrame({"unique_id": name, "ds": months, "y": y}) for name in "ab"])
    model = Forecaster(6, hidden_size=4, epochs=1, input_size=36, segment_size=6, series_embedding=True).fit(frame)
    assert model.design_ is not None
    assert model.design_.lags, "with all that a net can have"
    model.save(tmp_path / "m")
    code = (
        "import sys, json; from throughtime import Forecaster; model = Forecaster.load(sys.argv[1]); model.predict(); "
        f"print(json.dumps([name for name in sys.modules if name in {HEAVY} or name.startswith('throughtime.tasks.')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m")], capture_output=True, text=True, timeout=120, check=True
    )
    loaded = json.loads(done.stdout)
    assert [name for name in loaded if name in HEAVY] == []
    rooms = {name.split(".")[2] for name in loaded if name.startswith("throughtime.tasks.")}
    assert {"language", "tag", "tuning", "comparison"} & rooms == set()
    assert "forecast" in rooms


def test_every_lazy_name_is_public_and_its_task_is_its_own() -> None:
    assert set(throughtime.tasks.__all__) == {*throughtime.tasks._ROOMS, "Estimator", "load"}
    for task, name in throughtime.tasks._ESTIMATORS.items():
        assert getattr(throughtime.tasks, name).task == task
