"""New axes, grids of axes, and checks that all figures share."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.network import Network

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def new_axes(figsize: tuple[float, float] | None = None) -> "Axes":
    """Return the axes of a new figure.

    Parameters
    ----------
    figsize : (float, float), optional
        Width and height in inches; by default matplotlib's.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install matplotlib") from error
    return pyplot.subplots(layout="constrained", figsize=figsize)[1]


def grid_in(ax: "Axes", n_rows: int, n_columns: int) -> Array:
    """Return new axes (n_rows, n_columns) in the place of other axes, which become invisible.

    Raises
    ------
    ValueError
        If `ax` was not made by `subplots`.
    """
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError("ax has no place in a grid; axes made by subplots are wanted")
    ax.set_axis_off()
    grid = place.subgridspec(n_rows, n_columns)
    panels = [ax.figure.add_subplot(grid[i, j]) for i in range(n_rows) for j in range(n_columns)]
    return np.array(panels, object).reshape(n_rows, n_columns)


def checked_network(net: Any) -> Network:
    """Return `net`, which must be a Network."""
    if not isinstance(net, Network):
        raise TypeError(f"net is {net!r}; a Network is wanted")
    return net
