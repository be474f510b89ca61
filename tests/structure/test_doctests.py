"""The examples in docstrings give what they print."""

import doctest
import importlib

import pytest

from tests.structure.tree import modules


@pytest.mark.parametrize("name", sorted(modules()))
def test_examples(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    found = [test for name in ("throughtime.nn.layers",) for test in finder.find(importlib.import_module(name))]
    assert sum(len(test.examples) for test in found) >= 3
