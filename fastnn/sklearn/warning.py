"""Warnings in the name of scikit-learn's module, so that filters written for it work here too."""

import sys
import warnings
from typing import Any

from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.utils.validation import column_or_1d

MODULE = "sklearn.neural_network._multilayer_perceptron"


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn in the name of scikit-learn's module, and point to the line of the user's program.

    A filter with `module="sklearn"` compares the name of the module that warns.
    """
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(("fastnn.", "sklearn.")):
        frame = frame.f_back
    shown = frame.f_globals.setdefault("__warningregistry__", {})  # where Python keeps it
    file, line = frame.f_code.co_filename, frame.f_lineno
    warnings.warn_explicit(message, category, file, line, MODULE, shown)


def warn_not_converged(message: str) -> None:
    """Warn that a solver has not converged."""
    warn(message, ConvergenceWarning)


def one_column(y: NDArray[Any]) -> NDArray[Any]:
    """Return targets (n, 1) as (n,), with scikit-learn's warning; return others unchanged."""
    if y.ndim != 2 or y.shape[1] != 1:
        return y
    warn(
        "A column-vector y was passed when a 1d array was expected. Please change the shape of y "
        "to (n_samples, ), for example using ravel().",
        DataConversionWarning,
    )
    flat: NDArray[Any] = column_or_1d(y)
    return flat
