"""A classifier for ONNX Runtime: ids of texts (and keys of their n-grams) in, the probability of every label out.

Axes in names: T ids of a text, B texts, X n-grams of a text, K labels, F features.
"""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.tasks.classify.classifier import Classifier
from throughtime.tasks.classify.grams import hashing
from throughtime.tasks.classify.model import ClassModel
from throughtime.tasks.classify.ngrams import NGramClassifier
from throughtime.tasks.classify.texts import RULE
from throughtime.tasks.exported import Exported, Port


class _Lookup(nn.Module):
    """z of n-grams by their keys: the sum of the weights of those that are known, (B, X) to (B, K)."""

    def __init__(self, grams: NGramClassifier) -> None:
        super().__init__()
        keys_F = torch.from_numpy(grams.keys.view("int64").copy())
        order_F = keys_F.argsort()  # as signed numbers, which is what the graph compares
        self.register_buffer("keys", keys_F[order_F])
        self.register_buffer("weight", grams.weight_FK[order_F])
        self.register_buffer("bias", grams.bias_K.float())

    keys: Tensor
    weight: Tensor
    bias: Tensor

    def forward(self, grams_BX: Tensor) -> Tensor:
        """By binary search, a step for each bit of the number of keys."""
        F = len(self.keys)
        place_BX = torch.zeros_like(grams_BX)
        for bit in reversed(range(F.bit_length())):
            further_BX = place_BX + (1 << bit)
            fits_BX = (further_BX < F) & (self.keys[further_BX.clamp(max=F - 1)] <= grams_BX)
            place_BX = torch.where(fits_BX, further_BX, place_BX)
        known_BX = (self.keys[place_BX] == grams_BX) & (grams_BX != 0)
        weight_BXK = self.weight[place_BX].float() * known_BX.unsqueeze(2).to(torch.float32)
        return weight_BXK.sum(1) + self.bias


class _Probability(nn.Module):
    def __init__(self, model: ClassModel, wide: NGramClassifier | None) -> None:
        super().__init__()
        self.model = model
        self.wide = None if wide is None or not len(wide.keys) else _Lookup(wide)
        self.constant_K = wide.bias_K.float() if wide is not None and self.wide is None else None

    def forward(self, ids: Tensor, lengths: Tensor, *grams: Tensor) -> Tensor:
        net_BK = torch.stack([net(ids, lengths) for net in self.model.members]).mean(0)
        wide_BK = self.wide(*grams) if self.wide is not None else None
        if self.constant_K is not None:
            wide_BK = self.constant_K.expand_as(net_BK)
        return self.model.probability(self.model.mixed(net_BK, wide_BK))


def exported(classifier: Classifier) -> Exported:
    """What `export_onnx` writes."""
    c, T, B, X = classifier, 3, 2, 4
    module = _Probability(c.model_, c.wide_)
    inputs = {
        "ids": Port(torch.ones((T, B), dtype=torch.int64), ("time", "batch"), "numbers of symbols, 0 past a length"),
        "lengths": Port(torch.tensor([T, 2]), ("batch",), "how many symbols each text has, 0 allowed"),
    }
    if module.wide is not None:
        inputs["ngrams"] = Port(
            torch.ones((B, X), dtype=torch.int64), ("batch", "ngrams"), "keys of each text's n-grams, once each, then 0"
        )
    reader, units = c.reader_, c.reader_.units
    around: dict[str, Any] = {
        "labels": {"names": c.labels_.names, "kind": c.labels_.kind},
        "vocabulary": units.to_json(),
        "symbols": list(units.vocabulary),
        "preprocessing": {
            "tokens": {
                "rule": RULE,
                "syntax": "Oniguruma (package tokenizers: Split(Regex(rule), 'removed', invert=True)); blanks are none",
                "form": "a token that is markup, </?name ...>, becomes <name> in lower case; others "
                + ("in lower case" if reader.lower else "as they stand"),
            },
            "ids": {
                "unit": units.name,
                "text": _HOW[units.name],
                "lower": reader.lower,
                "unknown": units.unknown,
                "longest": reader.longest,
                "cut": "of a longer text the first (longest - longest // 2) ids and the last (longest // 2)",
            },
            "ngrams": None if module.wide is None else hashing(c.ngrams, c.spelling),
        },
        "postprocessing": {"decide": _DECIDE[c.labels_.kind]},
    }
    return Exported(
        module=module,
        inputs=inputs,
        outputs={"probability": (("batch", "labels"), "of each label, calibrated, in the order of labels.names")},
        open_axes=("time", "batch", "ngrams"),
        around=around,
    )


_HOW = {
    "character": "each Unicode code point is a symbol",
    "word": "tokens are symbols",
    "subword": "each line, its end included, encoded by the tokenizer of 'vocabulary' (package tokenizers)",
}
_DECIDE = {
    "one": "the label with the highest probability",
    "several": "all labels from 0.5 on",
    "ordered": "the first label with which the probabilities, added up in order, reach 0.5",
}
