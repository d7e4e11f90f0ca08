"""Packages that are needed for some functions only."""

import importlib
from typing import Any


def optional_package(module: str, purpose: str, extra: str) -> Any:
    """Return a module of a package that fastnn does not depend on.

    Raises
    ------
    ImportError
        If it is not installed. The message names the extra that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"{purpose} needs {package}: pip install 'fastnn[{extra}]'") from error
