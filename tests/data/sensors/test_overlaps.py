"""Windows of one recording are found, however they are shifted or said relative to their beginning."""

import numpy as np

from throughtime.data.sensors import chains, stretches

RNG = np.random.default_rng(0)


def windows(track, size, hop, *, relative):
    rows = [track[i : i + size] for i in range(0, len(track) - size + 1, hop)]
    return [row - row[0] for row in rows] if relative else rows


def test_chains_of_windows_are_recordings():
    one, other = (np.cumsum(RNG.normal(size=(60, 2)), axis=0) for _ in range(2))
    for hop in (1, 3):
        for relative in (True, False):
            a, b = (windows(track, 16, hop, relative=relative) for track in (one, other))
            assert chains(a + b).tolist() == [0] * len(a) + [1] * len(b)
    # A row that was lost in between does not end the recording.
    a = windows(one, 16, 1, relative=True)
    assert chains(a[:5] + a[6:]).max() == 0


def test_what_does_not_overlap_stays_apart():
    assert chains([RNG.normal(size=(16, 2)) for _ in range(5)]).tolist() == [0, 1, 2, 3, 4]
    assert chains([np.zeros((4, 1)), np.ones((5, 1))]).tolist() == [0, 1], "of different lengths"
    assert chains([]).tolist() == []


def test_a_shared_stretch_has_one_name():
    track = np.cumsum(RNG.normal(size=(40, 3)), axis=0)
    middle = stretches(track[3:23], 1e-3, every=False)
    assert middle
    assert middle <= stretches(track[5:25] - track[5], 1e-3, every=True)
    assert not middle & stretches(RNG.normal(size=(40, 3)), 1e-3, every=True)
    assert stretches(np.zeros((20, 3)), 1e-3, every=True) == set(), "standing still is no stretch"
