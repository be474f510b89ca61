"""Matrices of others: .npy and Kaldi's archives, bytes written out as Kaldi's headers describe them."""

import struct

import numpy as np
import pytest

from throughtime.data.sound.ark import read_ark, read_npy, read_scp
from throughtime.errors import DataError

X = np.random.default_rng(0).normal(0, 3, (7, 3)).astype(np.float32)


def full(name, kind, matrix):
    dtype = "<f4" if kind == b"FM" else "<f8"
    sizes = b"".join(b"\4" + struct.pack("<i", n) for n in matrix.shape)
    return name + b" \0B" + kind + b" " + sizes + matrix.astype(dtype).tobytes()


def compressed(name, kind, matrix):
    """CM2 (two bytes a number) and CM3 (one), which spread them evenly between the least and the largest."""
    steps, dtype = (65535, "<u2") if kind == b"CM2" else (255, "u1")
    least, width = float(matrix.min()), float(np.ptp(matrix))
    codes = np.rint((matrix - least) / width * steps).astype(dtype)
    return name + b" \0B" + kind + b" " + struct.pack("<ffii", least, width, *matrix.shape) + codes.tobytes()


def by_quartiles(name, matrix):
    """CM: for each column four points of 16 bits, then a byte a number between them."""
    least, width = float(matrix.min()), float(np.ptp(matrix))
    heads, columns = b"", b""
    for column in matrix.T:
        points = np.sort(column)[[0, len(column) // 4, 3 * len(column) // 4, -1]]
        codes = np.rint((points - least) / width * 65535)
        heads += codes.astype("<u2").tobytes()
        low, q1, q3, high = least + codes * width / 65535
        told = np.where(
            column < q1, (column - low) / (q1 - low + 1e-9) * 64,
            np.where(column < q3, 64 + (column - q1) / (q3 - q1) * 128, 192 + (column - q3) / (high - q3 + 1e-9) * 63),
        )  # fmt: skip
        columns += np.clip(np.rint(told), 0, 255).astype("u1").tobytes()
    return name + b" \0BCM " + struct.pack("<ffii", least, width, *matrix.shape) + heads + columns


def test_every_kind_of_matrix(tmp_path):
    text = "e  [\n" + "\n".join("  " + " ".join(f"{v:.6f}" for v in row) for row in X) + " ]\n"
    raw = full(b"a", b"FM", X) + full(b"b", b"DM", X) + compressed(b"c", b"CM2", X) + compressed(b"d", b"CM3", X)
    (tmp_path / "x.ark").write_bytes(raw + by_quartiles(b"f", X) + text.encode())
    found = dict(read_ark(tmp_path / "x.ark"))
    assert list(found) == ["a", "b", "c", "d", "f", "e"]
    for name, far in (("a", 0), ("b", 1e-6), ("c", 1e-3), ("d", 0.05), ("e", 1e-5), ("f", 0.08)):
        np.testing.assert_allclose(found[name], X, atol=far, err_msg=name)


def test_a_list_reads_from_its_folder_at_an_offset(tmp_path):
    first = full(b"a", b"FM", X)
    (tmp_path / "x.ark").write_bytes(first + full(b"b", b"FM", 2 * X))
    (tmp_path / "x.scp").write_text(f"b x.ark:{len(first) + 2}\n\na {tmp_path}/x.ark:2\n")
    (name, two), (_, one) = read_scp(tmp_path / "x.scp")
    assert name == "b"
    np.testing.assert_array_equal(two, 2 * one)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (full(b"a", b"FM", X)[:-5], "x.ark: a: expected 84 bytes, got 79; the archive is cut off"),
        (b"a \0BFV \4", "a: expected a matrix .* got 'FV'"),
        (full(b"a", b"FM", np.full((2, 2), np.nan)), "a: expected finite features, got 4 NaN and 0 infinite"),
        (b"a [ 1 2\n 3 ]\n", "a: expected a matrix between brackets"),
        (
            b"a \0BFM \4" + struct.pack("<i", 2**30) + b"\4" + struct.pack("<i", 2**30),
            "of a likely size, got 1073741824",
        ),
    ],
)
def test_damaged_archives(tmp_path, raw, message):
    (tmp_path / "x.ark").write_bytes(raw)
    with pytest.raises(DataError, match=message):
        list(read_ark(tmp_path / "x.ark"))


def test_damaged_lists_and_arrays(tmp_path):
    (tmp_path / "x.scp").write_text("a y.ark:3\nb z.ark:3\n")
    with pytest.raises(DataError, match=r"that it names, got 2 missing ones: y[.]ark, z[.]ark"):
        list(read_scp(tmp_path / "x.scp"))
    (tmp_path / "x.scp").write_text("a copy-feats x |\n")
    with pytest.raises(DataError, match=r"line 1: expected a name and an archive:offset, got 'a copy-feats x \|'"):
        list(read_scp(tmp_path / "x.scp"))
    np.save(tmp_path / "x.npy", X[0])
    with pytest.raises(DataError, match=r"expected a matrix of numbers \(frames, features\), got float32 \(3,\)"):
        read_npy(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match="expected a NumPy array, got none"):
        read_npy(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", X)
    np.testing.assert_array_equal(read_npy(tmp_path / "x.npy"), X)
