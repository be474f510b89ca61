"""Randomness that is lent for a while and given back as it was."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random, getstate, setstate
from typing import Any

import numpy as np
import torch
from numpy.random import MT19937, SeedSequence, get_state, set_state
from torch import Tensor, nn


@contextmanager
def seeded(seed: int, model: nn.Module) -> Iterator[None]:
    """The global generators run from `seed`, and afterwards go on as before: torch's of the CPU and of the model's
    GPUs, Python's and NumPy's, from which a loss or a data source may draw.

    `torch.manual_seed` would seed every GPU there is, and `fork_rng` gives back only those it is told of: so each
    generator is seeded by itself.
    """
    gpus = _gpus(model)
    python, numpy = getstate(), get_state(legacy=False)  # noqa: NPY002 - lent, not drawn from
    try:
        with torch.random.fork_rng(devices=gpus):
            torch.default_generator.manual_seed(seed)
            for gpu in gpus:
                with torch.cuda.device(gpu):
                    torch.cuda.manual_seed(seed)
            setstate(Random(seed).getstate())
            set_state(dict(MT19937(SeedSequence(seed)).state))  # noqa: NPY002
            yield
    finally:
        setstate(python)
        set_state(numpy)  # noqa: NPY002


def _gpus(model: nn.Module) -> list[int]:
    return sorted({parameter.device.index for parameter in model.parameters() if parameter.is_cuda})


def random_state(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Where the generators of `seeded` stand: tensors, and JSON values beside them."""
    version, words, gauss = getstate()
    numpy = get_state(legacy=False)  # noqa: NPY002 - lent, not drawn from
    tensors = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor(words, dtype=torch.int64),
        "numpy": torch.from_numpy(numpy["state"]["key"].astype(np.int64)),
    }
    tensors |= {f"cuda{gpu}": torch.cuda.get_rng_state(gpu) for gpu in _gpus(model)}
    return tensors, {
        "python": {"version": version, "gauss": gauss},
        "numpy": {
            "pos": int(numpy["state"]["pos"]),
            "has_gauss": int(numpy["has_gauss"]),
            "gauss": float(numpy["gauss"]),
        },
    }


def set_random_state(model: nn.Module, tensors: Mapping[str, Tensor], fields: Mapping[str, Any]) -> None:
    """The reverse of `random_state`. A GPU that was not there then keeps the state of its seed."""
    torch.set_rng_state(tensors["torch"])
    for gpu in _gpus(model):
        if f"cuda{gpu}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda{gpu}"], gpu)
    python, numpy = fields["python"], fields["numpy"]
    setstate((python["version"], tuple(tensors["python"].tolist()), python["gauss"]))
    set_state(  # noqa: NPY002
        {
            "bit_generator": "MT19937",
            "state": {"key": tensors["numpy"].numpy().astype(np.uint32), "pos": numpy["pos"]},
            "has_gauss": numpy["has_gauss"],
            "gauss": numpy["gauss"],
        }
    )
