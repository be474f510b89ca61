"""Words' vectors: the three formats, what is kept, and what is refused with its line."""

import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest

from throughtime.data.text.vectors import read_vectors
from throughtime.errors import DataError

GLOVE = "the 1 2 3\nRome 4 5 6\nrome 7 8 9\n. . . 1 0 1\n\u00a0 2 2 2\nUlm 0.5 -1e-2 0\n"


def write(tmp_path: Path, content: str | bytes, name: str = "v.txt") -> Path:
    path = tmp_path / name
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes({".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)(content))
    return path


@pytest.mark.parametrize("name", ["v.txt", "v.vec.gz", "v.txt.xz"])
@pytest.mark.parametrize("header", ["", "6 3\n"])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n"])
def test_the_three_formats_give_the_same(tmp_path: Path, name: str, header: str, end: str) -> None:
    path = write(tmp_path, (header + GLOVE).replace("\n", end), name)
    found = read_vectors(path, {"Ulm", "Rome", "absent", ". . .", "\u00a0"})
    assert found.words == ["Rome", ". . .", "\u00a0", "Ulm"]
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(found.values, [[4, 5, 6], [1, 0, 1], [2, 2, 2], [0.5, -0.01, 0]])


def test_a_word_that_is_its_form_goes_before_another_of_that_form(tmp_path: Path) -> None:
    found = read_vectors(write(tmp_path, GLOVE), {"rome", "ulm"}, form=str.lower)
    assert (found.words, found.values[0].tolist()) == (["rome", "ulm"], [7, 8, 9])


def test_the_first_words_are_kept_unasked(tmp_path: Path) -> None:
    assert read_vectors(write(tmp_path, GLOVE), {"Ulm"}, first=2).words == ["the", "Rome", "Ulm"]


def test_a_line_that_is_not_needed_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, "the 1 2\nodd x y\nUlm 3 4\n")
    assert read_vectors(path, {"Ulm"}).values.tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "got 0 other words"),
        ("a\n", {}, "line 1: expected vectors of so many numbers, got 0"),
        (GLOVE, {"size": 4}, "line 1: expected vectors of 4 numbers, got 3; give other vectors, or another size"),
        ("2 50\na 1\n", {"size": 100}, "line 1: expected vectors of 100 numbers, got 50"),
        ("the 1 2 3\nUlm 1 2\n", {}, r"line 2: expected a word and 3 numbers, got 2 numbers \('Ulm 1 2'\)"),
        ("the 1 2\n\nUlm 1 two\n", {}, "line 3: expected 2 numbers after the word, got .*'two'; correct the line"),
        ("Ulm 1 nan\n", {}, "line 1: expected finite numbers, got 'nan'"),
        ("Ulm 1e999 1\n", {}, "line 1: expected finite numbers, got '1e999'"),
        ("3 2\nUlm 1 2\n", {}, "expected 3 words as its first line says, got 1; the file is cut off"),
        (b"Ulm 1 2\nR\xffme 3 4\n", {}, "byte 0xff"),
        ("the 1 2\n", {}, "some of the 1 words of the data, got 1 other words"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content, options, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_vectors(write(tmp_path, content), {"Ulm"}, **options)


def test_no_file_and_a_file_that_is_cut_off_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a file to read, got none"):
        read_vectors(tmp_path / "no", {"a"})
    path = write(tmp_path, "".join(f"w{i} {i} {i * i}\n" for i in range(999)), "v.gz")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="whole compressed file"):
        read_vectors(path, {"w1"})
