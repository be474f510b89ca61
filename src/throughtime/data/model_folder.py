"""The model folder: `model.safetensors` (the weights) and `model.json` (everything else). No pickle, ever.

model.json, format version 1: `format` ("throughtime"), `format_version`, `task`, `configuration`, `seed`, `created`,
`versions` (of the libraries that wrote it), `weights` (file, bytes, sha256, and each tensor's dtype and shape), and
sections that the task adds (vocabulary, scaling, metrics, ...). The same content gives the same bytes: keys are sorted,
and the only time in it is one that the caller passes.
"""

import hashlib
import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime import __version__
from throughtime._atomic import check_parent, check_room, write_folder
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, ModelFolderError

__all__ = ["FORMAT_VERSION", "ModelFolder", "check_model_target", "read_model_folder", "write_model_folder"]

FORMAT_VERSION = 1
_FORMAT = "throughtime"
_JSON, _WEIGHTS = "model.json", "model.safetensors"
_SECTIONS = ("format", "format_version", "task", "configuration", "seed", "created", "versions", "weights")
_DTYPES = {  # safetensors' name: NumPy's, of the types that a model may hold
    "F64": "float64", "F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
# A vocabulary of a million entries takes about 20 MB.
_MOST_JSON_BYTES = 256 * 2**20
_MOST_JSON_DEPTH = 64


@dataclass(frozen=True, eq=False)
class ModelFolder:
    """What a model folder holds.

    Attributes:
        path: the folder.
        task: the task that wrote it.
        configuration: what the estimator was built with.
        tensors: the weights by name.
        extra: the sections that the task added (vocabulary, scaling, metrics, ...).
        seed: the seed of training.
        versions: libraries that wrote it.
        created: a time that the caller gave, or None.
        format_version: the version of this layout.
    """

    path: Path
    task: str
    configuration: dict[str, Any]
    tensors: dict[str, NDArray[Any]]
    extra: dict[str, Any]
    seed: int | None
    versions: dict[str, str]
    created: str | None
    format_version: int


def write_model_folder(
    path: str | os.PathLike[str],
    *,
    task: str,
    configuration: Mapping[str, Any],
    tensors: Mapping[str, NDArray[Any]],
    extra: Mapping[str, Any] | None = None,
    seed: int | None = None,
    created: str | None = None,
) -> None:
    """Write a model folder, whole or not at all; a throughtime model that stands there is replaced.

    Args:
        configuration: JSON values (NumPy scalars are taken as numbers), every number finite.
        extra: more top-level sections.

    Raises:
        ArgumentError: a number that is not finite, a section name that the format uses, a dtype that it does not hold.
        ArgumentTypeError: a value that JSON does not hold.
        DataError: `path` cannot be written to, or holds something else.
    """
    from safetensors.numpy import save

    folder = Path(path)
    check_model_target(folder)
    sections = dict(extra or {})
    for name in sections:
        if name in _SECTIONS:
            raise ArgumentError(
                f"write_model_folder: expected extra sections besides the format's own, got {name!r}; rename it"
            )
    arrays = {name: _native(name, array) for name, array in sorted(tensors.items())}
    weights = save(arrays)
    content = {
        **sections,
        "format": _FORMAT,
        "format_version": FORMAT_VERSION,
        "task": task,
        "configuration": dict(configuration),
        "seed": seed,
        "created": created,
        "versions": _versions(),
        "weights": {
            "file": _WEIGHTS,
            "bytes": len(weights),
            "sha256": hashlib.sha256(weights).hexdigest(),
            "tensors": {name: _spec(array) for name, array in arrays.items()},
        },
    }
    plain = _plain(content, "", 0)
    text = json.dumps(plain, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        encoded = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ArgumentError(
            f"write_model_folder: expected text that UTF-8 can hold, got {error.object[error.start]!r}; leave it out"
        ) from error
    _place(folder, {_WEIGHTS: weights, _JSON: encoded})


def read_model_folder(path: str | os.PathLike[str], *, task: str | None = None) -> ModelFolder:
    """Read a model folder; nothing in it is trusted.

    Args:
        task: the task that the caller can use; None takes any.

    Raises:
        ModelFolderError: missing, not a folder, not ours, damaged, of a newer format, or of another task.
    """
    folder = Path(path)
    content = _read_json(folder)
    _check_version(content, folder)
    _check_sections(content, folder)
    if task is not None and content["task"] != task:
        raise ModelFolderError(
            f"{folder}: expected a model of task {task!r}, got {content['task']!r}; give another model"
        )
    return ModelFolder(
        path=folder,
        task=content["task"],
        configuration=content["configuration"],
        tensors=_read_weights(folder, content["weights"]),
        extra={name: value for name, value in content.items() if name not in _SECTIONS},
        seed=content["seed"],
        versions=content["versions"],
        created=content["created"],
        format_version=content["format_version"],
    )


def check_model_target(path: str | os.PathLike[str]) -> None:
    """Check before long work that a model folder can be written here.

    Free are: a new name in a folder that is there, an empty folder, and a throughtime model with nothing else in its
    folder.

    Raises:
        DataError: otherwise; the message says what stands there.
    """
    target = Path(path)
    check_parent(target)
    if target.exists() and not target.is_dir():
        raise DataError(f"{target}: expected a new folder or an old model, got a file; give another path")
    if target.is_dir():
        others = sorted(entry.name for entry in target.iterdir() if entry.name not in (_JSON, _WEIGHTS))
        if others:
            raise DataError(
                f"{target}: expected a new folder or an old model, got a folder that holds {others[0]!r}; give "
                "another path"
            )
        if any(target.iterdir()):
            try:
                _read_json(target)
            except ModelFolderError as error:
                raise DataError(
                    f"{target}: expected a new folder or an old model, got neither ({error}); give another path"
                ) from error
    check_room(target.resolve())


def _place(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        write_folder(folder.resolve(), files)
    except OSError as error:
        raise DataError(
            f"{folder}: expected to write a model folder, got {error.strerror}; give another path"
        ) from error


def _native(name: str, array: Any) -> NDArray[Any]:
    """The array contiguous and in this machine's byte order, if its type is one that the format holds."""
    if not isinstance(array, np.ndarray):
        raise ArgumentTypeError(
            f"write_model_folder: expected NumPy arrays, got {type(array).__qualname__} as {name!r}; convert it with "
            "np.asarray"
        )
    if array.dtype.name not in _DTYPES.values():
        raise ArgumentError(
            f"write_model_folder: expected a dtype of {', '.join(_DTYPES.values())}, got {array.dtype} in {name!r}; "
            "convert the tensor"
        )
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(array.shape)


def _spec(array: NDArray[Any]) -> dict[str, Any]:
    return {"dtype": array.dtype.name, "shape": list(array.shape)}


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "throughtime": __version__}
    for package in ("torch", "numpy", "safetensors"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _plain(value: Any, where: str, depth: int) -> Any:
    """A copy in plain JSON values."""
    if depth > _MOST_JSON_DEPTH:
        raise ArgumentError(
            f"write_model_folder: expected at most {_MOST_JSON_DEPTH} levels, got more at {where[:60]!r}; store less "
            "deep a structure"
        )
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.generic):
        value = value.item()
        return _plain(value, where, depth + 1)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ArgumentError(
                f"write_model_folder: expected finite numbers, got {value} at {where!r}; store None in its place"
            )
        return float(value)
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ArgumentTypeError(
                    f"write_model_folder: expected text as keys, got {key!r} at {where!r}; convert it with str"
                )
        return {key: _plain(item, f"{where}.{key}".lstrip("."), depth + 1) for key, item in value.items()}
    raise ArgumentTypeError(
        f"write_model_folder: expected JSON values, got {type(value).__qualname__} at {where!r}; store numbers, text, "
        "lists and dictionaries"
    )


def _read_json(folder: Path) -> dict[str, Any]:
    """model.json of a folder, as far as knowing that it is one of ours."""
    try:
        if not folder.exists():
            raise ModelFolderError(f"{folder}: expected a model folder, got nothing there; check the path")
        if not folder.is_dir():
            raise ModelFolderError(f"{folder}: expected a model folder, got a file; give the folder that train wrote")
        file = folder / _JSON
        if not file.is_file():
            raise ModelFolderError(
                f"{folder}: expected a model folder, got one without {_JSON}; give the folder that train wrote"
            )
        if file.stat().st_size > _MOST_JSON_BYTES:
            raise ModelFolderError(
                f"{folder}: expected {_JSON} under {_MOST_JSON_BYTES} bytes, got {file.stat().st_size}; it is "
                "none that throughtime wrote"
            )
        raw = file.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, ModelFolderError):
            raise
        raise ModelFolderError(f"{folder}: expected a model folder, got {error}; check the path") from error
    try:
        content = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except RecursionError as error:
        raise ModelFolderError(
            f"{folder}: expected JSON in {_JSON}, got one nested too deep; copy the model again"
        ) from error
    except ValueError as error:
        raise ModelFolderError(f"{folder}: expected JSON in {_JSON}, got {error}; copy the model again") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ModelFolderError(
            f'{folder}: expected a model of throughtime, got a {_JSON} that is not ours (no "format": "{_FORMAT}"); '
            "give the folder that train wrote"
        )
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"the number {name}, which JSON does not have")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError(f"the key {_first_repeated(pairs)!r} twice")
    return content


def _first_repeated(pairs: list[tuple[str, Any]]) -> str | None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    return None


def _check_version(content: dict[str, Any], folder: Path) -> None:
    version = content.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFolderError(
            f"{folder}: expected a format_version of 1 or more, got {version!r}; copy the model again"
        )
    if version > FORMAT_VERSION:
        raise ModelFolderError(
            f"{folder}: expected format version {FORMAT_VERSION} or older, got {version}; update throughtime to read it"
        )


def _check_sections(content: dict[str, Any], folder: Path) -> None:
    kinds: dict[str, tuple[type, ...]] = {
        "task": (str,),
        "configuration": (dict,),
        "seed": (int, type(None)),
        "created": (str, type(None)),
        "versions": (dict,),
        "weights": (dict,),
    }
    for name, allowed in kinds.items():
        if name not in content or type(content[name]) not in allowed:
            kind = type(content[name]).__name__ if name in content else "nothing"
            raise ModelFolderError(
                f"{folder}: expected {allowed[0].__name__} under {name!r} in {_JSON}, got {kind}; copy the model again"
            )


def _read_weights(folder: Path, weights: dict[str, Any]) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    file = folder / _WEIGHTS
    if not file.is_file():
        raise ModelFolderError(f"{folder}: expected {_WEIGHTS} beside {_JSON}, got none; copy the model again")
    size = file.stat().st_size
    if size != weights.get("bytes"):
        raise ModelFolderError(
            f"{folder}: expected {weights.get('bytes')!r} bytes in {_WEIGHTS}, got {size}; the file is cut or "
            "changed, copy it again"
        )
    try:
        raw = file.read_bytes()
    except (OSError, MemoryError) as error:
        raise ModelFolderError(
            f"{folder}: expected to read {_WEIGHTS} of {size} bytes, got {error!r}; check the file, or free memory"
        ) from error
    if hashlib.sha256(raw).hexdigest() != weights.get("sha256"):
        raise ModelFolderError(
            f"{folder}: expected the SHA-256 that {_JSON} states for {_WEIGHTS}, got another; the file was "
            "changed, copy it again"
        )
    _check_header(raw, weights.get("tensors"), folder)
    try:
        return dict(load(raw))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelFolderError(
            f"{folder}: expected safetensors in {_WEIGHTS}, got {error}; copy the model again"
        ) from error


def _check_header(raw: bytes, stated: Any, folder: Path) -> None:
    """Compare the names, dtypes and shapes in the safetensors header with those in model.json."""
    length = int.from_bytes(raw[:8], "little")
    try:
        header = json.loads(raw[8 : 8 + length]) if length <= len(raw) - 8 else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or not all(isinstance(entry, dict) for entry in header.values()):
        raise ModelFolderError(f"{folder}: expected a safetensors header in {_WEIGHTS}, got none; copy the model again")
    if not isinstance(stated, dict):
        raise ModelFolderError(
            f"{folder}: expected the list of tensors in {_JSON}, got {stated!r}; copy the model again"
        )
    found = {
        name: {"dtype": _DTYPES.get(str(entry.get("dtype"))), "shape": entry.get("shape")}
        for name, entry in header.items()
        if name != "__metadata__"
    }
    for name in sorted(set(stated) | set(found)):
        if stated.get(name) != found.get(name):
            raise ModelFolderError(
                f"{folder}: expected tensor {name!r} to be {_describe(stated.get(name))}, got "
                f"{_describe(found.get(name))}; copy the model again"
            )


def _describe(spec: Any) -> str:
    return f"{spec.get('dtype')} {spec.get('shape')}" if isinstance(spec, dict) else "absent"
