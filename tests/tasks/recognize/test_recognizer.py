"""Recordings in, what happens out; the split, the folder, and what is refused."""

import logging
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone

from tests.tasks.recognize.data import TINY, clips, recordings
from throughtime import Recognizer
from throughtime.data.recording import Recording
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, ModelFolderError, NotFittedError
from throughtime.tasks import load

CLIPS, LABELS = clips(40, 0)
LATER, TRUE = clips(20, 1)
LONG = recordings(8, 2)


@pytest.fixture(scope="module")
def of_clips():
    return Recognizer(**TINY).fit(CLIPS, LABELS)


@pytest.fixture(scope="module")
def of_samples():
    return Recognizer(**TINY | {"epochs": 40, "batch_size": 2}, bidirectional=False, smoothing=0.3, shortest=0.3).fit(
        LONG
    )


def test_a_label_for_each_recording(of_clips):
    found = of_clips.evaluate(LATER, TRUE)
    assert found.model.accuracy >= 95
    assert found.leaks == ()
    assert of_clips.predict_proba(LATER).shape == (20, 2)
    assert of_clips.predict(np.stack(LATER)) == of_clips.predict(LATER)
    assert found.sentences()[0].startswith("Accuracy")
    assert set(found.as_dict()["scores"]) == {"model", "without order", "most frequent"}


def test_a_label_for_each_sample(of_samples):
    later = recordings(3, 9, groups=1)
    later = [replace(one, group="new") for one in later]
    found = of_samples.evaluate(later)
    assert found.model.accuracy > 85
    assert found.model.segment_f1 > found.scores["most frequent"].segment_f1
    labels = of_samples.predict([later[0]])[0]
    assert labels.shape == (120,)
    segments = of_samples.segments(later[0])
    assert [s.label for s in segments][-1] == "fast"
    assert segments[0].start == 0
    assert segments[-1].end == later[0].times[-1]
    assert all(a.end == b.start and a.label != b.label for a, b in pairwise(segments))


def test_the_folder_gives_the_same_model_back(of_clips, of_samples, tmp_path):
    for number, (model, data) in enumerate(((of_clips, LATER), (of_samples, LONG[:2]))):
        model.save(tmp_path / str(number))
        back = load(tmp_path / str(number))
        assert isinstance(back, Recognizer)
        for one, other in zip(back.predict_proba(data), model.predict_proba(data), strict=True):
            np.testing.assert_array_equal(one, other)
        assert back.summary() == model.summary()
        assert back.evaluate(
            LONG[:1] if model is of_samples else CLIPS[:2], None if model is of_samples else LABELS[:2]
        ).leaks
    (tmp_path / "0" / "model.json").write_text(
        (tmp_path / "0" / "model.json").read_text().replace('"rate": 1.0', '"rate": -1.0')
    )
    with pytest.raises(ModelFolderError, match=r"got one whose parts do not fit together \(reader: -1.0"):
        load(tmp_path / "0")


def test_what_is_not_given_follows_from_the_data(tmp_path):
    space = ("acc_x", "acc_y", "acc_z")
    short = {name: TINY[name] for name in ("hidden_size", "num_layers")} | {"epochs": 2}

    def data(channels):
        rng = np.random.default_rng(0)
        labels = np.array(["slow"] * 30 + ["fast"] * 24 + ["slow"] * 40 + ["fast"] * 20, dtype=object)
        values = rng.normal(size=(12, len(labels), len(channels))).astype(np.float32)
        times = np.arange(len(labels)) / 20
        return [Recording(one, f"r{k}", times, labels=labels, channels=channels) for k, one in enumerate(values)]

    def probability(channels, **options):
        return Recognizer(**short, **options).fit(data(channels)).predict_proba(data(channels)[:1])[0]

    turned = probability(space)
    np.testing.assert_array_equal(turned, probability(space, rotation=20.0, batch_size=8))
    assert (turned != probability(space, rotation=0.0)).any()
    plain = ("a", "b", "c")
    np.testing.assert_array_equal(probability(plain), probability(plain, rotation=0.0))
    # Of the stretches that no end cuts one lasts 1.2 s and one 2 s, twelve times: of ten, nine last 1.2 s and more.
    model = Recognizer(**short, shortest=0.1).fit(data(plain))
    model.save(tmp_path / "m")
    for one in (model, load(tmp_path / "m")):
        assert (one.smoothing_, one.shortest_) == (pytest.approx(0.6), 0.1)
    assert Recognizer(**short).fit(LONG).smoothing_ == 0, "two stretches, both cut by the ends"


def test_the_same_seed_gives_the_same_model():
    one, other = (Recognizer(**TINY | {"epochs": 2}, seed=3).fit(CLIPS, LABELS) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(LATER), other.predict_proba(LATER))
    third = Recognizer(**TINY | {"epochs": 2}, seed=4).fit(CLIPS, LABELS)
    assert (third.predict_proba(LATER) != one.predict_proba(LATER)).any()
    assert clone(one).get_params() == one.get_params()


def test_groups_are_held_out_whole(of_samples):
    assert of_samples.validation_ == "1 of 4 groups"
    assert of_samples.groups_ == {"p0", "p1", "p2", "p3"}


def test_what_training_had_is_said_to_leak(of_samples, caplog):
    fresh = [replace(one, group="p1") for one in recordings(1, 11)]
    with caplog.at_level(logging.WARNING, logger="throughtime.tasks"):
        found = of_samples.evaluate(fresh)
    assert found.leaks == ("1 groups were in training, too (p1)",)
    assert "the split leaks: 1 groups were in training, too (p1)" in caplog.text
    same = [replace(LONG[0], group="new", values=LONG[0].values + 3)]
    assert of_samples.evaluate(same).leaks == ("1 of 1 recordings share samples with training recordings",)
    assert any("Leak: 1 of 1" in line for line in of_samples.evaluate(same).sentences())


def test_windows_of_one_recording_are_found_and_kept_together(caplog):
    rng = np.random.default_rng(5)
    tracks = [np.cumsum(rng.normal(size=(24, 2)), 0) for _ in range(4)]
    rows = [track[k : k + 16] - track[k] for track in tracks for k in range(8)]
    labels = [k // 8 % 2 for k in range(32)]
    with caplog.at_level(logging.WARNING, logger="throughtime.tasks"):
        model = Recognizer(**TINY | {"epochs": 1}).fit(rows, labels)
    assert "4 recordings, of which the 32 sequences are overlapping windows" in caplog.text
    assert model.validation_.startswith("1 of 4 recordings")
    # The author's kind of hold-out: every other row is tested.
    half = Recognizer(**TINY | {"epochs": 1}).fit(rows[::2], labels[::2])
    assert half.evaluate(rows[1::2], labels[1::2]).leaks[0].startswith("16 of 16")


def test_a_label_that_only_the_test_has_counts_as_missed(of_clips):
    found = of_clips.evaluate(LATER[:4], ["slow", "fast", "stop", "stop"])
    assert found.unseen == {"stop": 2}
    assert found.model.accuracy <= 50
    assert "Labels that training never had, all missed: stop (2)." in found.sentences()


def test_missing_samples_and_other_rates_are_read(of_samples):
    one = LONG[0]
    holes = one.values.copy()
    holes[::7] = np.nan
    dropped = replace(one, values=holes)
    assert (of_samples.predict([dropped])[0] == of_samples.predict([one])[0]).mean() > 0.8
    rarer = replace(one, values=one.values[::2], times=one.times[::2], labels=one.labels[::2])
    assert of_samples.predict([rarer])[0].shape == (60,)
    other_way = replace(one, values=one.values[:, ::-1], channels=("b", "a"))
    np.testing.assert_array_equal(of_samples.predict_proba([other_way])[0], of_samples.predict_proba([one])[0])


def test_a_long_recording_is_judged_by_several_clips():
    model = Recognizer(**TINY | {"epochs": 6}, window=20, clips=3).fit(CLIPS, LABELS)
    one = LATER[0]
    expected = np.mean([model.predict_proba([one[k : k + 20]])[0] for k in (0, 5, 10)], 0)
    np.testing.assert_allclose(model.predict_proba([one])[0], expected, atol=1e-6)


def test_moments_add_up_to_the_score(of_clips, of_samples):
    for model, one in ((of_clips, LATER[0]), (of_samples, LONG[0])):
        why = model.moments(one, steps=64)
        assert abs(why.values.sum() - why.score) < 0.05 * max(1, abs(why.score))
        assert why.label != why.against
        other = model.moments(one, why.against, steps=64)
        np.testing.assert_allclose(other.values, -why.values, atol=1e-5)
    with pytest.raises(ArgumentError, match="got 'stop'; pass one"):
        of_clips.moments(LATER[0], "stop")


def test_frames_are_recognised():
    rng = np.random.default_rng(0)
    base = [rng.integers(0, 80, (8, 16, 24, 1)).astype(np.uint8) for _ in range(24)]
    labels = []
    for k, clip in enumerate(base):
        for t in range(8):
            at = 2 * t if k % 2 else 14 - 2 * t
            clip[t, :, at : at + 6] = 230
        labels.append("right" if k % 2 else "left")
    model = Recognizer(**TINY | {"epochs": 25}, features=16).fit(base[:20], labels[:20])
    assert model.predict(base[20:]) == labels[20:]
    shown = model.predict([np.repeat(base[20], 3, axis=3).repeat(2, 1).repeat(2, 2)])
    assert shown == labels[20:21], "of another size and in colour"
    with pytest.raises(DataError, match="expected frames, got samples in sequence 0"):
        model.predict([np.zeros((8, 3))])


@pytest.mark.parametrize(
    ("sequences", "labels", "groups", "error", "said"),
    [
        (CLIPS, None, None, ArgumentError, "expected labels, got none of sequence 0"),
        (CLIPS, LABELS[:5], None, DataError, "expected labels for each of the 40 sequences, got 5"),
        (CLIPS, LABELS, ["a"], DataError, "expected groups for each of the 40 sequences, got 1"),
        (CLIPS, ["a"] * 40, None, DataError, "at least two different labels, got 'a' alone"),
        (CLIPS[:1], LABELS[:1], None, DataError, "at least two different labels, got 'fast' alone"),
        (CLIPS[:2], LABELS[:2], None, DataError, "every label in at least 2 groups, got one that is in a single"),
        (CLIPS, LABELS, ["a"] * 40, DataError, "at least 2 recordings or groups, .* got 1"),
        (CLIPS[:2], [LABELS[:30], LABELS[:3]], None, DataError, "each of the 30 samples of sequence 1, got 3"),
        (
            [np.zeros((3, 2)), np.zeros((3, 3))] * 2,
            [0, 1] * 2,
            None,
            DataError,
            "expected the channels channel 0, channel 1",
        ),
        ([np.full((3, 2), np.nan)] * 4, [0, 1] * 2, None, DataError, "got none in 'channel 0'; leave it out"),
        ([np.zeros((3, 2)), np.zeros((2, 8, 8), np.uint8)] * 2, [0, 1] * 2, None, DataError, "of the other kind"),
        (7, None, None, ArgumentTypeError, "expected sequences in a list or array, or a path, got int"),
        ([["x"]], ["a"], None, ArgumentTypeError, r"expected numbers, got \['x'\] as sequence 0"),
        (CLIPS, [1.5, "a"] * 20, None, ArgumentTypeError, "expected labels of one kind, got 'a' and 1.5"),
        (CLIPS, [None, "a"] * 20, None, ArgumentError, "expected labels, got none of sequence 0"),
        ([], [], None, ArgumentError, "expected recordings, got none"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(sequences, labels, groups, error, said):
    with pytest.raises(error, match=said):
        Recognizer(**TINY | {"epochs": 1}).fit(sequences, labels, groups)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cell": "elman"}, "got 'elman'; pass one"),
        ({"rate": -1}, "expected rate to be a number above 0 or None, got -1"),
        ({"window": 0}, "expected window to be a number above 0 or None, got 0"),
        ({"size": (4, 4)}, r"expected size to be \(width, height\) of at least 8 pixels, got \(4, 4\)"),
        ({"crop": 0.7}, "expected crop to be a number from 0 to 0.5, got 0.7"),
        ({"class_weight": "even"}, "expected class_weight to be one of None, balanced, got 'even'"),
        ({"hidden_size": 0}, "got 0"),
        ({"around": -1.0}, "expected around to be a number from 0 or None, got -1.0"),
        ({"around": 1.0, "bidirectional": False}, "expected around=0 for a one-way model, .* got 1.0"),
    ],
)
def test_wrong_options_are_named(given, said):
    with pytest.raises(ArgumentError, match=said):
        Recognizer(**given).fit(CLIPS, LABELS)


def test_recordings_that_do_not_fit_the_model(of_clips, of_samples):
    with pytest.raises(NotFittedError, match="expected a fitted model"):
        Recognizer().predict(CLIPS)
    with pytest.raises(DataError, match="expected the channels a, b, got channel 0, channel 1"):
        of_samples.predict(CLIPS[:1])
    one = LONG[0]
    with pytest.raises(DataError, match=r"expected times that do not go back, got 0.05 after 0.1 at sample 3"):
        of_samples.predict([replace(one, times=np.array([0, 0.05, 0.1, 0.05, *one.times[4:]]))])
    with pytest.raises(DataError, match=r"got none for 61 s after 0.05 s in r0; cut it there"):
        of_samples.predict([replace(one, times=one.times + 60.95 * (np.arange(120) > 1))])
    with pytest.raises(ArgumentError, match="expected a model of samples, got one of whole recordings"):
        of_clips.segments(LATER[0])
    with pytest.raises(ArgumentError, match="got 'slow' and 'fast' in r0; give parts with one each"):
        of_clips.evaluate(LONG)
    with pytest.raises(ArgumentError, match="validation: expected labels among 'fast', 'slow', got 'stop'"):
        Recognizer(**TINY).fit(CLIPS, LABELS, validation=(LATER[:1], ["stop"]))
