"""Optional dependencies, imported where they are needed and not before."""

import importlib
from typing import Any

from throughtime.errors import MissingExtraError


def require(module: str, *, extra: str) -> Any:
    """Import an optional dependency.

    Args:
        module: the dotted name of the module, for instance ``"polars"``.
        extra: the extra of throughtime that installs it.

    Raises:
        MissingExtraError: the module is not installed; the message names the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(
            f"throughtime: expected the package {package}, which is not installed; "
            f"install it with: pip install 'throughtime[{extra}]'"
        ) from error
