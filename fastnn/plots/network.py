"""A diagram of a network: its units in columns, joined by lines."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.layers import Layer, Linear
from fastnn.network import Network
from fastnn.plots.figure import checked_network, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLUMNS = 14  # a deeper network is shortened in the middle
COLUMN_INCHES = 1.25
RADIUS = 0.16  # of a unit; neighbours in a column have the distance 0.5


@dataclass
class Column:
    """The units of one place in the network.

    Attributes
    ----------
    width : int
        The number of units.
    names : list of str
        The names of the layers that end at these units, in order.
    linear : Linear or None
        The layer with the weights of the lines from the column before; None if there is none.
    """

    width: int
    names: list[str]
    linear: Linear | None


class NetworkDisplay:
    """Diagram of a network: a column of units for the inputs and for each layer with weights.

    The widths are written above the columns, and the layers below. A column with more units than
    `max_units` shows the first and the last ones, with dots between them. A network with more than
    14 columns is shortened in the middle.

    As in scikit-learn's displays, `from_network` draws, and `plot` draws again on other axes.

    Parameters
    ----------
    net : Network
        The network. Its `feature_names` and `class_labels` name inputs and outputs.
    max_units : int
        The most units that are drawn in a column, at least 2. By default 8.
    weights : bool
        Whether the lines have the colours of the weights: red above 0 and blue below, on one scale
        for all layers. By default False.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the diagram.
    figure_ : matplotlib Figure
        The figure that contains them.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.

    Examples
    --------
    >>> net = fn.Network([fn.Linear(2, 16), fn.Tanh(), fn.Linear(16, 3)], seed=0)
    >>> display = fn.plots.NetworkDisplay.from_network(net, weights=True)
    >>> display.figure_.savefig("network.png")
    """

    def __init__(self, net: Network, *, max_units: int = 8, weights: bool = False) -> None:
        self.net = checked_network(net)
        self.max_units = _checks.integer(max_units, "max_units", at_least=2)
        self.weights = _checks.boolean(weights, "weights")

    @classmethod
    def from_network(
        cls, net: Network, *, max_units: int = 8, weights: bool = False, ax: "Axes | None" = None
    ) -> Self:
        """Return a display with the diagram of `net` drawn.

        Parameters
        ----------
        net, max_units, weights
            As for the class.
        ax : matplotlib Axes, optional
            As for `plot`.

        Returns
        -------
        NetworkDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            If an argument is invalid.
        """
        return cls(net, max_units=max_units, weights=weights).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the diagram and return this display.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure, whose size suits the network.

        Returns
        -------
        NetworkDisplay
            This display, with `ax_` and `figure_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        columns = _columns(self.net)
        hidden = len(columns) - MOST_COLUMNS
        drawn: list[Column | None] = list(columns)
        if hidden > 0:
            half = MOST_COLUMNS // 2
            drawn[half:-half] = [None]
        tallest = max(min(column.width, self.max_units) for column in columns)
        n_lines = max(len(column.names) for column in columns)
        if ax is None:
            size = (COLUMN_INCHES * len(drawn) + 1, 0.38 * tallest + 0.2 * n_lines + 1)
            ax = new_axes(figsize=size)
        ax.set_axis_off()
        limit = max(
            (np.abs(c.linear.weight).max(initial=0) for c in columns if c.linear), default=0
        )
        before: tuple[float, Array, Array] | None = None  # place, units and heights of a column
        for i, column in enumerate(drawn):
            x = 2.0 * i
            if column is None:
                ax.text(x, 0, "…", ha="center", va="center", fontsize=18)
                ax.text(x, -tallest / 4 - 0.35, f"{hidden} more", ha="center", va="top", fontsize=8)
                before = None
                continue
            units, heights = self._units(column.width)
            if before is not None:
                self._draw_lines(ax, before, (x, units, heights), column.linear, limit)
            self._draw_column(ax, x, column, heights, tallest)
            before = x, units, heights
        self._draw_names(ax, columns, 2.0 * (len(drawn) - 1))
        ax.set_aspect("equal", adjustable="datalim")
        ax.autoscale_view()
        ax.margins(0.04)
        if self.weights and limit:
            self._draw_scale(ax, limit)
        self.ax_ = ax
        self.figure_: Any = ax.figure
        return self

    def _units(self, width: int) -> tuple[Array, Array]:
        """Return the units of a column that are drawn, and their heights around 0."""
        if width <= self.max_units:
            return np.arange(width), (np.arange(width) - (width - 1) / 2) * -0.5
        first = (self.max_units - 1) // 2 + (self.max_units - 1) % 2
        last = self.max_units - 1 - first
        places = np.delete(np.arange(self.max_units), first)  # a gap for the dots
        units = np.concatenate([np.arange(first), np.arange(width - last, width)])
        return units, (places - (self.max_units - 1) / 2) * -0.5

    def _draw_column(
        self, ax: "Axes", x: float, column: Column, heights: Array, tallest: int
    ) -> None:
        from matplotlib.collections import PatchCollection
        from matplotlib.patches import Circle

        circles = [Circle((x, height), RADIUS) for height in heights]
        ax.add_collection(
            PatchCollection(circles, facecolor="white", edgecolor="0.25", linewidth=1, zorder=2)
        )
        if len(heights) < column.width:
            gap = heights[(len(heights) + 1) // 2 - 1] - 0.5
            for offset in (-0.12, 0, 0.12):
                ax.add_patch(Circle((x, gap + offset), 0.03, color="0.25", zorder=2))
        top = tallest / 4 + 0.1
        ax.text(x, top, f"{column.width:,}", ha="center", va="bottom", fontsize=10)
        ax.text(x, -top, "\n".join(column.names), ha="center", va="top", fontsize=8)

    def _draw_lines(
        self,
        ax: "Axes",
        before: tuple[float, Array, Array],
        here: tuple[float, Array, Array],
        linear: Linear | None,
        limit: float,
    ) -> None:
        """Draw the lines between two columns."""
        from matplotlib.collections import LineCollection

        (x0, units0, heights0), (x1, units1, heights1) = before, here
        lines = [[(x0, y0), (x1, y1)] for y1 in heights1 for y0 in heights0]
        style: dict[str, Any] = {"colors": "0.75", "linewidths": 0.5}
        if self.weights and linear is not None and limit:
            values = linear.weight[np.ix_(units1, units0)].ravel() / limit
            style = {"array": values, "cmap": "RdBu_r", "clim": (-1, 1)}
            style["linewidths"] = 0.3 + 1.7 * np.abs(values)
        ax.add_collection(LineCollection(lines, zorder=1, **style))

    def _draw_names(self, ax: "Axes", columns: list[Column], x_last: float) -> None:
        """Write the names of inputs and outputs beside their units."""
        labels = self.net.class_labels
        if labels is not None:
            labels = labels[-self.net.out_features :]  # a single output belongs to the second class
        sides = (
            (self.net.feature_names, columns[0].width, 0.0, -1),
            (labels, columns[-1].width, x_last, 1),
        )
        for names, width, x, side in sides:
            units, heights = self._units(width)
            if names is None or len(names) != width:
                continue
            for unit, height in zip(units, heights, strict=True):
                ax.text(
                    x + side * (RADIUS + 0.1),
                    height,
                    str(names[unit]),
                    ha="left" if side > 0 else "right",
                    va="center",
                    fontsize=8,
                    parse_math=False,
                )

    def _draw_scale(self, ax: "Axes", limit: float) -> None:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        colours = ScalarMappable(Normalize(-limit, limit), "RdBu_r")
        ax.figure.colorbar(colours, ax=ax, label="weight", shrink=0.7)


def _columns(net: Network) -> list[Column]:
    """Return the inputs, and a column for each layer that joins units or changes their number.

    The other layers act on each unit alone, or on the column; their names are added to it.
    """
    columns = [Column(net.in_features, ["input"], None)]
    for layer in net.layers:
        width = layer.width_after(columns[-1].width)
        if isinstance(layer, Linear):
            columns.append(Column(width, ["Linear"], layer))
        elif width != columns[-1].width:
            columns.append(Column(width, [_name(layer)], None))
        else:
            columns[-1].names.append(_name(layer))
    return columns


def _name(layer: Layer) -> str:
    return type(layer).__name__
