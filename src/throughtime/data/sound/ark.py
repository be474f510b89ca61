"""Feature matrices in files: .npy, and Kaldi's archives (.ark) with their lists (.scp).

Axes in names: T frames, M features of a frame.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import DataError

__all__ = ["read_ark", "read_npy", "read_scp"]

Matrix = NDArray[np.float32]
_MOST = 2**31  # bytes of one matrix


def read_npy(path: str | os.PathLike[str]) -> Matrix:
    """A matrix (T, M) of a .npy file.

    Raises:
        DataError: no file, or one that holds something else.
    """
    try:
        with Path(path).open("rb") as opened:
            found = np.lib.format.read_array(opened)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: expected a NumPy array, got none ({error}); write it with numpy.save") from error
    if found.ndim != 2 or found.dtype.kind not in "iuf":
        raise DataError(
            f"{path}: expected a matrix of numbers (frames, features), got {found.dtype} {found.shape}; save one"
        )
    return _finite(np.ascontiguousarray(found, dtype=np.float32), str(path))


def read_ark(path: str | os.PathLike[str]) -> Iterator[tuple[str, Matrix]]:
    """Names and matrices of an archive, one after another: binary (FM, DM, compressed CM, CM2, CM3) or text.

    Raises:
        DataError: no file, or one that ends too early or holds something else.
    """
    file = Path(path)
    with _opened(file) as opened:
        while (name := _token(opened)) is not None:
            yield name, _finite(_matrix(opened, f"{file}: {name}"), f"{file}: {name}")


def read_scp(path: str | os.PathLike[str]) -> Iterator[tuple[str, Matrix]]:
    """Names and matrices of a list: a line each, "name archive:offset"; a path is seen from the list's folder, too.

    Raises:
        DataError: no file, a line of another form, archives that are missing (each of them named), or as `read_ark`.
    """
    file = Path(path)
    entries = []
    with _opened(file) as opened:
        lines = opened.read().decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, _, where = line.strip().partition(" ")
        archive, colon, digits = where.strip().rpartition(":")
        if not colon or not digits.isdigit():
            archive, digits = where.strip(), "0"
        if not archive or archive.endswith("|"):
            raise DataError(
                f"{file}: line {number}: expected a name and an archive:offset, got {line[:60]!r}; commands are not run"
            )
        found = next((p for p in (Path(archive), file.parent / archive) if p.is_file()), None)
        entries.append((name, archive, found, int(digits)))
    missing = sorted({archive for _, archive, found, _ in entries if found is None})
    if missing:
        raise DataError(
            f"{file}: expected the archives that it names, got {len(missing)} missing ones: {', '.join(missing)}; "
            "correct their paths"
        )
    for name, _, found, offset in entries:
        assert found is not None
        with found.open("rb") as opened:
            opened.seek(offset)
            yield name, _finite(_matrix(opened, f"{found}: {name}"), f"{found}: {name}")


def _opened(file: Path) -> IO[bytes]:
    if not file.is_file():
        raise DataError(f"{file}: expected a file, got {'a folder' if file.is_dir() else 'none'}; check the path")
    return file.open("rb")


def _token(opened: IO[bytes]) -> str | None:
    """The name before a matrix; None at the end."""
    found = b""
    while (one := opened.read(1)) not in (b"", b" ", b"\t"):
        found += one
    return found.decode("utf-8", "replace").strip() or None


def _matrix(opened: IO[bytes], where: str) -> Matrix:
    begun = opened.read(2)
    if begun != b"\0B":
        return _text(opened, begun, where)
    kind = b""
    while (one := opened.read(1)) not in (b"", b" "):
        kind += one
    if kind in (b"FM", b"DM"):
        rows, columns = (_integer(opened, where) for _ in range(2))
        dtype = "<f4" if kind == b"FM" else "<f8"
        return np.asarray(_numbers(opened, rows, columns, dtype, where), dtype=np.float32)
    if kind in (b"CM", b"CM2", b"CM3"):
        least, width, rows, columns = struct.unpack("<ffii", _bytes(opened, 16, where))
        if kind == b"CM":
            return _by_quartiles(opened, least, width, rows, columns, where)
        dtype, steps = ("<u2", 65535) if kind == b"CM2" else ("u1", 255)
        codes = _numbers(opened, rows, columns, dtype, where)
        return np.asarray(least + codes * (width / steps), dtype=np.float32)
    raise DataError(
        f"{where}: expected a matrix (FM, DM, CM, CM2, CM3), got {kind.decode('latin-1')!r:.20}; write features"
    )


def _by_quartiles(opened: IO[bytes], least: float, width: float, rows: int, columns: int, where: str) -> Matrix:
    """CM: a byte a number, between four points of its own for each column."""
    points_M4 = least + width / 65535 * _numbers(opened, columns, 4, "<u2", where).astype(np.float64)
    codes_MT = _numbers(opened, columns, rows, "u1", where).astype(np.float64)
    low, q1, q3, high = (points_M4[:, k : k + 1] for k in range(4))
    found_MT = np.where(
        codes_MT <= 64, low + (q1 - low) * codes_MT / 64,
        np.where(
            codes_MT <= 192, q1 + (q3 - q1) * (codes_MT - 64) / 128, q3 + (high - q3) * (codes_MT - 192) / 63
        ),
    )  # fmt: skip
    return np.ascontiguousarray(found_MT.T, dtype=np.float32)


def _text(opened: IO[bytes], begun: bytes, where: str) -> Matrix:
    told = begun
    while b"]" not in told and (line := opened.readline()):
        told += line
    inside = told.decode("utf-8", "replace").strip()
    rows = [line.split() for line in inside.strip("[] \n").splitlines() if line.strip()]
    if not inside.startswith("[") or not inside.endswith("]") or len({len(row) for row in rows}) > 1:
        raise DataError(f"{where}: expected a matrix between brackets, got {inside[:40]!r}; write the archive again")
    try:
        return np.array(rows, dtype=np.float32).reshape(len(rows), -1)
    except ValueError as error:
        raise DataError(f"{where}: expected numbers, got {inside[:40]!r}; write the archive again") from error


def _integer(opened: IO[bytes], where: str) -> int:
    size, value = struct.unpack("<bi", _bytes(opened, 5, where))
    if size != 4:
        raise DataError(f"{where}: expected a size in 4 bytes, got one in {size}; write the archive again")
    return int(value)


def _numbers(opened: IO[bytes], rows: int, columns: int, dtype: str, where: str) -> NDArray[Any]:
    wanted = rows * columns * np.dtype(dtype).itemsize
    if rows < 0 or columns < 0 or wanted > _MOST:
        raise DataError(f"{where}: expected a matrix of a likely size, got {rows} × {columns}; write the archive again")
    return np.frombuffer(_bytes(opened, wanted, where), dtype=dtype).reshape(rows, columns)


def _bytes(opened: IO[bytes], wanted: int, where: str) -> bytes:
    found = opened.read(wanted)
    if len(found) < wanted:
        raise DataError(f"{where}: expected {wanted} bytes, got {len(found)}; the archive is cut off: copy it again")
    return found


def _finite(matrix_TM: Matrix, where: str) -> Matrix:
    if not np.isfinite(matrix_TM).all():
        raise DataError(f"{where}: expected finite features, got {np.isnan(matrix_TM).sum()} NaN and "
                        f"{np.isinf(matrix_TM).sum()} infinite ones; compute them anew")  # fmt: skip
    return matrix_TM
