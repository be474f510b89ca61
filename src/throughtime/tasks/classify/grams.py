"""Which n-grams a text has: of its tokens, and of the characters of each token.

Axes in names: N texts, T tokens of a text, X n-grams of all texts one after another, O occurrences in one text.
"""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_GOLDEN, _MIX1, _MIX2 = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_SALT = 0x5BD1E995
_BEGIN, _END = "\x02", "\x03"  # of a token, in the n-grams of its characters
Keys = NDArray[np.uint64]
_NONE: Keys = np.zeros(0, dtype=np.uint64)


class Features(NamedTuple):
    """Which n-grams occur in which text."""

    keys: Keys
    """(X,) a number for each n-gram, those of a text once each."""
    offsets: NDArray[np.int64]
    """(N,) where each text's begin."""

    def take(self, rows: NDArray[np.int64]) -> "Features":
        """Those of some texts, in another order."""
        ends = np.append(self.offsets, len(self.keys))
        return joined([self.keys[ends[row] : ends[row + 1]] for row in rows])


class Occurrences(NamedTuple):
    """The n-grams of one text, each as often as it occurs."""

    keys: Keys
    """(O,)"""
    first: NDArray[np.int64]
    """(O,) its first token."""
    tokens: NDArray[np.int64]
    """(O,) how many it covers."""


class Grams:
    """Reads the n-grams of texts; what a token gives by itself is read once.

    Args:
        most: tokens of the longest n-gram.
        spelling: characters of the n-grams inside of each token, its begin and its end counted as one each; 0: none.
    """

    def __init__(self, most: int, spelling: int) -> None:
        self.most = most
        self.spelling = spelling
        self._whole: dict[str, int] = {}
        self._spelled: dict[str, Keys] = {}

    def occurrences(self, tokens: Sequence[str]) -> Occurrences:
        """Every n-gram of a tokenised text."""
        T = len(tokens)
        keys, first, counts = [_NONE], [np.zeros(0, dtype=np.int64)], [0]
        grown = np.zeros(T, dtype=np.uint64)
        hashes_T = self._hashes(tokens)
        for size in range(1, min(self.most, T) + 1):
            # As SplitMix64 mixes: two n-grams share a key once in 10^19.
            grown = _mixed(grown[: T - size + 1] * _MIX1 + hashes_T[size - 1 :] + _GOLDEN)
            keys.append(grown)
            first.append(np.arange(len(grown)))
            counts.append(size)
        if self.spelling:
            spelled = [self._letters(token) for token in tokens]
            keys.append(np.concatenate([_NONE, *spelled]))
            first.append(np.repeat(np.arange(T), [len(each) for each in spelled]))
            counts.append(1)
        sizes = np.repeat(counts, [len(each) for each in keys]).astype(np.int64)
        return Occurrences(np.concatenate(keys), np.concatenate(first), sizes)

    def features(self, texts: Sequence[Sequence[str]]) -> Features:
        """The different n-grams of each tokenised text."""
        return joined([np.unique(self.occurrences(tokens).keys) for tokens in texts])

    def _hashes(self, tokens: Sequence[str]) -> Keys:
        known = self._whole
        for token in tokens:
            if token not in known:
                known[token] = _hash(token)
        return np.array([known[token] for token in tokens], dtype=np.uint64)

    def _letters(self, token: str) -> Keys:
        found = self._spelled.get(token)
        if found is None:
            whole = _BEGIN + token + _END
            parts = {whole[at : at + self.spelling] for at in range(len(whole) - self.spelling + 1)}
            found = self._spelled[token] = np.array([_hash(_BEGIN + _END + part) for part in sorted(parts)], np.uint64)
        return found


def joined(rows: Sequence[Keys]) -> Features:
    """Each text's own n-grams, one text after another."""
    sizes = np.array([len(row) for row in rows], dtype=np.int64)
    return Features(np.concatenate([_NONE, *rows]), np.cumsum(sizes) - sizes)


def hashing(most: int, spelling: int) -> dict[str, Any]:
    """The rule by which n-grams become keys, for who reads an exported model without this library."""
    return {
        "most": most,
        "spelling": spelling,
        "golden": int(_GOLDEN),
        "mix": [int(_MIX1), int(_MIX2)],
        "salt": _SALT,
        "begin": _BEGIN,
        "end": _END,
        "rule": "unsigned, modulo 2**64: hash(s) = crc32(s) << 32 | crc32(s, salt) of the UTF-8 bytes; mixed(x): "
        "x = (x ^ x >> 30) * mix[0]; x = (x ^ x >> 27) * mix[1]; x ^ x >> 31. The key of tokens t_1 ... t_n, n from 1 "
        "to most: k = 0, then k = mixed(k * mix[0] + hash(t_i) + golden) for each. With spelling > 0 also, of each "
        "token and each piece of so many characters of begin + token + end: hash(begin + end + piece). The input takes "
        "the same 64 bits as int64",
    }


def _hash(text: str) -> int:
    raw = text.encode("utf-8", "surrogatepass")
    return zlib.crc32(raw) << 32 | zlib.crc32(raw, _SALT)


def _mixed(x: Keys) -> Keys:
    x = (x ^ (x >> np.uint64(30))) * _MIX1
    x = (x ^ (x >> np.uint64(27))) * _MIX2
    return x ^ (x >> np.uint64(31))
