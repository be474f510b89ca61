"""Training: one loop for every task.

    loop         train: a model, a loss, batches
    config       TrainingConfig: every option, checked
    sources      BatchSource, TensorSource: where batches come from
    losses       Loss, WeightedLoss, mean_loss: what a task supplies, and the loss of a data set
    callbacks    Callback: who listens
    records      what the loop tells: TrainingStart, StepRecord, EpochRecord, TrainingResult
    optimizers   Adam, AdamW, SGD
    schedules    constant, cosine, plateau, one-cycle; warm-up
    clipping     the norm of a gradient, and its bound
    patience     how long to wait for a better loss
    best         the best weights so far
    seeding      random state and modes, given back as they were

Gradients, records and batches are plain values that pass between these files; only `loop` knows them all.
"""

from throughtime.training.callbacks import Callback
from throughtime.training.config import OPTIMIZERS, SCHEDULES, TrainingConfig
from throughtime.training.loop import train
from throughtime.training.losses import Loss, WeightedLoss, mean_loss
from throughtime.training.records import EpochRecord, StepRecord, StopReason, TrainingResult, TrainingStart
from throughtime.training.sources import BatchSource, TensorSource

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "BatchSource",
    "Callback",
    "EpochRecord",
    "Loss",
    "StepRecord",
    "StopReason",
    "TensorSource",
    "TrainingConfig",
    "TrainingResult",
    "TrainingStart",
    "WeightedLoss",
    "mean_loss",
    "train",
]
