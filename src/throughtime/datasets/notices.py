"""Short notices in which persons, places, organisations and dates are marked: which words are a person's name?"""

from collections.abc import Sequence

import numpy as np

from throughtime.datasets.arguments import check_whole

__all__ = ["NOTICE_LABELS", "notices"]

NOTICE_LABELS = ("DATE", "ORG", "PER", "PLACE")

_FIRST = ("Ada", "Ben", "Clara", "Dario", "Emil", "Farah", "Grete", "Hugo", "Ines", "Jonas", "Kaya", "Leo", "Mina",
          "Nuri", "Olga", "Pia", "Rosa", "Sami", "Tara", "Yusuf")  # fmt: skip
_BEGINS = ("Al", "Bar", "Cor", "Del", "Es", "Fal", "Gor", "Har", "Ist", "Kel", "Lin", "Mar", "Nor", "Or", "Pel", "Ros",
           "Sal", "Tor", "Ul", "Ver", "Wes", "Zan")  # fmt: skip
_ENDS = ("ado", "bury", "ca", "den", "eva", "ford", "gate", "holm", "ila", "ka", "low", "mere", "na", "ova", "ric",
         "sen", "ton", "una", "ville", "wick")  # fmt: skip
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TITLES = ("Judge", "Captain", "Professor", "Aunt", "Uncle")
_TRADES = ("Bank", "Rail", "Press", "Motors", "Energy", "Museum")

# In braces what is drawn: pieces, and words that are none. A `SURNAME` and a `TOWN` are a name alone, which the nearest
# words do not tell apart: what tells is on the other side of an `{aside}`.
_FRAMES = (
    "{PER} moved to {PLACE} in {DATE} .",
    "On {DATE} , {PER} met {PER} in {PLACE} .",
    "{ORG} opened a {thing} near {PLACE} on {DATE} .",
    "{PER} of {ORG} said that {PLACE} needs a new {thing} .",
    "The {thing} in {PLACE} belongs to {ORG} .",
    "{PLACE} was quiet when {PER} left {ORG} on {DATE} .",
    "Nobody at {ORG} knew {PER} , who grew up in {PLACE} .",
    "Was it {PER} who sold the {thing} to {ORG} ?",
    "{PER} and {PER} were seen at {ORG} .",
    "The road from {PLACE} to {PLACE} is closed until {DATE} .",
    "{ORG} has named {PER} its new head .",
    "There is no {thing} in {PLACE} .",
    "{SURNAME} , {aside} , married in {DATE} .",
    "{TOWN} , {aside} , was flooded in {DATE} .",
    "{SURNAME} , {aside} , never wrote to {PER} .",
    "{TOWN} , {aside} , never had a {thing} .",
    # The farthest apart, and so drawn the most often.
    *2 * ("Who was it , {aside} ? It was {SURNAME} .", "Where was it , {aside} ? It was {TOWN} ."),
)
_ASIDES = (
    "as far as anybody can tell today",
    "we have been told again and again",
    "if what they say is true",
    "and nobody has ever doubted it",
)
_THINGS = ("bridge", "school", "station", "harbour", "library", "hotel", "theatre", "mill")


def notices(n: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Draw sentences with their tags, in BIO.

    (1) a surname and a place are the same 22 · 20 made-up words: only the words around say which of the two it is, in
        a third of the sentences words that stand seven and more away
    (2) a person is a first name, a surname or both, or a surname after a title, which is no part of the name
    (3) an organisation is made of a place or a surname and a trade, or is a university or a city hall
    (4) a date is a day, a month or both with a year

    Returns:
        n pairs (tokens, tags), of labels `NOTICE_LABELS`.

    Raises:
        ArgumentTypeError, ArgumentError: n or seed is no whole number, or out of range.

    >>> tokens, tags = notices(1, seed=6)[0]
    >>> print(*[f"{token}/{tag}" for token, tag in zip(tokens, tags)])
    Kaya/B-PER and/O Uncle/O Istova/B-PER were/O seen/O at/O Kelwick/B-ORG &/I-ORG Sons/I-ORG ./O
    """
    check_whole("notices", "n", n, 0)
    check_whole("notices", "seed", seed, 0)
    rng = np.random.Generator(np.random.PCG64(seed))
    return [_sentence(rng, _FRAMES[rng.integers(len(_FRAMES))]) for _ in range(n)]


def _sentence(rng: np.random.Generator, frame: str) -> tuple[list[str], list[str]]:
    tokens: list[str] = []
    tags: list[str] = []
    for word in frame.split():
        drawn = word.strip("{}") if word.startswith("{") else ""
        if drawn in _PIECES:
            label, draw = _PIECES[drawn]
            before, piece = draw(rng)
            tags += [*["O"] * len(before), f"B-{label}", *[f"I-{label}"] * (len(piece) - 1)]
            tokens += before + piece
        else:
            words = _one(rng, _WORDS[drawn]).split() if drawn else [word]
            tokens += words
            tags += ["O"] * len(words)
    return tokens, tags


def _one(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]


def _name(rng: np.random.Generator) -> str:
    return _one(rng, _BEGINS) + _one(rng, _ENDS)


# Each gives the words before a piece that are none of it, and those of the piece.
def _person(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    kind = rng.integers(4)
    if kind == 0:
        return [], [_name(rng)]
    if kind == 1:
        return [_one(rng, _TITLES)], [_name(rng)]
    return [], [_one(rng, _FIRST)] if kind == 2 else [_one(rng, _FIRST), _name(rng)]


def _place(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    side = [_one(rng, ("North", "South", "New"))] if rng.integers(4) == 0 else []
    return [], [*side, _name(rng)]


def _organisation(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    kind = rng.integers(4)
    if kind == 0:
        return ["the"], ["University", "of", *_place(rng)[1]]
    if kind == 1:
        return [], [_name(rng), "&", "Sons"]
    return [], [*_place(rng)[1], "City", "Hall"] if kind == 2 else [_name(rng), _one(rng, _TRADES)]


def _date(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    year, day = str(rng.integers(1950, 2030)), str(rng.integers(1, 29))
    kind = rng.integers(4)
    if kind == 0:
        return [], [year]
    if kind == 1:
        return [], [_one(rng, _MONTHS), year]
    return [], [day, _one(rng, _MONTHS), year] if kind == 2 else [_one(rng, _DAYS)]


def _alone(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    return [], [_name(rng)]


_PIECES = {
    "PER": ("PER", _person),
    "SURNAME": ("PER", _alone),
    "PLACE": ("PLACE", _place),
    "TOWN": ("PLACE", _alone),
    "ORG": ("ORG", _organisation),
    "DATE": ("DATE", _date),
}
_WORDS = {"thing": _THINGS, "aside": _ASIDES}
