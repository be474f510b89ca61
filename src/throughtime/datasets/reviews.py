"""Reviews of restaurants with stars: what is said decides less than what is said of it, and in which order.

The stars of a review are known from how it was drawn; a bag of its words has lost them.
"""

from typing import NamedTuple

import numpy as np

from throughtime.datasets.arguments import check_whole

__all__ = ["STARS", "Review", "reviews"]

STARS = (1, 2, 3, 4, 5)
_THINGS = ("soup", "service", "bread", "wine", "fish", "room", "dessert", "music", "waiter", "coffee")
_GOOD = ("good", "lovely", "fresh", "wonderful", "excellent", "charming")
_BAD = ("bad", "stale", "dull", "awful", "dreadful", "careless")
_NEVER = ("not", "never", "hardly", "anything but")
_OPENINGS = (
    "We came on a {day} .",
    "My {who} chose this place .",
    "It was full on a {day} .",
    "I went with my {who} .",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WHO = ("sister", "boss", "neighbour", "daughter", "uncle")
# What turns a praise round, and what leaves it as it is: {x} is a word of praise or of blame.
_PLAIN = ("The {thing} was {x} .", "What {x} {thing} !", "We found the {thing} {x} .", "{x} {thing} , too .")
_TURNED = (
    "The {thing} was {never} {x} .",
    "Nobody could call the {thing} {x} .",
    "There is no {x} {thing} here .",
    "We had been told the {thing} was {x} ; it was not .",
)
# A verdict: the first half is what others say, or what was, the second what is.
_VERDICTS = (
    "Others call it {other} , but it is {x} .",
    "It is {x} , although others call it {other} .",
    "It used to be {other} and is now {x} .",
    "It is now {x} and used to be {other} .",
    "They say that it is {other} ; for us it was {x} .",
    "For us it was {x} ; they say that it is {other} .",
)


class Review(NamedTuple):
    """A text and its stars."""

    text: str
    stars: int


def reviews(n: int, seed: int) -> list[Review]:
    """Draw reviews.

    (1) two statements about things, each praise or blame, plain or turned round ("not good"): ±1
    (2) a verdict that sets two opposite words against one another, of which one holds: ±2
    (3) stars = 3 + half the sum of (1) and (2), so that 1 and 5 need all to agree

    Praise and blame, plain and turned, are drawn evenly: a single word says nothing of the stars, and the verdict's two
    words are the same whichever holds.

    Raises:
        ArgumentTypeError, ArgumentError: n or seed is no whole number, or out of range.

    >>> one, *_ = reviews(1, seed=0)
    >>> one.stars in STARS and one.text.endswith(".")
    True
    """
    check_whole("reviews", "n", n, 1)
    check_whole("reviews", "seed", seed, 0)
    rng = np.random.Generator(np.random.PCG64(seed))

    def pick(among: tuple[str, ...]) -> str:
        return among[int(rng.integers(len(among)))]

    made = []
    for _ in range(n):
        said, total = [pick(_OPENINGS).format(day=pick(_DAYS), who=pick(_WHO))], 0
        for _ in range(2):
            praise, turned = (bool(x) for x in rng.integers(2, size=2))
            frame = pick(_TURNED if turned else _PLAIN)
            said.append(frame.format(thing=pick(_THINGS), never=pick(_NEVER), x=pick(_GOOD if praise else _BAD)))
            total += 1 if praise != turned else -1
        liked = bool(rng.integers(2))
        good, bad = pick(_GOOD), pick(_BAD)
        said.append(pick(_VERDICTS).format(x=good if liked else bad, other=bad if liked else good))
        total += 2 if liked else -2
        made.append(Review(" ".join(sentence[0].upper() + sentence[1:] for sentence in said), 3 + total // 2))
    return made
