"""What training leaves behind: the metrics of each epoch, or the error that ended it."""

from typing import Any


class DivergenceError(ArithmeticError):
    """Training stopped because the loss or the parameters were no longer finite.

    The network's parameters are those after its last finite epoch, with what callbacks have written
    since, and its optimizer starts afresh.

    Attributes
    ----------
    epoch, step : int
        The epoch, from 0, and the minibatch in it, from 0, where it was noticed.
    history : History
        Of the epochs before.
    advice : str
        What to try, from the data and the optimizer.
    """

    def __init__(
        self,
        epoch: int,
        step: int,
        history: "History",
        advice: str = "A smaller learning rate or standardised data usually help",
    ) -> None:
        super().__init__(
            f"the loss became NaN or infinite in epoch {epoch}, step {step} (both from 0); the "
            f"parameters of the last finite epoch remain. {advice}"
        )
        self.epoch, self.step, self.history, self.advice = epoch, step, history, advice

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.epoch, self.step, self.history, self.advice)


class History(dict[str, list[float]]):
    """What `fit` measured: a dict from names to lists of one number an epoch.

    "loss" is the training loss over the epoch, each sample's taken before the update of its batch,
    or with LBFGS and LevenbergMarquardt after the epoch's step; "seconds" the epoch's duration.
    With validation data, "val_loss" and "val_accuracy", "val_rmse" or "val_coverage_error" are
    those after the epoch; with a schedule, "learning_rate" is its last update's.
    LevenbergMarquardt adds metrics of its own.
    """

    def __repr__(self) -> str:
        epochs = len(self["seconds"])
        last = ", ".join(f"{name}={c[-1]:.6g}" for name, c in self.items() if c)
        return f"History({epochs} epochs; last: {last})"
