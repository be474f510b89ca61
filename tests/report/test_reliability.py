"""The reliability figure: what it shows, what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from throughtime.errors import ArgumentError
from throughtime.report import reliability_plot
from throughtime.report.reliability import reliability_figure, wilson
from throughtime.tasks.calibration import reliability


def test_it_shows_each_bin_and_the_error(tmp_path: Path) -> None:
    found = reliability([0.25, 0.25, 0.85, 0.85, 0.85, 0.85], [True, False, True, True, True, False])
    shares, counts = reliability_figure(*found, name="pieces").axes
    drawn = shares.lines[-1]
    np.testing.assert_allclose(drawn.get_xdata(), [0.25, 0.85])
    np.testing.assert_allclose(drawn.get_ydata(), [0.5, 0.75])
    assert f"{found.error:.3f}" == "0.150"
    assert "expected calibration error 0.150" in [text.get_text() for text in shares.texts]
    assert counts.get_ylabel() == "pieces"
    path = reliability_plot(tmp_path / "r.png", *found)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("right", "count"), [(0, 3), (3, 3), (7, 20), (1, 1)])
def test_the_intervals_are_wilsons(right: int, count: int) -> None:
    low, high = wilson(np.array([right / count]), np.array([float(count)]))
    want = binomtest(right, count).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose([low[0], high[0]], [want.low, want.high], atol=2e-4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([], [], []), r"one length >= 1, got \[\(0,\)"),
        (([0.5], [0.5, 0.5], [1]), r"one length >= 1, got \[\(1,\), \(2,\), \(1,\)\]"),
        (([1.5], [0.5], [1]), r"probability in \[0, 1\], got 1.5"),
        (([0.5], [np.nan], [1]), r"right in \[0, 1\], got nan"),
        (([0.5], [0.5], [0]), "at least 1 prediction in each bin, got 0"),
    ],
)
def test_what_is_no_reliability_is_refused(given, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=message):
        reliability_plot(tmp_path / "r.png", *given)
    assert not (tmp_path / "r.png").exists()
