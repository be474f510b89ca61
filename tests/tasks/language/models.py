"""Small language models that several tests use."""

from functools import cache

import torch

from throughtime.tasks.language import LanguageModel

TEXT = "to be, or not to be: that is the question. " * 12
NAMES = ["anna", "hanna", "nana", "otto", "toto", "bobo"] * 5
KINDS = ["f", "f", "f", "m", "m", "m"] * 5
OF_NAMES = {
    "hidden_size": 16,
    "num_layers": 1,
    "cell": "gru",
    "bptt": 16,
    "batch_size": 4,
    "epochs": 60,
    "learning_rate": 0.02,
}
QUICK = {"hidden_size": 12, "num_layers": 2, "bptt": 16, "batch_size": 4, "epochs": 2}


@cache
def of_text() -> LanguageModel:
    """One text, characters."""
    torch.set_num_threads(1)
    return LanguageModel(**QUICK).fit(TEXT)


@cache
def of_names() -> LanguageModel:
    """Texts with labels."""
    torch.set_num_threads(1)
    return LanguageModel(**OF_NAMES).fit(NAMES, KINDS)


@cache
def of_words() -> LanguageModel:
    """Texts without labels, words."""
    torch.set_num_threads(1)
    return LanguageModel(**QUICK, unit="word").fit(["the cat sat", "the dog sat", "a dog ran"] * 8)
