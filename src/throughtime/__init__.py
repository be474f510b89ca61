"""Recurrent sequence modelling: RNN, GRU, LSTM and peephole LSTM, from the equations to a trained model.

    throughtime.Forecaster          forecasts series, from a frame or a file
    throughtime.Classifier          says what a text is: good or bad, how many stars
    throughtime.Composer            writes music, and voices below a melody
    throughtime.LanguageModel       learns text, scores it and writes it
    throughtime.Recognizer          says what is happening, from sensors or a camera
    throughtime.Tagger              finds labelled pieces in text: names, places
    throughtime.Transcriber         writes down what is said
    throughtime.Translator          translates sentences
    throughtime.nn                  layers with torch.nn's names, parameters and states
    throughtime.models              topologies: many-to-one, aligned
    throughtime.training            the training loop
    throughtime.exchange            layers to and from ONNX, Keras, Flax, haste
    throughtime.datasets            data with a known answer, and small real series
    throughtime.errors              every exception raised on purpose

Importing this package imports nothing heavy: torch arrives with the first name that needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from throughtime import cells, data, datasets, errors, exchange, kernels, models, nn, report, tasks, training
    from throughtime.tasks.classify import Classifier
    from throughtime.tasks.compose import Composer
    from throughtime.tasks.forecast import Forecaster
    from throughtime.tasks.language import LanguageModel
    from throughtime.tasks.recognize import Recognizer
    from throughtime.tasks.tag import Tagger
    from throughtime.tasks.transcribe import Transcriber
    from throughtime.tasks.translate import Translator

__version__ = "0.1.0"

_ROOMS = ("cells", "data", "datasets", "errors", "exchange", "kernels", "models", "nn", "report", "tasks", "training")
_OBJECTS = {
    "Classifier": "throughtime.tasks.classify",
    "Composer": "throughtime.tasks.compose",
    "Forecaster": "throughtime.tasks.forecast",
    "LanguageModel": "throughtime.tasks.language",
    "Recognizer": "throughtime.tasks.recognize",
    "Tagger": "throughtime.tasks.tag",
    "Transcriber": "throughtime.tasks.transcribe",
    "Translator": "throughtime.tasks.translate",
}

__all__ = [
    "Classifier",
    "Composer",
    "Forecaster",
    "LanguageModel",
    "Recognizer",
    "Tagger",
    "Transcriber",
    "Translator",
    "__version__",
    "cells",
    "data",
    "datasets",
    "errors",
    "exchange",
    "kernels",
    "models",
    "nn",
    "report",
    "tasks",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"throughtime.{name}")
    if name in _OBJECTS:
        return getattr(importlib.import_module(_OBJECTS[name]), name)
    raise AttributeError(f"module 'throughtime' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
