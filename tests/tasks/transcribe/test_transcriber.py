"""The transcriber: what it learns, what it gives back, what it refuses."""

import json
import logging

import numpy as np
import pytest
import soundfile
import torch

from tests.tasks.transcribe.tones import RATE, TINY, both_ways, one_way, say, sentences
from throughtime import Transcriber
from throughtime.data.sound import LogMel
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, ModelFolderError, NotFittedError
from throughtime.tasks import load
from throughtime.tasks.transcribe import Decoding


def test_it_learns_and_beats_its_baseline():
    found = one_way().evaluate(*sentences(30, 5))
    assert found.model.wer < 10
    assert found.baseline.wer > 50
    assert 0 < found.real_time_factor < 5
    assert found.words == sum(len(text.split()) for text in sentences(30, 5)[1])
    json.dumps(found.as_dict(), allow_nan=False)


def test_words_have_times_confidence_and_alternatives():
    (found,) = one_way().transcribe([(say(["low", "high", "mid"], gap=0.25), RATE)], Decoding(width=8, n_best=3))
    (utterance,) = found.utterances
    assert found.text == utterance.text == utterance.alternatives[0].text == "low high mid"
    assert len({one.text for one in utterance.alternatives}) == 3
    assert [one.score for one in utterance.alternatives] == sorted(o.score for o in utterance.alternatives)[::-1]
    # 0.1 s of silence, then words of 0.12 to 0.2 s with gaps of 0.25 s; a one-way net tells late.
    for word, begins in zip(utterance.words, (0.1, 0.5, 0.9), strict=True):
        assert begins - 0.1 < word.start < word.end < begins + 0.45
        assert 0.5 < word.confidence < 1
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_pause_parts_utterances_whose_times_go_on():
    hush = 1e-4 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    sound = np.concatenate([say(["low", "mid"]), hush, say(["high"])])
    (found,) = one_way().transcribe([(sound, RATE)])
    assert [one.text for one in found.utterances] == ["low mid", "high"]
    assert found.utterances[1].words[0].start > len(say(["low", "mid"])) / RATE + 0.9
    assert found.text == "low mid high"


@pytest.mark.parametrize("model", [one_way, both_ways])
def test_a_folder_gives_the_same_back(tmp_path, model):
    model().save(tmp_path / "m")
    again = load(tmp_path / "m")
    clips = sentences(6, 3)[0]
    assert again.transcribe(clips) == model().transcribe(clips)
    assert again.summary() == model().summary()
    assert again.get_params() == model().get_params()


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("ear", "features", 7), ("ear", "frame_rate", 0), ("fitted", "sure", [1.0]),
        ("fitted", "sure", [1.0, float("1e400")]), ("units", "unit", "noise"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_refused(tmp_path, section, field, value):
    both_ways().save(tmp_path / "m")
    path = tmp_path / "m" / "model.json"
    content = json.loads(path.read_text())
    place = content if section in content else content["extra"]
    place[section][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ModelFolderError):
        Transcriber.load(tmp_path / "m")


def test_a_folder_that_was_normalised_otherwise_is_refused(tmp_path):
    both_ways().save(tmp_path / "m")
    path = tmp_path / "m" / "model.json"
    content = json.loads(path.read_text())
    fitted = content.get("extra", content)["fitted"]
    del fitted["design"]["loud"], fitted["design"]["shape"]
    path.write_text(json.dumps(content))
    with pytest.raises(ModelFolderError, match=r"of an earlier version.*train it anew"):
        Transcriber.load(tmp_path / "m")


def test_alone_as_among_others():
    clips = sentences(9, 4)[0]
    together = one_way().transcribe(clips)
    for clip, found in zip(clips, together, strict=True):
        (alone,) = one_way().transcribe([clip])
        assert alone.text == found.text
        for a, b in zip(alone.utterances, found.utterances, strict=True):
            assert [(w.start, w.end) for w in a.words] == [(w.start, w.end) for w in b.words]
            assert [w.confidence for w in a.words] == pytest.approx([w.confidence for w in b.words], abs=1e-5)


def test_a_seed_gives_the_same_model_and_another_another():
    options = TINY | {"epochs": 1, "speed": 0.1, "noise": 0.5, "masks": 0.1, "warp": 0.1, "gain": 3.0}
    state = torch.random.get_rng_state()
    first, same, other = (Transcriber(**options, seed=s).fit(*sentences(16)).model_.state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert torch.equal(state, torch.random.get_rng_state())


def test_files_tables_and_folders(tmp_path):
    clips, texts = sentences(8)
    for i, ((samples, rate), text) in enumerate(zip(clips, texts, strict=True)):
        soundfile.write(tmp_path / f"{text.replace(' ', '_')}-{i}.wav", samples, rate)
    files = sorted(tmp_path.glob("*.wav"), key=lambda path: int(path.stem.split("-")[1]))
    rows = "".join(f"{path.name},{text}\n" for path, text in zip(files, texts, strict=True))
    (tmp_path / "clips.csv").write_text("path,text\n" + rows)
    options = TINY | {"epochs": 1}
    by_list = Transcriber(**options).fit(files, texts, (files[:2], texts[:2])).predict(files)
    by_table = Transcriber(**options).fit(tmp_path / "clips.csv", validation=(files[:2], texts[:2]))
    assert by_table.predict(files) == by_list
    folder = Transcriber(**options).fit(tmp_path, pattern="{text}-{index}")
    assert folder.evaluate(tmp_path, pattern="{text}-{index}").words == sum(len(t.split()) for t in texts)


def test_features_in_place_of_sound(tmp_path):
    clips, texts = sentences(40)
    mel = LogMel(RATE, mels=12)
    matrices = [mel(samples) for samples, _ in clips]
    plain = {name: value for name, value in TINY.items() if name not in ("speed", "warp", "gain", "noise")}
    model = Transcriber(frame_rate=100, epochs=10, **plain).fit(matrices, texts)
    np.save(tmp_path / "a.npy", matrices[0])
    assert model.predict([tmp_path / "a.npy", matrices[0]]) == [texts[0]] * 2 or model.metrics_["validation_wer"] > 0
    (tmp_path / "x.ark").write_text("".join(f"u{i} [\n{_rows(m)} ]\n" for i, m in enumerate(matrices[:4])))
    offsets, at = [], 0
    for i, line in enumerate((tmp_path / "x.ark").read_text().split("]\n")[:4]):
        offsets.append(at + len(f"u{i} "))
        at += len(line) + 2
    (tmp_path / "x.scp").write_text("".join(f"u{i} x.ark:{at}\n" for i, at in enumerate(offsets)))
    (tmp_path / "text").write_text("".join(f"u{i} {texts[i]}\n" for i in range(4)))
    assert len(model.evaluate(tmp_path / "x.scp", tmp_path / "text").clips) == 4
    model.save(tmp_path / "m")
    assert Transcriber.load(tmp_path / "m").predict(matrices[:5]) == model.predict(matrices[:5])
    with pytest.raises(ArgumentError, match=r"expected a matrix \(frames, 12\), got \(5, 3\)"):
        model.predict([np.zeros((5, 3), dtype=np.float32)])
    with pytest.raises(ArgumentError, match=r"expected features \(.npy, .scp\) .* got 'a.wav'"):
        model.predict(["a.wav"])
    with pytest.raises(DataError, match="got none for u3; add them"):
        model.evaluate(tmp_path / "x.scp", {f"u{i}": texts[i] for i in range(3)})


def _rows(matrix):
    return "\n".join(" ".join(f"{v:.4f}" for v in row) for row in matrix)


def test_a_clip_too_short_for_its_text_is_named():
    clips, texts = sentences(8)
    texts[3] = "low " * 60
    with pytest.raises(DataError, match=r"clip 3: .* at least 119 steps of 30 ms for .low low .*, got \d+; correct"):
        Transcriber(**TINY, unit="word").fit(clips, texts, sentences(4, 1))


def test_characters_outside_the_alphabet_are_named():
    clips, texts = sentences(8)
    texts[5] = "low né"
    with pytest.raises(DataError, match="clip 5: expected the characters 'lowmidhg', got 'n' in 'low né'"):
        Transcriber(**TINY, alphabet="lowmidhg").fit(clips, texts)
    validation = ([clips[0]], ["zebra"])
    with pytest.raises(DataError, match=r"validation: clip 0: expected characters .* got 'z' in 'zebra'"):
        Transcriber(**TINY, unit="character").fit(clips, texts, validation)


def test_silent_short_and_odd_sound_is_heard_as_what_it_is(caplog):
    silent = (np.zeros(RATE, dtype=np.float32), RATE)
    short = (say(["low"])[:20], RATE)
    wide = (np.repeat(say(["low"]), 12), 96_000)
    stereo = (np.stack([say(["low"])] * 2, axis=1), RATE)
    assert one_way().predict([silent])[0] == ""
    assert len(one_way().predict([short])) == 1
    assert one_way().predict([stereo]) == one_way().predict([(say(["low"]), RATE)])
    assert isinstance(one_way().predict([wide])[0], str)
    with pytest.raises(DataError, match="clip 0: expected finite samples, got nan as number 1"):
        one_way().predict([(np.array([0.0, np.nan]), RATE)])
    assert one_way().predict([]) == []
    clips, texts = sentences(8)
    with caplog.at_level(logging.WARNING):
        Transcriber(**TINY, epochs=1).fit([*clips, silent], [*texts, "low"])
    assert "1 of 9 clips are silent and yet have a text, the first is clip 8" in caplog.text


def test_what_is_no_clip_is_refused():
    for given, kind, message in (
        (say(["low"]), ArgumentTypeError, "expected a list of clips, got an array"),
        (7, ArgumentTypeError, "expected a list of clips, got int"),
        ([say(["low"])], ArgumentTypeError, r"clip 0: expected a file or a pair \(samples, rate\), got ndarray"),
    ):
        with pytest.raises(kind, match=message):
            one_way().predict(given)
    with pytest.raises(ArgumentTypeError, match="expected a list of transcripts beside clips, got none"):
        Transcriber(**TINY).fit(sentences(2)[0])
    with pytest.raises(DataError, match="got 2 clips and 1 transcripts"):
        Transcriber(**TINY).fit(sentences(2)[0], ["low"])
    with pytest.raises(ArgumentTypeError, match="clip 1: expected a transcript as text, got 7"):
        Transcriber(**TINY).fit(sentences(2)[0], ["low", 7])
    with pytest.raises(DataError, match="expected transcripts with words, got 2 empty ones"):
        Transcriber(**TINY).fit(sentences(2)[0], ["", " "])
    with pytest.raises(NotFittedError, match="call fit first"):
        Transcriber().predict([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "phone"}, "expected unit to be one of auto, character, word, subword, got 'phone'"),
        ({"cell": "gated"}, "expected cell to be one of .*, got 'gated'"),
        ({"hidden_size": 0}, "expected hidden_size > 0, got 0"),
        ({"dropout": 1.0}, r"expected dropout in \[0, 1\), got 1.0"),
        ({"speed": 0.7}, r"expected speed in \[0, 0.5\), got 0.7"),
        ({"rate": 100}, "expected rate from 4000 to 48000 Hz, got 100"),
        ({"mels": 4}, "expected mels from 8 to 128, got 4"),
        ({"lookahead_ms": 100}, "expected lookahead_ms=0 beside bidirectional=True, .* got 100"),
        ({"bidirectional": False, "normalise": "utterance"}, "got 'utterance', which needs the end of the sound"),
        ({"frame_rate": 100.0, "speed": 0.1}, "expected no speed beside frame_rate, .* got 0.1"),
        ({"alphabet": "a"}, "expected alphabet to be the characters that transcripts may have, got 'a'"),
        ({"alphabet": "ab", "unit": "subword"}, "expected no alphabet beside subwords of bytes, got 'ab'"),
        ({"learning_rate": -1.0}, "learning_rate"),
    ],
)
def test_hyper_parameters_out_of_range(options, message):
    with pytest.raises(ArgumentError, match=message):
        Transcriber(**options).fit(*sentences(4))


def test_characters_and_capitals():
    model = both_ways()
    assert set("lowmidhg") <= set(model.units_.vocabulary.symbols)
    clips, texts = sentences(12)
    shouted = [text.upper() for text in texts]
    kept = Transcriber(**TINY | {"epochs": 1, "lower": False, "unit": "character"}).fit(clips, shouted)
    assert "L" in kept.units_.vocabulary.symbols
    assert "l" not in kept.units_.vocabulary.symbols
