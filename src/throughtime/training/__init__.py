"""Training: one loop for every task.

    loop            train: a model, a loss, batches
    config          TrainingConfig: every option, checked
    sources         BatchSource, TensorSource, SequenceSource: where batches come from
    streaming       NpySource, StreamSource: data larger than memory
    batches         which batches an epoch is made of; a budget of tokens; threads that fetch
    losses          Loss, WeightedLoss, mean_loss: what a task supplies, and the loss of a data set
    callbacks       Callback: who listens
    records         what the loop tells: TrainingStart, StepRecord, EpochRecord, TrainingResult
    tensorboard     TensorBoardLog: a callback
    update          one step: losses, gradient, bounds, weights
    optimizers      Adam, AdamW, SGD
    schedules       constant, cosine, plateau, one-cycle; warm-up
    clipping        the norm of a gradient, and its bounds
    bptt_clipping   ClippedBPTT: a bound inside backpropagation through time
    nonfinite       Locator, locate_nonfinite: where a NaN comes from, and the way back
    gradient_health    watch, GradientHealth, nonfinite_locator: gradients along time
    gradient_health_report   HealthReport, LayerHealth, NonFinite: in numbers and in words
    gradient_health_places   where the first NaN or infinity stands
    average         a moving average of the weights
    patience        how long to wait for a better loss
    best            the best weights so far
    interruption    Ctrl-C, held back while a step is half done
    seeding         random state and modes, given back as they were
    run_folder      RunFolder: checkpoints and a log on disk
    checkpoints     a checkpoint, written whole or not at all
    state           everything that a restart needs
    fingerprint     fingerprint: a short name for data
    distributed     joined, Team: several processes that train one model
    team_state      their part in a checkpoint

Gradients, records and batches are plain values that pass between these files; `loop` puts them together, and `state`
reads from it what a checkpoint holds.
"""

from throughtime.training.bptt_clipping import ClippedBPTT
from throughtime.training.callbacks import Callback
from throughtime.training.config import NON_FINITE, OPTIMIZERS, SCHEDULES, TrainingConfig
from throughtime.training.distributed import joined
from throughtime.training.fingerprint import fingerprint
from throughtime.training.gradient_health import GradientHealth, nonfinite_locator, watch
from throughtime.training.gradient_health_report import HealthReport, LayerHealth, NonFinite
from throughtime.training.loop import train
from throughtime.training.losses import Loss, WeightedLoss, mean_loss
from throughtime.training.nonfinite import Locator, locate_nonfinite
from throughtime.training.records import EpochRecord, StepRecord, StopReason, TrainingResult, TrainingStart
from throughtime.training.run_folder import RunFolder
from throughtime.training.sources import BatchSource, SequenceSource, TensorSource
from throughtime.training.streaming import NpySource, StreamSource
from throughtime.training.tensorboard import TensorBoardLog

__all__ = [
    "NON_FINITE",
    "OPTIMIZERS",
    "SCHEDULES",
    "BatchSource",
    "Callback",
    "ClippedBPTT",
    "EpochRecord",
    "GradientHealth",
    "HealthReport",
    "LayerHealth",
    "Locator",
    "Loss",
    "NonFinite",
    "NpySource",
    "RunFolder",
    "SequenceSource",
    "StepRecord",
    "StopReason",
    "StreamSource",
    "TensorBoardLog",
    "TensorSource",
    "TrainingConfig",
    "TrainingResult",
    "TrainingStart",
    "WeightedLoss",
    "fingerprint",
    "joined",
    "locate_nonfinite",
    "mean_loss",
    "nonfinite_locator",
    "train",
    "watch",
]
