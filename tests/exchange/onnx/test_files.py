"""ONNX files that are not what they should be: one sentence each, and nothing is believed."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from throughtime.errors import ArgumentError, DataError
from throughtime.exchange import read_onnx, write_onnx
from throughtime.exchange.onnx import files
from throughtime.nn import GRU


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gru.onnx"
    write_onnx(GRU(3, 4), path)
    return path


def refused(path: Path, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_onnx(path)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_truncated_file(file: Path, share: float) -> None:
    raw = file.read_bytes()
    file.write_bytes(raw[: int(len(raw) * share)])
    refused(file, "gru.onnx: expected ")


def test_something_else_in_the_file(file: Path) -> None:
    file.write_bytes(b"PK\x03\x04 no model")
    refused(file, "got 13 bytes that are none")
    file.write_bytes(b"")
    refused(file, "with operators, got none")


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "none.onnx: expected an ONNX file, got: No such file")
    refused(tmp_path, "got a folder")


def test_a_file_of_two_gibibytes(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as large:
        large.truncate(2**31)  # sparse: it takes no room
    refused(path, f"at most {2**31 - 1} bytes, .* got {2**31}")


def test_a_model_of_two_gibibytes_is_not_written(file: Path) -> None:
    model = onnx.load(file)
    with pytest.raises(ArgumentError, match=f"below 100 bytes, .* got {model.ByteSize()}"):
        files.to_bytes(model, "write_onnx", most=100)


@pytest.mark.parametrize(("version", "advice"), [(12, "a newer one"), (25, "an older one")])
def test_an_opset_out_of_range(file: Path, version: int, advice: str) -> None:
    model = onnx.load(file)
    model.opset_import[0].version = version
    file.write_bytes(model.SerializeToString())
    refused(file, f"opset 13 to 24, got opset {version}; export it with {advice}")


def test_nan_in_a_weight(file: Path) -> None:
    model = onnx.load(file)
    weight = next(each for each in model.graph.initializer if len(each.dims) == 3)
    values = onnx.numpy_helper.to_array(weight).copy()
    values[0, 1, 2] = np.nan
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    file.write_bytes(model.SerializeToString())
    refused(file, f"without NaN, got 1 of {values.size} in '{weight.name}'")


def test_an_infinite_recurrent_weight(file: Path) -> None:
    model = onnx.load(file)
    weight = next(each for each in model.graph.initializer if len(each.dims) == 3)
    values = onnx.numpy_helper.to_array(weight).copy()
    values[0, 0, 0] = np.inf
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    file.write_bytes(model.SerializeToString())
    refused(file, "expected finite weights, got inf")


def test_weights_beside_the_model(file: Path) -> None:
    wanted = read_onnx(file)
    model = onnx.load(file)
    onnx.save(model, file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    again = read_onnx(file)
    x = torch.randn(5, 2, 3)
    assert torch.equal(again(x)[0], wanted(x)[0])
    weights = (file.parent / "weights.bin").read_bytes()
    (file.parent / "weights.bin").write_bytes(weights[:10])
    refused(file, "weights that stand in other files|to hold numbers")
    (file.parent / "weights.bin").unlink()
    refused(file, "in 'weights.bin' beside it, got no such file")


@pytest.mark.parametrize("where", ["../weights.bin", "/weights.bin", ""])
def test_weights_outside_of_the_folder_are_not_looked_at(file: Path, where: str) -> None:
    model = onnx.load(file)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=where)
    file.write_bytes(model.SerializeToString())
    refused(file, f"in a file beside the model, got '{where}'")


def test_an_initializer_that_its_bytes_do_not_fill(file: Path) -> None:
    model = onnx.load(file)
    tensor = next(each for each in model.graph.initializer if len(each.dims) == 3)
    tensor.raw_data = tensor.raw_data[:-4]
    file.write_bytes(model.SerializeToString())
    refused(file, f"'{tensor.name}' to hold numbers of shape")


def test_sparse_weights(file: Path) -> None:
    model = onnx.load(file)
    values = onnx.helper.make_tensor("sparse", onnx.TensorProto.FLOAT, [1], [0.5])
    places = onnx.helper.make_tensor("places", onnx.TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, places, [3]))
    file.write_bytes(model.SerializeToString())
    refused(file, "dense weights, got 1 sparse ones")
