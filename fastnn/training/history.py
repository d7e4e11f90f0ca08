"""The results of training: the metrics of each epoch, and the error if training diverged."""

from typing import Any

EPOCHS_SHOWN = 5  # in the table of a notebook


class DivergenceError(ArithmeticError):
    """Raised by `fit` and `step` if the loss or a parameter becomes NaN or infinite.

    The network then has the parameters from the end of its last finite epoch, or the parameters
    that a callback wrote after it. After `step`, it has the parameters before the step. The state
    of its optimizer is reset.

    Attributes
    ----------
    epoch, step : int
        The epoch, and the update in this epoch, where it was detected. Both are counted from 0.
        For `step`, the epoch is 0, and the step is the number of updates before it.
    history : History
        The metrics of the earlier epochs; empty for `step`.
    advice : str
        What to try, depending on the data and the optimizer.
    single : bool
        Whether it was raised by `step`.
    """

    def __init__(
        self,
        epoch: int,
        step: int,
        history: "History",
        advice: str = "A smaller learning rate or standardised data usually help",
        single: bool = False,
    ) -> None:
        what = (
            f"the loss became NaN or infinite in epoch {epoch}, step {step} (both from 0); the "
            f"parameters of the last finite epoch remain"
        )
        if single:
            what = (
                f"step {step} (from 0) would make a parameter NaN or infinite; the parameters "
                f"before it remain"
            )
        super().__init__(f"{what}. {advice}")
        self.epoch, self.step, self.history, self.advice = epoch, step, history, advice
        self.single = single

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.epoch, self.step, self.history, self.advice, self.single)


class History(dict[str, list[float]]):
    """The metrics of a fit: a dict from names to lists with one number per epoch.

    - "loss" is the training loss. Each sample's loss is measured before the update of its batch.
      With LBFGS and LevenbergMarquardt it is measured after the step of the epoch.
    - "val_loss", with validation data, is the loss of the held-out samples after the epoch. The
      loss's own metric is "val_accuracy", "val_rmse" or "val_coverage_error".
    - "learning_rate", with a schedule, is the rate of the epoch's last update.
    - "seconds" is the duration of the epoch.

    LevenbergMarquardt with `bayesian=True` adds metrics of its own.
    """

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={c[-1]:.6g}" for name, c in self.items() if c)
        return f"History({self._n_epochs} epochs{'; last: ' if last else ''}{last})"

    def _repr_html_(self) -> str:
        """Return the curve of the losses, and a table of the last epochs, for a notebook."""
        from fastnn import _html  # here, so that `import fastnn` stays fast

        n = self._n_epochs
        first = max(n - EPOCHS_SHOWN, 0)
        losses = {name: self[name] for name in ("loss", "val_loss") if self.get(name)}
        rows = [
            (str(epoch + 1), *(f"{c[epoch]:.6g}" if epoch < len(c) else "" for c in self.values()))
            for epoch in range(first, n)
        ]
        caption = f"{type(self).__name__}: {n:,} epochs" + (
            f", of which the last {n - first} are in the table" if first else ""
        )
        table = _html.table(caption, ("epoch", *self), rows, n_texts=0)
        return f"<div>{_html.curves(losses, 'epoch')}{table}</div>"

    @property
    def _n_epochs(self) -> int:
        return max(map(len, self.values()), default=0)
