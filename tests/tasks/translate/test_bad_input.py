"""What people feed a translator: empty lines, one sentence of 5,000 words, another script, the wrong file."""

import logging
from pathlib import Path

import numpy as np
import pytest

from tests.tasks.translate.small import LEARNS, TINY, phrases
from throughtime.data.text.parallel_units import UNKNOWN
from throughtime.errors import ArgumentTypeError, DataError
from throughtime.tasks.translate import Translator
from throughtime.tasks.translate.searching import copied, cut


def test_empty_lines_are_left_out_of_training_and_stay_empty(
    translator: Translator, caplog: pytest.LogCaptureFixture
) -> None:
    french, english = phrases(40)
    french[3], english[5], french[7] = "", " \t", "\x00\x01"
    with caplog.at_level(logging.WARNING):
        model = Translator(**TINY).fit(french, english)
    assert "Translator.fit: 3 of 40 pairs are left out: empty" in caplog.text
    assert model.left_out_["empty"] == 3
    assert "(3 empty left out)" in model.summary()
    assert translator.predict(["", "Le chat noir.", "  ", "\x07"]) == ["", "The black cat.", "", ""]
    assert translator.translate([""])[0][0].confidence == 1.0


def test_a_sentence_of_5000_words_is_translated_in_pieces(translator: Translator) -> None:
    text = " ".join(["Le chat noir."] * 1667)
    ((found,),) = translator.translate([text], beam=1)
    assert found.text == " ".join(["The black cat."] * 1667)
    assert 0.5 < found.confidence <= 1
    assert found.weights_TS.shape == (0, 0)


def test_long_sentences_are_cut_after_marks_and_between_words(translator: Translator) -> None:
    units, text = translator.units_, "Le chat noir, un pont vert, le train petit et le chien noir"
    parts = cut(units, text, 12)
    assert " ".join(parts) == text
    assert len(parts) > 1
    assert any(part.endswith(",") for part in parts)
    assert all(len(one.ids) <= 12 for one in units.encode(parts))
    word = "x" * 50
    assert "".join(cut(units, word, 10)) == word


def test_long_pairs_are_left_out_of_training(caplog: pytest.LogCaptureFixture) -> None:
    french, english = phrases(30)
    french[0] = " ".join(["chat"] * 5000)
    with caplog.at_level(logging.WARNING):
        model = Translator(**TINY).fit(french, english)
    assert "1 of 30 pairs are left out: too long" in caplog.text
    assert model.left_out_["too long"] == 1
    with pytest.raises(DataError, match=r"at most 1 subwords a side \(longest\), got 30 longer ones and no other; "):
        Translator(**TINY, longest=1).fit(*phrases(30))


def test_a_source_that_is_its_own_target_is_refused() -> None:
    french, english = phrases(30)
    with pytest.raises(DataError, match="expected translations, got sources that are their own in all 30 pairs; "):
        Translator(**TINY).fit(french, french)
    model = Translator(**TINY).fit([*french, "2016", "Bob"], [*english, "2016", "Bob"])
    assert model.left_out_["source equal to target"] == 2


def test_most_sources_that_are_their_own_targets_are_said(caplog: pytest.LogCaptureFixture) -> None:
    french, english = phrases(30)
    with caplog.at_level(logging.WARNING):
        Translator(**TINY).fit([*french, *french], [*french, *english])
    assert caplog.text == ""
    with caplog.at_level(logging.WARNING):
        Translator(**TINY).fit([*french, *french], [*french, *french[:29], english[0]])
    assert "in 59 of 60 pairs the target is the source; check the files" in caplog.text


def test_another_script_is_said_and_does_no_harm(translator: Translator, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = translator.translate(["北京是中国的首都。", "Le chat noir."])
    assert "1 of 2 sentences are mostly of characters that the training texts had not, such as '北京" in caplog.text
    assert found[1][0].text == "The black cat."
    assert set(found[0][0].source_pieces) >= {"北", "京"}


def test_unknown_characters_are_copied_by_attention(translator: Translator) -> None:
    """Of those that are not written yet, the one that is looked at most; a known one is never taken."""
    (part,) = translator.units_.encode(["Le 北 京"])
    places = np.flatnonzero(part.ids == UNKNOWN).tolist()
    assert len(places) == 2
    weights = np.zeros((3, len(part.ids) + 1), dtype=np.float32)
    weights[0, places[1]], weights[1, places[1]], weights[2, 0] = 0.9, 0.8, 1.0
    assert copied(part, [UNKNOWN, UNKNOWN, UNKNOWN], weights) == {0: "京", 1: "北"}


def test_names_in_characters_that_training_had_once_are_written_by_copying() -> None:
    """Rare characters stand in training as unknowns on both sides: that is where copying is learned."""
    french, english = phrases(300)
    for i in range(0, 300, 2):
        name = "".join(chr(0x4E00 + 5 * i + k) for k in range(2))
        french[i], english[i] = f"{french[i][:-1]} {name}.", f"{name} {english[i]}"
    model = Translator(**{**LEARNS, "min_count": 3, "epochs": 16}).fit(french, english)
    assert model.predict("Le chat noir 鼎鼐.") == "鼎鼐 The black cat."


def test_control_characters_say_nothing(translator: Translator) -> None:
    assert translator.predict(["Le\x00 chat\x1b \ufeffnoir.\x7f"]) == translator.predict(["Le chat noir."])
    french, english = phrases(30)
    noisy = Translator(**TINY).fit([f"\x02{text}\x03" for text in french], english)
    assert "\x02" not in "".join(noisy.units_.symbols)


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected sentences with translations, got 0 pairs with an empty side and no "):
        Translator(**TINY).fit([], [])
    with pytest.raises(DataError, match="got 2 pairs with an empty side and no other; "):
        Translator(**TINY).fit(["", "a"], ["b", ""])
    (tmp_path / "s").write_text("")
    (tmp_path / "t").write_text("")
    with pytest.raises(DataError, match="got 0 pairs"):
        Translator(**TINY).fit(tmp_path / "s", tmp_path / "t")
    french, english = phrases(30)
    with pytest.raises(DataError, match=r"Translator\.fit: validation: expected sentences .*, got 0 pairs"):
        Translator(**TINY).fit(french, english, ([], []))


def test_files_of_unequal_length_are_refused_with_both_counts(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("un\ndeux\n")
    (tmp_path / "t").write_text("one\n")
    with pytest.raises(DataError, match=r"expected as many lines as .*t, got 2 and 1; "):
        Translator(**TINY).fit(tmp_path / "s", tmp_path / "t")


def test_what_is_no_text_is_refused(translator: Translator) -> None:
    with pytest.raises(ArgumentTypeError, match=r"Translator\.translate: expected sentences, got 3 as number 1; "):
        translator.predict(["a", 3])
    with pytest.raises(ArgumentTypeError, match=r"expected a list of sentences, got 3; "):
        translator.predict(3)
    with pytest.raises(ArgumentTypeError, match=r"validation: expected a pair \(sources, targets\).*, got 'x'; "):
        Translator(**TINY).fit(*phrases(30), "x")
    with pytest.raises(DataError, match=r"Translator\.evaluate: expected sentences and their translations, got none; "):
        translator.evaluate([], [])
