"""ONNX files: written whole or not at all, and checked before anything in them is believed."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from throughtime import __version__
from throughtime._atomic import check_writable, replacing
from throughtime.errors import ArgumentError, DataError
from throughtime.exchange.onnx.graph import OPSET, onnx_package

MOST_BYTES = 2**31 - 1
"""What protobuf, which the format stands on, puts into one message."""
OLDEST, NEWEST = 13, 24
"""Versions of the standard operators that are read: before 13 a Softmax is another one."""


def make_model(graph: Any, opset: int = OPSET) -> Any:
    """A model of one graph, checked by onnx."""
    onnx = onnx_package()
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(
        graph,
        opset_imports=opsets,
        producer_name="throughtime",
        producer_version=__version__,
        ir_version=onnx.helper.find_min_ir_version_for(opsets),
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def to_bytes(model: Any, who: str, most: int = MOST_BYTES) -> bytes:
    """The model as a file holds it.

    Raises:
        ArgumentError: it is larger than a file can be.
    """
    size = model.ByteSize()
    if size > most:
        raise ArgumentError(
            f"{who}: expected a model below {most} bytes, which is all that one ONNX file holds, got {size}; "
            "use a smaller one"
        )
    found: bytes = model.SerializeToString()
    return found


def write(model: Any, path: str | os.PathLike[str], who: str) -> None:
    """Write a model.

    Raises:
        ArgumentError: it is larger than a file can be.
        DataError: `path` cannot be written.
    """
    raw = to_bytes(model, who)
    check_writable(path)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(raw)


def read(path: str | os.PathLike[str]) -> Any:
    """A model that can be looked into: whole, with all its weights, of a version that is known.

    Raises:
        DataError: no such file, too large, truncated, no model; weights in a file that is not there; a version of the
            operators out of range; NaN in a weight.
    """
    file = Path(path)
    onnx = onnx_package()
    try:
        size = file.stat().st_size
        if file.is_dir():
            raise DataError(f"{file}: expected an ONNX file, got a folder; name the file in it")
        if size > MOST_BYTES:
            raise DataError(
                f"{file}: expected at most {MOST_BYTES} bytes, which is all that one ONNX file holds, got {size}; "
                "write it again with its weights in files of their own"
            )
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: expected an ONNX file, got: {error.strerror}; check the path") from error
    try:
        model = onnx.load_model_from_string(raw)
    except Exception as error:  # protobuf's own classes differ between its versions
        raise DataError(
            f"{file}: expected an ONNX model, got {size} bytes that are none, or the beginning of one ({error}); "
            "copy or export it again"
        ) from error
    if not model.graph.node:
        raise DataError(f"{file}: expected an ONNX model with operators, got none; copy or export it again")
    _check_opset(file, model)
    _load_external(file, model, onnx)
    for tensor in _tensors(model.graph):
        _check_numbers(file, tensor, onnx)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise DataError(
            f"{file}: expected a valid ONNX model, got one that the checker of onnx refuses ({error}); export it again"
        ) from error
    return model


def _check_opset(file: Path, model: Any) -> None:
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and not OLDEST <= entry.version <= NEWEST:
            what = "a newer one" if entry.version < OLDEST else "an older one"
            raise DataError(
                f"{file}: expected operators of opset {OLDEST} to {NEWEST}, got opset {entry.version}; export it with "
                f"{what}, or convert it with onnx.version_converter"
            )


def _tensors(graph: Any) -> Iterator[Any]:
    """All that hold numbers, those in the bodies of loops among them."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)


def _load_external(file: Path, model: Any, onnx: Any) -> None:
    """Weights that stand in files beside the model."""
    folder = file.parent
    for tensor in _tensors(model.graph):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        where = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
        place = Path(where)
        if not where or place.is_absolute() or ".." in place.parts:
            raise DataError(
                f"{file}: expected the weights of {tensor.name!r} in a file beside the model, got {where!r}; "
                "export it again"
            )
        if not (folder / place).is_file():
            raise DataError(
                f"{file}: expected the weights of {tensor.name!r} in {where!r} beside it, got no such file; "
                "copy both files together"
            )
    try:
        onnx.load_external_data_for_model(model, str(folder))
    except Exception as error:  # a file too short, a link: onnx raises several classes
        raise DataError(
            f"{file}: expected the weights that stand in other files, got {error}; copy all files again"
        ) from error


def _check_numbers(file: Path, tensor: Any, onnx: Any) -> None:
    try:
        values = onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # a shape that its bytes do not fill
        raise DataError(
            f"{file}: expected {tensor.name!r} to hold numbers of shape {tuple(tensor.dims)}, got {error}; "
            "copy or export it again"
        ) from error
    if values.dtype.kind == "f" and np.isnan(values).any():
        count = int(np.isnan(values).sum())
        raise DataError(
            f"{file}: expected weights without NaN, got {count} of {values.size} in {tensor.name!r}; train the model "
            "again, or take an earlier checkpoint"
        )
