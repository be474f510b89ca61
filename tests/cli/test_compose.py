"""`throughtime train compose`, and predict and evaluate for what it writes."""

import json
import wave
from pathlib import Path

import pytest

from tests.cli.command import run
from throughtime.cli import main
from throughtime.data.music import piece_from_names, read_midi, read_music, write_abc, write_midi
from throughtime.tasks import Composer

pytest.importorskip("symusic")
SMALL = (
    "--hidden-size", 8, "--layers", 1, "--epochs", 2, "--transpose", 0, "--batch-size", 4, "--dropout", 0,
    "--threads", 1,
)  # fmt: skip


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    up, down = piece_from_names("C4 D4 E4 F4 G4:2"), piece_from_names("C5 A4 F4:2 E4")
    write_abc([up] * 8, folder / "up.abc")
    write_abc([down] * 8, folder / "down.abc")
    return folder


@pytest.fixture(scope="session")
def composer(music: Path) -> Path:
    words = ["train", "compose", str(music), "--out", str(music / "model"), "--quiet", "--embedding-size", "6"]
    assert main([*words, *map(str, SMALL)]) == 0
    return music / "model"


def test_train_says_what_it_learnt_and_what_comes_next(capsys, music: Path, tmp_path: Path) -> None:
    ended = run(
        capsys, "train", "compose", music / "up.abc", "--out", tmp_path / "m", *SMALL, "--melody", "--velocity",
        "--cell", "gru", "--validation", music / "up.abc", "--seed", 3, "--minutes", 5,
    )  # fmt: skip
    assert ended.status == 0
    assert "data        8 pieces, 40 notes" in ended.out
    assert "validation  the given 8 pieces" in ended.out
    assert f"throughtime predict {tmp_path / 'm'} --out piece" in ended.out
    model = Composer.load(tmp_path / "m")
    assert (model.seed, model.cell, model.melody, model.velocity) == (3, "gru", True, True)
    assert model.origin_["command"].startswith("throughtime train compose ")


def test_predict_writes_what_can_be_heard_seen_and_read(capsys, composer: Path, tmp_path: Path) -> None:
    ended = run(
        capsys, "predict", composer, "--out", tmp_path / "a", "--style", "up=2", "--style", "down", "--bars", 2,
        "--n", 2,
        "--primer", "G4:0.5 A4", "--tempo", 90, "--seed", 4,
    )  # fmt: skip
    assert (ended.status, ended.err) == (0, "")
    assert "up+down 4: " in ended.out
    for name in ("a-1", "a-2"):
        piece = read_midi(tmp_path / f"{name}.mid")
        assert piece.notes[:2, :3].tolist() == [[0, 6, 67], [6, 12, 69]]
        assert piece.tempo == pytest.approx(90, abs=0.01)
        (tune,) = read_music(tmp_path / f"{name}.abc")
        assert tune.notes[:, :3].tolist() == piece.notes[:, :3].tolist()
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        with wave.open(str(tmp_path / f"{name}.wav")) as sound:
            assert sound.getnframes() / sound.getframerate() == pytest.approx(piece.seconds + 0.5, abs=0.01)


def test_predict_in_json_and_without_sound(capsys, composer: Path, tmp_path: Path) -> None:
    ended = run(
        capsys, "predict", composer, "--out", tmp_path / "a", "--style", "up", "--bars", 0, "--no-sound", "--json"
    )
    (row,) = json.loads(ended.out)
    assert row["style"] == "up"
    assert row["shared"]["notes"] >= 0
    assert [Path(file).suffix for file in row["files"]] == [".mid", ".abc", ".png"]
    assert not (tmp_path / "a.wav").exists()


def test_evaluate_tells_nats_and_overlaps(capsys, composer: Path, music: Path, tmp_path: Path) -> None:
    picture = tmp_path / "alike.png"
    ended = run(capsys, "evaluate", composer, music, "--written", 2, "--plot", picture)
    assert (ended.status, ended.err) == (0, "")
    assert "bigram" in ended.out
    assert "Overlap of 2 written pieces with these: pitch class " in ended.out
    assert picture.stat().st_size > 1000
    found = json.loads(run(capsys, "evaluate", composer, music, "--json").out)
    assert found["pieces"] == 16
    assert set(found["metrics"]) == {"model", "bigram", "unigram"}


def test_voices_are_written_below_a_tune(capsys, music: Path, tmp_path: Path) -> None:
    words = ("train", "compose", music / "up.abc", "--out", tmp_path / "m", *SMALL)
    trained = run(capsys, *words, "--view", "frames", "--head", "joint", "--given", "--lag", 2, "--lag", 4)
    assert "--harmonise VOICE" in trained.out
    write_midi(piece_from_names("C5 D5"), tmp_path / "tune.mid")
    ended = run(
        capsys, "predict", tmp_path / "m", "--harmonise", tmp_path / "tune.mid", "--out", tmp_path / "a", "--no-sound"
    )
    assert (ended.status, ended.err) == (0, "")
    notes = read_midi(tmp_path / "a.mid").notes.tolist()
    assert [0, 12, 72] in [row[:3] for row in notes]
    refused = run(capsys, "predict", tmp_path / "m", "--harmonise", "C5", "--bars", 3, "--out", tmp_path / "b")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "got 3" in refused.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--style", "polka"), "got 'polka'"),
        (("--style", "up=x"), "got 'up=x'"),
        (("--style", "up", "--tempo", "0"), "got 0"),
        (("--style", "up", "--primer", "none.mid"), "none.mid"),
        (("--style", "up", "--no-sound", "--soundfont", "a.sf2"), "got 'a.sf2'"),
        ((), "got none; pass one of 'down', 'up'"),
    ],
)
def test_bad_wishes_are_one_line(capsys, composer: Path, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    ended = run(capsys, "predict", composer, "--out", tmp_path / "a", *words)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert told in ended.err
    assert not list(tmp_path.iterdir())


def test_a_folder_without_music_is_one_line(capsys, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = run(capsys, "train", "compose", tmp_path / "empty", "--out", tmp_path / "m")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "got none; give a folder with music" in ended.err


@pytest.mark.slow
def test_the_demo_leaves_what_it_says(capsys, tmp_path: Path) -> None:
    ended = run(capsys, "demo", "compose", "--out", tmp_path / "d")
    assert (ended.status, ended.err) == (0, "")
    for style in ("even", "jig", "waltz", "begun"):
        assert all((tmp_path / "d" / f"{style}{end}").stat().st_size for end in (".mid", ".abc", ".png", ".wav"))
    assert "26 tunes" in ended.out
