"""The tagger as a whole: it learns, says how sure it is, comes back from its folder bit for bit, and refuses."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from throughtime.data.text.conll import write_conll
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, ModelFolderError, NotFittedError
from throughtime.tasks.tag import Entity, Tagger
from throughtime.tasks.tag.schemes import convert
from throughtime.tasks.tag.sentences import cut

SMALL: dict[str, Any] = {
    "hidden_size": 8, "word_size": 8, "character_size": 6, "epochs": 4, "learning_rate": 0.03, "batch_tokens": 64,
}  # fmt: skip
Pairs = list[tuple[list[str], list[str]]]


def sentences(n: int = 60, seed: int = 0, scheme: str = "BIO") -> Pairs:
    """Names after titles, places after "in"; names of one and of two tokens."""
    g = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        first, last, place = g.choice(["Ann", "Bo", "Cy"]), g.choice(["Ives", "Jay"]), g.choice(["Rome", "Ulm", "Oslo"])
        name, tags = ([first, last], ["B-PER", "I-PER"]) if g.integers(2) else ([last], ["B-PER"])
        tokens = [*name, "lives", "in", place, "."]
        found.append(([str(t) for t in tokens], convert([*tags, "O", "O", "B-LOC", "O"], scheme)))
    return found


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(**SMALL).fit(sentences())


def test_it_learns_and_finds_pieces_with_their_places(tagger: Tagger) -> None:
    text = "Bo Ives lives\r\nin Ulm\N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4} ."
    found = tagger.predict(text)
    assert [(e.text, e.label) for e in found] == [("Bo Ives", "PER"), ("Ulm", "LOC")]
    assert all(text[e.start : e.end] == e.text for e in found)
    assert [(e.first, e.last) for e in found] == [(0, 1), (4, 4)]
    assert all(0 <= e.probability <= 1 for e in found)
    decomposed = "Bo I\u0301ves lives in Ulm ."
    assert all(decomposed[e.start : e.end] == e.text for e in tagger.predict(decomposed))
    assert tagger.score(sentences(30, seed=1)) > 0.9


def test_texts_and_token_lists_give_the_same_one_by_one_and_together(tagger: Tagger) -> None:
    tokens = ["Ann", "Jay", "lives", "in", "Rome", "."]
    texts = ["Ann Jay lives in Rome .", tokens, tuple(tokens), np.array(tokens), "", "  \n", [], ["Bo", "Jay"]]
    found = tagger.predict(texts)
    assert [[(e.text, e.start) for e in row] for row in found[:4]] == [[("Ann Jay", 0), ("Rome", 17)]] * 4
    assert found[4:7] == [[], [], []]
    for text, row in zip(texts, found, strict=True):
        alone = tagger.predict([text])[0]
        assert [e[:6] for e in alone] == [e[:6] for e in row]
        np.testing.assert_allclose([e.probability for e in alone], [e.probability for e in row], atol=1e-5)
    assert [[e[:6] for e in row] for row in tagger.stream(iter(texts), at_once=3)] == [
        [e[:6] for e in r] for r in found
    ]
    assert tagger.predict([]) == []


def test_what_is_odd_has_an_answer(tagger: Tagger) -> None:
    odd = ["\ud800 lives in Rome", "\x00\x07 Rome", "Анна lives 在 Rome", "a" * 10_000, [""], ["", "Rome"], ["\ud800"]]
    found = tagger.predict(odd)
    assert len(found) == len(odd)
    for text, row in zip(odd, found, strict=True):
        whole = text if isinstance(text, str) else " ".join(text)
        assert all(isinstance(e, Entity) and whole[e.start : e.end] == e.text for e in row)


def test_a_long_text_is_read_in_parts_that_end_with_a_sentence(tagger: Tagger) -> None:
    tokens = ["Bo", "Ives", "lives", "in", "Ulm", "."] * 1000
    (found,) = tagger.predict([tokens])
    parts = cut(tokens)
    assert len(parts) == 12
    alone = tagger.predict([tokens[part] for part in parts])
    want = [
        (e.first + part.start, e.last + part.start, e.label) for part, es in zip(parts, alone, strict=True) for e in es
    ]
    assert [(e.first, e.last, e.label) for e in found] == want
    whole = " ".join(tokens)
    assert all(whole[e.start : e.end] == " ".join(tokens[e.first : e.last + 1]) == e.text for e in found)
    assert len(tagger.predict_tags([tokens])[0]) == 6000


@pytest.mark.parametrize("given", [7, None, [3], [["a", 3]], [b"text"]])
def test_what_is_no_text_is_refused(tagger: Tagger, given: Any) -> None:
    with pytest.raises(ArgumentTypeError, match=r"Tagger.predict: expected a text or a list of (texts|tokens), got "):
        tagger.predict(given)
    with pytest.raises(ArgumentTypeError, match="lists of tokens, got 'Ann'"):
        tagger.predict_tags(["Ann"])


@pytest.mark.parametrize("scheme", ["IOB1", "BIO", "BIOES", "BMES"])
def test_tags_come_in_the_scheme_of_the_data(scheme: str) -> None:
    data = sentences(scheme=scheme)
    tagger = Tagger(**{**SMALL, "epochs": 8}, scheme=scheme).fit(data)
    assert tagger.scheme_ == scheme
    assert tagger.predict_tags([data[0][0]]) == [convert(data[0][1], scheme)]


@pytest.mark.parametrize(
    "options",
    [
        {"crf": False}, {"characters": "cnn"}, {"characters": "none"}, {"bidirectional": False}, {"cell": "gru"},
        {"num_layers": 2}, {"dropout": 0.0}, {"cell": "layer-norm-lstm", "crf": False, "characters": "cnn"},
    ],
    ids=str,
)  # fmt: skip
def test_every_option_fits_saves_and_loads_to_the_same_bits(options: dict[str, Any], tmp_path: Path) -> None:
    data = sentences(30)
    tagger = Tagger(**{**SMALL, "epochs": 2, **options}).fit(data)
    tagger.save(tmp_path / "m")
    again = Tagger.load(tmp_path / "m")
    assert again.get_params() == tagger.get_params()
    texts = [tokens for tokens, _ in sentences(10, seed=2)]
    assert again.predict(texts) == tagger.predict(texts)
    assert again.evaluate(data).as_dict() == tagger.evaluate(data).as_dict()
    assert (again.summary(), again.history_, again.metrics_) == (tagger.summary(), tagger.history_, tagger.metrics_)
    again.save(tmp_path / "n")
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in "mn")
    assert one == two


def test_characters_alone(tmp_path: Path) -> None:
    data = [(list("".join(tokens)), []) for tokens, _ in sentences(60)]
    data = [(t, ["B-X" if c == "R" else "O" for c in t]) for t, _ in data]
    tagger = Tagger(**{**SMALL, "epochs": 14, "dropout": 0.1}).fit(data)
    assert (tagger.rule_, tagger.model_.net.letters) == ("characters", None)
    text = "Rome and Rum"
    assert [(e.start, e.end) for e in tagger.predict(text)] == [(0, 1), (9, 10)]
    tagger.save(tmp_path / "m")
    assert Tagger.load(tmp_path / "m").predict(text) == tagger.predict(text)


def test_the_seed_decides_every_bit_and_leaves_the_callers_generator_alone() -> None:
    data = sentences(20)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = (Tagger(**{**SMALL, "epochs": 1}, seed=s).fit(data) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [t.model_.state_dict() for t in (one, two, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["net.head.weight"], weights[2]["net.head.weight"])
    assert torch.equal(one.baselines_.linear.weight_FK, two.baselines_.linear.weight_FK)


def test_scikit_learns_manners() -> None:
    sklearn = pytest.importorskip("sklearn.base")
    tagger = Tagger(**SMALL, crf=False)
    copy = sklearn.clone(tagger)
    assert copy.get_params() == tagger.get_params()
    assert copy.set_params(hidden_size=3).hidden_size == 3
    assert not copy.__sklearn_is_fitted__()
    assert repr(Tagger(seed=3)) == "Tagger(seed=3)"
    selection = pytest.importorskip("sklearn.model_selection")
    options = {**SMALL, "epochs": 1}
    search = selection.GridSearchCV(Tagger(**options), {"learning_rate": [1e-6, 0.03]}, cv=2).fit(sentences(40))
    assert search.best_params_ == {"learning_rate": 0.03}
    assert search.score(sentences(10, seed=1)) == search.best_estimator_.score(sentences(10, seed=1))


def test_numpy_numbers_are_numbers(tmp_path: Path) -> None:
    options = {
        **SMALL,
        "hidden_size": np.int64(4),
        "epochs": np.int32(1),
        "dropout": np.float32(0.5),
        "seed": np.int64(2),
    }
    Tagger(**options).fit(sentences(10)).save(tmp_path / "m")
    assert Tagger.load(tmp_path / "m").hidden_size == 4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cell": "lstn"}, ArgumentError, "cell to be one of .*, got 'lstn'"),
        ({"characters": "word"}, ArgumentError, "characters to be one of auto, lstm, cnn, none, got 'word'"),
        ({"scheme": "IOB2"}, ArgumentError, "scheme to be one of .*, got 'IOB2'"),
        ({"hidden_size": 0}, ArgumentError, "hidden_size > 0, got 0"),
        ({"num_layers": 1.5}, ArgumentTypeError, "num_layers to be an int, got 1.5"),
        ({"word_size": -2}, ArgumentError, "word_size > 0, got -2"),
        ({"character_size": 5}, ArgumentError, "even character_size.*, got 5"),
        ({"character_size": True, "characters": "cnn"}, ArgumentTypeError, "character_size to be an int, got True"),
        ({"batch_tokens": "9"}, ArgumentTypeError, "batch_tokens to be an int, got '9'"),
        ({"bidirectional": 1}, ArgumentTypeError, "bidirectional to be True or False, got 1"),
        ({"crf": "no"}, ArgumentTypeError, "crf to be True or False, got 'no'"),
        ({"dropout": 1.0}, ArgumentError, r"dropout to be a number in \[0, 1\), got 1.0"),
        ({"dropout": "x"}, ArgumentError, "got 'x'"),
        ({"epochs": 0}, ArgumentError, "epochs at least 1, got 0"),
        ({"learning_rate": 0}, ArgumentError, "learning_rate .*got 0"),
        ({"patience": 0}, ArgumentError, "patience at least 1, got 0"),
        ({"seed": -1}, ArgumentError, r"seed in \[0, .*got -1"),
        ({"rule": "(("}, ArgumentError, r"a regular expression, got '\(\('"),
        ({"rule": 3}, ArgumentTypeError, "rule to be text, got 3"),
    ],
)
def test_a_value_out_of_its_range_is_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Tagger(**{**SMALL, **options}).fit(sentences(4))


def test_every_argument_is_checked_somewhere_above() -> None:
    checked = {
        name for mark in test_a_value_out_of_its_range_is_refused.pytestmark for row in mark.args[1] for name in row[0]
    }
    assert checked == set(Tagger._parameter_names())


def test_sentences_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(DataError, match="at least one labelled piece, got 2 sentences of O alone"):
        Tagger().fit([(["a"], ["O"])] * 3)
    with pytest.raises(DataError, match=r"at least 2 sentences.*got 1"):
        Tagger().fit(sentences(1))
    with pytest.raises(DataError, match=r"at most 300 labels, got 400 .the first, '0'"):
        Tagger().fit([(["a"], [f"B-{i}"]) for i in range(400)], sentences(2))
    with pytest.raises(DataError, match=r"labels that UTF-8 can hold, got '\\ud800'"):
        Tagger().fit([(["a"], ["B-\ud800"])] * 3)
    with pytest.raises(DataError, match=r"Tagger.fit: validation: expected tagged sentences, got none"):
        Tagger().fit(sentences(3), [])
    with pytest.raises(DataError, match=r"possible in BIOES, got .* that are not"):
        Tagger(scheme="BIOES").fit(sentences(3))
    for method, argument in (("predict", "a"), ("predict_tags", []), ("evaluate", []), ("score", []), ("save", "m")):
        with pytest.raises(NotFittedError, match=f"Tagger.{method}: expected a fitted model"):
            getattr(Tagger(), method)(argument)


def test_a_fit_that_fails_leaves_what_was_fitted(tagger: Tagger) -> None:
    before = tagger.predict("Bo Ives lives in Ulm .")
    with pytest.raises(DataError, match="O alone"):
        tagger.fit([(["a"], ["O"])] * 3)
    assert tagger.predict("Bo Ives lives in Ulm .") == before
    assert tagger.labels_ == ["LOC", "PER"]


def test_one_class_alone_and_labels_that_training_never_saw(caplog: pytest.LogCaptureFixture) -> None:
    data = [(tokens, [tag if "PER" in tag else "O" for tag in tags]) for tokens, tags in sentences(20)]
    tagger = Tagger(**SMALL).fit(data, sentences(5, seed=1))
    assert tagger.labels_ == ["PER"]
    found = tagger.evaluate(sentences(8, seed=2))
    assert found.unseen == {"LOC": 8}
    assert "Labels that the training data never had, all missed: LOC (8)." in found.sentences()
    assert found.model.by_label["LOC"].right == 0


def test_impossible_tags_in_validation_are_repaired_as_in_training() -> None:
    odd = [(["x", "in", "Ulm"], ["O", "O", "I-LOC"]), *sentences(4)]
    assert Tagger(**{**SMALL, "epochs": 1}).fit(sentences(20), odd).metrics_["epochs"] == 1
    assert Tagger(**{**SMALL, "epochs": 1}).fit(odd).evaluate(odd).repaired == 1


def test_validation_without_pieces_gives_no_f1() -> None:
    tagger = Tagger(**{**SMALL, "epochs": 1}).fit(sentences(20), [(["a", "b"], ["O", "O"])] * 3)
    found = tagger.evaluate([(["a", "lives"], ["O", "O"])])
    assert "There is no labelled piece in these sentences" in found.sentences()[0]


def test_the_evaluation_counts_what_was_predicted(tagger: Tagger, tmp_path: Path) -> None:
    data = sentences(40, seed=3)
    write_conll(tmp_path / "later.conll", data)
    found = tagger.evaluate(tmp_path / "later.conll")
    assert list(found.scores) == ["model", "linear", "most frequent tag"]
    right = total = there = 0
    bins: dict[int, list[tuple[float, bool]]] = {}
    for (_, tags), row in zip(data, tagger.predict([t for t, _ in data]), strict=True):
        want = {(i, tags[i][2:]) for i in range(len(tags)) if tags[i].startswith("B-")}
        ends = {
            i: next((j for j in range(i + 1, len(tags)) if not tags[j].startswith("I")), len(tags)) - 1 for i, _ in want
        }
        for e in row:
            hit = (e.first, e.label) in want and ends[e.first] == e.last
            right, total = right + hit, total + 1
            bins.setdefault(min(int(e.probability * 10), 9), []).append((e.probability, hit))
        there += len(want)
    o = found.model.overall
    assert (o.right, o.found, o.true) == (right, total, there)
    error = sum(abs(sum(p for p, _ in rows) - sum(h for _, h in rows)) for rows in bins.values()) / total
    assert found.calibration_error == pytest.approx(error, abs=1e-4)
    assert tagger.score(data) == pytest.approx(o.f1 / 100)
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_model_that_does_not_beat_the_baselines_is_said_to() -> None:
    data = sentences(40)
    weak = Tagger(**{**SMALL, "epochs": 1, "learning_rate": 1e-6}).fit(data)
    found = weak.evaluate(sentences(20, seed=1))
    assert not found.beats_baselines
    assert "the model does not beat the" in found.sentences()[0]


def test_probabilities_are_calibrated_where_the_data_are_uncertain() -> None:
    g = np.random.default_rng(0)

    def noisy(n: int) -> Pairs:
        kinds = [(w, g.uniform() < p) for w, p in zip(g.choice(list("ab"), n), np.full(n, 0.7), strict=True)]
        return [(["in", str(w)], ["O", f"B-{'X' if is_x else 'Y'}"]) for w, is_x in kinds]

    tagger = Tagger(**{**SMALL, "epochs": 6, "dropout": 0.0}).fit(noisy(400))
    found = tagger.evaluate(noisy(400))
    assert found.calibration_error < 0.07
    assert 0.6 < tagger.predict([["in", "a"]])[0][0].probability < 0.8


def vectors(tmp_path: Path, size: int = 6) -> Path:
    """Names near one another, places near one another, also of words that no training sentence has."""
    g = np.random.default_rng(0)
    kinds = {1.0: ("Ann", "Bo", "Cy", "Ives", "jay", "zoe", "kim"), -1.0: ("rome", "Ulm", "Oslo", "Lima", "quito")}
    near = {word: kind + 0.1 * g.normal(size=size) for kind, words in kinds.items() for word in words}
    lines = [f"{word} " + " ".join(f"{x:.3f}" for x in vector) for word, vector in near.items()]
    path = tmp_path / "words.vec"
    path.write_text(f"{len(lines)} {size}\n" + "\n".join(lines) + "\n")
    return path


def test_vectors_tell_of_words_that_training_never_had(tmp_path: Path) -> None:
    options = {**SMALL, "word_size": None, "characters": "none", "epochs": 10, "dropout": 0.1}
    tagger = Tagger(**options).fit(sentences(), vectors=vectors(tmp_path))
    net = tagger.model_.net
    assert (net.design.word_size, net.design.further, tagger.n_vectors_) == (6, 4, 12)
    assert "12 words' vectors given" in tagger.summary()
    text = "Zoe Kim lives in Quito ."
    assert [(e.text, e.label) for e in tagger.predict(text)] == [("Zoe Kim", "PER"), ("Quito", "LOC")]
    lengths = net.further.norm(dim=1)
    assert float((lengths - 1).abs().max()) < 0.3  # scaled to the mean length of learned vectors
    tagger.save(tmp_path / "m")
    again = Tagger.load(tmp_path / "m")
    assert again.predict([text]) == tagger.predict([text])
    assert again.summary() == tagger.summary()
    told = json.loads((tmp_path / "m" / "model.json").read_text())
    assert "words.vec" not in json.dumps(told)
    told.get("extra", told)["fitted"]["design"]["further"] = 3
    (tmp_path / "m" / "model.json").write_text(json.dumps(told))
    with pytest.raises(ModelFolderError, match=r"shape"):
        Tagger.load(tmp_path / "m")


def test_vectors_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: expected vectors of 8 numbers, got 6; .* another size"):
        Tagger(**SMALL).fit(sentences(), vectors=vectors(tmp_path))
    broken = tmp_path / "broken.vec"
    broken.write_text("ann 1 2\nrome 1\n")
    with pytest.raises(DataError, match=r"broken.vec: line 2: expected a word and 2 numbers, got 1"):
        Tagger(**{**SMALL, "word_size": 2}).fit(sentences(), vectors=broken)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv.gz"])
def test_files_of_every_kind_train_and_evaluate_alike(name: str, tmp_path: Path) -> None:
    data, path = sentences(20), tmp_path / name
    rows = [(i, token, tag) for i, pair in enumerate(data) for token, tag in zip(*pair, strict=True)]
    if name == "a.jsonl":
        content = "\n".join(json.dumps({"tokens": tokens, "tags": tags}) for tokens, tags in data)
    else:
        part = "," if name == "a.csv" else "\t"
        content = "\n".join(part.join(map(str, row)) for row in [("sentence", "token", "tag"), *rows])
    path.write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())
    tagger = Tagger(**{**SMALL, "epochs": 1})
    assert tagger.fit(path).evaluate(path).as_dict() == tagger.fit(data).evaluate(data).as_dict()


def test_texts_with_their_entities_train(tmp_path: Path) -> None:
    found = [(" ".join(tokens), " ".join(tokens).index(tokens[-2]), tokens[-2]) for tokens, _ in sentences()]
    rows = [{"text": text, "entities": [{"start": at, "end": at + len(w), "label": "LOC"}]} for text, at, w in found]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    tagger = Tagger(**{**SMALL, "epochs": 6}).fit(path)
    assert [(e.text, e.label) for e in tagger.predict("Bo lives in Ulm .")] == [("Ulm", "LOC")]
    path.write_text('{"text": "in Rome", "entities": [[3, 6, "LOC"]]}')
    with pytest.raises(DataError, match=r"line 1: .*a token of the rule 'words', got 'Rom' at 3"):
        tagger.evaluate(path)


def test_a_stream_asks_for_no_more_texts_than_it_is_told_to(tagger: Tagger) -> None:
    asked = []

    def endless() -> Iterator[str]:
        while True:
            asked.append(len(asked))
            yield "Bo Ives lives in Ulm ."

    stream = tagger.stream(endless(), at_once=4)
    assert [len(next(stream)) for _ in range(6)] == [2] * 6
    assert len(asked) == 8


@pytest.mark.slow
def test_a_text_of_a_hundred_thousand_words(tagger: Tagger) -> None:
    text = "Bo Ives lives in Ulm. " * 16_667
    found = tagger.predict(text)
    assert len(found) > 30_000
    assert all(text[e.start : e.end] == e.text for e in found)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.update(labels=["LOC"]), "labels: 5 tags where the net has 9"),
        (lambda d: d.update(labels=[1, 2]), "labels:"),
        (lambda d: d.update(scheme="X"), "scheme or rule: 'X'"),
        (lambda d: d["fitted"]["design"].update(hidden_size=10**4), "shape"),
        (lambda d: d["fitted"]["design"].update(cell="x"), "'x'"),
        (lambda d: d["fitted"]["design"].update(num_layers=10**6), "num_layers: 1000000"),
        (lambda d: d["fitted"].update(crf=False), "crf"),
        (lambda d: d["fitted"].update(n_tokens=-1), "counts:"),
        (lambda d: d["fitted"].pop("baselines"), "baselines"),
        (lambda d: d["units"]["words"]["symbols"].pop(), "units: other sizes"),
    ],
)
def test_a_damaged_folder_is_refused(tagger: Tagger, tmp_path: Path, change: Any, reason: str) -> None:
    tagger.save(tmp_path / "m")
    file = tmp_path / "m" / "model.json"
    told = json.loads(file.read_text())
    change(told.get("extra", told))
    file.write_text(json.dumps(told))
    with pytest.raises(ModelFolderError, match=r"Tagger.load: .*" + reason):
        Tagger.load(tmp_path / "m")
