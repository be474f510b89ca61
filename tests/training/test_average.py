"""The moving average of the weights, and autocast: what is validated, what is kept."""

import pytest
import torch
from torch import nn

from tests.training.problems import LastOutput, fresh, squared_error, walk, waves
from throughtime.training import TensorSource, TrainingConfig, train
from throughtime.training.average import WeightAverage


def test_it_is_the_average_by_hand():
    model = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        model.weight.fill_(1.0)
    average, expected = WeightAverage(model, 0.5), 1.0
    for step in range(1, 30):
        with torch.no_grad():
            model.weight.fill_(float(step**2))
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step**2
        assert average.values["weight"].item() == pytest.approx(expected, rel=1e-12)
    with average.held_by_model():
        assert model.weight.item() == pytest.approx(expected)
    assert model.weight.item() == 29.0**2


def test_the_model_gets_its_own_weights_back_after_an_error():
    model = nn.Linear(1, 1)
    average = WeightAverage(model, 0.5)
    before = model.weight.clone()
    average.values["weight"] += 1
    with pytest.raises(RuntimeError, match="stop"), average.held_by_model():
        raise RuntimeError("stop")
    assert torch.equal(model.weight, before)


def test_it_is_validated_and_kept_while_the_steps_go_on_from_the_weights():
    """Walk: w is −1, −2, … after each step; the average lags behind."""
    seen = []

    def validation(epoch):
        seen.append(epoch)
        return float(-epoch)

    plain, _ = walk(validation, epochs=3)
    model, result = walk(validation, epochs=3, ema=0.9)
    averaged = 0.0
    for step in (1, 2, 3):
        decay = (1 + step) / (10 + step)
        averaged = decay * averaged + (1 - decay) * -step
    assert plain.w.item() == -3.0
    assert model.w.item() == pytest.approx(averaged, rel=1e-6)
    assert result.history[-1].train_loss == -2.0


def test_under_bfloat16_products_are_rounded_and_weights_are_not():
    dtypes = set()

    def loss(model, batch):
        out = model(batch[0])
        dtypes.add((out.dtype, model.training))
        return nn.functional.mse_loss(out.float(), batch[1])

    model = fresh(0, lambda: nn.Linear(3, 1))
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    data = TensorSource(x, x.sum(1, keepdim=True))
    result = train(model, loss, data, data, TrainingConfig(epochs=60, learning_rate=0.05, bfloat16=True))
    assert dtypes == {(torch.bfloat16, True), (torch.bfloat16, False)}
    assert model.weight.dtype == torch.float32
    assert result.best_loss < 1e-2
    torch.testing.assert_close(model.weight.detach(), torch.ones(1, 3), atol=0.05, rtol=0)


def test_it_follows_a_lively_training():
    ends = [
        train(
            fresh(0, LastOutput),
            squared_error,
            waves(64),
            waves(32),
            TrainingConfig(epochs=25, learning_rate=0.05, ema=ema),
        )
        for ema in (None, 0.98)
    ]
    assert ends[1].best_loss < 2 * ends[0].best_loss + 0.01
