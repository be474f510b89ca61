"""The classifier as a whole: it learns, says how sure it is, comes back from its folder bit for bit, and refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from throughtime.data.text.files import TextFiles
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, ModelFolderError, NotFittedError
from throughtime.tasks import load
from throughtime.tasks.classify import Classifier
from throughtime.training import Callback, RunFolder, StepRecord

SMALL: dict[str, Any] = {
    "hidden_size": 8, "embedding_size": 8, "epochs": 6, "learning_rate": 0.03, "dropout": 0.1, "members": 1,
    "min_count": 1,
}  # fmt: skip


def films(n: int = 80, seed: int = 0) -> tuple[list[str], list[str]]:
    """Whether the last of two opposite words is praise: the words of both labels are the same."""
    g = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(n):
        good, good_last = str(g.choice(["fine", "lovely"])), bool(g.integers(2))
        bad, thing = str(g.choice(["poor", "dull"])), str(g.choice(["film", "cast", "plot"]))
        first, last = (bad, good) if good_last else (good, bad)
        texts.append(f"A {first} {thing} , they said ; it was {last} .")
        labels.append("good" if good_last else "bad")
    return texts, labels


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(**SMALL).fit(*films())


def test_it_learns_what_the_order_of_words_says(classifier: Classifier) -> None:
    texts, labels = films(40, seed=1)
    assert classifier.score(texts, labels) > 0.9
    found = classifier.evaluate(texts, labels)
    assert found.model.accuracy > 90
    assert found.baselines.keys() == {"words and pairs", "most frequent"}
    assert found.scores["most frequent"].accuracy < 70
    assert found.model.confusion is not None
    assert found.model.confusion.sum() == 40


def test_probabilities_are_those_of_the_labels_in_their_order(classifier: Classifier) -> None:
    texts, _ = films(9, seed=2)
    p_NK = classifier.predict_proba(texts)
    assert classifier.classes_.tolist() == ["bad", "good"]
    assert p_NK.shape == (9, 2)
    np.testing.assert_allclose(p_NK.sum(1), 1, atol=1e-6)
    assert classifier.predict(texts) == [("bad", "good")[k] for k in p_NK.argmax(1)]
    assert classifier.predict(texts[0]) == classifier.predict(texts)[0]
    assert classifier.predict([]) == []
    assert classifier.predict_proba([]).shape == (0, 2)


def test_texts_have_the_same_answer_alone_together_and_streamed(classifier: Classifier) -> None:
    texts = [*films(7, seed=3)[0], "", "x"]
    together = classifier.predict_proba(texts)
    np.testing.assert_allclose(together, np.stack([classifier.predict_proba([t])[0] for t in texts]), atol=1e-5)
    streamed = list(classifier.stream(iter(texts), at_once=2))
    np.testing.assert_allclose(together, np.stack([p for _, p in streamed]), atol=1e-5)
    assert [label for label, _ in streamed] == classifier.predict(texts)


def test_what_is_odd_has_an_answer(classifier: Classifier) -> None:
    odd = ["", " \n", "\ud800 fine \udfff", "\x00\x07", "Прекрасный 電影 fine ไทย", "<br /><BR>", "fine " * 100_000]
    p_NK = classifier.predict_proba(odd)
    assert np.isfinite(p_NK).all()
    np.testing.assert_allclose(p_NK.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"unit": "character", "cell": "gru"},
        {"unit": "subword", "pooling": "attention"},
        {"bidirectional": False, "pooling": "last", "wide": False},
        {"members": 3, "num_layers": 2, "pooling": "concat", "epochs": 1},
        {"pretrain": True, "pretrain_epochs": 1, "epochs": 1},
    ],
)
def test_it_comes_back_from_its_folder_bit_for_bit(options: dict[str, Any], tmp_path: Path) -> None:
    texts, labels = films(24)
    fitted = Classifier(**SMALL | {"epochs": 2} | options).fit(texts, labels)
    fitted.save(tmp_path / "m")
    read = load(tmp_path / "m")
    assert isinstance(read, Classifier)
    assert np.array_equal(read.predict_proba(texts), fitted.predict_proba(texts))
    assert read.evaluate(texts, labels).as_dict() == fitted.evaluate(texts, labels).as_dict()
    assert read.summary() == fitted.summary()
    assert read.get_params() == fitted.get_params()


def test_the_same_seed_gives_the_same_model_and_another_one_another() -> None:
    texts, labels = films(24)
    one, same, other = (Classifier(**SMALL | {"epochs": 1}, seed=s).fit(texts, labels) for s in (0, 0, 1))
    assert np.array_equal(one.predict_proba(texts), same.predict_proba(texts))
    assert not np.array_equal(one.predict_proba(texts), other.predict_proba(texts))


def test_labels_may_be_several_or_none() -> None:
    texts, labels = films(60)
    several = [[label, "film"] if "film" in text else ([label] if label == "good" else []) for text, label in
               zip(texts, labels, strict=True)]  # fmt: skip
    model = Classifier(**SMALL | {"epochs": 12}).fit(texts, several)
    assert model.labels_.kind == "several"
    found = model.evaluate(texts, several)
    assert found.measure == "micro F1"
    assert found.model.micro_f1 > 90
    assert found.model.confusion is None
    assert all(isinstance(row, list) for row in model.predict(texts))


def test_stars_are_ordered_and_the_error_is_counted_in_stars() -> None:
    texts, labels = films(60)
    stars = [5 if label == "good" else 1 for label in labels]
    stars[0] = 10
    model = Classifier(**SMALL, labels="ordered").fit(texts, stars)
    assert model.classes_.tolist() == [1, 5, 10]
    found = model.evaluate(texts, [str(star) for star in stars])  # as a table has them
    assert found.model.distance is not None
    predicted = np.array(model.predict(texts))
    assert found.model.distance == pytest.approx(np.abs(predicted - np.array(stars)).mean())


def test_pretraining_takes_texts_files_and_what_was_learned_before(tmp_path: Path) -> None:
    texts, labels = films(24)
    more = tmp_path / "more.txt"
    more.write_text("An unheard melody .\nAnother one .\n")
    options = SMALL | {"epochs": 1, "pretrain_epochs": 1}
    model = Classifier(**options).fit(texts, labels, pretrain_on=TextFiles(more, lines=True))
    assert "on 26 texts, 2 of them without labels, both ways" in model.summary()
    assert "melody" in model.reader_.units.vocabulary
    languages = Classifier(**options).learn_language(texts)
    before = [p.clone() for p in languages.models[0].model_.parameters()]
    shared = Classifier(**options).fit(texts[:12], labels[:12], pretrain_on=languages)
    assert len(shared.reader_.units) == len(languages.units)
    after = languages.models[0].model_.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    with pytest.raises(ArgumentError, match="pretrain on subwords"):
        Classifier(unit="subword", pretrain=True).fit(texts, labels)


def test_a_run_folder_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    texts, labels = films(24)
    options = SMALL | {"members": 2, "epochs": 2}
    whole = Classifier(**options).fit(texts, labels)
    run = RunFolder(path=tmp_path / "run", resume=True, every_steps=1)
    Classifier(**options).fit(texts, labels, run=run)
    again = Classifier(**options).fit(texts, labels, run=run)
    assert np.array_equal(again.predict_proba(texts), whole.predict_proba(texts))
    assert again.histories_[0].resumed_at is not None
    first = RunFolder(path=tmp_path / "pretrained", resume=True)
    Classifier(**options | {"members": 1, "pretrain": True, "pretrain_epochs": 1}).fit(texts, labels, run=first)
    names = {path.relative_to(first.path).as_posix() for path in Path(first.path).rglob("log.jsonl")}
    assert names == {"pretraining/language/log.jsonl", "pretraining/backwards/log.jsonl", "net0/head/log.jsonl",
                     "net0/all/log.jsonl"}  # fmt: skip


def test_a_training_ends_in_time_and_with_an_interrupt() -> None:
    texts, labels = films(24)
    short = Classifier(**SMALL | {"members": 2, "epochs": 50}).fit(texts, labels, max_seconds=1e-3)
    assert [history.stopped for history in short.histories_] == ["budget", "budget"]

    class Interrupt(Callback):
        def on_step(self, record: StepRecord) -> None:
            raise KeyboardInterrupt

    stopped = Classifier(**SMALL | {"members": 2}).fit(texts, labels, callbacks=[Interrupt()])
    assert [history.stopped for history in stopped.histories_] == ["interrupted"]
    with pytest.raises(KeyboardInterrupt):
        Classifier(**SMALL, pretrain=True).fit(texts, labels, callbacks=[Interrupt()])


def test_a_label_never_seen_counts_as_missed_and_is_named(classifier: Classifier) -> None:
    texts, labels = films(10, seed=5)
    found = classifier.evaluate([*texts, texts[0]], [*labels, "odd"])
    assert found.unseen == {"odd": 1}
    assert any("never had, all missed: odd (1)" in sentence for sentence in found.sentences())
    plain = classifier.evaluate(texts, labels)
    assert found.model.accuracy == pytest.approx(plain.model.accuracy * 10 / 11)
    with pytest.raises(DataError, match=r"validation: expected a label among 'bad', 'good', got 'odd' as number 0"):
        Classifier(**SMALL).fit(texts, labels, validation=(texts[:1], ["odd"]))


def test_class_weights_move_what_is_rare() -> None:
    texts = ["a b", "a c", "b c", "a a"] * 10
    labels = ["rare" if i % 10 == 0 else "often" for i in range(40)]
    plain = Classifier(**SMALL, wide=False).fit(texts, labels)
    heavy = Classifier(**SMALL, wide=False, class_weight={"rare": 50}).fit(texts, labels)
    with torch.inference_mode():
        read = [plain.reader_.read(text).ids for text in texts]
        raw = [model.model_.scores(read).softmax(1)[:, 1].mean() for model in (plain, heavy)]
    assert raw[1] > raw[0] + 0.2
    with pytest.raises(ArgumentError, match="class_weight for 'often', 'rare', got 'other'"):
        Classifier(**SMALL, class_weight={"other": 2}).fit(texts, labels)


def test_empty_texts_are_told(caplog: pytest.LogCaptureFixture) -> None:
    texts, labels = films(20)
    Classifier(**SMALL | {"epochs": 1}).fit([*texts, ""], [*labels, "bad"])
    assert "1 of 21 texts are empty" in caplog.text


@pytest.mark.parametrize(
    ("texts", "labels", "error", "words"),
    [
        (["a", "b"], ["x", "x"], DataError, "at least two different labels, got 'x' alone"),
        (["", " "], ["x", "y"], DataError, "expected text, got 2 empty texts"),
        ([], [], DataError, "expected texts, got none"),
        (["a", 3], ["x", "y"], ArgumentTypeError, "expected texts, got 3 as number 1"),
        ("a text", ["x"], ArgumentError, "expected no labels beside a file"),
        (["a", "b"], ["x"], DataError, "a label for each of the 2 texts, got 1"),
        (["a", "b"], None, ArgumentError, "expected labels beside texts, got none"),
        (["a", "b"], [None, "x"], ArgumentTypeError, "a label as text or a number, got None as number 0"),
        (["a", "b"], ["x", float("nan")], ArgumentTypeError, "got nan as number 1"),
        (["a", "b"], ["x", 1], ArgumentTypeError, "labels of one kind, got 'x' and 1"),
        (["a", "b"], ["x", "\ud800"], DataError, r"labels that UTF-8 can hold, got '\\ud800'"),
    ],
)
def test_what_cannot_be_learned_is_refused(texts: Any, labels: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Classifier(**SMALL).fit(texts, labels)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unit": "sentence"}, "unit to be one of .*got 'sentence'"),
        ({"pooling": "sum"}, "pooling to be one of .*got 'sum'"),
        ({"labels": "stars"}, "labels to be one of .*got 'stars'"),
        ({"dropout": 1.0}, r"dropout to be a number in \[0, 1\), got 1.0"),
        ({"spelling": 1}, "spelling to be 0 or from 2 to 8 characters, got 1"),
        ({"ngrams": 9}, "ngrams of at most 4 tokens, got 9"),
        ({"longest": 1}, "longest of at least 2"),
        ({"class_weight": 3}, "class_weight to be None, 'balanced' or a number by label, got 3"),
        ({"members": 0}, "members > 0, got 0"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Classifier(**SMALL | options).fit(*films(8))


def test_what_was_never_fitted_or_was_damaged_is_refused(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match=r"Classifier.predict: expected a fitted model"):
        Classifier().predict(["a"])
    classifier.save(tmp_path / "m")
    file = tmp_path / "m" / "model.json"
    fields = json.loads(file.read_text())
    for change in (
        lambda f: f["labels"]["names"].append("x"),
        lambda f: f["fitted"]["design"].update(hidden_size=10**9),
        lambda f: f["fitted"].update(members=2),
        lambda f: f["fitted"].update(penalties=[1.0]),
        lambda f: f["reader"].update(longest=0),
    ):
        damaged = json.loads(json.dumps(fields))
        change(damaged)
        file.write_text(json.dumps(damaged))
        with pytest.raises(ModelFolderError, match="parts do not fit together"):
            Classifier.load(tmp_path / "m")


def test_it_has_scikit_learns_manners() -> None:
    sklearn = pytest.importorskip("sklearn.base")
    model = Classifier(**SMALL)
    assert sklearn.clone(model).get_params() == model.get_params()
    assert repr(Classifier(seed=3)) == "Classifier(seed=3)"
    numbers = Classifier(**SMALL | {"epochs": 1}).fit(films(12)[0], np.array([0, 1] * 6))
    assert set(numbers.predict(films(12)[0])) <= {0, 1}
