"""Every exception that throughtime raises on purpose.

ThroughtimeError
├── ArgumentError        an argument with a wrong value or shape       (also a ValueError)
├── ArgumentTypeError    an argument of a wrong type                   (also a TypeError)
├── DataError            data from outside: a file, a column, a row    (also a ValueError)
├── ModelFolderError     a model folder that is missing, truncated, newer, hostile or not ours (also a ValueError)
├── BackendError         a backend that was named and cannot run this  (also a ValueError)
├── NotFittedError       an estimator used before `fit`                (also a ValueError)
└── MissingExtraError    an optional dependency that is not installed  (also an ImportError)

A message has four parts: who speaks, what was expected, what came, what to do.
"""

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "BackendError",
    "DataError",
    "MissingExtraError",
    "ModelFolderError",
    "NotFittedError",
    "ThroughtimeError",
]


class ThroughtimeError(Exception):
    """Base of every exception that throughtime raises on purpose."""


class ArgumentError(ThroughtimeError, ValueError):
    """An argument has a wrong value or shape."""


class ArgumentTypeError(ThroughtimeError, TypeError):
    """An argument has a wrong type."""


class DataError(ThroughtimeError, ValueError):
    """Data from outside (a file, a column, a row) cannot be used as it is."""


class ModelFolderError(ThroughtimeError, ValueError):
    """A model folder is missing, truncated, of a newer format, hostile or not ours."""


class BackendError(ThroughtimeError, ValueError):
    """A backend was named that cannot run this computation."""


class NotFittedError(ThroughtimeError, ValueError):
    """An estimator was used before `fit`."""


class MissingExtraError(ThroughtimeError, ImportError):
    """An optional dependency is not installed."""
