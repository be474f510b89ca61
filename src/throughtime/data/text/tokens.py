"""Raw text into tokens with exact places, by a rule that is a regular expression and stays with the model.

Places count characters (Unicode code points) of the text as it was given: `text[start:end]` is the token. Nothing is
normalised before.
"""

import re
from typing import NamedTuple

from throughtime._extras import require
from throughtime.errors import ArgumentError, ArgumentTypeError

__all__ = ["RULES", "Token", "Tokenizer"]

_WORD = r"[\p{L}\p{M}\p{N}_]+"

RULES = {
    "words": "|".join(
        (
            r"https?://\S+",  # an address
            r"(?:\p{L}\.){2,}",  # U.S.
            r"\p{N}+(?:[.,:]\p{N}+)+",  # 3.5, 12:30, 1,000
            rf"[@#]?{_WORD}(?:-{_WORD})*",  # a word, @name, #tag, state-of-the-art
            r"['\x{2019}]\p{L}+",  # 's
            r"\X",  # any other character, with the marks and joined signs that make one sign of it
        )
    ),
    "characters": r"\X",
}
"""Rules by name: `words` and `characters` (what a reader sees as one sign each)."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class Token(NamedTuple):
    """A piece of a text: `text[start:end]`."""

    text: str
    start: int
    end: int


class Tokenizer:
    """Cuts text into tokens; blanks are no tokens.

    Args:
        rule: a name in `RULES`, or a regular expression in the syntax of Oniguruma that says what a token is.

    Raises:
        ArgumentError: an expression that is not valid.
        MissingExtraError: tokenizers is not installed.

    >>> Tokenizer("words")("It's 3.5 €.")[1:3]
    [Token(text="'s", start=2, end=4), Token(text='3.5', start=5, end=8)]
    """

    def __init__(self, rule: str = "words") -> None:
        if not isinstance(rule, str):
            raise ArgumentTypeError(f"Tokenizer: expected the rule to be text, got {rule!r}; pass {' or '.join(RULES)}")
        self.rule = rule
        tokenizers = require("tokenizers", extra="text")
        try:
            expression = tokenizers.Regex(RULES.get(rule, rule))
        except Exception as error:  # the library raises the bare class
            raise ArgumentError(
                f"Tokenizer: expected {', '.join(RULES)} or a regular expression, got {rule!r} ({error}); correct it"
            ) from error
        self._split = tokenizers.pre_tokenizers.Split(expression, behavior="removed", invert=True)

    def __call__(self, text: str) -> list[Token]:
        """The tokens of a text, in order."""
        if _SURROGATE.search(text):
            # Half of a surrogate pair has no place in UTF-8; one sign for one keeps every place.
            readable = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
            return [Token(text[start:end], start, end) for _, start, end in self(readable)]
        return [Token(token, start, end) for token, (start, end) in self._split.pre_tokenize_str(text) if token.strip()]
