"""The base class of callbacks, whose methods `fit` calls between epochs."""

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar


class Callback:
    """The base class of callbacks. Derive a class that overrides the methods it needs.

    Each method may use the network and write to its parameters, but not train it. An exception
    stops training and reaches the caller of `fit` unchanged; the parameters keep their values.

    Attributes
    ----------
    pauses : bool
        Set it in the class. It says whether a fit that this callback has stopped goes on when its
        checkpoint is resumed. By default False: the fit is complete.
    """

    pauses: ClassVar[bool] = False

    def fit_begin(self, net: Any) -> None:
        """Run before the first epoch, but not when a checkpoint is resumed."""

    def epoch_begin(self, net: Any, epoch: int) -> None:
        """Run before an epoch; `epoch` counts from 0.

        If LBFGS or LevenbergMarquardt then finds nothing to improve, `epoch_end` is not called.
        """

    def epoch_end(self, net: Any, epoch: int, metrics: dict[str, float]) -> bool | None:
        """Run after an epoch.

        Parameters
        ----------
        net : Network
        epoch : int
            The number of the epoch, counted from 0.
        metrics : dict of str to float
            The metrics of the epoch, by their names in the History.

        Returns
        -------
        bool or None
            True to stop training.
        """
        return None

    def fit_end(self, net: Any) -> None:
        """Run after the last epoch, also if a callback has stopped training."""

    def close(self) -> None:
        """Release what the callback holds, such as a file.

        It runs last, also if an exception or Ctrl-C has ended training. It may run twice.
        """

    def state(self) -> dict[str, Any]:
        """Return a dict for the checkpoint: arrays, and values that JSON can hold, by names."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned when the checkpoint was written."""


def checked_monitor(monitor: Any) -> str:
    """Return the name of a metric, which must be a string."""
    if not isinstance(monitor, str):
        raise TypeError(f"monitor is {monitor!r}; the name of a metric is wanted")
    return monitor


def metric_named(monitor: str, metrics: Mapping[str, float]) -> float:
    """Return the metric of an epoch by its name in the History.

    Raises
    ------
    ValueError
        If there is none.
    """
    if monitor not in metrics:
        raise ValueError(
            f"monitor is {monitor!r}; one of {', '.join(metrics)} is wanted"
            + (" (there is no validation_data)" if monitor.startswith("val_") else "")
        )
    return metrics[monitor]


def library(module: str, callback: str, distribution: str | None = None) -> Any:
    """Return the module of a library that a callback needs.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = distribution or module
        raise ImportError(f"{callback} needs {name}: pip install {name}") from error
