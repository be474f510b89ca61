"""Tagged sentences on their way into a net.

Axes in names: T tokens of a sentence, B sentences, F distinct forms in a batch, C characters of a form.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from throughtime.tasks.tag.units import Forms, SentenceIds, TagUnits
from throughtime.training import fingerprint


class TagBatch(NamedTuple):
    """Sentences of a batch."""

    words: Tensor
    """(T, B) numbers of words, 0 past a length."""
    pairs: Tensor | None
    """(T, B) numbers of pairs; None where tokens are whole words."""
    forms: Tensor
    """(T, B) which of the batch's distinct forms a token is."""
    letters: Tensor
    """(C, F) characters of each form, 0 past its length."""
    letter_lengths: Tensor
    """(F,)"""
    casings: Tensor
    """(F,)"""
    lengths: Tensor
    """(B,)"""
    tags: Tensor | None
    """(T, B), 0 past a length."""


class TagSource:
    """Sentences with their tags' numbers, as a `BatchSource`."""

    def __init__(self, sentences: Sequence[SentenceIds], forms: Forms, tags: Sequence[Sequence[int]] | None) -> None:
        self.sentences = sentences
        self._letters = [torch.from_numpy(letters) for letters in forms.letters]
        self._letter_lengths = torch.tensor([len(letters) for letters in forms.letters])
        self._casings = torch.tensor(forms.casings)
        self._tags = None if tags is None else [torch.tensor(row, dtype=torch.int64) for row in tags]
        self.lengths = torch.tensor([len(sentence.words) for sentence in sentences], dtype=torch.int64)

    @classmethod
    def of(
        cls, sentences: Sequence[Sequence[str]], units: TagUnits, tags: Sequence[Sequence[int]] | None
    ) -> "TagSource":
        """Tokens, read by these vocabularies; none of the sentences is empty."""
        forms = Forms(units)
        return cls([units.encode(tokens, forms) for tokens in sentences], forms, tags)

    def __len__(self) -> int:
        return len(self.sentences)

    def batch(self, indices: Tensor) -> TagBatch:
        """The chosen sentences, padded to the longest of them."""
        rows = indices.tolist()
        chosen = [self.sentences[row] for row in rows]
        lengths = self.lengths[indices]
        flat = np.concatenate([sentence.forms for sentence in chosen])
        distinct, within = np.unique(flat, return_inverse=True)
        within_rows = torch.split(torch.from_numpy(within), lengths.tolist())
        of_batch = torch.from_numpy(distinct)
        return TagBatch(
            words=_padded([sentence.words for sentence in chosen]),
            pairs=_padded([sentence.pairs for sentence in chosen]) if len(chosen[0].pairs) else None,
            forms=pad_sequence(list(within_rows)),
            letters=pad_sequence([self._letters[form] for form in distinct.tolist()]),
            letter_lengths=self._letter_lengths[of_batch],
            casings=self._casings[of_batch],
            lengths=lengths,
            tags=None if self._tags is None else pad_sequence([self._tags[row] for row in rows]),
        )

    def fingerprint(self) -> str:
        """Of every sentence and tag."""
        return fingerprint([tuple(sentence) for sentence in self.sentences], self._tags)


def _padded(rows: Sequence[np.ndarray]) -> Tensor:
    return pad_sequence([torch.from_numpy(row) for row in rows])
