"""Pieces as rows of events and back, and the rules under which they are written."""

import numpy as np
import pytest

from throughtime.data.music import piece_from_names
from throughtime.data.music.pieces import make_piece
from throughtime.errors import DataError
from throughtime.tasks.compose.events import END, EventVocabulary
from throughtime.tasks.compose.grammar import Grammar


def vocabulary(**options: object) -> EventVocabulary:
    given = {"longest": 96, "shifts": 2, "velocities": False} | options
    return EventVocabulary([(4, 4), (6, 8)], **given)  # type: ignore[arg-type]


def test_a_piece_comes_back_from_its_events() -> None:
    piece = make_piece(
        [(0, 12, 67, 80), (0, 48, 48, 80), (40, 60, 70, 80), (150, 5, 20, 80)], who="t", metres=[(0, 4, 4), (96, 6, 8)]
    )
    v = vocabulary()
    ids = v.encode(piece)
    assert [v.read(id).kind for id in ids[:8]] == ["shift", "metre", "bar", "pos", "pitch", "dur", "pitch", "dur"]
    assert [v.read(id).value + 1 for id in ids if v.read(id).kind == "bar"] == [4, 3, 2, 1]
    assert ids[-1] == END
    back = v.decode(ids)
    assert back.notes.tolist() == piece.notes.tolist()
    assert back.metres == piece.metres
    again = EventVocabulary.from_json(v.to_json())
    assert len(again) == len(v)
    assert np.array_equal(again.encode(piece), ids)


def test_loudness_comes_back_in_eight_steps() -> None:
    v = vocabulary(velocities=True)
    piece = make_piece([(0, 12, 60, 1), (12, 12, 60, 127)], who="t")
    assert v.decode(v.encode(piece)).notes[:, 3].tolist() == [8, 120]


def test_what_the_vocabulary_has_not_is_refused() -> None:
    with pytest.raises(DataError, match=r"among 4/4, 6/8, got 3/4"):
        vocabulary().encode(make_piece([(0, 12, 60, 80)], who="t", metres=[(0, 3, 4)]))
    with pytest.raises(DataError, match=r"at most 96 ticks, .* got 97"):
        vocabulary().encode(make_piece([(0, 97, 60, 80)], who="t"))


@pytest.mark.parametrize("melody", [True, False])
@pytest.mark.parametrize("metre", [(4, 4), (6, 8)])
def test_whatever_is_drawn_is_a_piece_of_the_length_asked_for(melody: bool, metre: tuple[int, int]) -> None:
    v = vocabulary()
    rng = np.random.Generator(np.random.PCG64(0))
    seen = np.ones(len(v), dtype=bool)
    for bars in (1, 3, 70):
        grammar = Grammar(
            v, seen, bars=bars, metre=metre, melody=melody, most_repeats=2, at_once=3, barred=lambda *_: [64]
        )
        mask, ids = np.zeros(len(v), dtype=bool), []
        while not grammar.ended:
            grammar.allowed(mask)
            # Bars come up rarely among so many ids; a third of the draws are among the last few.
            open_ids = np.flatnonzero(mask)
            bar = [id for id in open_ids if v.read(id).kind in ("bar", "end")]
            id = int(rng.choice(bar if bar and rng.random() < 0.3 else open_ids))
            ids.append(id)
            grammar.advance(id)
        piece = v.decode(ids)
        assert sum(v.read(id).kind == "bar" for id in ids) == bars
        assert len(piece) > 0
        assert len(piece.bars) == bars
        onsets, pitches = piece.notes[:, 0], piece.notes[:, 2].tolist()
        assert 64 not in pitches
        assert all(len({*pitches[i : i + 3]}) > 1 for i in range(len(pitches) - 2))
        counts = np.unique(onsets, return_counts=True)[1]
        assert counts.max() <= (1 if melody else 3)
        if melody:
            assert (onsets[1:] >= onsets[:-1] + piece.notes[:-1, 1]).all()


def test_only_what_was_seen_is_written() -> None:
    v = vocabulary()
    seen = np.zeros(len(v), dtype=bool)
    seen[v.encode(piece_from_names("C4 D4 E4 F4"))] = True
    grammar = Grammar(v, seen, bars=1, metre=None, melody=True, most_repeats=None, at_once=1, barred=None)
    mask, kinds = np.zeros(len(v), dtype=bool), []
    for _ in range(5):
        grammar.allowed(mask)
        kinds.append({tuple(v.read(id)) for id in np.flatnonzero(mask)})
        grammar.advance(int(np.flatnonzero(mask)[0]))
    assert kinds[1:4] == [{("metre", 0)}, {("bar", 0)}, {("pos", p) for p in (0, 12, 24, 36)}]
    assert kinds[4] == {("pitch", p) for p in (60, 62, 64, 65)}
