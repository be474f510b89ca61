"""Reviews: stars as they are said to come about, and words that do not give them away."""

from collections import Counter

import pytest

from throughtime.datasets import STARS, reviews
from throughtime.errors import ArgumentError, ArgumentTypeError


def test_stars_come_as_often_as_they_should() -> None:
    drawn = reviews(20_000, seed=3)
    shares = {stars: n / 20_000 for stars, n in Counter(one.stars for one in drawn).items()}
    # Two statements ±1 and a verdict ±2: half of −4, −2, 0, 2, 4 with 1/8, 2/8, 1/8 + 1/8, 2/8, 1/8.
    assert [shares[stars] for stars in STARS] == pytest.approx([1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8], abs=0.015)


def test_no_word_tells_good_reviews_from_bad_ones() -> None:
    drawn = reviews(20_000, seed=4)
    counts = {side: Counter[str]() for side in (False, True)}
    for one in drawn:
        counts[one.stars > 3].update({word.lower() for word in one.text.split()})
    liked = sum(one.stars > 3 for one in drawn) / len(drawn)
    for word in counts[True]:
        n = counts[False][word] + counts[True][word]
        assert abs(counts[True][word] / n - liked) < 4 * (liked * (1 - liked) / n) ** 0.5, word


def test_the_order_of_a_verdict_decides() -> None:
    verdict = {
        one.stars > 3: one.text
        for one in reviews(500, seed=5)
        if one.text.endswith("It is excellent , although others call it awful .")
        or one.text.endswith("It is awful , although others call it excellent .")
        if one.stars != 3
    }
    assert all(("is excellent" in text) == liked for liked, text in verdict.items())


def test_the_same_seed_gives_the_same_reviews() -> None:
    assert reviews(50, seed=1) == reviews(50, seed=1) != reviews(50, seed=2)


@pytest.mark.parametrize(
    ("n", "seed", "error"), [(0, 0, ArgumentError), (1, -1, ArgumentError), (1.0, 0, ArgumentTypeError)]
)
def test_what_is_no_count_is_refused(n: int, seed: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"reviews: expected"):
        reviews(n, seed)
