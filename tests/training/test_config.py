"""TrainingConfig refuses what it cannot do, and says what to do instead."""

import dataclasses
import re

import numpy as np
import pytest

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.training import OPTIMIZERS, SCHEDULES, TrainingConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "expected epochs at least 1, got 0; give epochs=1 or more"),
        ({"batch_size": -3}, "expected batch_size at least 1, got -3; give batch_size=1 or more"),
        ({"learning_rate": 0}, "expected a finite learning_rate above 0, got 0; give a finite learning_rate above 0"),
        ({"learning_rate": float("nan")}, "expected a finite learning_rate above 0, got nan"),
        ({"learning_rate": float("inf")}, "expected a finite learning_rate above 0, got inf"),
        ({"optimizer": "lion"}, 'expected optimizer to be one of "adam", "adamw", "sgd", got \'lion\''),
        ({"weight_decay": -0.1}, "expected a finite weight_decay at least 0, got -0.1"),
        ({"optimizer": "sgd", "momentum": 1.0}, "expected a finite momentum at least 0 and below 1, got 1;"),
        ({"clip_norm": 0.0}, "expected a finite clip_norm above 0, got 0; give None or such a clip_norm"),
        ({"schedule": "step"}, '"plateau", "onecycle", got \'step\''),
        ({"warmup_steps": -1}, "expected warmup_steps at least 0, got -1"),
        ({"schedule": "plateau", "plateau_factor": 1.5}, "plateau_factor above 0 and below 1, got 1.5"),
        ({"schedule": "plateau", "plateau_patience": 0}, "expected plateau_patience at least 1, got 0"),
        ({"patience": 0}, "expected patience at least 1, got 0"),
        ({"patience": 2, "min_delta": -1.0}, "expected a finite min_delta at least 0, got -1"),
        ({"seed": -1}, "expected seed in [0, 9223372036854775807], got -1"),
        ({"seed": 2**63}, "got 9223372036854775808; give seed=9223372036854775807 or less"),
        ({"max_seconds": 0}, "expected a finite max_seconds above 0, got 0; give None or such a max_seconds"),
        ({"max_tokens": 0}, "expected max_tokens at least 1, got 0"),
        ({"accumulate": 0}, "expected accumulate at least 1, got 0"),
        ({"clip_scope": "row"}, 'expected clip_scope to be one of "global", "layer", got \'row\''),
        (
            {"clip_scope": "layer", "clip_norm": None},
            "clip_scope to be used only with a clip_norm, got clip_scope='layer'",
        ),
        ({"clip_value": -1}, "expected a finite clip_value above 0, got -1"),
        ({"on_nonfinite": "cry"}, 'on_nonfinite to be one of "stop", "skip", "rollback", got \'cry\''),
        ({"ema": 1.0}, "expected a finite ema above 0 and below 1, got 1"),
        ({"workers": -1}, "expected workers at least 0, got -1"),
        ({"momentum": 0.9}, 'momentum to be used only with optimizer="sgd", got momentum=0.9; give optimizer="sgd" or'),
        ({"plateau_factor": 0.1}, 'plateau_factor to be used only with schedule="plateau", got plateau_factor=0.1'),
        ({"plateau_patience": 9}, 'plateau_patience to be used only with schedule="plateau", got plateau_patience=9'),
        ({"min_delta": 0.01}, 'min_delta to be used only with patience or schedule="plateau", got min_delta=0.01'),
    ],
)
def test_a_wrong_value_is_refused_with_a_remedy(options, message):
    with pytest.raises(ArgumentError, match="^TrainingConfig: .*" + re.escape(message)):
        TrainingConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 2.0}, "expected epochs to be an integer, got 2.0; give an integer"),
        ({"epochs": True}, "expected epochs to be an integer, got True"),
        ({"patience": "3"}, "expected patience to be an integer or None, got '3'"),
        ({"learning_rate": "1e-3"}, "expected learning_rate to be a number, got '1e-3'; give a number"),
        ({"learning_rate": None}, "expected learning_rate to be a number, got None"),
        ({"bfloat16": "yes"}, "expected bfloat16 to be True or False, got 'yes'"),
        ({"clip_norm": True}, "expected clip_norm to be a number or None, got True"),
    ],
)
def test_a_wrong_type_is_refused(options, message):
    with pytest.raises(ArgumentTypeError, match="^TrainingConfig: " + re.escape(message)):
        TrainingConfig(**options)


def test_every_name_is_accepted():
    for optimizer in OPTIMIZERS:
        assert TrainingConfig(optimizer=optimizer).optimizer == optimizer
    for schedule in SCHEDULES:
        assert TrainingConfig(schedule=schedule).schedule == schedule


def test_numbers_of_numpy_become_those_of_python():
    config = TrainingConfig(epochs=np.int64(3), learning_rate=np.float32(0.5), clip_norm=2)
    assert [type(value) for value in (config.epochs, config.learning_rate, config.clip_norm)] == [int, float, float]
    assert config == TrainingConfig(epochs=3, learning_rate=0.5, clip_norm=2.0)


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainingConfig().epochs = 3
