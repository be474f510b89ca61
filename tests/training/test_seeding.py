"""Random state and modes come back as they were, also after an error."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from throughtime.models.modes import modes_kept
from throughtime.training.seeding import seeded


def test_the_seed_holds_inside_and_the_callers_state_outside():
    model = nn.Linear(1, 1)
    state = torch.get_rng_state()
    draws = []
    for seed in (9, 9, 10):
        with seeded(seed, model):
            draws.append(torch.rand(3))
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_python_and_numpy_too():
    """A loss or a source may draw from their global generators."""
    model = nn.Linear(1, 1)
    before = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    draws = []
    for seed in (9, 9, 10):
        with seeded(seed, model):
            draws.append((random.random(), np.random.rand()))  # noqa: NPY002
    assert draws[0] == draws[1]
    assert draws[0][0] != draws[2][0]
    assert draws[0][1] != draws[2][1]
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_after_an_error():
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout())
    model[0].eval()
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="stop"), seeded(9, model), modes_kept(model):  # noqa: PT012
        model.eval()
        torch.rand(3)
        raise RuntimeError("stop")
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == [True, False, True]


@pytest.mark.gpu
def test_the_generator_of_the_models_gpu():
    model = nn.Linear(1, 1, device="cuda")
    state = torch.cuda.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded(9, model):
            draws.append(torch.rand(3, device="cuda"))
    assert torch.equal(*draws)
    assert torch.equal(torch.cuda.get_rng_state(), state)
