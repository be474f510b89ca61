"""A whole net against the lecture: recurrent layer, W_ya, loss at every step, backpropagation through time.

The oracle's half of this is tests/oracles/network.py; here the same net is `Aligned` with a Linear head.
"""

import numpy as np
import pytest
import torch

from tests.helpers import assert_close
from tests.nn.layers import LAYERS, as_hx, build
from tests.oracles import network
from tests.oracles.cells import CELLS
from tests.oracles.layout import gradients_to_torch, to_notes
from throughtime.models import Aligned

T, FEATURES, H, CLASSES = 6, 3, 5, 4


def total_loss(z_TBO, y_TBO, loss):
    """Σ_t L_t of one example: half squared error, or cross-entropy on the softmax of z."""
    if loss == "squared":
        return 0.5 * ((z_TBO - y_TBO) ** 2).sum()
    return torch.nn.functional.cross_entropy(z_TBO[:, 0], y_TBO[:, 0].argmax(1), reduction="sum")


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@pytest.mark.parametrize("kind", LAYERS)
def test_loss_at_every_step_and_every_gradient(kind, loss):
    name = LAYERS[kind][2]
    layer = build(kind, FEATURES, H)
    model = Aligned(layer, torch.nn.Linear(H, CLASSES, dtype=torch.float64))
    g = np.random.default_rng(5)
    x, initial = g.normal(size=(T, FEATURES)), tuple(g.normal(size=H) for _ in CELLS[name].state)
    y = np.eye(CLASSES)[g.integers(CLASSES, size=T)] if loss == "cross_entropy" else g.normal(size=(T, CLASSES))

    params = {key.removesuffix("_l0"): p.detach().numpy() for key, p in layer.named_parameters()}
    head = {"W_ya": model.head.module.weight.detach().numpy(), "b_y": model.head.module.bias.detach().numpy()}
    expected, grad, dx, d_initial = network.loss_and_gradients(
        CELLS[name], {**to_notes(name, params), **head}, x, y, initial, loss
    )

    x_TBI = torch.from_numpy(x)[:, None].requires_grad_()
    hx = tuple(torch.from_numpy(s)[None, None].requires_grad_() for s in initial)
    z_TBO, _ = model(x_TBI, as_hx(hx))
    value = total_loss(z_TBO, torch.from_numpy(y)[:, None], loss)
    value.backward()

    assert_close(value, np.array(expected), "loss")
    assert_close(x_TBI.grad[:, 0], dx, "x")
    assert_close(tuple(s.grad[0, 0] for s in hx), d_initial, "initial state")
    got = {key.removesuffix("_l0"): p.grad for key, p in layer.named_parameters()}
    assert_close(got, gradients_to_torch(name, grad, params), "recurrent parameters")
    assert_close(model.head.module.weight.grad, grad["W_ya"], "W_ya")
    assert_close(model.head.module.bias.grad, grad["b_y"], "b_y")
