"""A language of a few words, and translators that learn it in a second."""

from typing import Any

import numpy as np

TINY: dict[str, Any] = {
    "hidden_size": 16, "embedding_size": 8, "epochs": 2, "batch_size": 8, "learning_rate": 0.02, "beam": 2,
}  # fmt: skip
LEARNS: dict[str, Any] = {
    "hidden_size": 48, "embedding_size": 24, "dropout": 0.0, "embedding_dropout": 0.0, "word_dropout": 0.0,
    "epochs": 20, "batch_size": 16, "learning_rate": 0.02, "ema": None, "min_count": 1,
}  # fmt: skip
ARTICLES = {"le": "the", "un": "a"}
NOUNS = {"chat": "cat", "chien": "dog", "train": "train", "pont": "bridge"}
COLOURS = {"noir": "black", "vert": "green", "petit": "small"}


def phrases(n: int = 60, seed: int = 0) -> tuple[list[str], list[str]]:
    """ "Le chat noir." and "The black cat.": adjective and noun change places."""
    g = np.random.default_rng(seed)
    french, english = [], []
    for _ in range(n):
        article, noun, colour = (str(g.choice([*words])) for words in (ARTICLES, NOUNS, COLOURS))
        french.append(f"{article.capitalize()} {noun} {colour}.")
        english.append(f"{ARTICLES[article].capitalize()} {COLOURS[colour]} {NOUNS[noun]}.")
    return french, english
