"""Each optimizer is torch's, with each of its options, in a loop written by hand."""

import pytest
import torch
from torch import nn

from tests.training.problems import fresh, squared_error
from throughtime.training import TensorSource, TrainingConfig, train
from throughtime.training.optimizers import make_optimizer, set_rate


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({"optimizer": "adam"}, lambda p: torch.optim.Adam(p, lr=0.05)),
        ({"optimizer": "adam", "weight_decay": 0.1}, lambda p: torch.optim.Adam(p, lr=0.05, weight_decay=0.1)),
        ({"optimizer": "adamw", "weight_decay": 0.1}, lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1)),
        ({"optimizer": "adamw"}, lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.0)),
        ({"optimizer": "sgd"}, lambda p: torch.optim.SGD(p, lr=0.05)),
        ({"optimizer": "sgd", "momentum": 0.9}, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)),
        ({"optimizer": "sgd", "weight_decay": 0.1}, lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.1)),
    ],
)
def test_the_loop_makes_torchs_steps(options, reference):
    x = torch.linspace(-1, 1, 8)[:, None]
    y = 3 * x + 1
    ours, theirs = fresh(0, lambda: nn.Linear(1, 1)), fresh(0, lambda: nn.Linear(1, 1))
    config = TrainingConfig(epochs=20, batch_size=8, learning_rate=0.05, clip_norm=None, **options)
    result = train(ours, squared_error, TensorSource(x, y), config=config)
    assert result.best_epoch > 5
    made = reference(theirs.parameters())
    for _ in range(result.best_epoch):
        made.zero_grad()
        squared_error(theirs, (x, y)).backward()
        made.step()
    # At most 20 steps of float32, the examples in another order.
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.bias, theirs.bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_is_fused_on_the_cpu(name):
    made = make_optimizer([nn.Parameter(torch.zeros(2))], TrainingConfig(optimizer=name))
    assert made.defaults["fused"] is True


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_parameter_may_get_its_first_gradient_late(name):
    early, late = (nn.Parameter(torch.zeros(2)) for _ in range(2))
    made = make_optimizer([early, late], TrainingConfig(optimizer=name, momentum=0.9 if name == "sgd" else 0.0))
    early.grad = torch.ones(2)
    made.step()
    assert late.tolist() == [0, 0]
    late.grad = torch.ones(2)
    made.step()
    assert late.tolist() == pytest.approx([-0.001] * 2, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_every_element_moves_in_every_dtype(name, dtype):
    parameter = nn.Parameter(torch.zeros(67, dtype=dtype))
    made = make_optimizer([parameter], TrainingConfig(optimizer=name, learning_rate=0.5))
    parameter.grad = torch.ones(67, dtype=dtype)
    made.step()
    assert parameter.tolist() == pytest.approx([-0.5] * 67, rel=1e-2)


def test_a_parameter_that_torch_cannot_fuse_is_trained_all_the_same():
    parameter = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    made = make_optimizer([parameter], TrainingConfig())
    assert not made.defaults["fused"]
    (parameter.real.sum() + parameter.imag.sum()).backward()
    made.step()
    assert parameter.detach().real.tolist() == pytest.approx([-0.001] * 2, rel=1e-4)


def test_the_rate_is_set_in_every_group():
    made = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(2)], lr=1.0)
    set_rate(made, 0.25)
    assert [group["lr"] for group in made.param_groups] == [0.25, 0.25]
