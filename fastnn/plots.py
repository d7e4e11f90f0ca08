"""Figures, drawn with matplotlib, which is imported when a figure is asked for."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LearningCurveDisplay:
    """Learning curve of a training: loss and validation metric per epoch.

    Follows scikit-learn's displays: `from_history` draws at once, `plot` draws again elsewhere.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value per epoch under "loss" and, with validation data, "val_loss" and one metric such
        as "val_accuracy"; what `Network.fit` returns.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the losses.
    metric_ax_ : matplotlib Axes or None
        Axes with the validation metric, which share the epochs with `ax_`.
    figure_ : matplotlib Figure
        Figure that holds both.

    Examples
    --------
    >>> history = net.fit(X, y, loss=fn.SoftmaxCrossEntropy(), optimizer=fn.Adam(), epochs=20,
    ...                   batch_size=32, validation_data=(Xv, yv))  # doctest: +SKIP
    >>> LearningCurveDisplay.from_history(history)  # doctest: +SKIP
    """

    def __init__(self, history: Mapping[str, Sequence[float]]) -> None:
        self.history = history

    @classmethod
    def from_history(
        cls, history: Mapping[str, Sequence[float]], *, ax: "Axes | None" = None
    ) -> Self:
        """Draw the learning curve of `history`.

        Parameters
        ----------
        history : mapping of str to sequence of float
            What `Network.fit` returns.
        ax : matplotlib Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        LearningCurveDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        return cls(history).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the learning curve.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        LearningCurveDisplay
            This object, with `ax_`, `metric_ax_` and `figure_` set.

        Raises
        ------
        ImportError
            matplotlib is not installed.
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
        # One legend for both, on the axes drawn last, where curves that have converged rarely run.
        (self.metric_ax_ or ax).legend(handles=lines, loc="center right")
        self.ax_ = ax
        self.figure_: Any = ax.figure
        return self


def new_axes() -> "Axes":
    """Return the axes of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install matplotlib") from error
    return pyplot.subplots(layout="constrained")[1]
