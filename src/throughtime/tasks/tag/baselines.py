"""What a tagger has to beat: the most frequent tag of each token, and a linear classifier of each token by itself.

Axes in names: N tokens, F forms, S slots (features of a token), K tags.
"""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from throughtime.data.text.conll import TaggedSentence
from throughtime.nn import TagConstraints
from throughtime.tasks.tag.units import casing_of, has_surrogate, word_form
from throughtime.training import TensorSource, TrainingConfig, train

_AFFIXES = 3  # prefixes and suffixes of up to so many characters
_NEAR = (-2, -1, 1, 2)
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring numbers over all bits
_NUMBERS = 2**20  # buckets × tags, at most, but never fewer buckets than 2^12 nor more than 2^15
_LEAST_BITS, _MOST_BITS = 12, 15
_STEPS, _LEAST_BATCH = 1500, 256
_LINEAR, _FREQUENT = "linear.weight", "frequent"


class MostFrequentTag:
    """Each token gets the tag that it has most often in the training data, an unseen one none.

    Args:
        tags: number of the tag of each token for which that is not 0.
    """

    def __init__(self, tags: Mapping[str, int]) -> None:
        self.tags = dict(tags)

    @classmethod
    def count(cls, sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[int]]) -> Self:
        """Of equally frequent tags the one with the lower number is taken."""
        counts: dict[str, Counter[int]] = {}
        for tokens, numbers in zip(sentences, tags, strict=True):
            for token, number in zip(tokens, numbers, strict=True):
                counts.setdefault(token, Counter())[number] += 1
        best = {token: min(found, key=lambda k, n=found: (-n[k], k)) for token, found in counts.items()}  # type: ignore[misc]
        return cls({token: k for token, k in best.items() if k and not has_surrogate(token)})

    def predict(self, sentences: Sequence[Sequence[str]]) -> list[list[int]]:
        """The number of the tag of each token."""
        return [[self.tags.get(token, 0) for token in tokens] for tokens in sentences]


class LinearTagger:
    """A softmax over the tags of each token by itself, linear in hashed features of the token and its neighbours.

    Features: word, prefixes and suffixes of up to three characters, casing; the two words before and after, and their
    casing; pairs of neighbouring words. Decoded greedily from left to right among the tags that may follow.

    Args:
        weight_FK: a row a bucket; the number of buckets is a power of 2.
    """

    def __init__(self, weight_FK: Tensor) -> None:
        self.weight_FK = weight_FK

    @classmethod
    def fit(cls, sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[int]], K: int, seed: int) -> Self:
        """Adam on the cross-entropy, some thousand steps."""
        bits = min(max(int(np.log2(_NUMBERS / K)), _LEAST_BITS), _MOST_BITS)
        features_NS = torch.from_numpy(token_features(sentences, bits))
        tags_N = torch.tensor([k for row in tags for k in row])
        bags = nn.EmbeddingBag.from_pretrained(torch.zeros(2**bits, K), freeze=False, mode="sum")
        batch = max(_LEAST_BATCH, len(tags_N) // _STEPS)
        epochs = min(max(_STEPS * batch // len(tags_N), 1), 10)
        config = TrainingConfig(
            epochs=epochs, batch_size=batch, learning_rate=0.03, schedule="cosine", clip_norm=None, seed=seed
        )
        train(bags, _cross_entropy, TensorSource(features_NS, tags_N), None, config)
        # Half precision, as it is stored: the same figures before and after.
        return cls(bags.weight.detach().half())

    def predict(self, sentences: Sequence[Sequence[str]], constraints: TagConstraints) -> list[list[int]]:
        """The number of the tag of each token."""
        bits = len(self.weight_FK).bit_length() - 1
        features_NS = torch.from_numpy(token_features(sentences, bits))
        scores_NK = nn.functional.embedding_bag(features_NS, self.weight_FK.float(), mode="sum")
        lengths = [len(tokens) for tokens in sentences]
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        scores = torch.split(scores_NK, lengths)
        found: list[list[int]] = [[] for _ in sentences]
        for at in range(0, len(order), 256):
            rows = order[at : at + 256]
            own = torch.tensor([lengths[row] for row in rows])
            if int(own.max()):
                best_TB = constraints.greedy(nn.utils.rnn.pad_sequence([scores[row] for row in rows]), own)
                for row, tags in zip(rows, best_TB.T.tolist(), strict=True):
                    found[row] = tags[: lengths[row]]
        return found


class Baselines:
    """Both, with the way into a model folder and back."""

    def __init__(self, frequent: MostFrequentTag, linear: LinearTagger) -> None:
        self.frequent = frequent
        self.linear = linear

    @classmethod
    def fit(cls, sentences: Sequence[TaggedSentence], tags: Sequence[Sequence[int]], K: int, seed: int) -> Self:
        """Train on sentences whose tags have these numbers, 0 being no piece."""
        tokens = [sentence.tokens for sentence in sentences]
        return cls(MostFrequentTag.count(tokens, tags), LinearTagger.fit(tokens, tags, K, seed))

    def predict(self, sentences: Sequence[Sequence[str]], constraints: TagConstraints) -> dict[str, list[list[int]]]:
        """By name, the number of each token's tag."""
        return {
            "linear": self.linear.predict(sentences, constraints),
            "most frequent tag": self.frequent.predict(sentences),
        }

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What goes beside a model's weights."""
        return {_LINEAR: self.linear.weight_FK.numpy()}

    def to_json(self) -> dict[str, Any]:
        """What goes into its model.json."""
        return {_FREQUENT: self.frequent.tags}

    @classmethod
    def from_folder(cls, tensors: Mapping[str, NDArray[Any]], fields: Mapping[str, Any], K: int) -> Self:
        """The reverse; ValueError, LookupError or TypeError where something does not fit."""
        weight = tensors[_LINEAR]
        rows = len(weight) if weight.ndim == 2 else 0
        if rows < 1 or rows & (rows - 1) or weight.shape[1] != K:
            raise ValueError(f"{_LINEAR}: shape {weight.shape} for {K} tags")
        tags = {str(token): k for token, k in dict(fields[_FREQUENT]).items()}
        if not all(type(k) is int and 0 < k < K for k in tags.values()):
            raise ValueError(f"{_FREQUENT}: a tag that is not in [1, {K})")
        return cls(MostFrequentTag(tags), LinearTagger(torch.from_numpy(weight.copy())))


def token_features(sentences: Sequence[Sequence[str]], bits: int) -> NDArray[np.int64]:
    """The buckets of every token of every sentence, one sentence after another: (N, S), each in [0, 2^bits)."""
    numbers: dict[str, int] = {"": 0}  # beyond a sentence's ends
    padded = [0, 0]
    inside: list[bool] = [False, False]
    for tokens in sentences:
        padded += [numbers.setdefault(token, len(numbers)) for token in tokens]
        padded += [0, 0]
        inside += [True] * len(tokens) + [False, False]
    forms_FS = np.array([_form(token) for token in numbers], dtype=np.uint64)
    own_NS = forms_FS[padded]
    at = np.flatnonzero(inside)
    words, casings = own_NS[:, 0], own_NS[:, 1]
    columns = [own_NS[at, slot] for slot in range(own_NS.shape[1])]
    columns += [words[at + d] for d in _NEAR]
    columns += [casings[at + d] for d in _NEAR]
    columns += [words[at - 1] * np.uint64(3) + words[at], words[at] * np.uint64(3) + words[at + 1]]
    columns += [np.zeros(len(at), dtype=np.uint64)]  # always there
    slots_S = np.arange(1, len(columns) + 1, dtype=np.uint64) << np.uint64(33)
    mixed_NS = (np.stack(columns, axis=1) + slots_S) * _ODD
    found_NS: NDArray[np.int64] = (mixed_NS >> np.uint64(64 - bits)).astype(np.int64)
    return found_NS


def _form(token: str) -> list[int]:
    """Word, casing, prefixes and suffixes as numbers below 2^32."""
    word = word_form(token)
    affixes = [token[:n] for n in range(1, _AFFIXES + 1)] + [token[-n:] for n in range(1, _AFFIXES + 1)]
    return [_hash(word), casing_of(token), *map(_hash, affixes)]


def _hash(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _cross_entropy(bags: Any, batch: tuple[Tensor, Tensor]) -> Tensor:
    features_NS, tags_N = batch
    return nn.functional.cross_entropy(bags(features_NS), tags_N)
