"""The tunes that come with the package: whole bars in the metre of their style."""

import pytest

from throughtime.datasets import folk_tunes

pytest.importorskip("symusic")


def test_every_tune_is_whole_bars_in_its_metre() -> None:
    tunes = folk_tunes()
    assert len(tunes) == len({tune.name for tune in tunes}) == 26
    for tune in tunes:
        (metre,) = tune.metres
        assert str(metre) == {"even": "4/4", "jig": "6/8", "waltz": "3/4"}[str(tune.style)]
        begins = int(tune.notes[0, 0]) % metre.bar
        # What a tune begins with before its first whole bar, its last bar lacks.
        assert (tune.end - begins) % metre.bar == 0 or tune.name == "My Bonnie", tune.name
        assert 7 <= len(tune.bars) <= 24
        assert tune.notes[:, 2].min() >= 55
        assert tune.notes[:, 2].max() <= 84
