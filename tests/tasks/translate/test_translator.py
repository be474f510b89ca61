"""The translator as a whole: it learns, says how sure it is, comes back from its folder bit for bit, and refuses."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tasks.translate.small import TINY, phrases
from throughtime.data.text.parallel import ParallelFiles
from throughtime.datasets import phrasebook
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, ModelFolderError, NotFittedError
from throughtime.tasks import load
from throughtime.tasks.translate import Translator
from throughtime.training import Callback, RunFolder, StepRecord


def test_it_learns_a_language_whose_words_change_places(translator: Translator) -> None:
    french, english = phrases(40, seed=1)
    found = translator.evaluate(french, english)
    assert found.model["BLEU"] > 95
    assert found.scores["source as it is"]["BLEU"] < 30
    assert found.signatures["BLEU"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert found.signatures["BLEU, lower case, as tokenised"].startswith("nrefs:1|case:lc|eff:no|tok:none")
    assert 0.95 < found.length_ratio < 1.05


def test_translations_come_one_a_sentence_and_n_best_first(translator: Translator) -> None:
    french, _ = phrases(9, seed=2)
    texts = translator.predict(french)
    assert texts == translator.predict(french, beam=1)
    assert translator.predict(french[0]) == texts[0]
    assert translator.predict([]) == []
    ways = translator.translate(french, 3)
    for text, some in zip(texts, ways, strict=True):
        assert some[0].text == text
        assert len(some) == 3
        scores = [one.score for one in some]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < one.confidence <= 1 for one in some)
        assert some[0].confidence > some[2].confidence
    assert translator.predict(french[0], 3) == [one.text for one in ways[0]]


def test_attention_follows_the_words_that_changed_places(translator: Translator) -> None:
    ((found,),) = translator.translate(["Le chat noir."])
    assert found.text == "The black cat."
    T, S = found.weights_TS.shape
    assert (len(found.target_pieces), len(found.source_pieces)) == (T, S)
    np.testing.assert_allclose(found.weights_TS.sum(1), 1, atol=1e-5)
    assert found.source_pieces[-1] == found.target_pieces[-1] == "</s>"


def test_a_sentence_alone_is_the_sentence_among_others(translator: Translator) -> None:
    french, _ = phrases(12, seed=3)
    mixed = [*french, "Le chat noir le chat vert un pont petit un train noir le chat.", "", "Un"]
    for options in ({}, {"beam": 1}, {"coverage_penalty": 0.2, "no_repeat": 2}):
        together = translator.translate(mixed, **options)
        for text, some in zip(mixed, together, strict=True):
            ((alone,),) = translator.translate([text], **options)
            assert alone.text == some[0].text
            assert alone.score == pytest.approx(some[0].score, abs=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"decoder": "input-feeding", "decoder_layers": 1, "attention": "additive", "cell": "gru"},
        {"decoder": "attention-above", "encoder_layers": 2},
        {"members": 2, "recurrent_dropout": 0.1, "casing": "keep", "ema": None},
    ],
    ids=["input feeding", "above", "two members"],
)
def test_folders_give_back_the_same_model(options: dict[str, Any], tmp_path: Path) -> None:
    model = Translator(**TINY, **options).fit(*phrases())
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, Translator)
    assert again.get_params() == model.get_params()
    french, english = phrases(6, seed=4)
    for a, b in zip(model.translate(french, 2), again.translate(french, 2), strict=True):
        assert [(one.text, one.score, one.confidence) for one in a] == [(o.text, o.score, o.confidence) for o in b]
    assert again.evaluate(french, english) == model.evaluate(french, english) or np.isnan(
        model.evaluate(french, english).rank_correlation
    )
    assert again.summary() == model.summary()
    assert len(again.model_.members) == options.get("members", 1)


def test_the_embedding_is_stored_once(translator: Translator, tmp_path: Path) -> None:
    tensors, _ = translator._to_folder()
    shape = (len(translator.units_), 24)
    assert [name for name, value in tensors.items() if value.shape == shape] == [
        "model.members.0.target_embedding.table.weight"
    ]


def test_damaged_folders_are_refused(translator: Translator, tmp_path: Path) -> None:
    translator.save(tmp_path / "m")
    file = tmp_path / "m" / "model.json"
    whole = json.loads(file.read_text())
    for change, match in (
        (("configuration", "hidden_size", 1_000_000), "shape"),
        (("fitted", "members", 10**9), "members: 1000000000"),
        (("units", "casing", "odd"), "casing"),
        (("configuration", "decoder", "odd"), "decoder"),
    ):
        section, name, value = change
        damaged = json.loads(json.dumps(whole))
        damaged[section][name] = value
        file.write_text(json.dumps(damaged))
        with pytest.raises(ModelFolderError, match=f"Translator.load: .*{match}"):
            Translator.load(tmp_path / "m")


def test_members_begin_from_seeds_of_their_own_and_write_together() -> None:
    one, two = (Translator(**TINY, members=n).fit(*phrases()) for n in (1, 2))
    first, second = two.model_.members
    (alone,) = one.model_.members
    assert torch.equal(first.combine.weight, alone.combine.weight)  # type: ignore[union-attr]
    assert not torch.equal(first.combine.weight, second.combine.weight)  # type: ignore[union-attr]


def test_the_same_seed_gives_the_same_bits_and_a_killed_run_goes_on(tmp_path: Path) -> None:
    class Stop(Callback):
        def on_step(self, record: StepRecord) -> None:
            if record.global_step == 9:
                raise KeyboardInterrupt

    whole = Translator(**TINY).fit(*phrases())
    run = RunFolder(path=tmp_path / "run", resume=True, every_steps=4)
    Translator(**TINY).fit(*phrases(), run=run, callbacks=[Stop()])
    resumed = Translator(**TINY).fit(*phrases(), run=run)
    assert resumed.history_.resumed_at is not None
    for a, b in zip(whole.model_.parameters(), resumed.model_.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(DataError, match="translate casing was sentence, is keep"):
        Translator(**TINY, casing="keep").fit(*phrases(), run=run)


def test_training_begins_with_a_fitted_model_and_leaves_it_as_it_is(translator: Translator, tmp_path: Path) -> None:
    french, english = phrases(40, seed=7)
    before = {name: one.clone() for name, one in translator.model_.state_dict().items()}
    options = {**translator.get_params(), "epochs": 1, "dropout": 0.1, "learning_rate": 1e-4}
    run = RunFolder(path=tmp_path / "run", resume=True)
    further = Translator(**options).fit(french, english, start=translator, run=run)
    assert further.units_.to_json() == translator.units_.to_json()
    assert further.metrics_["validation_loss"] < 0.2, "what was learned is gone"
    assert any(not torch.equal(one, before[name]) for name, one in further.model_.state_dict().items())
    assert all(torch.equal(one, before[name]) for name, one in translator.model_.state_dict().items())
    with pytest.raises(DataError, match="start"):
        Translator(**options).fit(french, english, run=run)
    for name, value in (("hidden_size", 50), ("members", 2), ("min_count", 4)):
        with pytest.raises(ArgumentError, match=f"a start with {name}={value}, got one with"):
            Translator(**{**options, name: value}).fit(french, english, start=translator)
    with pytest.raises(ArgumentTypeError, match="start to be a translator, got 'model'"):
        Translator(**options).fit(french, english, start="model")  # type: ignore[arg-type]
    with pytest.raises(NotFittedError, match="fit"):
        Translator(**options).fit(french, english, start=Translator())


def test_files_train_as_lists_do(tmp_path: Path) -> None:
    french, english = phrases()
    (tmp_path / "a.fr").write_text("\n".join(french) + "\n")
    (tmp_path / "a.en").write_text("\n".join(english) + "\n")
    models = [
        Translator(**TINY).fit(french, english, (french[:5], english[:5])),
        Translator(**TINY).fit(tmp_path / "a.fr", tmp_path / "a.en", (french[:5], english[:5])),
        Translator(**TINY).fit(ParallelFiles(tmp_path / "a.fr", tmp_path / "a.en"), None, (french[:5], english[:5])),
    ]
    assert len({tuple(p.sum().item() for p in model.model_.parameters()) for model in models}) == 1
    assert models[0].validation_ == "the given 5 pairs"


def test_clones_and_parameters_are_scikit_learns() -> None:
    from sklearn.base import clone

    model = Translator(hidden_size=6, cell="gru")
    assert clone(model).get_params() == model.get_params()
    assert repr(model) == "Translator(cell='gru', hidden_size=6)"
    with pytest.raises(NotFittedError, match=r"Translator\.translate: expected a fitted model"):
        model.predict("a")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"decoder": "odd"}, ArgumentError, "expected decoder to be one of attention-between.*, got 'odd'; "),
        ({"attention": "dot"}, ArgumentError, "expected attention to be one of multiplicative, additive, got 'dot'"),
        ({"casing": 3}, ArgumentError, "expected casing to be one of sentence, keep, got 3; "),
        ({"hidden_size": 7}, ArgumentError, "expected an even hidden_size.*, got 7; pass 8"),
        ({"hidden_size": 1.5}, ArgumentTypeError, r"expected hidden_size to be an int, got 1\.5; "),
        ({"decoder_layers": 1}, ArgumentError, "decoder_layers of at least 2 with decoder='attention-between', got 1"),
        ({"dropout": 1.0}, ArgumentError, r"expected dropout to be a number in \[0, 1\), got 1\.0; "),
        ({"bfloat16": 1}, ArgumentTypeError, "expected bfloat16 to be True or False, got 1; "),
        ({"seed": -1}, ArgumentError, "expected seed to be a whole number from 0, got -1; "),
        ({"beam": 0}, ArgumentError, "expected beam > 0, got 0; "),
        ({"length_penalty": -1}, ArgumentError, "expected length_penalty to be a number from 0, got -1; "),
        ({"learning_rate": 0.0}, ArgumentError, "learning_rate above 0, got 0; "),
        ({"vocabulary_size": 100_000}, ArgumentError, r"vocabulary_size of at most \d+, .*, got 100000; "),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(options: dict[str, Any], error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        Translator(**{**TINY, **options}).fit(*phrases(10))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"beam": 2, "n_best": 3}, "expected n_best of at most beam=2, got 3; "),
        ({"coverage_penalty": "x"}, "expected coverage_penalty to be a number from 0, got 'x'; "),
        ({"no_repeat": -2}, "expected no_repeat to be a whole number from 0, got -2; "),
        ({"width": 2}, "expected options among beam, .*, got 'width'; "),
    ],
)
def test_options_of_the_search_are_refused(translator: Translator, options: dict[str, Any], match: str) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError), match=f"Translator.predict: {match}"):
        translator.predict(["Le chat"], **options)


def test_phrasebooks_of_the_demo_can_be_learned_from() -> None:
    drawn = phrasebook(200, seed=0)
    model = Translator(**{**TINY, "epochs": 1}).fit([one.french for one in drawn], [one.english for one in drawn])
    assert model.left_out_ == {"empty": 0, "too long": 0, "source equal to target": 0}


def test_nothing_is_said_where_nothing_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Translator(**TINY).fit(*phrases()).predict(["Le chat noir."])
    assert caplog.text == ""
