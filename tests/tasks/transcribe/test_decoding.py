"""Words from probabilities: language models, hot words, how sure."""

import math

import numpy as np
import pytest

from throughtime.data.sound import write_arpa
from throughtime.data.text.files import TextPiece
from throughtime.data.text.units import build_units
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks.transcribe import Decoding
from throughtime.tasks.transcribe.alphabet import learn_units, spoken_words
from throughtime.tasks.transcribe.decoding import Decoder
from throughtime.tasks.transcribe.evaluation import error_rates, right_words, score

UNITS = build_units("character", [TextPiece("write right now not", True)])


def told(text, sure=0.9, other=None):
    """Log-probabilities of a text, a blank after each letter; `other` is nearly as likely at each place."""
    rows = []
    for i, letter in enumerate(text):
        row = np.full(len(UNITS), 0.02 / len(UNITS))
        row[UNITS.vocabulary[letter]] += sure
        if other is not None and other[i] != letter:
            row[UNITS.vocabulary[letter]] = 0.52
            row[UNITS.vocabulary[other[i]]] += 0.44
        rows += [row / row.sum(), np.eye(len(UNITS))[0] * 0.9 + 0.1 / len(UNITS)]
    return np.log(np.array(rows)).astype(np.float32)


def decoded(log_probs, **options):
    decoder = Decoder(UNITS, Decoding(**options), 0.02, (1.0, 0.0))
    decoder.feed(log_probs)
    return decoder.result(0.0, math.inf)


def test_words_lie_where_their_letters_are():
    found = decoded(told("not now"))
    assert [word.text for word in found.words] == ["not", "now"]
    assert (found.words[0].start, found.words[0].end) == (0.0, pytest.approx(0.1))
    assert found.words[1].start == pytest.approx(0.16)
    assert found.words[0].confidence == pytest.approx(0.98, abs=0.01)


def test_a_language_model_decides_between_what_sounds_alike(tmp_path):
    write_arpa(tmp_path / "a.arpa", ["not right", "right now"] * 4 + ["tight not"], 2)
    sounds = told("not tight", other="not right")
    assert decoded(sounds).text == "not tight"
    found = decoded(sounds, ngrams=tmp_path / "a.arpa", weight=1.0, n_best=2)
    assert found.text == "not right"
    assert found.alternatives[1].text == "not tight"
    assert decoded(sounds, ngrams=tmp_path / "a.arpa", weight=0.0).text == "not tight"


def test_hot_words_and_a_bonus_for_words():
    sounds = told("not tight", other="not right")
    assert decoded(sounds, hot_words=["right"]).text == "not right"
    assert decoded(sounds, hot_words={"right": 0.01}).text == "not tight"
    # What only begins like a hot word keeps nothing of its boost.
    scores = [decoded(told("rig"), hot_words=hot, width=64).alternatives[0].score for hot in ([], ["right"])]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)
    blanks = told("nowxnot".replace("x", " "), other="nowtnot")
    assert decoded(blanks, bonus=-2.0).text == "nowtnot"
    assert decoded(blanks, bonus=1.0).text == "now not"


def test_the_score_is_the_sum_that_the_docstring_states(tmp_path):
    write_arpa(tmp_path / "a.arpa", ["now not", "not now now"], 2)
    options = Decoding(ngrams=tmp_path / "a.arpa", weight=0.7, bonus=0.3, hot_words={"not": 1.5}, width=32)
    found = decoded(told("now not"), ngrams=options.ngrams, weight=0.7, bonus=0.3, hot_words={"not": 1.5}, width=32)
    sound = decoded(told("now not"), width=32).alternatives[0].score
    ngrams = options.ngrams
    state, total = ngrams.start(), 0.0
    for word in ("now", "not"):
        state, more = ngrams.score(state, word)
        total += more
    total += ngrams.finish(state)
    assert found.alternatives[0].score == pytest.approx(sound + 0.7 * total + 2 * 0.3 + 1.5, abs=0.01)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"width": 0}, ArgumentError, "expected width > 0, got 0"),
        ({"width": 2, "n_best": 3}, ArgumentError, "width of at least n_best, 3, got 2"),
        ({"width": 1, "hot_words": ["a"]}, ArgumentError, "expected a width above 1 .* got 1"),
        ({"hot_words": ["a b"]}, ArgumentError, "expected hot words without blanks, .* got 'a b'"),
        ({"weight": "much"}, ArgumentTypeError, "expected weight to be a finite number, got 'much'"),
        ({"ngrams": "none.arpa"}, DataError, "none.arpa: expected an ARPA file, got none"),
    ],
)
def test_refusals(options, kind, message):
    with pytest.raises(kind, match=message):
        Decoding(**options)


def test_units_of_transcripts():
    few = ["yes", "no no"] * 20
    assert learn_units("auto", few, alphabet=None, size=None, who="x").name == "word"
    assert learn_units("auto", ["each word once only"], alphabet=None, size=None, who="x").name == "character"
    letters = learn_units("auto", few, alphabet="yesnoz ", size=None, who="x")
    assert "z" in letters.vocabulary
    assert learn_units("word", ["one"], alphabet=None, size=None, who="x").unseen("one") is None
    subwords = learn_units("subword", ["größer größer Größe 字 字"] * 9, alphabet=None, size=270, who="x")
    ids = subwords.encode("größer 字")
    words = spoken_words(subwords, ids.tolist())
    assert [word.text for word in words] == ["größer", "字"]
    assert words[0].first == 0
    assert words[1].last == len(ids) - 1


def test_error_rates_by_hand():
    rates = error_rates(["a b c d", "x"], ["a c d e", "x"])
    assert rates.wer == pytest.approx(100 * 2 / 5)
    assert rates.clips == 50
    assert error_rates(["", "a b"], ["z", "a b"]).wer == 50
    assert error_rates([""], ["z"]).wer == 100
    assert right_words("a b c", "a x c c") in ([True, False, True, False], [True, False, False, True])


def test_the_worst_clips_are_aligned():
    found = score(
        ["one", "two", "three"], ["a b", "c d e", "f"], ["a b", "c x", "f"], [[0.9, 0.8], [0.7, 0.2], [0.9]], "a b",
        seconds=10.0, took=1.0,
    )  # fmt: skip
    assert (found.clips[0].name, found.clips[0].errors) == ("two", 2)
    assert found.real_time_factor == 0.1
    shown = found.alignments()
    assert shown.startswith("two: 2 wrong\nREF: c d e")
    assert "one" not in shown
    assert found.as_dict()["worst"] == [{"name": "two", "said": "c d e", "heard": "c x", "errors": 2}]
