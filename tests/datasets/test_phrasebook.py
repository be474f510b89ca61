"""The phrasebook: one translation a sentence, both ways, and grammar on both sides."""

import re

import pytest

from throughtime.datasets import phrasebook
from throughtime.errors import ArgumentError, ArgumentTypeError


def test_each_sentence_has_one_translation_and_is_the_only_one_with_it() -> None:
    there: dict[str, str] = {}
    back: dict[str, str] = {}
    for one in phrasebook(20_000, seed=0):
        assert there.setdefault(one.french, one.english) == one.english
        assert back.setdefault(one.english, one.french) == one.french


def test_grammar_holds_on_both_sides() -> None:
    drawn = phrasebook(5000, seed=1)
    for french, english in drawn:
        assert not re.search(r"\b([Ll][ea]|[Nn]e|que) [aeiouéè]", french), french  # elided
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", english), english
        assert french.endswith((".", " ?"))
        assert english.endswith("?" if french.endswith("?") else ".")
        assert (" pas " in french) == (" not " in english)
        assert not re.search(r"\b(une|la) (petit|grand|joli) ", french), french  # feminine
    assert any("L'oiseau" in one.french for one in drawn)
    assert {"children", "birds"} <= {word for one in drawn for word in one.english.lower().rstrip(".?").split()}


def test_the_same_seed_gives_the_same_sentences() -> None:
    assert phrasebook(50, seed=1) == phrasebook(50, seed=1) != phrasebook(50, seed=2)


@pytest.mark.parametrize(
    ("n", "seed", "error"), [(0, 0, ArgumentError), (1, -1, ArgumentError), (1.0, 0, ArgumentTypeError)]
)
def test_what_is_no_count_is_refused(n: int, seed: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"phrasebook: expected"):
        phrasebook(n, seed)
