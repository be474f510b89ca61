"""The model folder: what goes in comes out bit for bit, and nothing of the user's is lost on the way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import throughtime
from throughtime.data import check_model_target, model_folder, read_model_folder, write_model_folder
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError

CONFIGURATION = {
    "hidden_size": 8,
    "strategy": "direct",
    "rate": 0.1,
    "list": [1, None, True],
    "text": 'Γ_u \n "quoted"',
}
DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def write(path: Path, **change: object) -> None:
    contents = {"task": "forecast", "configuration": CONFIGURATION, "tensors": {"weight": np.arange(6.0).reshape(2, 3)}}
    write_model_folder(path, **{**contents, **change})  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_round_trip(tmp_path: Path) -> None:
    extra = {"scaling": {"mean": 0.1 + 0.2, "std": 5e-324}, "metrics": [{"mse": np.float64(1 / 3), "n": np.int64(3)}]}
    write(tmp_path / "model", extra=extra, seed=2**40, created="2026-01-01")
    model = read_model_folder(tmp_path / "model", task="forecast")
    assert model.configuration == CONFIGURATION
    assert model.extra == {"scaling": extra["scaling"], "metrics": [{"mse": 1 / 3, "n": 3}]}
    assert (model.task, model.seed, model.created, model.format_version) == ("forecast", 2**40, "2026-01-01", 1)
    assert model.versions["throughtime"] == throughtime.__version__
    assert {"numpy", "python", "safetensors"} <= set(model.versions)
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["model.json", "model.safetensors"]


@settings(max_examples=30, deadline=None)
@given(
    array=st.sampled_from(DTYPES).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    ),
    view=st.sampled_from(["plain", "transposed", "reversed", "swapped"]),
)
def test_tensors_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, view: str) -> None:
    views = {"plain": array, "transposed": array.T, "reversed": array[::-1] if array.ndim else array}
    views["swapped"] = array.astype(array.dtype.newbyteorder(">"))
    path = tmp_path_factory.getbasetemp() / "model"
    write(path, tensors={"w": views[view], "other": np.ones(3, dtype=np.float32)})
    back = read_model_folder(path).tensors
    assert list(back) in (["w", "other"], ["other", "w"])
    assert (back["w"].dtype, back["w"].shape) == (array.dtype, views[view].shape)
    assert back["w"].tobytes() == views[view].astype(array.dtype).tobytes()


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    tensors = {"b": np.zeros(2), "a": np.ones((1, 2), dtype=np.float32)}
    write(tmp_path / "one", tensors=tensors, extra={"x": 1, "y": {"b": 1, "a": 2}})
    write(tmp_path / "two", tensors=dict(reversed(tensors.items())), extra={"y": {"a": 2, "b": 1}, "x": 1})
    for name in ("model.json", "model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_format_is_what_the_page_says(tmp_path: Path) -> None:
    write(tmp_path / "model", extra={"vocabulary": ["a"]})
    content = json.loads((tmp_path / "model" / "model.json").read_text())
    assert sorted(content) == [
        "configuration", "created", "format", "format_version", "seed", "task", "versions", "vocabulary", "weights",
    ]  # fmt: skip
    assert (content["format"], content["format_version"], content["created"]) == ("throughtime", 1, None)
    assert content["weights"]["tensors"] == {"weight": {"dtype": "float64", "shape": [2, 3]}}
    assert content["weights"]["bytes"] == (tmp_path / "model" / "model.safetensors").stat().st_size


def test_an_old_model_and_an_empty_folder_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    write(tmp_path / "model", seed=1)
    write(tmp_path / "model", seed=2)
    assert read_model_folder(tmp_path / "model").seed == 2
    os.symlink(tmp_path / "model", tmp_path / "link")
    write(tmp_path / "link", seed=3)
    assert read_model_folder(tmp_path / "model").seed == 3
    assert names(tmp_path) == ["link", "model"]


def test_what_is_not_ours_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "model.json").write_text('{"format": "other"}')
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model.safetensors").write_text("mine")
    write(tmp_path / "model")
    (tmp_path / "model" / "plot.png").write_text("mine")
    for path, message in (
        ("file", "got a file; give another path"),
        ("notes", "got a folder that holds 'a.txt'"),
        ("foreign", "got neither .*not ours"),
        ("half", "got neither .*without model.json"),
        ("model", "got a folder that holds 'plot.png'"),
        ("file/model", "expected a folder at .*file, got a file"),
        ("none/model", "expected the folder .*none to be there, got none"),
        ("..", "expected a path with a name at its end"),
    ):
        for call in (check_model_target, write):
            with pytest.raises(DataError, match=message):
                call(tmp_path / path)
    assert names(tmp_path) == ["file", "foreign", "half", "model", "notes"]
    assert (tmp_path / "notes" / "a.txt").read_text() == "mine"


def test_a_failed_write_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "model", seed=1)
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp" and target.name == "model" and (self / "model.json").exists() and not failed:
            failed.append(True)
            raise OSError(28, "No space left on device")
        return rename(self, target)

    failed: list[bool] = []
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(DataError, match="expected to write a model folder, got No space left on device"):
        write(tmp_path / "model", seed=2)
    assert failed
    assert read_model_folder(tmp_path / "model").seed == 1
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"extra": {"loss": [1.0, float("nan")]}}, ArgumentError, r"expected finite numbers, got nan at 'loss\[1\]'"),
        (
            {"configuration": {"a": {"b": float("-inf")}}},
            ArgumentError,
            "finite numbers, got -inf at 'configuration.a.b'",
        ),
        ({"extra": {"weights": {}}}, ArgumentError, "besides the format's own, got 'weights'"),
        ({"tensors": {"w": np.zeros(2, dtype=complex)}}, ArgumentError, "got complex128 in 'w'"),
        ({"tensors": {"w": np.array(["x"])}}, ArgumentError, "got <U1 in 'w'"),
        ({"tensors": {"w": [1.0]}}, ArgumentTypeError, "expected NumPy arrays, got list as 'w'"),
        ({"configuration": {"a": {1, 2}}}, ArgumentTypeError, "expected JSON values, got set at 'configuration.a'"),
        ({"configuration": {"a": {1: 2}}}, ArgumentTypeError, "expected text as keys, got 1 at 'configuration.a'"),
        ({"configuration": {"a": "\ud800"}}, ArgumentError, r"text that UTF-8 can hold, got '\\ud800'"),
    ],
)
def test_what_the_format_cannot_hold_is_named_and_nothing_is_written(
    tmp_path: Path, change: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        write(tmp_path / "model", **change)
    assert names(tmp_path) == []


def test_values_nested_without_end_are_refused(tmp_path: Path) -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ArgumentError, match="at most 64 levels"):
        write(tmp_path / "model", configuration={"a": loop})


def test_reading_and_writing_need_neither_torch_nor_a_frame_library(tmp_path: Path) -> None:
    script = (
        "import sys, numpy; from throughtime.data import *;"
        "write_model_folder(sys.argv[1], task='t', configuration={}, tensors={'w': numpy.ones(2)});"
        "read_model_folder(sys.argv[1]);"
        "print({'torch', 'polars', 'pandas', 'narwhals', 'pickle5'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "model")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_the_version_is_the_first() -> None:
    assert model_folder.FORMAT_VERSION == 1
