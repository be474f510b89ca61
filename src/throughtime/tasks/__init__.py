"""The tasks: an estimator each, with fit, predict, evaluate, save and load.

Estimator         what they share
Classifier        what a text is
Composer          what a piece of music is like, and how it goes on
Forecaster        the next values of series
LanguageModel     which symbol comes next in text
Recognizer        what is happening, from sensors or a camera
Tagger            which tokens of a text are what
Transcriber       what is said in sound
Translator        sentences in another language
load              the right estimator for a model folder
export_onnx       a fitted estimator for ONNX Runtime

compare           cells side by side, each trained for the same time from the same seeds
Comparison        what it found
Contest           what a task supplies to be compared on
ForecastContest   forecasting's

tune              the options that do best, within a time, the default first
Tuning, Trial     what it found
Search            what a task supplies to be tuned
Choice, Between   what may vary
ForecastSearch    forecasting's
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from throughtime.data.model_folder import read_model_folder
from throughtime.errors import ModelFolderError
from throughtime.tasks.estimator import Estimator

if TYPE_CHECKING:
    from throughtime.tasks.classify import Classifier
    from throughtime.tasks.comparison import Contest, compare
    from throughtime.tasks.comparison_records import Comparison
    from throughtime.tasks.compose import Composer
    from throughtime.tasks.exported import export_onnx
    from throughtime.tasks.forecast import ForecastContest, Forecaster, ForecastSearch
    from throughtime.tasks.language import LanguageModel
    from throughtime.tasks.recognize import Recognizer
    from throughtime.tasks.tag import Tagger
    from throughtime.tasks.transcribe import Transcriber
    from throughtime.tasks.translate import Translator
    from throughtime.tasks.tuning import Search, tune
    from throughtime.tasks.tuning_records import Between, Choice, Trial, Tuning

__all__ = [
    "Between",
    "Choice",
    "Classifier",
    "Comparison",
    "Composer",
    "Contest",
    "Estimator",
    "ForecastContest",
    "ForecastSearch",
    "Forecaster",
    "LanguageModel",
    "Recognizer",
    "Search",
    "Tagger",
    "Transcriber",
    "Translator",
    "Trial",
    "Tuning",
    "compare",
    "export_onnx",
    "load",
    "tune",
]

# Each comes with the first use of its name: who loads a forecaster does not wait for the other tasks.
_ROOMS = {
    "Classifier": "classify",
    "Composer": "compose",
    "Forecaster": "forecast",
    "ForecastContest": "forecast",
    "ForecastSearch": "forecast",
    "LanguageModel": "language",
    "Recognizer": "recognize",
    "Tagger": "tag",
    "Transcriber": "transcribe",
    "Translator": "translate",
    "export_onnx": "exported",
    "Comparison": "comparison_records",
    "Contest": "comparison",
    "compare": "comparison",
    "Between": "tuning_records",
    "Choice": "tuning_records",
    "Trial": "tuning_records",
    "Tuning": "tuning_records",
    "Search": "tuning",
    "tune": "tuning",
}
_ESTIMATORS = {
    "classify": "Classifier",
    "compose": "Composer",
    "forecast": "Forecaster",
    "language": "LanguageModel",
    "recognize": "Recognizer",
    "tag": "Tagger",
    "transcribe": "Transcriber",
    "translate": "Translator",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'throughtime.tasks' has no attribute {name!r}")
    return getattr(importlib.import_module(f"throughtime.tasks.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def load(path: str | Path) -> Estimator:
    """The fitted estimator that a model folder holds, whatever its task.

    Raises:
        ModelFolderError: the folder is missing, truncated, of a newer format, hostile or not ours, or of an unknown
            task.
    """
    folder = read_model_folder(path)
    if folder.task not in _ESTIMATORS:
        raise ModelFolderError(
            f"load: expected a model of a known task ({', '.join(sorted(_ESTIMATORS))}), got {folder.task!r}; "
            "install a version of throughtime that has it"
        )
    estimator: type[Estimator] = __getattr__(_ESTIMATORS[folder.task])
    return estimator._from_model_folder(folder)
