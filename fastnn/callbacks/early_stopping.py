"""Early stopping: training ends when a metric no longer improves."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.callbacks.callback import Callback, checked_monitor, metric_named
from fastnn.metrics import larger_is_better


class EarlyStopping(Callback):
    """Stop training when a metric has stopped improving, and restore the best parameters.

    With `patience=None` it does not stop training: `fit` completes all epochs, and the best
    parameters are restored.

    Parameters
    ----------
    monitor : str
        The name of the metric in the History; by default "val_loss".
    patience : int or None
        The number of epochs in a row without an improvement after which training stops, at least
        1. By default 10. None never stops training.
    min_delta : float
        The metric has improved if it is better than the best by more than this; at least 0. By
        default 0.
    mode : {"auto", "min", "max"}
        Whether a smaller or a larger metric is better. "auto", the default, means "max" for
        accuracy, R², D² and the evidence, and "min" for all others.
    restore_best : bool
        Whether the parameters of the best epoch are restored when training ends, also if all epochs
        are complete. By default True.
    ties : {"first", "last"}
        Which epoch is the best if the metric of several is equal, up to `min_delta`: the first one,
        the default, or the last one. A tie is not an improvement: the patience goes on.

    Attributes
    ----------
    best : float
        The best metric so far; NaN before the first epoch. The metrics of later epochs are compared
        with it.
    best_epoch : int
        The epoch of the best metric, counted from 0; the last such epoch with `ties="last"`.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid. In `fit`, ValueError after the first epoch if the History has no
        metric of this name.
    """

    ties: str = "first"  # pickles of older versions have no such attribute

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int | None = 10,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = True,
        ties: str = "first",
    ) -> None:
        self.monitor = checked_monitor(monitor)
        self.patience = patience
        if patience is not None:
            self.patience = _checks.integer(patience, "patience", at_least=1)
        self.min_delta = _checks.number(min_delta, "min_delta", at_least=0)
        self.mode = _checks.choice(mode, "mode", ("auto", "min", "max"))
        self.restore_best = _checks.boolean(restore_best, "restore_best")
        self.ties = _checks.choice(ties, "ties", ("first", "last"))
        self._forget()

    def _forget(self) -> None:
        self.best, self.best_epoch, self.waited = float("nan"), 0, 0
        self._arrays: dict[str, Array] = {}

    def fit_begin(self, net: Any) -> None:
        """Forget the metrics of an earlier fit."""
        self._forget()

    def epoch_end(self, net: Any, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Copy the parameters if the metric is the best; return whether the patience has ended."""
        value = metric_named(self.monitor, metrics)
        better = larger_is_better(self.monitor, self.mode)
        gain = value - self.best if better else self.best - value
        improved = gain > self.min_delta or (np.isnan(self.best) and not np.isnan(value))
        if improved or (self.ties == "last" and gain >= -self.min_delta):
            self.best_epoch = epoch
            if self.restore_best:
                self._arrays = net._model.snapshot()._asdict()
        if improved:
            self.best, self.waited = value, 0
            return False
        self.waited += 1
        return self.patience is not None and self.waited >= self.patience

    def fit_end(self, net: Any) -> None:
        """Restore the best parameters."""
        if self._arrays:
            net._model.restore((self._arrays["params"], self._arrays["constants"]))
        self._arrays = {}

    def state(self) -> dict[str, Any]:
        """Return the best metric, its epoch, and copies of the network's arrays at that epoch."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "waited": self.waited,
            **self._arrays,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        arrays = dict(state)
        best, best_epoch, waited = (arrays.pop(name) for name in ("best", "best_epoch", "waited"))
        self.best, self.best_epoch, self.waited, self._arrays = best, best_epoch, waited, arrays
