"""Pruning: Optuna stops a trial whose metric is worse than that of other trials."""

from typing import Any

from fastnn.callbacks.callback import Callback, checked_monitor, library, metric_named


class OptunaPruning(Callback):
    """Report a metric to a trial of Optuna after each epoch, and end the trial if Optuna prunes it.

    Then `fit` raises `optuna.TrialPruned`, which `study.optimize` handles. The network has the
    parameters after the last complete epoch, and can be used and trained further. As after every
    exception, `EarlyStopping` does not restore the best parameters.

    Parameters
    ----------
    trial : optuna.trial.Trial
        The trial. One fit can report to it.
    monitor : str
        The name of the metric in the History; by default "val_loss". The study's direction says
        whether a smaller or a larger metric is better.

    Raises
    ------
    ImportError
        If Optuna is not installed.
    TypeError
        If an argument is invalid.
    ValueError
        In `fit`, after the first epoch, if the History has no metric of this name.
    """

    def __init__(self, trial: Any, monitor: str = "val_loss") -> None:
        library("optuna", "OptunaPruning")
        if not (hasattr(trial, "report") and hasattr(trial, "should_prune")):
            raise TypeError(f"trial is {trial!r}; a trial of Optuna is wanted")
        self.trial = trial
        self.monitor = checked_monitor(monitor)

    def epoch_end(self, net: Any, epoch: int, metrics: dict[str, float]) -> None:
        """Report the metric, and raise `optuna.TrialPruned` if the trial is to end."""
        value = metric_named(self.monitor, metrics)
        self.trial.report(value, epoch)
        if self.trial.should_prune():
            message = f"pruned after epoch {epoch} (from 0), with {self.monitor} = {value:.6g}"
            raise library("optuna", "OptunaPruning").TrialPruned(message)
