"""Model folders that are missing, cut, changed, of a newer format, not ours, or made to harm: one sentence each."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import read_model_folder, write_model_folder
from throughtime.errors import ModelFolderError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    write_model_folder(
        path,
        task="forecast",
        configuration={"a": 1},
        tensors={"one": np.arange(6, dtype=np.float32).reshape(2, 3), "two": np.ones(4)},
    )
    return path


def edit(model: Path, **change: Any) -> None:
    content = json.loads((model / "model.json").read_text())
    for name, value in change.items():
        if value is ...:
            del content[name]
        else:
            content[name] = value
    (model / "model.json").write_text(json.dumps(content))


def put_weights(model: Path, raw: bytes, **weights: Any) -> None:
    """Weights whose size and hash model.json states rightly: what is left to find is inside them."""
    (model / "model.safetensors").write_bytes(raw)
    stated = json.loads((model / "model.json").read_text())["weights"]
    edit(model, weights={**stated, "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest(), **weights})


def header(content: object, data: bytes = b"") -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_paths_that_are_no_model(tmp_path: Path, model: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.json").mkdir()
    os.mkfifo(tmp_path / "empty" / "model.safetensors")
    for path, message in (
        ("none", "expected a model folder, got nothing there; check the path"),
        ("file", "expected a model folder, got a file; give the folder that train wrote"),
        ("file/model", "expected a model folder, got"),
        ("empty", "expected a model folder, got one without model.json"),
        ("deep", "expected a model folder, got one without model.json"),
        ("x" * 300, "expected a model folder, got .*File name too long"),
        ("a\0", "expected a model folder, got (nothing there|embedded null byte)"),
        ("model/model.json", "expected a model folder, got a file"),
    ):
        with pytest.raises(ModelFolderError, match=message):
            read_model_folder(tmp_path / path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected JSON in model.json, got Expecting value"),
        (b"{", "expected JSON in model.json, got Expecting property name"),
        (b"\xff\xfe", "expected JSON in model.json, got 'utf-8' codec"),
        (b"[" * 200_000, "expected JSON in model.json, got one nested too deep"),
        (b'{"a":' * 200_000, "expected JSON in model.json, got one nested too deep"),
        (b'{"format": NaN}', "got the number NaN, which JSON does not have"),
        (b'{"format": -Infinity}', "got the number -Infinity"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "expected JSON in model.json, got Exceeds the limit"),
        (b'{"format": "throughtime", "task": "a", "task": "b"}', "got the key 'task' twice"),
        (b"[]", "got a model.json that is not ours"),
        (b'"throughtime"', "got a model.json that is not ours"),
        (b'{"model_type": "bert"}', "got a model.json that is not ours"),
        (b'{"format": "throughtime2"}', "got a model.json that is not ours"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_json_that_is_not_ours(model: Path, content: bytes, message: str) -> None:
    (model / "model.json").write_bytes(content)
    with pytest.raises(ModelFolderError, match=message) as caught:
        read_model_folder(model)
    assert str(caught.value).startswith(f"{model}: ")
    assert len(str(caught.value)) < 600


def test_a_newer_format_says_both_numbers(model: Path) -> None:
    edit(model, format_version=2, weights=3, task=["what", "later", "versions", "may", "do"])
    with pytest.raises(ModelFolderError, match="expected format version 1 or older, got 2; update throughtime"):
        read_model_folder(model)


@pytest.mark.parametrize("version", [0, -1, 1.0, True, "1", None])
def test_a_format_version_that_is_none(model: Path, version: object) -> None:
    edit(model, format_version=version)
    with pytest.raises(ModelFolderError, match=f"expected a format_version of 1 or more, got {version!r}"):
        read_model_folder(model)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("task", ..., "expected str under 'task' in model.json, got nothing"),
        ("task", 3, "expected str under 'task' in model.json, got int"),
        ("configuration", [], "expected dict under 'configuration' in model.json, got list"),
        ("seed", "1", "expected int under 'seed' in model.json, got str"),
        ("seed", True, "expected int under 'seed' in model.json, got bool"),
        ("created", 1, "expected str under 'created' in model.json, got int"),
        ("versions", None, "expected dict under 'versions' in model.json, got NoneType"),
        ("weights", "model.safetensors", "expected dict under 'weights' in model.json, got str"),
        ("weights", {}, "expected None bytes in model.safetensors, got"),
    ],
)
def test_sections_of_a_wrong_kind(model: Path, name: str, value: object, message: str) -> None:
    edit(model, **{name: value})
    with pytest.raises(ModelFolderError, match=message):
        read_model_folder(model)


def test_another_task(model: Path) -> None:
    with pytest.raises(ModelFolderError, match="expected a model of task 'tag', got 'forecast'"):
        read_model_folder(model, task="tag")


def test_weights_that_are_missing_cut_or_changed(model: Path) -> None:
    file = model / "model.safetensors"
    raw = file.read_bytes()
    for cut in (0, 1, 8, 9, len(raw) - 1):
        file.write_bytes(raw[:cut])
        with pytest.raises(ModelFolderError, match=f"expected {len(raw)} bytes in model.safetensors, got {cut};"):
            read_model_folder(model)
    file.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(ModelFolderError, match=r"expected the SHA-256 that model.json states"):
        read_model_folder(model)
    file.unlink()
    with pytest.raises(ModelFolderError, match=r"expected model.safetensors beside model.json, got none"):
        read_model_folder(model)
    os.mkfifo(file)
    with pytest.raises(ModelFolderError, match=r"expected model.safetensors beside model.json, got none"):
        read_model_folder(model)


ONE = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
TWO = {"dtype": "F64", "shape": [4], "data_offsets": [24, 56]}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "expected a safetensors header in model.safetensors, got none"),
        (b"\xff" * 8, "expected a safetensors header"),
        (b"\xff" * 7 + b"\x7f" + b"{}", "expected a safetensors header"),
        (header(b"{"), "expected a safetensors header"),
        (header(b"[" * 100_000), "expected a safetensors header"),
        (header([1]), "expected a safetensors header"),
        (header({"one": 3}), "expected a safetensors header"),
        (header({"two": TWO}), r"expected tensor 'one' to be float32 \[2, 3\], got absent"),
        (header({"one": ONE, "two": TWO, "zoo": ONE}), r"expected tensor 'zoo' to be absent, got float32 \[2, 3\]"),
        (header({"one": ONE | {"dtype": "F16"}, "two": TWO}), r"expected tensor 'one' to be float32 .*, got float16"),
        (header({"one": ONE | {"dtype": "Q4"}, "two": TWO}), r"expected tensor 'one' to be float32 .*, got None"),
        (header({"one": ONE | {"shape": [3, 2]}, "two": TWO}), r"expected tensor 'one' .*, got float32 \[3, 2\]"),
        (header({"one": ONE | {"shape": None}, "two": TWO}), r"expected tensor 'one' .*, got float32 None"),
        (header({"one": ONE, "two": TWO}), "expected safetensors in model.safetensors, got"),
        (header({"one": ONE, "two": TWO}, b"\0" * 55), "expected safetensors in model.safetensors, got"),
        (header({"one": ONE, "two": TWO}, b"\0" * 57), "expected safetensors in model.safetensors, got"),
        (header({"one": ONE | {"data_offsets": [0, 2**63]}, "two": TWO}, b"\0" * 56), "expected safetensors in"),
        (header({"one": ONE | {"data_offsets": [8, 32]}, "two": TWO}, b"\0" * 56), "expected safetensors in"),
        (header({"one": ONE | {"data_offsets": "x"}, "two": TWO}, b"\0" * 56), "expected safetensors in"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_weights_made_to_harm(model: Path, raw: bytes, message: str) -> None:
    put_weights(model, raw)
    with pytest.raises(ModelFolderError, match=message):
        read_model_folder(model)


def test_absurd_shapes_that_both_files_state(model: Path) -> None:
    shape = [2**62, 2**62]
    put_weights(
        model,
        header({"one": {"dtype": "F32", "shape": shape, "data_offsets": [0, 24]}}, b"\0" * 24),
        tensors={"one": {"dtype": "float32", "shape": shape}},
    )
    with pytest.raises(ModelFolderError, match=r"expected safetensors in model.safetensors, got"):
        read_model_folder(model)
    put_weights(model, header({"one": ONE}, b"\0" * 24), tensors=["one"])
    with pytest.raises(ModelFolderError, match=r"expected the list of tensors in model.json, got \['one'\]"):
        read_model_folder(model)


def corrupt(choose: Callable[..., Any], raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(choose(st.integers(1, 4))):
        changed[choose(st.integers(0, len(raw) - 1))] = choose(st.integers(0, 255))
    return bytes(changed[: choose(st.integers(0, len(raw)))] if choose(st.booleans()) else changed)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), which=st.sampled_from(["model.json", "model.safetensors", "both"]))
def test_any_damage_gives_a_model_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, which: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    write_model_folder(path, task="t", configuration={"a": [1, {"b": None}]}, tensors={"w": np.arange(3.0)})
    raw = corrupt(data.draw, (path / "model.safetensors").read_bytes())
    if which == "both":
        put_weights(path, raw)
    elif which == "model.safetensors":
        (path / "model.safetensors").write_bytes(raw)
    else:
        (path / "model.json").write_bytes(corrupt(data.draw, (path / "model.json").read_bytes()))
    try:
        read = read_model_folder(path)
    except ModelFolderError as error:
        caught: ModelFolderError | None = error
    else:
        caught = None
        assert read.tensors["w"].shape == (3,)
    finally:
        for file in path.iterdir():
            file.unlink()
    assert caught is None or str(caught).startswith(f"{path}: expected ")
