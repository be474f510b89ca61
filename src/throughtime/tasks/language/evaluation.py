"""How well a language model knows texts: log-probabilities, exactly, however the texts are cut.

Axes in names: T time, B texts of a batch, K texts.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.tasks.language.corpus import Corpus
from throughtime.tasks.language.net import LanguageNet, States

MODEL = "model"
_ROWS = 64  # short texts read beside one another


@dataclass(frozen=True)
class LanguageEvaluation:
    """What `LanguageModel.evaluate` found.

    Attributes:
        texts: how many.
        symbols: of the texts, predicted one and all; an END after each text counts where the model writes it.
        characters: of the texts, those ENDs counted as one each.
        unknown: of the symbols, how many are not in the vocabulary.
        unit: what a symbol is.
        nats: −Σ log p over the symbols, in nats, by model; the model itself is called "model".
    """

    texts: int
    symbols: int
    characters: int
    unknown: int
    unit: str
    nats: dict[str, float]

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """For each model: nats per symbol, perplexity per symbol, bits per character."""
        return {
            name: {
                "nats": nats / self.symbols,
                "perplexity": math.exp(min(nats / self.symbols, 700.0)),
                "bits_per_character": nats / math.log(2) / self.characters,
            }
            for name, nats in self.nats.items()
        }

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        mine, others = self.nats[MODEL], {name: n for name, n in self.nats.items() if name != MODEL}
        best = min(others, key=others.__getitem__)
        bits = self.metrics[MODEL]["bits_per_character"]
        verb = "beats" if mine < others[best] else "does not beat"
        theirs = self.metrics[best]["bits_per_character"]
        said = f"{bits:.3f} bits per character: the model {verb} the {best} counts ({theirs:.3f})."
        if self.unknown:
            said += f" {self.unknown / self.symbols:.2%} of the {self.unit}s are not in its vocabulary."
        return said

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        counts = {name: getattr(self, name) for name in ("texts", "symbols", "characters", "unknown", "unit")}
        return {**counts, "metrics": self.metrics}


@torch.no_grad()
def log_probs(net: LanguageNet, corpus: Corpus, steps: int) -> NDArray[np.float64]:
    """log p of each text, in nats, (K,): its first symbol from nothing, each other one from all before it.

    Args:
        net: in eval mode.
        corpus: with classes, where the net has them.
        steps: of time that are computed at once; memory depends on it, the result does not, to rounding.
    """
    lengths_K = corpus.lengths
    order_K = np.argsort(lengths_K, kind="stable")
    found_K = np.zeros(len(lengths_K))
    for begin in range(0, len(order_K), _ROWS):
        texts_B = order_K[begin : begin + _ROWS]
        found_K[texts_B] = _batch(net, corpus, texts_B, lengths_K[texts_B], steps)
    return found_K


def _batch(
    net: LanguageNet, corpus: Corpus, texts_B: NDArray[np.int64], lengths_B: NDArray[np.int64], steps: int
) -> NDArray[np.float64]:
    total_B = np.zeros(len(texts_B))
    classes = None if corpus.classes is None else torch.from_numpy(corpus.classes[texts_B])
    state: States | None = None
    for begin in range(0, int(lengths_B.max()), steps):
        own_B = (lengths_B - begin).clip(0, steps)
        T = int(own_B.max())
        ids_TB = np.zeros((T + 1, len(texts_B)), dtype=np.int64)  # the id before, then the targets
        for b, (text, n) in enumerate(zip(texts_B, own_B, strict=True)):
            at = corpus.begins[text] + begin
            if n:
                ids_TB[1 : n + 1, b] = corpus.ids[at : at + n]
                ids_TB[0, b] = corpus.ids[at - 1] if begin else 0
        begins = None
        if begin == 0:
            begins = torch.zeros((T, len(texts_B)), dtype=torch.bool)
            begins[0] = True
        lengths = torch.from_numpy(own_B)
        given = torch.from_numpy(ids_TB)
        hidden_TBF, state = net.encoder(given[:-1], state, begins=begins, classes=classes, lengths=lengths)
        valid_TB = torch.arange(T).unsqueeze(1) < lengths
        picked = net.log_probs(hidden_TBF[valid_TB], given[1:][valid_TB]).double()
        total_B += torch.zeros(valid_TB.shape, dtype=torch.float64).masked_scatter(valid_TB, picked).sum(0).numpy()
    return total_B
