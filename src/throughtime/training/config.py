"""How to train: every option of the loop, checked once."""

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal, get_args

from throughtime.errors import ArgumentError, ArgumentTypeError

OptimizerName = Literal["adam", "adamw", "sgd"]
ScheduleName = Literal["constant", "cosine", "plateau", "onecycle"]
NonFinitePolicy = Literal["stop", "skip", "rollback"]
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)
NON_FINITE: tuple[str, ...] = get_args(NonFinitePolicy)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The options of `train`.

    Args:
        epochs: passes over the training data, at most.
        batch_size: examples a batch; the last batch of an epoch may be shorter.
        max_tokens: steps of time in a training batch, padding counted: batches then hold examples of like length, as
            many as fit, and `batch_size` is for validation alone. The training data must tell its `lengths`.
        accumulate: batches whose gradients one step of the optimizer adds up, weighted as if they were one batch.
        learning_rate: the rate after the warm-up; with ``schedule="onecycle"`` the peak.
        optimizer: torch's Adam, AdamW or SGD.
        weight_decay: L2 penalty for adam and sgd, decoupled for adamw.
        momentum: of sgd, and of nothing else.
        clip_norm: the largest norm of the gradient; a larger one is scaled down to it. None clips nothing.
        clip_scope: what `clip_norm` is the norm of: "global", the whole gradient, or "layer", that of each layer and
            direction by itself.
        clip_value: the largest size of one entry of the gradient, looked at before the norm; None clips nothing.
        on_nonfinite: what happens to a loss or gradient that is not finite: "stop" ends the training, "skip" leaves the
            step out, "rollback" goes back to the last good weights with half the learning rate.
        ema: the decay of an exponential moving average of the weights, which is then validated and kept; None: none.
        bfloat16: the loss is computed under torch's autocast to bfloat16; the weights stay as they are.
        schedule: see `throughtime.training.schedules`.
        warmup_steps: steps over which the rate rises to its full value: a line, or with onecycle its rising half
            cosine (0: the first 30 % of all steps).
        plateau_factor: what ``schedule="plateau"`` multiplies the rate by.
        plateau_patience: epochs in a row without an improvement before it does.
        patience: epochs in a row without an improvement before training stops; None never stops.
        min_delta: an improvement is a loss lower than the last improvement's by more than this. It serves patience
            and plateau; the best weights are those of the lowest loss, by however little.
        seed: of the order of the examples and of dropout, in [0, 2**63).
        max_seconds: training ends after the first step that ends later than this, and one validation; None never.
        workers: threads that fetch batches ahead of the step; 0 fetches them in between. The bits are the same.

    Raises:
        ArgumentError: a value outside its range, a name that is not there, or an option that the others leave
            without effect.
        ArgumentTypeError: a value of a wrong type.
    """

    epochs: int = 100
    batch_size: int = 32
    max_tokens: int | None = None
    accumulate: int = 1
    learning_rate: float = 1e-3
    optimizer: OptimizerName = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.0
    clip_norm: float | None = 1.0
    clip_scope: Literal["global", "layer"] = "global"
    clip_value: float | None = None
    on_nonfinite: NonFinitePolicy = "stop"
    ema: float | None = None
    bfloat16: bool = False
    schedule: ScheduleName = "constant"
    warmup_steps: int = 0
    plateau_factor: float = 0.5
    plateau_patience: int = 5
    patience: int | None = None
    min_delta: float = 0.0
    seed: int = 0
    max_seconds: float | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        self._integer("epochs", least=1)
        self._integer("batch_size", least=1)
        self._integer("max_tokens", least=1, optional=True)
        self._integer("accumulate", least=1)
        self._number("learning_rate", above=0.0)
        self._choice("optimizer", OPTIMIZERS)
        self._number("weight_decay", least=0.0)
        self._number("momentum", least=0.0, below=1.0)
        self._number("clip_norm", above=0.0, optional=True)
        self._choice("clip_scope", ("global", "layer"))
        self._number("clip_value", above=0.0, optional=True)
        self._choice("on_nonfinite", NON_FINITE)
        self._number("ema", above=0.0, below=1.0, optional=True)
        if not isinstance(self.bfloat16, bool):
            raise _wrong_type("bfloat16", self.bfloat16, "True or False", False)
        self._choice("schedule", SCHEDULES)
        self._integer("warmup_steps", least=0)
        self._number("plateau_factor", above=0.0, below=1.0)
        self._integer("plateau_patience", least=1)
        self._integer("patience", least=1, optional=True)
        self._number("min_delta", least=0.0)
        self._integer("seed", least=0, most=2**63 - 1)
        self._number("max_seconds", above=0.0, optional=True)
        self._integer("workers", least=0)
        plateau = self.schedule == "plateau"
        self._effective("clip_scope", self.clip_norm is not None, "a clip_norm")
        self._effective("momentum", self.optimizer == "sgd", 'optimizer="sgd"')
        self._effective("plateau_factor", plateau, 'schedule="plateau"')
        self._effective("plateau_patience", plateau, 'schedule="plateau"')
        self._effective("min_delta", plateau or self.patience is not None, 'patience or schedule="plateau"')

    def _integer(self, name: str, *, least: int, most: int | None = None, optional: bool = False) -> None:
        value = getattr(self, name)
        if optional and value is None:
            return
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise _wrong_type(name, value, "an integer", optional)
        value = int(value)
        object.__setattr__(self, name, value)
        if value < least or (most is not None and value > most):
            bounds = f"at least {least}" if most is None else f"in [{least}, {most}]"
            near = f"{name}={least} or more" if value < least else f"{name}={most} or less"
            raise ArgumentError(f"TrainingConfig: expected {name} {bounds}, got {value}; give {near}")

    def _number(
        self,
        name: str,
        *,
        least: float = -math.inf,
        above: float = -math.inf,
        below: float = math.inf,
        optional: bool = False,
    ) -> None:
        value = getattr(self, name)
        if optional and value is None:
            return
        if isinstance(value, bool) or not isinstance(value, Real):
            raise _wrong_type(name, value, "a number", optional)
        value = float(value)
        object.__setattr__(self, name, value)
        if not (value >= least and above < value < below):
            bound = f"at least {least:g}" if math.isinf(above) else f"above {above:g}"
            bound += "" if math.isinf(below) else f" and below {below:g}"
            remedy = f"None or such a {name}" if optional else f"a finite {name} {bound}"
            raise ArgumentError(f"TrainingConfig: expected a finite {name} {bound}, got {value:g}; give {remedy}")

    def _choice(self, name: str, choices: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in choices:
            listed = ", ".join(f'"{choice}"' for choice in choices)
            raise ArgumentError(
                f"TrainingConfig: expected {name} to be one of {listed}, got {value!r}; give one of these"
            )

    def _effective(self, name: str, has_effect: bool, needs: str) -> None:
        default = next(field.default for field in fields(self) if field.name == name)
        value = getattr(self, name)
        if value != default and not has_effect:
            shown = repr(value) if isinstance(value, str) else f"{value:g}"
            raise ArgumentError(
                f"TrainingConfig: expected {name} to be used only with {needs}, got {name}={shown}; "
                f"give {needs} or leave {name} out"
            )


def _wrong_type(name: str, value: Any, expected: str, optional: bool) -> ArgumentTypeError:
    expected += " or None" if optional else ""
    return ArgumentTypeError(f"TrainingConfig: expected {name} to be {expected}, got {value!r}; give {expected}")
