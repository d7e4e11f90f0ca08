"""The learning curve of a fit."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from fastnn.plots.figure import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LearningCurveDisplay:
    """Learning curve of a fit: the loss and a validation metric of each epoch.

    As in scikit-learn's displays, `from_history` draws, and `plot` draws again on other axes.

    Parameters
    ----------
    history : mapping of str to sequence of float
        What `Network.fit` returns: one value per epoch for "loss" and, with validation data, for
        "val_loss" and a metric such as "val_accuracy".

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the losses.
    metric_ax_ : matplotlib Axes or None
        The axes with the validation metric. They share the epochs with `ax_`.
    figure_ : matplotlib Figure
        The figure that contains both.

    Examples
    --------
    >>> X, y = fn.datasets.load_digits()
    >>> net = fn.Network([fn.Linear(64, 10)], seed=0)
    >>> history = net.fit(X, y, epochs=5, validation_data=0.2, seed=0)
    >>> display = fn.plots.LearningCurveDisplay.from_history(history)
    >>> display.figure_.savefig("curve.png")
    """

    def __init__(self, history: Mapping[str, Sequence[float]]) -> None:
        self.history = history

    @classmethod
    def from_history(
        cls, history: Mapping[str, Sequence[float]], *, ax: "Axes | None" = None
    ) -> Self:
        """Return a display with the learning curve of `history` drawn.

        Parameters
        ----------
        history : mapping of str to sequence of float
            What `Network.fit` returns.
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.

        Returns
        -------
        LearningCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        return cls(history).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the learning curve and return this display.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.

        Returns
        -------
        LearningCurveDisplay
            This display, with `ax_`, `metric_ax_` and `figure_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes() if ax is None else ax
        from matplotlib.ticker import MaxNLocator

        epochs = range(1, len(self.history["loss"]) + 1)
        lines = ax.plot(epochs, self.history["loss"], label="training loss")
        if "val_loss" in self.history:
            lines += ax.plot(epochs, self.history["val_loss"], label="validation loss")
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))

        metrics = [key for key in self.history if key.startswith("val_") and key != "val_loss"]
        self.metric_ax_ = ax.twinx() if metrics else None
        if self.metric_ax_ is not None:
            name = metrics[0].removeprefix("val_")
            lines += self.metric_ax_.plot(
                epochs, self.history[metrics[0]], "C2--", label=f"validation {name}"
            )
            self.metric_ax_.set_ylabel(name)
        # The axes drawn last have one legend for both. Converged curves are rarely at its place.
        (self.metric_ax_ or ax).legend(handles=lines, loc="center right")
        self.ax_ = ax
        self.figure_: Any = ax.figure
        return self
