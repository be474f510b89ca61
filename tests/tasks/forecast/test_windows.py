"""Index arithmetic against plain loops over lists."""

import itertools

import numpy as np
import pytest

from tests.tasks.forecast.series import counting
from throughtime.tasks.forecast.windows import Windows, end_windows, rolling_windows, training_windows

LENGTHS = (9, 3, 20, 5, 1, 12)


def looped(
    values: list[list[float]], L: int, K: int, origins: list[list[int]]
) -> list[tuple[list[float], list[float]]]:
    """(history, targets) of each window, by slicing lists."""
    found = []
    for own, at in zip(values, origins, strict=True):
        found += [(own[max(0, o - L) : o], own[o : o + K]) for o in at]
    return found


def as_lists(windows: Windows, targets: bool = True) -> list[tuple[list[float], list[float]]]:
    history, valid = windows.history()
    assert (history[~valid] == 0).all()
    after = windows.targets() if targets else np.zeros((len(windows), 0))
    for row, length in zip(valid, windows.lengths, strict=True):
        assert row.tolist() == [False] * (windows.input_size - length) + [True] * length
    return [(h[v].tolist(), t.tolist()) for h, v, t in zip(history, valid, after, strict=True)]


def values_of(lengths: tuple[int, ...]) -> list[list[float]]:
    return [[100.0 * i + t for t in range(n)] for i, n in enumerate(lengths)]


@pytest.mark.parametrize(("L", "K"), list(itertools.product((1, 2, 4, 8, 30), (1, 2, 3, 7))))
def test_training_windows_are_every_full_window_or_else_the_longest(L, K):
    origins = []
    for n in LENGTHS:
        full = [o for o in range(1, n - K + 1) if o >= L]
        origins.append(full or ([n - K] if n - K >= 1 else []))
    found = as_lists(training_windows(counting(*LENGTHS), L, K))
    assert found == looped(values_of(LENGTHS), L, K, origins)
    assert all(history for history, _ in found), "a window without history"


@pytest.mark.parametrize(("L", "K"), [(1, 1), (3, 2), (4, 3), (30, 2)])
def test_first_and_last_bound_the_horizon_not_the_history(L, K):
    first, last = np.array([4, 0, 15, 2, 0, 3]), np.array([9, 3, 20, 4, 1, 8])
    origins = []
    for a, b in zip(first, last, strict=True):
        inside = [o for o in range(max(a, 1), b - K + 1) if o >= min(L, b - K)]
        origins.append(inside)
    windows = training_windows(counting(*LENGTHS), L, K, first=first, last=last)
    assert as_lists(windows) == looped(values_of(LENGTHS), L, K, origins)
    begin = windows.origins - windows.series_starts
    assert (begin >= first[windows.series]).all()
    assert (begin + K <= last[windows.series]).all()


def test_training_and_validation_windows_share_no_target():
    series, border = counting(30, 30), np.array([24, 20])
    training = training_windows(series, 5, 3, last=border).targets()
    validation = training_windows(series, 5, 3, first=border).targets()
    assert not set(training.ravel()) & set(validation.ravel())
    assert set(validation.ravel()) == {*range(24, 30), *range(120, 130)}


@pytest.mark.parametrize(("n", "step", "L", "K"), [(1, 1, 4, 3), (3, 1, 4, 3), (2, 3, 4, 2), (4, 2, 30, 1)])
def test_rolling_windows_end_at_the_end(n, step, L, K):
    lengths = (12, 9, 20)
    origins = [[size - K - step * back for back in reversed(range(n))] for size in lengths]
    found = as_lists(rolling_windows(counting(*lengths), n, step, L, K))
    assert found == looped(values_of(lengths), L, K, origins)
    for i, size in enumerate(lengths):
        assert found[(i + 1) * n - 1][1] == [100.0 * i + size - K + k for k in range(K)]


@pytest.mark.parametrize("L", [1, 4, 50])
def test_end_windows_show_the_last_values(L):
    found = as_lists(end_windows(counting(*LENGTHS), L, 3), targets=False)
    assert [history for history, _ in found] == [own[-L:] for own in values_of(LENGTHS)]


def test_a_subset_of_windows_is_the_subset():
    windows = training_windows(counting(20, 9), 4, 2)
    every = as_lists(windows)
    assert as_lists(windows[np.array([5, 0, 3])]) == [every[5], every[0], every[3]]
    assert as_lists(windows[2:4]) == every[2:4]
