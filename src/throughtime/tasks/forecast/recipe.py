"""How large the net is and how long it learns, where that was left open: from the number and kind of windows."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from throughtime.data.series.frames import SeriesSet
from throughtime.tasks.forecast.windows import Windows
from throughtime.training import TrainingConfig

if TYPE_CHECKING:
    from throughtime.tasks.forecast.forecaster import Forecaster

MOST_VALIDATION = 4096  # windows: their mean loss is known to a hundredth of its size
_STEPS = 1000
_CLEAN_STEPS = 12_000
_MOST_EPOCHS = 120
_LEAST_EPOCHS = 5
_MANY, _LARGE = 5_000, 60_000  # windows
_DROPOUT, _FEW_DROPOUT, _FEW_SERIES = 0.2, 0.5, 20


@dataclass(frozen=True)
class Recipe:
    """The choices, each visible in `summary()` and in model.json.

    Attributes:
        rule_alone: whether the net says its rule and no more, since what it learnt was worth no more than chance.
    """

    hidden_size: int
    num_layers: int
    dropout: float
    batch_size: int
    learning_rate: float
    epochs: int | None
    steps: int
    patience: int | None
    clean: bool
    loss: str
    seed: int
    rule_alone: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    @property
    def most_windows(self) -> int:
        """Windows worth looking at: each at least `_LEAST_EPOCHS` times."""
        if self.epochs is not None:
            return 2**62
        return max(self.steps * self.batch_size // _LEAST_EPOCHS, self.batch_size)

    def config(self, n_windows: int) -> TrainingConfig:
        """The training for so many windows."""
        steps_per_epoch = -(-n_windows // self.batch_size)
        epochs = self.epochs or max(_LEAST_EPOCHS, min(_MOST_EPOCHS, -(-self.steps // steps_per_epoch)))
        return TrainingConfig(
            epochs=epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule="onecycle",
            ema=0.99,
            patience=self.patience,
            seed=self.seed,
        )


def choose(
    forecaster: "Forecaster", windows: Windows, series: SeriesSet, segment: int = 1, clean: bool = False
) -> Recipe:
    """Fill in what the forecaster left open.

    Noise decides: clean series (see `plan.is_clean`) are learnt by a deeper net, for long and without dropout; few
    noisy ones over segments with much of it.
    """
    f, many = forecaster, len(windows)
    single = segment == 1
    if single:
        hidden = 64 if clean or many >= _LARGE else 32
    else:
        hidden = 128 if many >= _MANY else 64
    dropout = _FEW_DROPOUT if not single and len(series) < _FEW_SERIES else _DROPOUT
    return Recipe(
        hidden_size=_given(f.hidden_size, hidden),
        num_layers=_given(f.num_layers, 2 if clean else 1),
        dropout=float(_given(f.dropout, 0.0 if clean else dropout)),
        batch_size=_given(f.batch_size, 256 if many >= _MANY and not clean else 64),
        learning_rate=_given(f.learning_rate, 5e-3 if single else 2e-3),
        epochs=f.epochs,
        steps=_CLEAN_STEPS if clean else _STEPS,
        patience=f.patience,
        clean=clean,
        loss=choose_loss(f.loss, clean),
        seed=f.seed,
    )


def choose_loss(loss: str, clean: bool) -> str:
    """The loss asked for. "auto": where noise is small the mean, of which it takes fewer windows to be sure than of the
    median; else the median, which outliers do not move.
    """
    if loss != "auto":
        return loss
    return "huber" if clean else "mae"


def _given(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value
