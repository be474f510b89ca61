"""The tasks: an estimator each, with fit, predict, evaluate, save and load.

Estimator         what they share
Forecaster        the next values of series
load              the right estimator for a model folder

compare           cells side by side, each trained for the same time from the same seeds
Comparison        what it found
Contest           what a task supplies to be compared on
ForecastContest   forecasting's
"""

from pathlib import Path

from throughtime.data.model_folder import read_model_folder
from throughtime.errors import ModelFolderError
from throughtime.tasks.comparison import Contest, compare
from throughtime.tasks.comparison_records import Comparison
from throughtime.tasks.estimator import Estimator
from throughtime.tasks.forecast import ForecastContest, Forecaster

__all__ = ["Comparison", "Contest", "Estimator", "ForecastContest", "Forecaster", "compare", "load"]

_ESTIMATORS: dict[str, type[Estimator]] = {estimator.task: estimator for estimator in (Forecaster,)}


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
    return _ESTIMATORS[folder.task]._from_model_folder(folder)
