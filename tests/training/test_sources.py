"""Batches hold what was asked for, each example once."""

import re

import pytest
import torch

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.training import BatchSource, TensorSource
from throughtime.training.sources import ordered_batches, shuffled_batches


def test_a_batch_is_the_rows_asked_for_in_that_order():
    x, y = torch.randn(5, 3, 2), torch.arange(5)
    source = TensorSource(x, y)
    part_x, part_y = source.batch(torch.tensor([4, 0, 4]))
    assert len(source) == 5
    assert isinstance(source, BatchSource)
    assert torch.equal(part_x, torch.stack([x[4], x[0], x[4]]))
    assert part_y.tolist() == [4, 0, 4]


def test_a_batch_is_a_copy():
    x = torch.zeros(3)
    TensorSource(x).batch(torch.tensor([0, 1]))[0].fill_(1.0)
    assert x.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("tensors", "error", "message"),
    [
        (([1, 2],), ArgumentTypeError, "expected tensors, got list; convert it with torch.as_tensor"),
        ((), ArgumentError, "with a first axis of examples, got none; give"),
        ((torch.zeros(2), torch.tensor(1.0)), ArgumentError, "with a first axis of examples, got (2,), (); give"),
        ((torch.zeros(4, 2), torch.zeros(3)), ArgumentError, "one number of examples, got 4, 3; put examples on"),
    ],
)
def test_what_is_no_source_is_refused(tensors, error, message):
    with pytest.raises(error, match="^TensorSource: .*" + re.escape(message)):
        TensorSource(*tensors)


@pytest.mark.parametrize(("examples", "sizes"), [(1, [1]), (3, [3]), (4, [3, 1]), (6, [3, 3]), (8, [3, 3, 2])])
def test_every_example_comes_once(examples, sizes):
    generator = torch.Generator().manual_seed(0)
    shuffled = shuffled_batches(examples, 3, generator)
    ordered = ordered_batches(examples, 3)
    assert [len(batch) for batch in shuffled] == [len(batch) for batch in ordered] == sizes
    assert sorted(torch.cat(list(shuffled)).tolist()) == list(range(examples))
    assert torch.cat(list(ordered)).tolist() == list(range(examples))


def test_the_order_is_drawn_anew_each_time_from_the_generator_alone():
    state = torch.get_rng_state()
    draws = [
        torch.cat(list(shuffled_batches(50, 7, generator))).tolist()
        for generator in (
            torch.Generator().manual_seed(1),
            torch.Generator().manual_seed(1),
            torch.Generator().manual_seed(2),
        )
    ]
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.cat(list(shuffled_batches(50, 7, generator))).tolist() for _ in range(2))
    assert draws[0] == draws[1] == first
    assert draws[0] != draws[2]
    assert first != second
    assert torch.equal(torch.get_rng_state(), state)
