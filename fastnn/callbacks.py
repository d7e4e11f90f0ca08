"""What a user may do between two epochs: `Callback`, and stopping early."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks

Array = NDArray[Any]

LARGER_IS_BETTER = ("accuracy", "r2", "d2", "log_evidence")


class Callback:
    """What `fit` calls between epochs; a subclass overrides what it needs.

    The network may be used and its parameters written in any of them, but not trained. An exception
    stops training and arrives unchanged; the parameters stay those of the epoch.
    """

    def fit_begin(self, net: Any) -> None:
        """Hear that training begins; not that it is resumed from a checkpoint."""

    def epoch_begin(self, net: Any, epoch: int) -> None:
        """Hear that an epoch, counted from 0, begins.

        It has no end if LBFGS or LevenbergMarquardt then find nothing to improve.
        """

    def epoch_end(self, net: Any, epoch: int, metrics: dict[str, float]) -> bool | None:
        """Hear what an epoch measured, by the names in the History; return True to stop."""
        return None

    def fit_end(self, net: Any) -> None:
        """Hear that training has ended: all epochs are done or a callback has stopped it."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of it: names with arrays, or with what JSON holds."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned when the checkpoint was written."""


class EarlyStopping(Callback):
    """Stop when a figure has not improved for a while, and go back to the best parameters.

    Parameters
    ----------
    monitor : str
        A name in the History.
    patience : int
        Epochs without improvement after which training stops.
    min_delta : float
        By how much a figure must be better than the best to count as an improvement.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better; by default larger for accuracy, R², D² and the
        evidence, else smaller.
    restore_best : bool
        Whether the network ends with the parameters of its best epoch, also when the epochs run out
        before the patience.

    Attributes
    ----------
    best : float
        The best figure; NaN before the first, which any number improves on.
    best_epoch : int
        Its epoch, from 0.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; after the first epoch, if nothing is measured by that name.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = True,
    ) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor is {monitor!r}; the name of a figure is wanted")
        self.monitor = monitor
        self.patience = _checks.integer(patience, "patience", at_least=1)
        self.min_delta = _checks.number(min_delta, "min_delta", at_least=0)
        self.mode = _checks.choice(mode, "mode", ("auto", "min", "max"))
        self.restore_best = _checks.boolean(restore_best, "restore_best")
        self._forget()

    def _forget(self) -> None:
        self.best, self.best_epoch, self.waited = float("nan"), 0, 0
        self._arrays: dict[str, Array] = {}

    def fit_begin(self, net: Any) -> None:
        """Forget an earlier fit."""
        self._forget()

    def epoch_end(self, net: Any, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Keep the parameters if they are the best, else wait, or stop."""
        if self.monitor not in metrics:
            raise ValueError(
                f"monitor is {self.monitor!r}; of {', '.join(metrics)} one is wanted"
                + (" (there is no validation_data)" if self.monitor.startswith("val_") else "")
            )
        value = metrics[self.monitor]
        larger = self.mode == "max" or (
            self.mode == "auto" and self.monitor.endswith(LARGER_IS_BETTER)
        )
        gain = value - self.best if larger else self.best - value
        if gain > self.min_delta or (np.isnan(self.best) and not np.isnan(value)):
            self.best, self.best_epoch, self.waited = value, epoch, 0
            if self.restore_best:
                model = net._model
                self._arrays = {"params": model.params.copy(), "constants": model.constants.copy()}
            return False
        self.waited += 1
        return self.waited >= self.patience

    def fit_end(self, net: Any) -> None:
        """Go back to the best parameters."""
        for name, array in self._arrays.items():
            getattr(net._model, name)[...] = array
        self._arrays = {}

    def state(self) -> dict[str, Any]:
        """Return the best figure, when it was, and the arrays of then."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "waited": self.waited,
            **self._arrays,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""
        arrays = dict(state)
        best, best_epoch, waited = (arrays.pop(name) for name in ("best", "best_epoch", "waited"))
        self.best, self.best_epoch, self.waited, self._arrays = best, best_epoch, waited, arrays
