"""The composer: what it learns it writes, primers and lengths hold, bad input is told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from throughtime import Composer
from throughtime.data.music import Piece, piece_from_names, roll_from_piece, write_midi
from throughtime.data.music.pieces import make_piece
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, ModelFolderError, NotFittedError
from throughtime.tasks import load

UP = "C4 D4 E4 F4"
DOWN = "A4 G4:2 A4"
TINY: dict[str, Any] = {"hidden_size": 12, "num_layers": 1, "embedding_size": 8, "transpose": 0, "dropout": 0.0}
FRAMES: dict[str, Any] = {
    "view": "frames", "hidden_size": 12, "num_layers": 1, "transpose": 0, "dropout": 0.0, "epochs": 2, "batch_size": 4,
}  # fmt: skip


def tunes() -> tuple[list[Piece], list[str]]:
    return [piece_from_names(UP), piece_from_names(DOWN)] * 6, ["up", "down"] * 6


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(**TINY | {"hidden_size": 24}, epochs=80, batch_size=4, window=32, learning_rate=3e-2).fit(*tunes())


@pytest.fixture(scope="module")
def harmonist() -> Composer:
    chords = [make_piece([(t, 12, p + d, 80) for t in range(0, 96, 12) for d in (0, 4, 7)], who="t") for p in (60, 62)]
    given = Composer(**FRAMES | {"epochs": 80}, head="joint", given=True, learning_rate=2e-2)
    return given.fit(chords * 4)


def test_what_was_learnt_is_written_for_the_style_asked_for(composer: Composer) -> None:
    for style, notes in (("up", UP), ("down", DOWN)):
        (found,) = composer.write(style=style, bars=1, greedy=True)
        assert found.piece.notes[:, :3].tolist() == piece_from_names(notes).notes[:, :3].tolist()
        assert (found.style, found.piece.name) == (style, f"{style} 0")
        assert found.shared.notes == len(found.piece)
        assert found.nats_per_note < 1


def test_the_likelihood_of_a_piece_is_what_evaluate_finds(composer: Composer) -> None:
    (found,) = composer.write(style="up", bars=1, seed=4, temperature=3.0)
    assert found.nats_per_note > 2
    told = composer.evaluate([found.piece], ["up"])
    # The first event, the transposition, is given where pieces are written.
    assert 0 <= told.nats["model"] + found.log_prob < 0.2
    assert told.metrics["model"]["nats_per_step"] == pytest.approx(told.nats["model"] / told.steps)
    held = composer.evaluate(*tunes())
    assert held.nats["model"] < held.nats["bigram"] < held.nats["unigram"]
    assert "the model beats the bigram" in held.sentence


def test_a_primer_stands_at_the_beginning_and_the_length_holds(composer: Composer, tmp_path: Path) -> None:
    primer = make_piece([(0, 12, 60, 33), (12, 18, 64, 99), (30, 12, 60, 1)], who="t", tempo=77.0)
    write_midi(primer, tmp_path / "p.mid")
    for given in (primer, tmp_path / "p.mid", str(tmp_path / "p.mid")):
        for bars in (1, 4):
            (found,) = composer.write(style="up", primer=given, bars=bars, seed=2)
            assert found.piece.notes[:3].tolist() == primer.notes.tolist()
            assert len(found.piece.bars) <= bars
            assert found.piece.tempo == pytest.approx(77.0, abs=1e-3)
            assert found.written == len(found.piece) - 3
    (moved,) = composer.write(style="up", primer=primer, bars=2, transpose=-3, tempo=50)
    assert moved.piece.notes[:3, 2].tolist() == [57, 61, 57]
    assert moved.piece.tempo == 50
    assert [one.piece.notes[0, 2] for one in composer.predict(["C4", "E4"], style="up", bars=2)] == [60, 64]


def test_a_piece_depends_on_its_seed_alone(composer: Composer) -> None:
    beside = composer.write(style=["up", "down"], n=2, bars=4, seed=7, temperature=1.5, top_p=0.95)
    alone = composer.write(style="down", bars=4, seed=9, temperature=1.5, top_p=0.95)
    assert beside[2].piece.notes.tolist() == alone[0].piece.notes.tolist()
    mixed = composer.write(style={"up": 3, "down": 1}, bars=4, seed=9)
    assert mixed[0].style == "up+down"


def test_repetition_and_copies_are_kept_within_bounds(composer: Composer) -> None:
    for one in composer.write(style="up", n=3, bars=4, most_repeats=1, temperature=3.0):
        assert (np.diff(one.piece.notes[:, 2]) != 0).all()
    for one in composer.write(style="up", n=3, bars=4, max_copy=1.5):
        assert one.shared.bars < 1.5


def test_two_bars_of_a_training_piece_are_avoided_without_being_asked_for(composer: Composer) -> None:
    """Tunes of eight quarters in 2/4, known by heart: what follows by itself is one of them."""
    tune = piece_from_names("C4 D4 E4 G4 F4 D4 E4 C4 D4 E4 G4 F4 E4 D4 C4 C4")
    known = Composer(**TINY | {"hidden_size": 24}, epochs=60, batch_size=4, window=32, learning_rate=3e-2)
    known.fit([tune] * 8)
    assert known.write(bars=4, greedy=True, max_copy=None)[0].shared.bars == 4
    (found,) = known.write(bars=4, greedy=True)
    assert found.shared.bars < 2
    assert len(found.piece) > 8


def test_a_saved_composer_writes_the_same(composer: Composer, tmp_path: Path) -> None:
    composer.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, Composer)
    for options in ({"bars": 3, "seed": 5}, {"bars": None, "max_copy": 1.5}):
        one, other = composer.write(style="up", **options)[0], again.write(style="up", **options)[0]
        assert one.as_dict() == other.as_dict()
    assert again.summary() == composer.summary()
    text = (tmp_path / "m" / "model.json").read_text()
    (tmp_path / "m" / "model.json").write_text(text.replace('"longest": ', '"longest": 1'))
    with pytest.raises(ModelFolderError, match="whose parts do not fit together"):
        Composer.load(tmp_path / "m")


def test_frames_are_learnt_and_written(tmp_path: Path) -> None:
    pieces, styles = tunes()
    later = Composer(**FRAMES | {"epochs": 30}, head="joint", lags=[4], learning_rate=2e-2).fit(pieces, styles)
    (found,) = later.write(style="up", primer="C4 D4 E4", bars=2, temperature=0.1)
    assert found.piece.notes[:3, :3].tolist() == [[0, 12, 60], [12, 12, 62], [24, 12, 64]]
    assert len(found.piece.bars) == 2
    told = later.evaluate(pieces, styles, written=2, bars=2)
    assert told.nats["model"] < told.nats["last frame"]
    assert told.windowed == pytest.approx(told.metrics["model"]["nats_per_step"], rel=0.02)
    assert set(told.overlaps) == {"pitch class", "interval", "duration"}
    with pytest.raises(ArgumentError, match=r"max_copy=0\.3 bars .* got 0\.50 with '' in 1 tries"):
        later.write(style="up", primer="C4 D4", bars=1, greedy=True, max_copy=0.3)
    later.save(tmp_path / "m")
    again = Composer.load(tmp_path / "m")
    assert again.evaluate(pieces, styles).nats == later.evaluate(pieces, styles).nats
    rolls = [roll_from_piece(piece) for piece in pieces]
    assert Composer(**FRAMES).fit(rolls).labels_ is None


def test_voices_are_written_below_a_melody(harmonist: Composer) -> None:
    tune = make_piece([(t, 12, 67, 80) for t in range(0, 48, 12)], who="t")
    found = harmonist.harmonise(tune, n=3, temperature=0.2)
    assert [one.log_prob for one in found] == sorted((one.log_prob for one in found), reverse=True)
    notes = found[0].piece.notes
    assert notes[notes[:, 2] == 67].tolist() == tune.notes.tolist()
    assert set(notes[:, 2].tolist()) == {60, 64, 67}
    # The highest voice of a chorale is its own, though others begin a note while it is held.
    chorale = make_piece([(0, 48, 67, 80), (12, 12, 50, 80)], who="t")
    (likeliest,) = harmonist.harmonise(chorale, greedy=True)
    assert [0, 48, 67] in likeliest.piece.notes[:, :3].tolist()
    assert 50 not in likeliest.piece.notes[:, 2]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"style": "polka"}, r"among 'down', 'up', got 'polka'"),
        ({}, "got none; pass one of 'down', 'up'"),
        ({"style": {"up": 0}}, "share above 0 for style 'up', got 0"),
        ({"style": "up", "tempo": 0}, "tempo above 0 .* got 0"),
        ({"style": "up", "bars": 0}, "bars > 0, got 0"),
        ({"style": "up", "bars": 1, "primer": f"{UP} C4"}, "at most the 1 bars asked for, got one of 2"),
        ({"style": "up", "bars": None, "primer": "C4"}, "bars beside a primer, got none"),
        ({"style": "up", "metre": "7/8"}, "among 4/4, got 7/8"),
        ({"style": "up", "metre": "x"}, "got 'x'"),
        ({"style": "up", "primer": "C4:30"}, "at most .* ticks, .* got 360"),
        ({"style": "up", "transpose": 100}, "got 100"),
        ({"style": "up", "seed": -1}, "got -1"),
        ({"style": ["up"] * 2, "primer": ["C4"] * 3}, "got 2 and 3"),
        ({"style": "up", "max_copy": 0.0}, "max_copy above 0 .* got 0"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(composer: Composer, options: dict[str, Any], told: str) -> None:
    with pytest.raises((ArgumentError, DataError), match=told):
        composer.write(**options)


def test_wrong_kinds_are_refused(composer: Composer, harmonist: Composer) -> None:
    with pytest.raises(ArgumentTypeError, match="got 3"):
        composer.write(style="up", primer=3)
    with pytest.raises(ArgumentTypeError, match="tempo to be a number, got 'x'"):
        composer.write(style="up", tempo="x")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="got view='events' and given=False"):
        composer.harmonise("C4")
    with pytest.raises(ArgumentError, match="got given=True"):
        harmonist.write(bars=2)
    with pytest.raises(DataError, match="the keys of a piano, got 12"):
        harmonist.harmonise("C0")
    with pytest.raises(NotFittedError, match=r"Composer\.write"):
        Composer().write()
    plain = Composer(**FRAMES).fit(tunes()[0])
    with pytest.raises(ArgumentError, match="got top_k"):
        plain.write(top_k=3)
    with pytest.raises(ArgumentError, match="got 'up'; leave it out"):
        plain.write(style="up")
    with pytest.raises(ArgumentError, match="got bars=None"):
        plain.write(bars=None)
    with pytest.raises(ArgumentError, match=r"of 12 ticks, got 3/8"):
        plain.write(metre="3/8")
    with pytest.raises(ArgumentError, match="got temperature alone"):
        composer.evaluate(*tunes(), temperature=2.0)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"view": "notes"}, "got 'notes'"),
        ({"head": "joint"}, "view='frames' alone, got 'joint'"),
        ({"view": "frames", "velocity": True}, "view='events' alone, got True"),
        ({"dropout": 1.0}, "got 1.0"),
        ({"transpose": 13}, "got 13"),
        ({"view": "frames", "lags": [1]}, r"got \[1\]"),
        ({"view": "frames", "lags": [8, 8]}, r"got \[8, 8\]"),
        ({"hidden_size": 0}, "got 0"),
        ({"seed": -1}, "got -1"),
        ({"learning_rate": -1.0}, "got -1"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        Composer(**options).fit(tunes()[0])


@pytest.mark.parametrize(
    ("pieces", "styles", "told"),
    [
        ([], None, "got none"),
        ([piece_from_names("C4")], ["a", "b"], "got 2"),
        ([piece_from_names("C4")] * 2, ["a", None], "got 1 of 2 without"),
        ([Piece(np.zeros((0, 4), dtype=np.int32))], None, "without; leave it out"),
        ([np.zeros((3, 88))], None, "got ndarray as number 0"),
        (None, None, "got None"),
    ],
)
def test_pieces_that_cannot_be_used_are_refused(pieces: Any, styles: Any, told: str) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError, DataError), match=told):
        Composer(**TINY).fit(pieces, styles)
