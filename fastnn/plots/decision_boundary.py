"""What a network predicts over a plane of two features."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.layers import LogSoftmax, Sigmoid, Softmax
from fastnn.network import Network
from fastnn.plots.figure import checked_network, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESPONSES = ("auto", "class", "probability", "output")


class DecisionBoundaryDisplay:
    """Predictions of a network over a plane of two features, with samples as points.

    - Classes: each has a colour, and lines separate them.
    - Probabilities: the colour of each class, in proportion to its probability. White lines
      separate the classes.
    - An output, for regression: contours with a colour scale. The points have the colours of their
      targets on the same scale.

    As in scikit-learn's displays, `from_network` draws, and `plot` draws again on other axes.

    Parameters
    ----------
    xx0, xx1 : ndarray (n_rows, n_columns)
        The values of the two features on a grid, as `numpy.meshgrid` returns them.
    response : ndarray (n_rows, n_columns, n_classes) or (n_rows, n_columns)
        The probabilities of the classes, or the values of one output.
    kind : {"class", "probability", "output"}
        What to draw.
    points : ndarray (n, 2), optional
        The two features of samples.
    targets : ndarray (n,), optional
        Their classes as indices, or their targets.
    class_labels : list, optional
        The names of the classes. By default they are numbered.
    xlabel, ylabel : str
        The names of the two features.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the plane.
    figure_ : matplotlib Figure
        The figure that contains them.
    surface_ : matplotlib AxesImage or QuadContourSet
        The coloured plane.

    Examples
    --------
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = fn.Network([fn.Linear(2, 8), fn.Tanh(), fn.Linear(8, 2)], seed=0)
    >>> display = fn.plots.DecisionBoundaryDisplay.from_network(net, X, y)
    >>> display.figure_.savefig("boundary.png")
    """

    def __init__(
        self,
        xx0: Array,
        xx1: Array,
        response: Array,
        *,
        kind: str = "class",
        points: Array | None = None,
        targets: Array | None = None,
        class_labels: "Sequence[Any] | None" = None,
        xlabel: str = "",
        ylabel: str = "",
    ) -> None:
        self.xx0, self.xx1, self.response = xx0, xx1, response
        self.kind = _checks.choice(kind, "kind", RESPONSES[1:])
        self.points, self.targets = points, targets
        self.class_labels = class_labels
        self.xlabel, self.ylabel = xlabel, ylabel

    @classmethod
    def from_network(
        cls,
        net: Network,
        X: Any,
        y: Any = None,
        *,
        features: "tuple[int, int] | tuple[str, str]" = (0, 1),
        response: str = "auto",
        output: int = 0,
        grid_resolution: int = 200,
        ax: "Axes | None" = None,
    ) -> Self:
        """Return a display with the predictions of `net` around the samples drawn.

        Parameters
        ----------
        net : Network
            The network, with at least two inputs. Its `class_labels` and `feature_names` name
            classes and features.
        X : array_like (n, in_features)
            Samples. They give the range of the plane, and the medians of the other features, at
            which these are fixed.
        y : array_like (n,) or (n, out_features), optional
            The targets of the samples: class indices for classes and probabilities, else numbers.
            By default the points have no colours.
        features : pair of int or of str
            The two features, by place or by name. By default the first two.
        response : {"auto", "class", "probability", "output"}
            What to draw. "auto", the default, means "class" if the network has several outputs or
            `class_labels`, else "output". A single output is the logit of the second class, or its
            probability after Sigmoid. Several outputs are logits, or probabilities after Softmax.
        output : int
            Which output to draw, for the response "output". By default the first.
        grid_resolution : int
            The number of values of each feature, at least 2. By default 200.
        ax : matplotlib Axes, optional
            As for `plot`.

        Returns
        -------
        DecisionBoundaryDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            If an argument is invalid or does not fit the network.
        """
        net = checked_network(net)
        x = net._inputs.sample_matrix(X, "X").astype(np.float64)
        chosen = _feature_indices(features, net)
        n = _checks.integer(grid_resolution, "grid_resolution", at_least=2)
        _checks.demand_memory(n * n * (net.in_features + net.out_features), n, "grid_resolution")
        kind = _checks.choice(response, "response", RESPONSES)
        if kind == "auto":
            is_classifier = net.out_features > 1 or net.class_labels is not None
            kind = "class" if is_classifier else "output"
        output = _checks.integer(output, "output", at_least=0)
        if output >= net.out_features:
            raise ValueError(f"output is {output}; at most {net.out_features - 1} is wanted")
        points = x[:, chosen]
        xx0, xx1 = np.meshgrid(*(_range(column, n) for column in points.T))
        grid = np.tile(np.median(x, axis=0), (n * n, 1))
        grid[:, chosen] = np.stack([xx0.ravel(), xx1.ravel()], axis=1)
        outputs = net.predict(grid).astype(np.float64)
        if kind == "output":
            values, targets = outputs[:, output], _numbers(y, len(x), net.out_features, output)
        else:
            values = _probabilities(outputs, net)
            n_classes = values.shape[1]
            targets = None if y is None else _checks.class_labels(y, "y", len(x), n_classes)
        names = net.feature_names or [f"feature {i}" for i in range(net.in_features)]
        display = cls(
            xx0,
            xx1,
            values.reshape(n, n, *values.shape[1:]),
            kind=kind,
            points=points,
            targets=targets,
            class_labels=net.class_labels,
            xlabel=names[chosen[0]],
            ylabel=names[chosen[1]],
        )
        return display.plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the predictions and return this display.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.

        Returns
        -------
        DecisionBoundaryDisplay
            This display, with `ax_`, `figure_` and `surface_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes() if ax is None else ax
        if self.kind == "output":
            self._plot_output(ax)
        else:
            self._plot_classes(ax)
        ax.set_xlabel(self.xlabel, parse_math=False)
        ax.set_ylabel(self.ylabel, parse_math=False)
        ax.set_xlim(self.xx0.min(), self.xx0.max())
        ax.set_ylim(self.xx1.min(), self.xx1.max())
        self.ax_ = ax
        self.figure_: Any = ax.figure
        return self

    def _plot_classes(self, ax: "Axes") -> None:
        from matplotlib import colormaps
        from matplotlib.lines import Line2D

        n = self.response.shape[2]
        name = "tab10" if n <= 10 else "tab20" if n <= 20 else "turbo"
        places = np.arange(n) if n <= 20 else np.linspace(0, 1, n)
        colours = colormaps[name](places)[:, :3]
        probabilities = self.response
        if self.kind == "class":
            probabilities = np.eye(n)[probabilities.argmax(axis=2)]
        image = 0.45 * (probabilities @ colours) + 0.55  # light, so that points stand out
        left, right = self.xx0[0, 0], self.xx0[0, -1]
        low, high = self.xx1[0, 0], self.xx1[-1, 0]
        half = (right - left) / (self.xx0.shape[1] - 1) / 2, (high - low) / (len(self.xx1) - 1) / 2
        self.surface_: Any = ax.imshow(
            np.clip(image, 0, 1),
            extent=(left - half[0], right + half[0], low - half[1], high + half[1]),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
        )
        for k in range(n if n > 2 else 1):
            others = np.delete(self.response, k, axis=2).max(axis=2)
            margin = self.response[:, :, k] - others
            if margin.min() < 0 < margin.max():
                line = "white" if self.kind == "probability" else "0.3"
                ax.contour(self.xx0, self.xx1, margin, [0], colors=line, linewidths=1)
        style: dict[str, Any] = {"s": 18, "linewidths": 0.5, "edgecolors": "0.15", "zorder": 3}
        if self.points is not None:
            face = "white" if self.targets is None else colours[self.targets]
            ax.scatter(self.points[:, 0], self.points[:, 1], c=face, **style)
        labels = range(n) if self.class_labels is None else self.class_labels
        handles = [
            Line2D([], [], ls="", marker="o", mfc=colour, mec="0.15", mew=0.5, label=str(label))
            for colour, label in zip(colours, labels, strict=True)
        ]
        legend = ax.legend(
            handles=handles,
            title="class",
            loc="upper left",
            bbox_to_anchor=(1.01, 1),
            ncols=-(-n // 15),
            borderaxespad=0,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)

    def _plot_output(self, ax: "Axes") -> None:
        from matplotlib.ticker import MaxNLocator

        values = self.response if self.targets is None else np.append(self.response, self.targets)
        low, high = float(values.min()), float(values.max())
        if low == high:
            low, high = low - 0.5, high + 0.5
        levels = MaxNLocator(20).tick_values(low, high)
        colours: dict[str, Any] = {"cmap": "viridis", "vmin": levels[0], "vmax": levels[-1]}
        self.surface_ = ax.contourf(self.xx0, self.xx1, self.response, levels, **colours)
        if self.points is not None:
            style: dict[str, Any] = {"s": 18, "linewidths": 0.5, "edgecolors": "white"}
            fill = {"c": "0.2"} if self.targets is None else {"c": self.targets, **colours}
            ax.scatter(self.points[:, 0], self.points[:, 1], **fill, **style)
        ax.figure.colorbar(self.surface_, ax=ax, label="output")


def _feature_indices(features: Any, net: Network) -> list[int]:
    """Return the places of two different features, given by place or by name."""
    if net.in_features < 2:
        raise ValueError("net has 1 input; a network with two or more is wanted")
    if not isinstance(features, tuple | list) or len(features) != 2:
        raise TypeError(f"features is {features!r}; a pair of features is wanted")
    names, found = net.feature_names, []
    for i, feature in enumerate(features):
        if isinstance(feature, str):
            if names is None or feature not in names:
                raise ValueError(f"features[{i}] is {feature!r}, which is not in feature_names")
            found.append(names.index(feature))
            continue
        found.append(_checks.integer(feature, f"features[{i}]", at_least=0))
        if found[i] >= net.in_features:
            raise ValueError(
                f"features[{i}] is {feature!r}; at most {net.in_features - 1} is wanted"
            )
    if found[0] == found[1]:
        raise ValueError(f"features is {features!r}; two different features are wanted")
    return found


def _range(column: Array, n: int) -> Array:
    """Return n values that cover the samples with a margin of a tenth at each side."""
    low, high = column.min(), column.max()
    margin = (high - low) / 10 or max(abs(low) / 10, 1.0)
    return np.linspace(low - margin, high + margin, n)


def _probabilities(outputs: Array, net: Network) -> Array:
    """Return the probabilities (n, n_classes) for outputs; one output belongs to the second class.

    Raises
    ------
    ValueError
        If the last layer is Sigmoid and there are several outputs, which do not exclude each other.
    """
    last = net.layers[-1]
    if outputs.shape[1] == 1:
        second = outputs if isinstance(last, Sigmoid) else 0.5 * (1 + np.tanh(outputs / 2))
        return np.concatenate([1 - second, second], axis=1)
    if isinstance(last, Sigmoid):
        raise ValueError(
            "net ends with Sigmoid and has several outputs, which are no classes; the response "
            "'output' is wanted"
        )
    if isinstance(last, Softmax):
        return outputs
    if isinstance(last, LogSoftmax):
        return np.exp(outputs)
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    probabilities: Array = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def _numbers(y: Any, n: int, n_outputs: int, output: int) -> Array | None:
    """Return the targets of one output."""
    if y is None:
        return None
    array = _checks.real_array(y, "y", np.dtype(np.float64))
    if array.shape == (n,) and n_outputs == 1:
        return array
    if array.shape != (n, n_outputs):
        raise ValueError(f"y has shape {array.shape}; ({n}, {n_outputs}) is wanted")
    return array[:, output]
