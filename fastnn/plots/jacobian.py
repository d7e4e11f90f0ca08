"""The Jacobian of a network, as a matrix or as images."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.network import Network
from fastnn.plots.figure import checked_network, grid_in, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS_A_ROW = 5


class JacobianDisplay:
    """Jacobian of a network at one sample: how each feature changes each output.

    If the features are the pixels of an image, it is drawn as one image for each output, else as a
    matrix with one row for each output and one column for each feature. All entries share one
    colour scale: white at 0, red above and blue below.

    As in scikit-learn's displays, `from_network` draws, and `plot` draws again on other axes.

    Parameters
    ----------
    jacobian : array_like (out_features, in_features)
        What `Network.jacobian` returns for one sample.
    image_shape : (height, width), optional
        The shape of the image whose pixels, row by row, are the features. By default the features
        are not an image.
    class_labels : list of str, int, float or bool, optional
        Names of the outputs. By default they are numbered.
    feature_names : list of str, optional
        Names of the features, for a matrix. By default they are numbered.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One element for each output, or a single one for the matrix.
    figure_ : matplotlib Figure
        The figure that contains them.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit the Jacobian.

    Examples
    --------
    >>> X, y = fn.datasets.load_digits()
    >>> net = fn.Network([fn.Linear(64, 10)], seed=0)
    >>> display = fn.plots.JacobianDisplay.from_network(net, X[0], image_shape=(8, 8))
    >>> display.figure_.savefig("jacobian.png")
    """

    def __init__(
        self,
        jacobian: Any,
        *,
        image_shape: tuple[int, int] | None = None,
        class_labels: Sequence[Any] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.jacobian = _checks.real_array(jacobian, "jacobian", np.dtype(np.float64))
        if self.jacobian.ndim != 2 or self.jacobian.size == 0:
            raise ValueError(
                f"jacobian has shape {self.jacobian.shape}; the Jacobian of one sample, "
                f"(out_features, in_features), is wanted"
            )
        n_out, n_in = self.jacobian.shape
        self.image_shape = _checked_image_shape(image_shape, n_in)
        self.class_labels = _checks.names(
            class_labels, "class_labels", n_out, (str, int, float, bool)
        )
        self.feature_names = _checks.names(feature_names, "feature_names", n_in, (str,))

    @classmethod
    def from_network(
        cls,
        net: Network,
        X: Any,
        *,
        image_shape: tuple[int, int] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Return a display with the Jacobian of `net` at a sample drawn.

        Parameters
        ----------
        net : Network
            The network. Its `class_labels` and `feature_names` name outputs and features.
        X : array_like (in_features,) or (1, in_features)
            The sample.
        image_shape : (height, width), optional
            The shape of the image whose pixels, row by row, are the features. By default the
            features are not an image.
        ax : matplotlib Axes, optional
            As for `plot`.

        Returns
        -------
        JacobianDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            If an argument does not fit the network.
        """
        net = checked_network(net)
        x, _ = net._inputs.samples(X)
        if len(x) != 1:
            raise ValueError(f"X has shape {x.shape}; a single sample is wanted, such as X[0]")
        labels = net.class_labels
        if labels is not None:
            labels = labels[-net.out_features :]  # a single output belongs to the second class
        display = cls(
            net.jacobian(x[0]),
            image_shape=image_shape,
            class_labels=labels,
            feature_names=net.feature_names,
        )
        return display.plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the Jacobian and return this display.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on, made by `subplots`; by default those of a new figure. If there are
            images, the axes become invisible and the images are drawn in their place.

        Returns
        -------
        JacobianDisplay
            This display, with `axes_` and `figure_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `image_shape` is given and `ax` was not made by `subplots`.
        """
        self.axes_: Array
        limit = np.abs(self.jacobian).max() or 1.0  # a scale from 0 to 0 has no white
        colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        if self.image_shape is None:
            self._plot_matrix(new_axes() if ax is None else ax, colours)
        else:
            self._plot_images(ax, self.image_shape, colours)
        axes = self.axes_.tolist()
        self.figure_: Any = axes[0].figure
        self.figure_.colorbar(axes[0].images[0], ax=axes, label="∂ output / ∂ feature")
        return self

    def _plot_matrix(self, ax: "Axes", colours: Mapping[str, Any]) -> None:
        from matplotlib.ticker import MaxNLocator

        ax.imshow(self.jacobian, aspect="auto", interpolation="nearest", **colours)
        ax.set(xlabel="feature", ylabel="output")
        for axis, names in ((ax.xaxis, self.feature_names), (ax.yaxis, self.class_labels)):
            if names is None:
                axis.set_major_locator(MaxNLocator(integer=True))
            else:
                axis.set_ticks(range(len(names)), [str(name) for name in names], parse_math=False)
        if self.feature_names is not None:
            ax.tick_params("x", rotation=90)
        self.axes_ = np.array([ax])

    def _plot_images(
        self, ax: "Axes | None", shape: tuple[int, int], colours: Mapping[str, Any]
    ) -> None:
        n = len(self.jacobian)
        n_columns = min(n, PANELS_A_ROW)
        n_rows = -(-n // n_columns)
        if ax is None:
            ax = new_axes(figsize=(1.2 * n_columns + 1, 1.4 * n_rows + 0.2))
        self.axes_ = grid_in(ax, n_rows, n_columns).ravel()[:n]
        titles = range(n) if self.class_labels is None else self.class_labels
        for panel, row, title in zip(self.axes_, self.jacobian, titles, strict=True):
            panel.set(xticks=[], yticks=[])
            panel.imshow(row.reshape(shape), interpolation="nearest", **colours)
            panel.set_title(str(title), parse_math=False)


def _checked_image_shape(value: Any, n_features: int) -> tuple[int, int] | None:
    """Return the checked (height, width) of an image of n_features pixels, or None."""
    if value is None:
        return None
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"image_shape is {value!r}; a pair (height, width) is wanted")
    height, width = (
        _checks.integer(side, f"image_shape[{i}]", at_least=1) for i, side in enumerate(value)
    )
    if height * width != n_features:
        raise ValueError(
            f"image_shape is ({height}, {width}), which is {height * width} pixels; {n_features}, "
            f"one for each feature, are wanted"
        )
    return height, width
