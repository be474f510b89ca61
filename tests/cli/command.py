"""Run the command line in this process, on small files."""

import datetime
import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from throughtime.cli import main

QUICK = (
    "--epochs",
    "1",
    "--hidden-size",
    "4",
    "--layers",
    "1",
    "--input-size",
    "6",
    "--threads",
    "1",
    "--anchor",
    "last",
)
"""Options that train in well under a second; of a sine, least squares would know all, and the net be left out."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    def refused(self) -> str:
        """The one line of an error, after checking that it is one line, without a traceback, and alone."""
        assert self.status == 2, (self.status, self.out, self.err)
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("throughtime: ")
        assert "Traceback" not in self.err
        return self.err


def run(capsys: pytest.CaptureFixture[str], *words: object) -> Ended:
    """Run a command line; the words need not be text yet."""
    capsys.readouterr()
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    return Ended(status, captured.out, captured.err)


def rows(n: int = 40, series: str = "a", start: str = "2020-01-01") -> list[str]:
    """CSV rows of a daily series: its name, the date, a value."""
    first = datetime.date.fromisoformat(start)
    return [f"{series},{first + datetime.timedelta(days=i)},{10 + math.sin(i * 2 * math.pi / 7):.4f}" for i in range(n)]


def write_series(path: Path, lines: list[str] | None = None, header: str = "unique_id,ds,y") -> Path:
    """Write a CSV file of series."""
    path.write_text("\n".join([header, *(rows() if lines is None else lines), ""]), encoding="utf-8")
    return path


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content: what must not change when a command refuses."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}
