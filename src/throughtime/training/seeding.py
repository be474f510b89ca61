"""Randomness and modes that are lent for a while and given back as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def seeded(seed: int, model: nn.Module) -> Iterator[None]:
    """Torch's global generators of the CPU and of the model's GPUs run from `seed`, and afterwards go on as before.

    `torch.manual_seed` would seed every GPU there is, and `fork_rng` gives back only those it is told of: so each
    generator is seeded by itself.
    """
    gpus = sorted({parameter.device.index for parameter in model.parameters() if parameter.is_cuda})
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Each submodule trains or evaluates afterwards as it did before."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
