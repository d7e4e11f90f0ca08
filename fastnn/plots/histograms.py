"""Histograms of parameters and gradients, layer by layer."""

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.layers import Layer
from fastnn.layers.weighted import Parametrized
from fastnn.network import Network
from fastnn.plots.figure import checked_network, grid_in, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDES = ("parameters", "gradients")


class Values(NamedTuple):
    """The values of one layer: its name, and flat arrays by their names, such as "weight"."""

    name: str
    parameters: dict[str, Array]
    gradients: dict[str, Array]


class HistogramDisplay:
    """Histograms of a network's parameters and of their gradients: a row for each layer.

    They show layers whose weights do not move from 0, gradients that vanish towards the first
    layer, and values that grow without limit. The values are copied when the display is made.

    As in scikit-learn's displays, `from_network` draws, and `plot` draws again on other axes.

    Parameters
    ----------
    net : Network
        The network. Its `grads` are those of the last `backward` or of the last update of `fit`.
    bins : int
        The number of intervals between the smallest and the largest value of a layer. By default
        40.

    Attributes
    ----------
    axes_ : ndarray (n_layers, 2) of matplotlib Axes
        The parameters at the left and the gradients at the right, for each layer with parameters.
    figure_ : matplotlib Figure
        The figure that contains them.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, the network has no parameters, or a value is NaN or infinite.

    Examples
    --------
    >>> X, y = fn.datasets.load_digits()
    >>> net = fn.Network([fn.Linear(64, 32), fn.ReLU(), fn.Linear(32, 10)], seed=0)
    >>> history = net.fit(X, y, epochs=5, seed=0)
    >>> display = fn.plots.HistogramDisplay.from_network(net)
    >>> display.figure_.savefig("histograms.png")
    """

    def __init__(self, net: Network, *, bins: int = 40) -> None:
        net = checked_network(net)
        self.bins = _checks.integer(bins, "bins", at_least=1)
        self.layers = []
        first = 0
        for i, layer in enumerate(net.layers):
            part = slice(first, first + layer.n_params)
            first = part.stop
            if layer.n_params:
                sides = (_by_name(layer, flat[part]) for flat in (net.params, net.grads))
                self.layers.append(Values(f"{i}: {type(layer).__name__}", *sides))
        if not self.layers:
            raise ValueError("net has no parameters; a network with a Linear layer is wanted")
        for name, kind in (("params", net.params), ("grads", net.grads)):
            if not _checks.all_finite(kind):
                raise ValueError(f"net.{name} hold NaN or infinity; they have no histogram")

    @classmethod
    def from_network(cls, net: Network, *, bins: int = 40, ax: "Axes | None" = None) -> Self:
        """Return a display with the histograms of `net` drawn.

        Parameters
        ----------
        net, bins
            As for the class.
        ax : matplotlib Axes, optional
            As for `plot`.

        Returns
        -------
        HistogramDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            If an argument is invalid.
        """
        return cls(net, bins=bins).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the histograms and return this display.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes made by `subplots`, in whose place the histograms are drawn; by default those of a
            new figure.

        Returns
        -------
        HistogramDisplay
            This display, with `axes_` and `figure_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `ax` was not made by `subplots`.
        """
        n = len(self.layers)
        if ax is None:
            ax = new_axes(figsize=(7, 1.35 * n + 0.6))
        self.axes_ = grid_in(ax, n, 2)
        names = dict.fromkeys(name for layer in self.layers for name in layer.parameters)
        colors = {name: f"C{i}" for i, name in enumerate({"weight": None, "bias": None} | names)}
        for row, layer in zip(self.axes_, self.layers, strict=True):
            for panel, arrays in zip(row, layer[1:], strict=True):
                self._draw(panel, arrays, colors)
            row[0].set_ylabel(layer.name, fontsize=9)
        for panel, title in zip(self.axes_[0], SIDES, strict=True):
            panel.set_title(title, loc="left", fontsize=10)
        handles: dict[str, Any] = {}
        for panel in self.axes_.ravel():
            found, labels = panel.get_legend_handles_labels()
            handles |= dict(zip(labels, found, strict=True))
        self.axes_[0, 1].legend(
            handles.values(),
            handles.keys(),
            fontsize=8,
            loc="lower right",
            bbox_to_anchor=(1, 1),
            ncols=2,
            frameon=False,
            borderaxespad=0.2,
        )
        self.figure_: Any = ax.figure
        return self

    def _draw(self, panel: "Axes", arrays: dict[str, Array], colors: dict[str, str]) -> None:
        """Draw the shares of the values of each array in the same intervals."""
        values = np.concatenate(list(arrays.values()))
        low, high = values.min(), values.max()
        if high - low <= 1e-9 * np.abs(values).max():  # equal values are in the middle
            margin = abs(low) / 2 or 0.5
            low, high = low - margin, high + margin
        edges = np.linspace(low, high, self.bins + 1)
        for name, array in arrays.items():
            shares = np.histogram(array, edges)[0] / len(array)
            filled = name != "bias"
            panel.stairs(
                shares,
                edges,
                fill=filled,
                color=colors[name],
                alpha=0.6 if filled else 1,
                linewidth=1.2,
                label=name,
            )
        panel.axvline(0, color="0.6", linewidth=0.6, zorder=0)
        panel.set_ylim(0)
        panel.set_yticks([])
        panel.tick_params("x", labelsize=8)
        panel.locator_params("x", nbins=5)
        panel.ticklabel_format(axis="x", style="sci", scilimits=(-3, 3))
        panel.xaxis.get_offset_text().set_fontsize(8)


def _by_name(layer: Layer, flat: Array) -> dict[str, Array]:
    """Return copies of a layer's values in float64, by the names of its arrays."""
    values = flat.astype(np.float64)
    if not isinstance(layer, Parametrized):
        return {"all": values}
    return {name: array.ravel() for name, array in layer.split(values).items()}
