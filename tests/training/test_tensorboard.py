"""Curves for TensorBoard, which is an extra."""

import importlib.util
import sys

import pytest
import torch

from tests.training.problems import LastOutput, fresh, squared_error, waves
from throughtime.errors import MissingExtraError
from throughtime.training import TensorBoardLog, TrainingConfig, train


def test_without_the_package_the_command_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"the package tensorboard, .*pip install 'throughtime\[logging\]'"):
        TensorBoardLog(tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
@pytest.mark.filterwarnings("default")
def test_the_curves_are_those_of_the_training(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = TrainingConfig(epochs=3, batch_size=4)
    log = TensorBoardLog(tmp_path / "run", every=2)
    result = train(fresh(0, LastOutput), squared_error, waves(12), waves(4), config, [log])
    found = EventAccumulator(str(tmp_path / "run"))
    found.Reload()
    losses = found.Scalars("epoch/validation loss")
    assert [event.step for event in losses] == [3, 6, 9]
    expected = torch.tensor([record.validation_loss for record in result.history])
    torch.testing.assert_close(torch.tensor([event.value for event in losses]), expected)
    assert [event.step for event in found.Scalars("step/loss")] == [2, 4, 6, 8]
