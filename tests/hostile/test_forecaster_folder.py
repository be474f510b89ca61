"""Model folders that were cut, edited or made to do harm: one sentence, no crash, no memory."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from tests.tasks.forecast.series import TINY, frame
from throughtime import Forecaster
from throughtime.errors import ModelFolderError


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> tuple[bytes, dict[str, np.ndarray]]:
    path = tmp_path_factory.mktemp("model") / "m"
    Forecaster(3, season_length=4, **TINY).fit(frame(30, 24)).save(path)
    return (path / "model.json").read_bytes(), safetensors.numpy.load_file(path / "model.safetensors")


def place(path, content: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """A folder whose sums are right: what whoever edits it on purpose would write."""
    raw = safetensors.numpy.save(tensors)
    content["weights"] |= {
        "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "tensors": {name: {"dtype": a.dtype.name, "shape": list(a.shape)} for name, a in tensors.items()},
    }
    path.mkdir()
    (path / "model.safetensors").write_bytes(raw)
    (path / "model.json").write_text(json.dumps(content).replace("Infinity", "1e999"))


def refused(path) -> str:
    with pytest.raises(ModelFolderError) as caught:
        Forecaster.load(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_the_folder_made_here_is_read(saved, tmp_path):
    place(tmp_path / "m", json.loads(saved[0]), dict(saved[1]))
    assert len(Forecaster.load(tmp_path / "m").predict()) == 6


def _set(*keys: str, to: Any):
    def edit(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        if to is KeyError:
            del content[keys[-1]]
        else:
            content[keys[-1]] = to

    return pytest.param(edit, id=f"{'.'.join(keys)}={'absent' if to is KeyError else repr(to)[:30]}")


@pytest.mark.parametrize(
    "edit",
    [
        *(
            _set("configuration", name, to=value)
            for name, value in [
                ("horizon", 4), ("horizon", 10**12), ("horizon", -1), ("horizon", "3"), ("horizon", None),
                ("horizon", KeyError), ("hidden_size", 5), ("hidden_size", 10**7), ("hidden_size", 10**15),
                ("num_layers", 2), ("num_layers", 10**9), ("strategy", "sequence"), ("strategy", "best"),
                ("cell", "lstm"), ("cell", ["gru"]), ("scaling", "x"), ("seed", "x"), ("dropout", 2),
                ("__class__", "x"), ("extra", 1),
            ]
        ),
        *(
            _set("scaling", name, to=value)
            for name, value in [
                ("kind", "auto"), ("kind", "magic"), ("kind", KeyError), ("scale", 0.0), ("scale", -1.0),
                ("scale", float("inf")), ("scale", "1"), ("level", None), ("level", [1.0]), ("more", 1),
            ]
        ),
        *(
            _set("fitted", name, to=value)
            for name, value in [
                ("anchor", "auto"), ("anchor", 3), ("input_size", 0), ("input_size", "8"), ("input_size", 1.5),
                ("input_size", float("inf")), ("season_length", -4), ("season_length", 1), ("n_series", None),
                ("training", []), ("training", {"history": 3}), ("training", KeyError),
            ]
        ),
        *(
            _set("series", name, to=value)
            for name, value in [
                ("ids", []), ("ids", ["a"]), ("ids", ["a", 1]), ("ids", [[1], [2]]), ("ids", 3), ("ids", KeyError),
                ("columns", {"id": "a", "time": "a", "target": "a"}),
                ("columns", {"id": 1, "time": "b", "target": "c"}), ("columns", {}), ("columns", 5),
                ("frequency", {}), ("frequency", "D"), ("text_form", 5), ("text_form", [1]),
            ]
        ),
        _set("series", "frequency", "step", to=0),
        _set("series", "frequency", "step", to=2),
        _set("series", "frequency", "unit", to="days"),
        _set("fitted", to=None),
        _set("fitted", to=[]),
        _set("series", to="x"),
        _set("scaling", to=KeyError),
        _set("metrics", to=[]),
        _set("metrics", to={}),
        _set("configuration", to={}),
        _set("format_version", to=2),
        _set("format", to="pickle"),
    ],
)  # fmt: skip
def test_an_edited_json_is_refused(edit, saved, tmp_path):
    content = json.loads(saved[0])
    edit(content)
    place(tmp_path / "m", content, dict(saved[1]))
    refused(tmp_path / "m")


WEIGHT = "model.encoder.stack.layers.0.weight_hh_l0"


def absent(_: np.ndarray) -> None:
    return None


def with_nan(a: np.ndarray) -> np.ndarray:
    return np.where(np.arange(a.size).reshape(a.shape) == 0, np.nan, a).astype(a.dtype)


def halved(a: np.ndarray) -> np.ndarray:
    return a[: len(a) // 2].copy()


def reversed_(a: np.ndarray) -> np.ndarray:
    return a[::-1].copy()


def as_bytes(a: np.ndarray) -> np.ndarray:
    return a.astype(np.int8)


def huge(a: np.ndarray) -> np.ndarray:
    return np.full_like(a, 2**62)


def empty(a: np.ndarray) -> np.ndarray:
    return a[:0].copy()


def a_level_deeper(a: np.ndarray) -> np.ndarray:
    return a[None].copy()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *[("series.offsets", change) for change in (absent, halved, reversed_, as_bytes, huge, empty, a_level_deeper)],
        *[("series.times", change) for change in (absent, halved, reversed_, as_bytes, huge, empty, a_level_deeper)],
        *[("series.values", change) for change in (absent, halved, as_bytes, empty, a_level_deeper)],
        *[("linear.weight", change) for change in (absent, a_level_deeper, with_nan)],
        *[("linear.bias", change) for change in (absent, halved, with_nan)],
        *[(WEIGHT, change) for change in (absent, halved, a_level_deeper, with_nan)],
    ],
)
def test_edited_tensors_are_refused(name, change, saved, tmp_path):
    tensors = dict(saved[1])
    changed = change(tensors.pop(name))
    if changed is not None:
        tensors[name] = changed
    place(tmp_path / "m", json.loads(saved[0]), tensors)
    refused(tmp_path / "m")


def test_a_tensor_too_many_is_refused_by_name(saved, tmp_path):
    tensors = {**saved[1], "model.net.extra": np.zeros(3, dtype=np.float32)}
    place(tmp_path / "m", json.loads(saved[0]), tensors)
    assert "model.net.extra" in refused(tmp_path / "m")


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_file_cut_short_is_refused(name, keep, saved, tmp_path):
    place(tmp_path / "m", json.loads(saved[0]), dict(saved[1]))
    raw = (tmp_path / "m" / name).read_bytes()
    (tmp_path / "m" / name).write_bytes(raw[: int(len(raw) * keep)])
    refused(tmp_path / "m")


def test_what_is_not_there_or_not_ours_is_refused_by_name(tmp_path):
    assert str(tmp_path / "none") in refused(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    assert "got a file" in refused(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    assert "without model.json" in refused(tmp_path / "folder")
