"""Contiguous text in rows and chunks: every symbol is a target once, after the symbol that stands before it."""

import numpy as np
import pytest
import torch

from throughtime.tasks.language.chunks import IGNORED, ChunkSource
from throughtime.tasks.language.corpus import Corpus


def corpus_of(lengths: list[int], classes: bool = False) -> Corpus:
    """Texts of these lengths; the ids are 0, 1, 2, ... over all of them, so that an id is its place."""
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    own = np.arange(len(lengths)) if classes else None
    return Corpus(np.arange(offsets[-1]), offsets[:-1], np.array(lengths), own)


def rows_of(source: ChunkSource, generator: torch.Generator | None = None):
    """Targets, inputs, begins and classes of each row over the whole epoch."""
    chunks = list(source.read(generator))
    assert len(chunks) == len(source)
    assert [chunk.first for chunk in chunks] == [True] + [False] * (len(chunks) - 1)
    targets = torch.cat([chunk.targets for chunk in chunks])
    inputs = torch.cat([chunk.inputs for chunk in chunks])
    begins = torch.cat(
        [
            torch.zeros_like(chunk.targets, dtype=torch.bool) if chunk.begins is None else chunk.begins
            for chunk in chunks
        ]
    )
    classes = None if chunks[0].classes is None else torch.cat([chunk.classes for chunk in chunks])
    return targets.T, inputs.T, begins.T, classes


@pytest.mark.parametrize("vary", [False, True])
@pytest.mark.parametrize(
    ("n", "rows", "steps"), [(1003, 8, 16), (17, 4, 4), (5, 2, 9), (1000, 32, 3), (64, 7, 2), (3, 4, 1)]
)
def test_one_text_is_read_once_in_order(n: int, rows: int, steps: int, vary: bool) -> None:
    source = ChunkSource(corpus_of([n]), rows, steps, vary=vary)
    for seed in range(5):
        targets, inputs, begins, _ = rows_of(source, torch.Generator().manual_seed(seed))
        valid = targets != IGNORED
        assert targets[valid].tolist() == list(range(n))
        assert begins[:, 0].all()
        assert not begins[:, 1:].any()
        assert (inputs == targets - 1)[valid & ~begins].all()
        assert all((chunk.targets != IGNORED).any() for chunk in source.read(torch.Generator().manual_seed(seed)))
        assert max(len(chunk.targets) for chunk in source.read(torch.Generator().manual_seed(seed))) <= 1.5 * steps + 1


def test_cuts_vary_with_the_generator_alone() -> None:
    source = ChunkSource(corpus_of([1000]), 4, 20, vary=True)
    lengths = [[len(chunk.targets) for chunk in source.read(torch.Generator().manual_seed(s))] for s in (0, 0, 1)]
    assert lengths[0] == lengths[1] != lengths[2]
    assert {len(chunk.targets) for chunk in source.read()} == {20, 10}


def test_texts_follow_one_another_in_a_new_order_each_epoch() -> None:
    lengths = [5, 1, 9, 3, 7] * 3
    corpus = corpus_of(lengths, classes=True)
    source = ChunkSource(corpus, 3, 4)
    orders = []
    for seed in range(3):
        targets, inputs, begins, classes = rows_of(source, torch.Generator().manual_seed(seed))
        valid = targets != IGNORED
        assert sorted(targets[valid].tolist()) == list(range(len(corpus)))
        starts = np.isin(targets.numpy(), corpus.begins)
        assert (begins.numpy() == (starts & valid.numpy())).all()
        assert (inputs == targets - 1)[valid & ~begins].all()
        text = np.searchsorted(corpus.begins, targets.numpy(), side="right") - 1
        assert classes is not None
        assert (classes.T.numpy() == text)[valid.numpy()].all()
        orders.append(targets[valid].tolist())
    assert orders[0] != orders[1] != orders[2]
    assert rows_of(source)[0][valid].tolist() == list(range(len(corpus)))


def test_a_short_text_has_few_rows() -> None:
    assert ChunkSource(corpus_of([100]), 32, 25).rows == 4
    assert ChunkSource(corpus_of([10]), 32, 25).rows == 1
