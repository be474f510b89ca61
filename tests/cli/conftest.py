"""A model that several tests use, trained by the command line itself."""

from pathlib import Path

import pytest

from tests.cli.command import QUICK, write_series
from throughtime.cli import main


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of one daily series."""
    return write_series(tmp_path_factory.mktemp("data") / "sales.csv")


@pytest.fixture(scope="session")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a horizon of 3."""
    folder = tmp_path_factory.mktemp("models") / "model"
    words = ["train", "forecast", str(data), "--horizon", "3", "--out", str(folder), "--quiet", *QUICK]
    assert main(words) == 0
    return folder
