"""The loss of a data set is the mean over its examples, however it is cut into batches."""

import re

import pytest
import torch
from torch import nn

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import sequence_mse
from throughtime.training import TensorSource, TrainingConfig, WeightedLoss, mean_loss, train
from throughtime.training.losses import weigh

VALUES = torch.tensor([1.0, 2.0, 3.0, 4.0, 100.0])


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(()))


def mean_of_values(model, batch):
    return model.w * batch[0].mean()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 9])
def test_a_short_last_batch_counts_for_what_it_holds(batch_size):
    assert mean_loss(Scale(), mean_of_values, TensorSource(VALUES), batch_size) == pytest.approx(22.0, rel=1e-6)


def test_the_mean_of_batch_means_would_be_another_number():
    means = [part.mean().item() for part in VALUES.split(2)]
    assert sum(means) / len(means) == pytest.approx(35.0)


@pytest.mark.parametrize("batch_size", [2, 3, 5])
def test_training_and_validation_of_the_loop_weigh_alike(batch_size):
    config = TrainingConfig(epochs=1, batch_size=batch_size, learning_rate=1e-30, optimizer="sgd")
    result = train(Scale(), mean_of_values, TensorSource(VALUES), TensorSource(VALUES), config)
    assert result.history[0].train_loss == pytest.approx(22.0, rel=1e-6)
    assert result.history[0].validation_loss == pytest.approx(22.0, rel=1e-6)


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_weighted_loss_is_averaged_over_its_weight(batch_size, as_tensor):
    tokens = torch.tensor([1.0, 5.0, 2.0, 1.0, 1.0])

    def per_token(model, batch):
        values, counts = batch
        weight = counts.sum()
        return WeightedLoss(model.w * (values * counts).sum() / weight, weight if as_tensor else weight.item())

    expected = (VALUES * tokens).sum().item() / 10
    assert mean_loss(Scale(), per_token, TensorSource(VALUES, tokens), batch_size) == pytest.approx(expected, rel=1e-6)


def test_it_evaluates_without_gradient_and_gives_the_modes_back():
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5))
    model[1].eval()
    seen = []

    def loss(model, batch):
        value = model(batch[0]).mean()
        seen.append((model.training, model[1].training, value.requires_grad))
        return value

    mean_loss(model, loss, TensorSource(torch.zeros(3, 1)), 2)
    assert seen == [(False, False, False)] * 2
    assert (model.training, model[0].training, model[1].training) == (True, True, False)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (0.5, ArgumentTypeError, "expected a scalar tensor or a WeightedLoss, got float; return the tensor itself"),
        ((torch.tensor(1.0), 2), ArgumentTypeError, "expected a scalar tensor or a WeightedLoss, got tuple"),
        (WeightedLoss(0.5, 2), ArgumentTypeError, "got float"),
        (torch.zeros(32), ArgumentError, "expected a scalar, got shape (32,); return the mean over the batch"),
        (WeightedLoss(torch.tensor(1.0), 0), ArgumentError, "expected a positive, finite weight, got 0; leave out"),
        (WeightedLoss(torch.tensor(1.0), -2.0), ArgumentError, "weight, got -2;"),
        (WeightedLoss(torch.tensor(1.0), float("nan")), ArgumentError, "weight, got nan;"),
    ],
)
def test_what_is_no_loss_is_refused(returned, error, message):
    with pytest.raises(error, match="^loss: .*" + re.escape(message)):
        weigh(returned, 4)


def test_data_must_be_a_source_and_not_empty():
    with pytest.raises(ArgumentTypeError, match=r"^mean_loss: .*batch\(indices\), got list; wrap tensors in"):
        mean_loss(Scale(), mean_of_values, [1, 2])
    with pytest.raises(ArgumentError, match=r"^mean_loss: expected at least 1 example in data, got 0; give"):
        mean_loss(Scale(), mean_of_values, TensorSource(torch.zeros(0)))


def test_the_losses_of_models_weigh_what_they_say():
    outputs = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(1))
    mean, weight = weigh(sequence_mse(outputs, torch.zeros(5, 2, 3), [5, 2]), 2)
    assert weight == 7.0
    assert torch.equal(mean, torch.cat([outputs[:, 0], outputs[:2, 1]]).square().mean())
