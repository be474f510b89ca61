"""Tokens and their places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data.text.tokens import Token, Tokenizer
from throughtime.errors import ArgumentError, ArgumentTypeError

WORDS, CHARACTERS = Tokenizer("words"), Tokenizer("characters")


def texts(found: list[Token]) -> list[str]:
    return [token.text for token in found]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Obama isn't in the U.S. (now), OK?", "Obama isn 't in the U.S. ( now ) , OK ?"),
        ("state-of-the-art 3.5% $4,000.00 at 12:30.", "state-of-the-art 3.5 % $ 4,000.00 at 12:30 ."),
        ("@paulwalk: #view http://t.co/x?a=b end.Next", "@paulwalk : #view http://t.co/x?a=b end . Next"),
        ("line\r\nnext\tx\u00a0y\u2003z", "line next x y z"),
        ("naïve नमस्ते", "naïve नमस्ते"),
        ("nai\u0308ve", "nai\u0308ve"),
        ("", ""),
        (" \r\n ", ""),
    ],
)
def test_words(text: str, tokens: str) -> None:
    assert texts(WORDS(text)) == tokens.split(" ") if tokens else WORDS(text) == []


def test_one_sign_is_one_token() -> None:
    family, flag, accent = "👩\u200d👩\u200d👧", "🇩🇪", "e\u0301"
    assert texts(CHARACTERS(f"{family} {flag}{accent}中\r\n文")) == [family, flag, accent, "中", "文"]
    assert texts(WORDS(f"{family}!{flag}")) == [family, "!", flag]


@given(st.text(st.characters(), max_size=40), st.sampled_from([WORDS, CHARACTERS]))
def test_places_are_exact_and_leave_out_blanks_alone(text: str, tokenizer: Tokenizer) -> None:
    """Surrogates, control characters and all."""
    at = 0
    for token in tokenizer(text):
        assert token.text == text[token.start : token.end]
        assert token.text.strip()
        assert text[at : token.start].strip() == ""
        at = token.end
    assert text[at:].strip() == ""


def test_bad_rules() -> None:
    with pytest.raises(ArgumentError, match=r"words, characters or a regular expression, got '\['"):
        Tokenizer("[")
    with pytest.raises(ArgumentTypeError, match=r"rule to be text, got 3"):
        Tokenizer(3)  # type: ignore[arg-type]
