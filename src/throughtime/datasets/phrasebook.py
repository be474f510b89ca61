"""Sentences in French and English, each with the one translation that it has here.

What makes them hard word by word: adjectives that change places, articles and adjectives that go with a noun's gender
and number, words that are two in one language and one in the other (ne ... pas, does not), elisions (l'oiseau).
"""

from typing import NamedTuple

import numpy as np

from throughtime.datasets.arguments import check_whole

__all__ = ["Phrase", "phrasebook"]

# French, English; masculine or feminine.
_NOUNS = (
    ("chat", "cat", "m"), ("chien", "dog", "m"), ("oiseau", "bird", "m"), ("enfant", "child", "m"),
    ("voisin", "neighbour", "m"), ("cuisinier", "cook", "m"), ("train", "train", "m"), ("arbre", "tree", "m"),
    ("maison", "house", "f"), ("fille", "girl", "f"), ("voiture", "car", "f"), ("fleur", "flower", "f"),
    ("vache", "cow", "f"), ("abeille", "bee", "f"), ("lettre", "letter", "f"), ("table", "table", "f"),
)  # fmt: skip
_PLURALS = {"oiseau": "oiseaux", "child": "children"}
# Masculine, feminine, English.
_BEFORE = (("petit", "petite", "small"), ("grand", "grande", "big"), ("joli", "jolie", "pretty"))
_AFTER = (
    ("noir", "noire", "black"), ("vert", "verte", "green"), ("lent", "lente", "slow"), ("ouvert", "ouverte", "open"),
    ("lourd", "lourde", "heavy"), ("bleu", "bleue", "blue"),
)  # fmt: skip
# Singular and plural in French, then plural in English, whose singular has an s.
_VERBS = (
    ("voit", "voient", "see"), ("cherche", "cherchent", "seek"), ("trouve", "trouvent", "find"),
    ("garde", "gardent", "keep"), ("dessine", "dessinent", "draw"), ("attend", "attendent", "await"),
)  # fmt: skip
_WHEN = (("aujourd'hui", "today"), ("ce soir", "tonight"), ("tous les jours", "every day"), ("souvent", "often"))
_WHERE = (
    ("dans le jardin", "in the garden"), ("devant la gare", "in front of the station"),
    ("sur le pont", "on the bridge"), ("près de la mer", "by the sea"),
)  # fmt: skip
_VOWELS = "aeiouéè"


class Phrase(NamedTuple):
    """A sentence and its translation."""

    french: str
    english: str


def phrasebook(n: int, seed: int) -> list[Phrase]:
    """Draw sentences: somebody does something to somebody, or does not, or does he?, sometimes when or where.

    Everything is drawn evenly and by itself. Each sentence has one translation, and two sentences are never translated
    alike, so that both ways have one right answer.

    Raises:
        ArgumentTypeError, ArgumentError: n or seed is no whole number, or out of range.

    >>> len(phrasebook(2, seed=0)[1].english.split()) > 3
    True
    """
    check_whole("phrasebook", "n", n, 1)
    check_whole("phrasebook", "seed", seed, 0)
    rng = np.random.Generator(np.random.PCG64(seed))
    return [_sentence(rng) for _ in range(n)]


def _sentence(rng: np.random.Generator) -> Phrase:
    (french_who, english_who, many), (french_whom, english_whom, _) = _thing(rng), _thing(rng)
    one, more, verb = _VERBS[int(rng.integers(len(_VERBS)))]
    done = more if many else one
    kind = int(rng.integers(3))
    does = "do" if many else "does"
    if kind == 0:
        french, english = (
            f"{french_who} {done} {french_whom}",
            f"{english_who} {verb}{'' if many else 's'} {english_whom}",
        )
    elif kind == 1:
        ne = "n'" if done[0] in _VOWELS else "ne "
        french, english = (
            f"{french_who} {ne}{done} pas {french_whom}",
            f"{english_who} {does} not {verb} {english_whom}",
        )
    else:
        que = "qu'" if french_who[0] in _VOWELS else "que "
        french, english = (
            f"est-ce {que}{french_who} {done} {french_whom}",
            f"{does} {english_who} {verb} {english_whom}",
        )
    place = (("", ""), *_WHEN, *_WHERE)[int(rng.integers(1 + len(_WHEN) + len(_WHERE)))]
    french, english = f"{french} {place[0]}".strip(), f"{english} {place[1]}".strip()
    marks = (" ?", "?") if kind == 2 else (".", ".")
    return Phrase(french[0].upper() + french[1:] + marks[0], english[0].upper() + english[1:] + marks[1])


def _thing(rng: np.random.Generator) -> tuple[str, str, bool]:
    """A noun with its article and perhaps an adjective, in both languages, and whether it is several."""
    french, english, gender = _NOUNS[int(rng.integers(len(_NOUNS)))]
    many = bool(rng.integers(2))
    if many:
        french, english = _PLURALS.get(french, f"{french}s"), _PLURALS.get(english, f"{english}s")
    kind = int(rng.integers(3))
    if kind:
        words = (_BEFORE, _AFTER)[kind - 1]
        masculine, feminine, adjective = words[int(rng.integers(len(words)))]
        agreed = (feminine if gender == "f" else masculine) + "s" * many
        french = f"{agreed} {french}" if kind == 1 else f"{french} {agreed}"
        english = f"{adjective} {english}"
    if bool(rng.integers(2)):
        if many:
            return f"les {french}", f"the {english}", many
        the = "l'" if french[0] in _VOWELS else "la " if gender == "f" else "le "
        return f"{the}{french}", f"the {english}", many
    if many:
        return f"deux {french}", f"two {english}", many
    a = "an" if english[0] in _VOWELS else "a"
    return f"{'une' if gender == 'f' else 'un'} {french}", f"{a} {english}", many
