"""Pairs on their way into a net: from the disk, a batch at a time."""

import itertools

import numpy as np
import torch

from throughtime.data.text.parallel_units import END, PAD
from throughtime.tasks.translate.batches import PairSource, padded, some_of


def drawn(n: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    g = np.random.default_rng(seed)
    return [tuple(g.integers(5, 99, g.integers(1, 9), dtype=np.int32) for _ in range(2)) for _ in range(n)]


def test_batches_hold_the_pairs_with_their_ends() -> None:
    pairs = drawn(50)
    source = PairSource(iter(pairs))
    assert len(source) == 50
    assert source.lengths.tolist() == [len(a) + len(b) + 2 for a, b in pairs]
    chosen = [7, 0, 49, 7]
    batch = source.batch(torch.tensor(chosen))
    for side, ids, lengths in ((0, batch.sources, batch.source_lengths), (1, batch.targets, batch.target_lengths)):
        assert len(ids) == int(lengths.max())
        for column, row in enumerate(chosen):
            n = int(lengths[column])
            assert ids[:n, column].tolist() == [*pairs[row][side].tolist(), END]
            assert set(ids[n:, column].tolist()) <= {PAD}


def test_ids_lie_on_the_disk_however_many_there_are() -> None:
    """Pairs are taken one by one, and written before many more are taken; sizes alone stay."""
    taken = 0

    def stream():
        nonlocal taken
        row = np.arange(5, 105, dtype=np.int32)
        for taken in range(1, 20_001):  # noqa: B007, counted for the assertion
            yield row, row[:50]

    source = PairSource(stream())
    assert taken == 20_000
    assert isinstance(source.ids, np.memmap)
    assert source.ids.size == 20_000 * 150
    kept = sum(value.nbytes for value in (source.sizes, source.starts)) + source.lengths.nbytes
    assert kept <= 24 * len(source) + 64
    assert source.pair(19_999)[1].tolist() == list(range(5, 55))


def test_no_pairs_are_a_source_without_examples() -> None:
    assert len(PairSource(iter([]))) == 0


def test_a_part_has_its_rows_in_their_order_and_a_name_of_its_own() -> None:
    source = PairSource(iter(drawn(20)))
    part = some_of(source, np.array([3, 11, 4]))
    assert part.lengths.tolist() == [int(source.lengths[i]) for i in (3, 11, 4)]
    for ours, theirs in zip(part.batch(torch.tensor([1])), source.batch(torch.tensor([11])), strict=True):
        assert torch.equal(ours, theirs)
    names = {
        one.fingerprint()
        for one in (source, part, some_of(source, np.array([3, 4, 11])), PairSource(iter(drawn(20, 1))))
    }
    assert len(names) == 4
    assert source.fingerprint() == PairSource(iter(drawn(20))).fingerprint()


def test_rows_are_padded_to_the_longest() -> None:
    ids, lengths = padded([np.array([8, 9], dtype=np.int32), np.array([], dtype=np.int32)])
    assert ids.T.tolist() == [[8, 9, END], [END, PAD, PAD]]
    assert lengths.tolist() == [3, 1]
    assert list(itertools.chain(*ids.tolist())).count(END) == 2
