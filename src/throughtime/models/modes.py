"""Training and evaluation modes that are lent for a while and given back as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Each submodule trains or evaluates afterwards as it did before."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode, and afterwards each submodule as it was."""
    with modes_kept(model):
        for module in model.modules():
            module.training = False
        yield
