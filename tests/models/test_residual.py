"""Layers that add to one another."""

import pytest
import torch
from torch import nn

from throughtime.errors import ArgumentError
from throughtime.models import Aligned, FrameEncoder, ResidualStack
from throughtime.nn.layers import LAYERS


def test_it_is_what_its_equations_say():
    torch.manual_seed(0)
    stack = ResidualStack(3, 5, 2, bidirectional=True).eval()
    x = torch.randn(7, 2, 3)
    u = stack.project(x)
    for norm, layer in zip(stack.norms, stack.layers, strict=False):
        u = u + layer(norm(u))[0]
    torch.testing.assert_close(stack(x)[0], stack.norms[-1](u))
    plain = ResidualStack(3, 5, 2, residual=False).eval()
    u = plain.project(x)
    for layer in plain.layers:
        u = layer(u)[0]
    torch.testing.assert_close(plain(x)[0], u)


@pytest.mark.parametrize("cell", LAYERS)
def test_steps_and_pieces_give_what_the_whole_gives(cell):
    torch.manual_seed(1)
    model = Aligned(ResidualStack(3, 7, 3, cell=cell), nn.Linear(7, 2)).eval()
    x = torch.randn(6, 2, 3)
    whole, state = model(x)
    stream, stepper = model.stream(keep=True), model.recurrent.stepper()
    stream.feed(x[:4])
    stream.feed(x[4:5])
    stream.feed(x[5:])
    torch.testing.assert_close(stream.outputs, whole, atol=1e-6, rtol=1e-5)
    before, found = None, []
    with torch.no_grad():
        for step in x:
            output, before = stepper(step, before)
            found.append(model.head.module(output))
    torch.testing.assert_close(torch.stack(found), whole.detach(), atol=1e-6, rtol=1e-5)
    assert len(state) == 3


def test_padding_reaches_nothing():
    torch.manual_seed(2)
    stack = ResidualStack(3, 4, 2, bidirectional=True).eval()
    x = torch.randn(5, 2, 3)
    x[3:, 1] = 1e6
    padded = stack(x, lengths=[5, 3])[0]
    torch.testing.assert_close(padded[:3, 1], stack(x[:3, 1:])[0][:, 0], atol=1e-6, rtol=1e-5)


def test_wrong_arguments_are_named():
    with pytest.raises(ArgumentError, match="got 'elman'; pass one of these"):
        ResidualStack(3, 4, cell="elman")
    with pytest.raises(ArgumentError, match="expected a state of 2 layers, got 1"):
        ResidualStack(3, 4, 2)(torch.zeros(1, 1, 3), (None,))
    with pytest.raises(ArgumentError, match="at least 8 pixels a side, got 6 x 40"):
        FrameEncoder(1, 6, 40, 8)


def test_a_frame_has_the_same_vector_alone_and_in_a_batch_and_knows_where_things_are():
    torch.manual_seed(3)
    encoder = FrameEncoder(1, 16, 24, 8).eval()
    images = torch.rand(4, 1, 16, 24)
    with torch.no_grad():
        torch.testing.assert_close(encoder(images)[2:3], encoder(images[2:3]), atol=1e-6, rtol=1e-5)
        assert (encoder(images) - encoder(images.roll(8, 3))).abs().max() > 1e-3


def test_what_all_frames_have_in_common_is_taken_off_in_training():
    torch.manual_seed(3)
    encoder = FrameEncoder(1, 16, 24, 8)
    images = 2 + torch.rand(64, 1, 16, 24)
    for _ in range(60):
        found_NE = encoder(images)
    torch.testing.assert_close(found_NE.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
    assert 0.9 < found_NE.std(0).mean().item() < 1.1
    with torch.no_grad():
        alone_NE = encoder(images[:1])  # in training a frame by itself has no deviation
        torch.testing.assert_close(alone_NE, encoder.eval()(images[:1]))
