"""The estimator: what it learns, what it says of text, what it refuses."""

import copy
import gzip
import inspect
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from tests.tasks.language.models import KINDS, NAMES, OF_NAMES, QUICK, TEXT, of_names, of_text, of_words
from throughtime.data import TextFiles
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, NotFittedError
from throughtime.nn.layers import LAYERS
from throughtime.tasks.language import LanguageModel
from throughtime.training import Callback, RunFolder


def test_init_stores_every_argument_and_clones() -> None:
    names = [name for name in inspect.signature(LanguageModel.__init__).parameters if name != "self"]
    given = {name: object() for name in names}
    model = LanguageModel(**given)
    assert set(vars(model)) == set(names)
    assert all(model.get_params()[name] is given[name] for name in names)
    assert clone(LanguageModel(bptt=7)).bptt == 7


def test_the_perplexity_of_a_text_is_the_same_in_any_chunking() -> None:
    model, text = of_text(), TEXT[5:205]
    nats = [model.evaluate(text, steps=steps).nats["model"] for steps in (1, 7, 64, 1000)]
    assert max(nats) - min(nats) < 1e-4
    assert model.evaluate(text).symbols == len(text) == 200
    many = [NAMES[0], NAMES[3], "annaottoanna", "o"]
    scores = [of_names().score_samples(many, ["f", "m", "f", "m"], steps=steps) for steps in (1, 2, 5, 100)]
    assert np.ptp(scores, axis=0).max() < 1e-4


def test_a_score_is_the_sum_of_what_the_steps_say() -> None:
    """By hand, symbol by symbol, from the net's own steps; the END of a text of many counts."""
    model = of_names()
    for text, label in (("anna", "f"), ("bo", "m")):
        ids = [*model.units_.encode(text).tolist(), model.units_.end]
        classes = torch.tensor([model.labels_.index(label)])
        begins = torch.ones((1, 1), dtype=torch.bool)
        with torch.no_grad():
            hidden, state = model.model_.encoder(torch.zeros((1, 1), dtype=torch.long), begins=begins, classes=classes)
            total, hidden, step = 0.0, hidden[0], model.model_.encoder.steps(classes)
            for id in ids:
                total += float(model.model_.logits(hidden).log_softmax(-1)[0, id])
                hidden, state = step(torch.tensor([id]), state)
        assert model.score_samples([text], [label])[0] == pytest.approx(total, abs=1e-4)
    found = model.evaluate(["anna", "bo"], ["f", "m"])
    assert (found.symbols, found.characters, found.texts) == (8, 8, 2)
    assert model.score(["anna", "bo"], ["f", "m"]) == pytest.approx(-found.nats["model"] / 8, abs=1e-6)


def test_a_text_scores_alone_as_among_others() -> None:
    model = of_names()
    texts, labels = [*NAMES[:6], "a" * 40], [*KINDS[:6], "m"]
    together = model.score_samples(texts, labels)
    apart = [model.score_samples([text], [label])[0] for text, label in zip(texts, labels, strict=True)]
    assert np.allclose(together, apart, atol=1e-4)


def test_probabilities_over_all_texts_add_up() -> None:
    """All texts of at most one symbol, and all that go on: p("") + Σ_a p(a ...) = 1."""
    model = LanguageModel(**QUICK, unit="word").fit(["a b", "b", "a"] * 8)
    symbols = [s for s in model.units_.vocabulary if s not in ("<end of text>", "<unk>")]
    begins = torch.ones((1, 1), dtype=torch.bool)
    with torch.no_grad():
        hidden, _ = model.model_.encoder(torch.zeros((1, 1), dtype=torch.long), begins=begins)
        share = model.model_.logits(hidden[0, 0]).softmax(-1)
    shown = [math.exp(model.score_samples([text])[0]) for text in ("", *symbols)]
    assert shown[0] == pytest.approx(float(share[model.units_.end]), abs=1e-5)
    for symbol, whole in zip(symbols, shown[1:], strict=True):
        assert whole < float(share[model.units_.vocabulary[symbol]])


def test_it_learns_what_can_be_learnt_and_beats_the_counts() -> None:
    model = LanguageModel(
        hidden_size=48, num_layers=1, bptt=32, batch_size=4, epochs=40, learning_rate=1e-2, cell="gru"
    )
    model.fit(TEXT * 2)
    found = model.evaluate(TEXT[:300])
    assert found.metrics["model"]["bits_per_character"] < 0.35 < found.metrics["bigram"]["bits_per_character"]
    assert found.metrics["bigram"]["nats"] < found.metrics["unigram"]["nats"]
    assert "beats the bigram counts" in found.sentence
    assert model.write(prefix="to be, or n", length=12, greedy=True) == ["to be, or not to be: th"]


@pytest.mark.parametrize("cell", LAYERS)
def test_every_cell_trains_in_float32_and_bfloat16(cell: str) -> None:
    for bfloat16 in (False, True):
        model = LanguageModel(**QUICK, cell=cell, bfloat16=bfloat16).fit(TEXT[:300])
        first, last = (model.history_.history[i].train_loss for i in (0, -1))
        assert last < first < 3.5


@pytest.mark.parametrize(
    "options",
    [
        {"tie_weights": True},
        {"tie_weights": True, "embedding_size": 7, "num_layers": 3},
        {"softmax": "adaptive", "hidden_size": 16},
        {"dropout": 0.3, "weight_dropout": 0.3, "embedding_dropout": 0.1, "vary_bptt": True, "ema": 0.9},
        {"activation_penalty": 1.0, "change_penalty": 1.0, "variational": False, "recurrent_dropout": 0.2},
        {"unit": "word", "min_count": 20},
        {"unit": "subword", "vocabulary_size": 265},
        {"optimizer": "sgd", "schedule": "cosine", "learning_rate": 0.5, "clip_norm": None},
    ],
)
def test_options_train_save_and_load(tmp_path: Path, options) -> None:
    model = LanguageModel(**{**QUICK, **options}).fit(TEXT, validation=TEXT[:100])
    assert model.metrics_["validation_loss"] < math.log(len(model.units_)) + 1
    model.save(tmp_path / "m")
    again = LanguageModel.load(tmp_path / "m")
    assert again.get_params() == model.get_params()
    assert again.write(prefix="to", length=20, seed=3) == model.write(prefix="to", length=20, seed=3)
    assert again.evaluate(TEXT[:80]) == model.evaluate(TEXT[:80])
    assert again.summary() == model.summary()


def test_seeds_hold_and_the_callers_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = LanguageModel(**QUICK, dropout=0.2, seed=1).fit(TEXT)
    assert torch.equal(torch.get_rng_state(), before)
    again = LanguageModel(**QUICK, dropout=0.2, seed=1).fit(TEXT)
    other = LanguageModel(**QUICK, dropout=0.2, seed=2).fit(TEXT)
    assert first.evaluate(TEXT).nats == again.evaluate(TEXT).nats != other.evaluate(TEXT).nats


class _Killed(Callback):
    def __init__(self, at: int) -> None:
        self.at = at

    def on_step(self, record) -> None:
        if record.global_step == self.at:
            raise RuntimeError("killed")


@pytest.mark.parametrize("labels", [None, KINDS])
def test_a_training_that_was_killed_goes_on_to_the_same_model(tmp_path: Path, labels) -> None:
    """In the middle of an epoch: the carried state, the order of the texts and the cuts are those of the one run."""
    text = TEXT if labels is None else NAMES
    options = {**QUICK, "epochs": 3, "dropout": 0.2, "vary_bptt": True, "bptt": 8}
    whole = LanguageModel(**options).fit(text, labels)
    run = RunFolder(path=tmp_path / "run", resume=True, every_steps=1)
    with pytest.raises(RuntimeError, match="killed"):
        LanguageModel(**options).fit(text, labels, run=run, callbacks=[_Killed(7)])
    resumed = LanguageModel(**options).fit(text, labels, run=run)
    assert resumed.history_.resumed_at is not None
    for got, want in zip(resumed.model_.parameters(), whole.model_.parameters(), strict=True):
        assert torch.equal(got, want)
    with pytest.raises(DataError, match="language bptt was 8, is 9"):
        LanguageModel(**{**options, "bptt": 9}).fit(text, labels, run=run)


def test_files_give_what_the_text_in_memory_gives(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    with gzip.open(tmp_path / "names.jsonl.gz", "wt") as file:
        file.write("".join(json.dumps({"text": t, "kind": k}) + "\n" for t, k in zip(NAMES, KINDS, strict=True)))
    model = LanguageModel(**QUICK).fit(tmp_path / "a.txt")
    assert model.evaluate(tmp_path / "a.txt").nats == of_text().evaluate(TEXT).nats
    labelled = LanguageModel(**OF_NAMES)
    labelled.fit(TextFiles(tmp_path / "names.jsonl.gz", label_field="kind"))
    assert labelled.write(label="f", n=4) == of_names().write(label="f", n=4)


def test_validation_is_what_was_given_or_a_part_held_out() -> None:
    assert of_text().validation_ == f"the last {len(TEXT) // 20} symbols"
    assert of_names().validation_ == "2 texts of 30"
    few = LanguageModel(**QUICK).fit([TEXT, TEXT[:300], "to be"])
    assert few.validation_ == f"the last {few.n_symbols_ // 20} symbols of the longest text"
    assert few.metrics_["validation_loss"] < math.log(len(few.units_)) + 1
    short = LanguageModel(**QUICK).fit(TEXT[:150])
    assert (short.validation_, short.metrics_["validation_loss"]) == (
        "none: there are fewer than 200 symbols and 10 texts",
        None,
    )
    model = LanguageModel(**QUICK).fit(TEXT, validation=TEXT[:90])
    assert model.validation_ == "the given text: 90 characters"
    rows_of_one = LanguageModel(**{**QUICK, "batch_size": 1}).fit(TEXT, validation=TEXT[:90])
    want = rows_of_one.evaluate(TEXT[:90]).metrics["model"]["nats"]
    assert rows_of_one.metrics_["validation_loss"] == pytest.approx(want, abs=1e-4)


def test_the_encoder_part_reads_as_the_model_does_and_is_a_copy() -> None:
    model = of_text()
    encoder, units = model.encoder_part()
    ids = torch.from_numpy(units.encode("to be")).unsqueeze(1)
    want, _ = model.model_.encoder(ids)
    torch.testing.assert_close(encoder.eval()(ids)[0], want)
    with torch.no_grad():
        encoder.embedding.weight.zero_()
    assert float(model.model_.encoder.embedding.weight.detach().abs().max()) > 0
    out, _ = encoder(torch.cat((ids, ids), 1), lengths=[5, 2])
    assert not out[2:, 1].any()


def test_float64_works_as_float32_does() -> None:
    model = copy.deepcopy(of_names())
    model.model_.double()
    assert model.score_samples(["anna"], ["f"]) == pytest.approx(of_names().score_samples(["anna"], ["f"]), abs=1e-4)
    wish = {"label": "m", "length": 12, "greedy": True}
    assert model.write(**wish) == of_names().write(**wish)


def test_a_grid_search_works() -> None:
    search = GridSearchCV(LanguageModel(**QUICK, unit="word"), {"hidden_size": [4, 12]}, cv=2, error_score="raise")
    search.fit(["the cat sat", "a dog ran"] * 10)
    assert search.best_params_["hidden_size"] in (4, 12)


def test_predict_goes_on_with_each_text() -> None:
    model = of_text()
    assert model.predict(["to", "or "], length=4) == model.write(prefix=["to", "or "], length=4, greedy=True)
    assert [len(text) for text in model.predict(["to", "or "], length=4, temperature=0.5)] == [6, 7]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"unit": "letter"}, ArgumentError, "unit to be one of character, word, subword, got 'letter'"),
        ({"cell": "transformer"}, ArgumentError, "got 'transformer'"),
        ({"bptt": 0}, ArgumentError, "bptt > 0, got 0"),
        ({"hidden_size": 2.5}, ArgumentTypeError, "hidden_size to be a whole number, got 2.5"),
        ({"dropout": 1.0}, ArgumentError, r"dropout to be a number in \[0, 1\), got 1.0"),
        ({"output_dropout": -0.1}, ArgumentError, "output_dropout .* got -0.1"),
        ({"change_penalty": -1}, ArgumentError, "change_penalty .* got -1"),
        ({"tie_weights": "yes"}, ArgumentTypeError, "tie_weights to be True or False, got 'yes'"),
        ({"tie_weights": True, "softmax": "adaptive"}, ArgumentError, "tie_weights=False with softmax='adaptive'"),
        ({"softmax": "adaptive"}, ArgumentError, "got 18 and 12"),
        ({"unit": "subword", "min_count": 2}, ArgumentError, "min_count=1 with unit='subword', .* got 2"),
        ({"vocabulary_size": 400}, ArgumentError, "vocabulary_size of at most 16, .* got 400"),
        ({"ema": 2.0}, ArgumentError, "ema .* got 2"),
        ({"seed": -1}, ArgumentError, "seed to be a whole number from 0, got -1"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(options, error, message) -> None:
    with pytest.raises(error, match=message):
        LanguageModel(**{**QUICK, **options}).fit(TEXT)


@pytest.mark.parametrize(
    ("texts", "labels", "error", "message"),
    [
        ("", None, DataError, "at least 2 different characters, got none"),
        ([], None, DataError, "at least 2 different characters, got none"),
        ("aaaa", None, DataError, "got 'a' alone"),
        (["a", 3], None, ArgumentTypeError, "expected texts, got 3 as number 1"),
        (17, None, ArgumentError, "a text, a list of texts or a Path, got 17"),
        (["a", "b"], ["x"], ArgumentError, "a label for each of the 2 texts, got 1"),
    ],
)
def test_text_that_cannot_be_learnt_is_refused(texts, labels, error, message) -> None:
    with pytest.raises(error, match=message):
        LanguageModel(**QUICK).fit(texts, labels)


def test_the_name_of_a_file_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "book.txt").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=r"got 'book.txt', which is the name of a file; pass pathlib.Path"):
        LanguageModel(**QUICK).fit("book.txt")


def test_labels_must_be_those_of_the_model() -> None:
    with pytest.raises(ArgumentError, match="trained without labels, got some"):
        of_text().evaluate(["to be"], ["x"])
    with pytest.raises(ArgumentError, match="trained with labels, got none"):
        of_names().score_samples(["anna"])
    with pytest.raises(DataError, match="expected labels among 'f', 'm', got 'x'"):
        of_names().score_samples(["anna"], ["x"])
    with pytest.raises(ArgumentError, match=r"fit: validation: expected no labels, .* got some"):
        LanguageModel(**QUICK).fit(TEXT, None, ["to be"], ["x"])
    with pytest.raises(ArgumentError, match=r"fit: validation: expected a label for each text, .* got none"):
        LanguageModel(**QUICK).fit(NAMES, KINDS, ["anna"])
    with pytest.raises(DataError, match="expected text, got none in 1 texts"):
        of_text().evaluate("")
    with pytest.raises(DataError, match="expected text, got none in 2 texts"):
        of_names().evaluate(["", ""], ["f", "m"])
    with pytest.raises(ArgumentError, match="steps > 0, got 0"):
        of_text().evaluate("to be", steps=0)


def test_an_unfitted_model_says_so() -> None:
    for method, arguments in (("write", ()), ("score", ("a",)), ("evaluate", ("a",)), ("encoder_part", ())):
        with pytest.raises(NotFittedError, match=f"LanguageModel.{method}: expected a fitted model"):
            getattr(LanguageModel(), method)(*arguments)


def test_unknown_symbols_are_counted() -> None:
    found = of_words().evaluate(["the fox sat"])
    assert (found.symbols, found.unknown, found.unit) == (4, 1, "word")
    assert "25.00% of the words are not in its vocabulary" in found.sentence
    assert math.isfinite(found.metrics["model"]["perplexity"])
