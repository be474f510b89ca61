"""Whole models that write or hear as ONNX: the programs of docs/exchange.md give what the estimators give."""

import json
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from tests.tasks.compose.test_composer import FRAMES, TINY, tunes
from tests.tasks.recognize.data import TINY as TINY_RECOGNIZER
from tests.tasks.recognize.data import clips, recordings
from tests.tasks.test_exported import run
from tests.tasks.transcribe import tones
from tests.tasks.translate.small import LEARNS, phrases
from throughtime.data.music.pieces import make_piece
from throughtime.data.sound import LogMel
from throughtime.data.sound.pauses import spoken
from throughtime.tasks import Composer, Recognizer, Transcriber, Translator, export_onnx
from throughtime.tasks.compose.events import EventVocabulary
from throughtime.tasks.compose.exported import _PLACE, _Legal
from throughtime.tasks.compose.grammar import Grammar
from throughtime.tasks.transcribe import Decoding
from throughtime.tasks.transcribe.exported import _Features


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"decoder": "input-feeding", "members": 2, "attention": "additive", "cell": "gru", "epochs": 8},
        {"decoder": "attention-above", "decoder_layers": 1, "encoder_layers": 2, "min_count": 3},
    ],
    ids=["between", "fed", "above"],
)
def test_a_translator_says_what_it_says_here(options: dict[str, Any], tmp_path: Path) -> None:
    french, english = phrases(120)
    if "min_count" in options:  # signs that occur in one pair, and are copied
        signs = [chr(0x4E00 + k) for k in range(60)]
        french += [f"Le chat {sign}." for sign in signs]
        english += [f"The {sign} cat." for sign in signs]
    model = Translator(**{**LEARNS, **options}).fit(french, english)
    out = export_onnx(model, tmp_path / "out")
    asked = ["Le chat noir.", "un  chien vert , le pont", "E\u0301te\u0301 \u4e8c", "Le chat \u9f98.", ""]
    found = [run("Translate", out, text)[0] for text in asked]
    assert found == model.predict(asked, beam=1)
    assert ("\u9f98" in found[3]) == ("min_count" in options)


@pytest.mark.slow
def test_the_graph_of_features_hears_as_kaldi_and_parts_as_pauses() -> None:
    rng = np.random.default_rng(0)
    mel = LogMel(8000)
    features = _Features(mel)
    for _ in range(6):
        loud = [10 ** rng.uniform(-3, -0.3) * rng.normal(size=int(rng.uniform(400, 16000))) for _ in range(5)]
        quiet = [10 ** rng.uniform(-5, -2.5) * rng.normal(size=int(rng.uniform(400, 12000))) for _ in range(5)]
        sound = np.concatenate([part for pair in zip(loud, quiet, strict=True) for part in pair]).astype(np.float32)
        with torch.no_grad():
            x_TM, utterances = features(torch.from_numpy(sound))
        assert np.abs(x_TM.numpy() - mel(sound)).max() < 1e-3
        assert utterances.tolist() == [[p.first, p.first + len(p.frames)] for p in spoken(mel(sound), True)]


@pytest.mark.slow
@pytest.mark.parametrize("model", [tones.one_way, tones.both_ways])
def test_a_transcriber_hears_what_it_hears_here(model: Any, tmp_path: Path) -> None:
    transcriber: Transcriber = model()
    out = export_onnx(transcriber, tmp_path / "out")
    hush = 1e-4 * np.random.default_rng(0).normal(size=tones.RATE)
    sounds = [tones.say(["low", "mid"]), np.concatenate([tones.say(["low", "mid"]), hush, tones.say(["high"])])]
    for sound in sounds:
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setparams((1, 2, tones.RATE, 0, "NONE", ""))
            file.writeframes((sound * 32767).astype("<i2").tobytes())
        (found,) = run("Transcribe", out, tmp_path / "a.wav")
        assert [found] == transcriber.predict([tmp_path / "a.wav"], Decoding(width=1))
        assert found


@pytest.mark.slow
def test_a_transcriber_of_given_features(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(n, 5)).astype(np.float32) for n in (40, 30, 50, 35)]
    options = {name: value for name, value in tones.TINY.items() if name not in ("speed", "warp", "gain", "noise")}
    options |= {"frame_rate": 100.0, "normalise": "running", "bidirectional": False, "lookahead_ms": 60}
    model = Transcriber(**options, epochs=1).fit(rows, ["a b", "b", "b a", "a"])
    out = export_onnx(model, tmp_path / "out")
    session = onnxruntime.InferenceSession(out / "model.onnx")
    assert not (out / "features.onnx").exists()
    x_TBM = np.zeros((50, 2, 5), np.float32)
    x_TBM[:, 0], x_TBM[:35, 1] = rows[2], rows[3]
    found, steps = session.run(None, {"features": x_TBM, "lengths": np.array([50, 35])})
    for b, (want,) in enumerate(model.log_probs(rows[2:])):
        assert steps[b] == len(want)
        assert np.abs(found[: steps[b], b] - want).max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"window": 20.0, "clips": 3}])
def test_a_recognizer_of_clips(options: dict[str, Any], tmp_path: Path) -> None:
    model = Recognizer(**TINY_RECOGNIZER | options).fit(*clips(20, 0))
    out = export_onnx(model, tmp_path / "out")
    asked = [*clips(2, 1)[0], *clips(2, 2, steps=90)[0]]
    for values in asked:
        np.save(tmp_path / "x.npy", values)
        assert run("Recognize", out, tmp_path / "x.npy") == [model.predict([values])]
    if not options:
        assert len({*model.predict(asked)}) == 2
        return
    parts_TBC = np.stack([asked[-1][first : first + 20] for first in (0, 35, 70)], 1).astype(np.float64)
    session = onnxruntime.InferenceSession(out / "model.onnx")
    (found_BK,) = session.run(None, {"samples": parts_TBC, "lengths": np.full(3, 20)})
    assert np.abs(found_BK.mean(0) - model.predict_proba(asked[-1:])[0]).max() < 1e-5


@pytest.mark.slow
def test_a_recognizer_of_samples(tmp_path: Path) -> None:
    model = Recognizer(**TINY_RECOGNIZER, smoothing=0.3).fit(recordings(8, 0))
    assert model.model_.design.radii
    out = export_onnx(model, tmp_path / "out")
    (one,) = recordings(1, 1)
    np.save(tmp_path / "x.npy", one.values)
    assert run("Recognize", out, tmp_path / "x.npy") == [model.predict([one])[0].tolist()]
    session = onnxruntime.InferenceSession(out / "model.onnx")
    other = recordings(1, 2, half=20)[0]
    x_TBC = np.zeros((120, 2, 2))
    x_TBC[:, 0], x_TBC[:40, 1] = one.values, other.values
    found = session.run(None, {"samples": x_TBC, "lengths": np.array([120, 40])})[0]
    for b, want in enumerate(model.predict_proba([one, other])):
        assert np.abs(found[: len(want), b] - want).max() < 1e-5


@pytest.mark.slow
def test_a_recognizer_of_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def video(right: bool) -> Any:
        x = rng.integers(0, 60, (8, 16, 20), dtype=np.uint8)
        for t in range(8):
            at = 2 * t if right else 16 - 2 * t
            x[t, 4:8, at : at + 2] = 255
        return x

    model = Recognizer(**TINY_RECOGNIZER).fit([video(k % 2 == 0) for k in range(16)], ["right", "left"] * 8)
    out = export_onnx(model, tmp_path / "out")
    for right in (True, False):
        x = video(right)
        np.save(tmp_path / "x.npy", x[..., None])
        assert run("Recognize", out, tmp_path / "x.npy") == [model.predict([x])]


@pytest.mark.slow
def test_a_composer_writes_what_it_writes_here(tmp_path: Path) -> None:
    options = TINY | {"hidden_size": 24, "learning_rate": 3e-2}
    model = Composer(**options, epochs=30, batch_size=4, window=32).fit(*tunes())
    out = export_onnx(model, tmp_path / "out")
    for bars, style in ((1, "up"), (3, "up"), (70, "down")):
        (want,) = model.write(style=style, bars=bars, greedy=True, max_copy=None)
        assert run("Compose", out, bars, style) == [want.piece.notes[:, :3].tolist()]


@pytest.mark.parametrize("velocities", [False, True])
@pytest.mark.parametrize("at_once", [1, 3])
def test_the_graph_allows_what_the_grammar_allows(at_once: int, velocities: bool) -> None:
    rng = np.random.default_rng(at_once)
    for bars, metre, repeats in ((2, -1, 1), (0, 0, 2), (3, 1, 3), (70, -1, 2)):
        vocabulary = EventVocabulary([(4, 4), (3, 4)], longest=9, shifts=1, velocities=velocities)
        seen = rng.random(len(vocabulary)) < 0.5
        for kind in ("metre", "bar", "pos", "pitch"):
            seen[vocabulary.span(kind)] = True
        facts = SimpleNamespace(at_once=at_once, most_repeats=repeats)
        composer: Any = SimpleNamespace(vocabulary_=vocabulary, seen_=seen, facts_=facts)
        legal = _Legal(composer)
        grammar = Grammar(
            vocabulary, seen, bars=bars or None, metre=None if metre < 0 else vocabulary.metres[metre],
            melody=at_once == 1, most_repeats=repeats, at_once=at_once, barred=None,
        )  # fmt: skip
        place, event = torch.zeros((1, len(_PLACE)), dtype=torch.int64), torch.tensor([-1])
        bars_B, metre_B = torch.tensor([bars]), torch.tensor([metre])
        mask_V = np.zeros(len(vocabulary), dtype=bool)
        for _ in range(150):
            place = legal.advance(place, event, bars_B)
            grammar.allowed(mask_V)
            assert np.array_equal(legal.allowed(place, bars_B, metre_B)[0].numpy(), mask_V)
            if grammar.ended:
                break
            chosen = int(rng.choice(np.flatnonzero(mask_V)))
            grammar.advance(chosen)
            event = torch.tensor([chosen])


@pytest.mark.slow
@pytest.mark.parametrize("head", ["independent", "joint"])
def test_a_composer_of_frames(head: str, tmp_path: Path) -> None:
    chords = [make_piece([(t, 12, p + d, 80) for t in range(0, 96, 12) for d in (0, 4, 7)], who="t") for p in (60, 62)]
    model = Composer(**FRAMES | {"epochs": 40}, head=head, learning_rate=2e-2).fit(chords * 4, ["a", "b"] * 4)
    out = export_onnx(model, tmp_path / "out")
    told = json.loads((out / "model.json").read_text())
    session = onnxruntime.InferenceSession(out / "model.onnx")
    feed = {port["name"]: np.zeros([n if isinstance(n, int) else 1 for n in port["axes"]], port["dtype"])
            for port in told["inputs"]}  # fmt: skip
    feed["styles"][0, 1] = 1.0
    names = [port["name"].removesuffix("_after") for port in told["outputs"][1:]]
    (want,) = model.write(style="b", bars=1, greedy=True)
    written = []
    for _ in range(4 * 12 // told["frame"]):
        keys, first, after = np.zeros((1, 88), np.uint8), 88, None
        while after is None or (head == "joint" and first < 88):
            feed |= {"keys": keys} if head == "joint" else {}
            log_odds, *after = session.run(None, feed)
            if head == "independent":
                keys = (log_odds > 0).astype(np.uint8)
            else:  # the next one from the highest down, or none: the likeliest of them all
                z = log_odds[0, :first][::-1]
                silent = np.concatenate(([0.0], -np.logaddexp(0, z).cumsum()))
                next_key = int(np.concatenate((silent[:-1] - np.logaddexp(0, -z), silent[-1:])).argmax())
                first = first - 1 - next_key if next_key < len(z) else 88
                keys[0, first : first + 1] = 1
        written.append(keys[0])
        feed |= {"before": keys, **dict(zip(names, after, strict=True))}
    from throughtime.data.music.rolls import piece_from_roll, roll_from_piece

    found = piece_from_roll(np.stack(written), told["frame"])
    assert np.array_equal(roll_from_piece(want.piece, told["frame"]), roll_from_piece(found, told["frame"]))
    assert len(found)
