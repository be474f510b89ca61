"""What every estimator shares: scikit-learn's manners, and a model folder to live in."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from throughtime.data.model_folder import ModelFolder, read_model_folder, write_model_folder
from throughtime.errors import ArgumentError, ModelFolderError, NotFittedError


class Estimator:
    """Base of the estimators: hyper-parameters in `__init__` and nowhere else, fitted attributes ending in `_`.

    A subclass stores its constructor's arguments untouched under their own names, checks them in `fit`, names its
    `task`, and says how its fitted part becomes tensors and JSON (`_to_folder`) and comes back (`_from_folder`).
    """

    task: ClassVar[str]

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name. `deep` is scikit-learn's; nothing is nested here."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments by name; what was fitted stays until the next `fit`.

        Raises:
            ArgumentError: a name is not one of the constructor's.
        """
        known = self._parameter_names()
        for name, value in params.items():
            if name not in known:
                raise ArgumentError(
                    f"{type(self).__name__}.set_params: expected one of {', '.join(known)}, got {name!r}; "
                    "pass one of these"
                )
            setattr(self, name, value)
        return self

    def configuration(self) -> dict[str, Any]:
        """The constructor's arguments, ready for JSON: what a model folder says of them."""
        return self.get_params()

    def __repr__(self) -> str:
        signature = inspect.signature(type(self).__init__).parameters
        shown = [f"{k}={v!r}" for k, v in self.get_params().items() if v != signature[k].default]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        """scikit-learn's description of an estimator; asked for by scikit-learn alone."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(two_d_array=False, string=True, allow_nan=False),
        )

    @property
    def _fitted(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_is_fitted__(self) -> bool:
        return self._fitted

    def _check_fitted(self, method: str) -> None:
        if not self._fitted:
            raise NotFittedError(
                f"{type(self).__name__}.{method}: expected a fitted model, got one never fitted; call fit first"
            )

    def save(self, path: str | Path) -> None:
        """Write the model folder, atomically: model.safetensors and model.json.

        Raises:
            NotFittedError: nothing was fitted.
            ModelFolderError: the path holds something that is not a model folder.
            DataError: the path cannot be written.
        """
        self._check_fitted("save")
        tensors, extra = self._to_folder()
        write_model_folder(
            path,
            task=self.task,
            configuration=self.configuration(),
            tensors=tensors,
            extra=extra,
            seed=getattr(self, "seed", None),
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model folder.

        Raises:
            ModelFolderError: the folder is missing, truncated, of a newer format, of another task or not ours.
        """
        return cls._from_model_folder(read_model_folder(path, task=cls.task))

    @classmethod
    def _from_model_folder(cls, folder: ModelFolder) -> Self:
        try:
            estimator = cls(**folder.configuration)
            estimator._from_folder(folder.tensors, folder.extra)
        except (
            LookupError,
            TypeError,
            ValueError,
            ArithmeticError,
            RuntimeError,
            AttributeError,
            MemoryError,
        ) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelFolderError(
                f"{cls.__name__}.load: expected a complete {cls.task} model, got one whose parts do not fit together "
                f"({reason}); save the model again, or train it anew"
            ) from error
        return estimator

    def _to_folder(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        raise AssertionError("a subclass says how it is stored")

    def _from_folder(self, tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        raise AssertionError("a subclass says how it is read")


MODEL_PREFIX = "model."


def module_tensors(model: nn.Module) -> dict[str, np.ndarray]:
    """A module's state as arrays, under names that start with `MODEL_PREFIX`."""
    return {MODEL_PREFIX + name: value.detach().cpu().numpy().copy() for name, value in model.state_dict().items()}


def load_module_tensors(model: nn.Module, tensors: Mapping[str, np.ndarray]) -> None:
    """The reverse of `module_tensors`; a missing, unexpected or misshapen tensor raises RuntimeError."""
    own = {name.removeprefix(MODEL_PREFIX): value for name, value in tensors.items() if name.startswith(MODEL_PREFIX)}
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in own.items()})
