"""The piecewise-linear embedding of numeric columns."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.layers.column_embedding import ColumnEmbedding


class PiecewiseLinearEmbedding(ColumnEmbedding):
    """Replace columns x by W e(x) + b, where e is the piecewise-linear encoding by bins.

    With the edges e_0 < e_1 < … of a column, the number for the bin t is
    (x - e_t) / (e_t+1 - e_t), limited to [0, 1]. So it is 1 for the bins below x, 0 for those
    above, and the place of x within its own bin. The first bin has no lower limit, and the last bin
    no upper one (Gorishniy et al. 2022). The embedding is a linear spline of x with a learned value
    at each edge. The first `columns` columns are embedded; all others follow unchanged.

    Parameters
    ----------
    in_features : int
        The width of the input.
    columns : int, optional
        How many columns are embedded, from the first one; by default all of them.
    bins : sequence of array_like
        The edges of the bins for each embedded column: at least two numbers, ascending. Columns may
        have different numbers of bins. `from_data` computes them as quantiles.
    size : int
        How many numbers the embedding of a column has; by default 16.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or of the wrong type. A network raises ValueError if two
        edges are equal in its dtype.

    Notes
    -----
    The edges are constants: training does not change them, and a model file holds them. The
    parameters are `weight` (columns, size, most bins of a column) and `bias` (columns, size),
    initially uniform in ±1/√(most bins). If a column has fewer bins, its other weights have no
    effect. At an edge, the derivative by x is the one from below.
    """

    kind: ClassVar[str] = "piecewise_linear_embedding"

    def __init__(
        self, in_features: int, columns: int | None = None, *, bins: "Sequence[Any]", size: int = 16
    ) -> None:
        self._set_widths(in_features, columns, size)
        if not isinstance(bins, list | tuple | np.ndarray):
            raise TypeError(f"bins is {bins!r}; a list with the edges of each column is wanted")
        if len(bins) != self.columns:
            raise ValueError(
                f"bins has the edges of {len(bins)} columns; {self.columns}, one for each embedded "
                f"column, is wanted"
            )
        edges = [_edges(own, f"bins[{i}]") for i, own in enumerate(bins)]
        self.n_bins = tuple(own.size - 1 for own in edges)
        most = max(self.n_bins)
        # a row for each column: the number of bins, the edges, and zeros up to a common width
        constants = np.zeros((self.columns, most + 2))
        for row, own in zip(constants, edges, strict=True):
            row[0] = own.size - 1
            row[1 : own.size + 1] = own
        self._constants = constants.ravel()
        self.n_constants = constants.size
        self._set_features(most, False)

    @classmethod
    def from_data(
        cls, X: Any, columns: int | None = None, *, bins: int = 48, size: int = 16
    ) -> "PiecewiseLinearEmbedding":
        """Return a layer whose edges are quantiles of the columns of X (n, n_features).

        Parameters
        ----------
        X : array_like (n, n_features)
            With at least one row. It is read one column at a time.
        columns : int, optional
            How many columns are embedded, from the first one; by default all of them.
        bins : int
            How many bins a column has; by default 48. Equal quantiles are joined, so columns with
            few values have fewer bins. A constant column has one bin, of width 1.
        size : int
            By default 16.

        Raises
        ------
        ValueError, TypeError
            If X is not a matrix of finite real numbers with at least one row and column.
        """
        bins = _checks.integer(bins, "bins", at_least=1)
        data = _checks.numeric_array(X, "X")
        if data.ndim != 2 or data.size == 0:
            raise ValueError(f"X has shape {data.shape}; (n, n_features) is wanted")
        count = data.shape[1] if columns is None else columns
        count = min(_checks.integer(count, "columns", at_least=1), data.shape[1])
        quantiles = np.linspace(0, 1, bins + 1)
        edges = []
        for i in range(count):
            column = _checks.real_array(data[:, i], f"X[:, {i}]", np.dtype(np.float64))
            own = np.quantile(column, quantiles)
            if data.dtype == np.float32:
                own = own.astype(np.float32).astype(np.float64)
            own = np.unique(own)
            edges.append(own if own.size > 1 else _unit_bin(own[0]))
        return cls(data.shape[1], columns, bins=edges, size=size)

    @property
    def bins(self) -> list[Array]:
        """The edges of the bins of each column, read-only."""
        rows = self._read_only_constants().reshape(self.columns, -1)
        return [row[1 : n + 2] for row, n in zip(rows, self.n_bins, strict=True)]

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the numbers of bins in place of the edges."""
        return {
            "in_features": self.in_features,
            "columns": self.columns,
            "n_bins": list(self.n_bins),
            "size": self.size,
        }

    def arrays(self) -> dict[str, Array]:
        """Return weight, bias and the edges of all columns."""
        return {**super().arrays(), "edges": np.concatenate(self.bins)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], arrays: dict[str, Array]
    ) -> "PiecewiseLinearEmbedding":
        """Return a new layer, made from the results of `config()` and `arrays()`."""
        arguments, own = dict(config), dict(arrays)
        edges, n_bins = own.pop("edges"), arguments.pop("n_bins")
        sizes = [_checks.integer(n, "n_bins", at_least=1) + 1 for n in n_bins]
        if edges.shape != (sum(sizes),):
            raise ValueError(f"edges has shape {edges.shape}; ({sum(sizes)},) is wanted")
        arguments["bins"] = np.split(edges, np.cumsum(sizes)[:-1])
        return super().from_config(arguments, own)

    def demand_dtype(self, dtype: "np.dtype[Any]") -> None:
        """Raise ValueError if edges are equal or infinite in this dtype."""
        for i, edges in enumerate(self.bins):
            with np.errstate(over="ignore", under="ignore"):
                rounded = edges.astype(dtype)
                apart = np.isfinite(rounded).all() and (np.diff(rounded) > 0).all()
            if not apart:
                raise ValueError(
                    f"bins[{i}] has edges that are equal or infinite in {dtype}; standardised "
                    f"columns or a float64 network is wanted"
                )

    def _flat_constants(self, dtype: np.dtype[Any]) -> Array:
        self.demand_dtype(dtype)
        return super()._flat_constants(dtype)

    def kinks_at(self, x: Array) -> tuple[Array, Array] | None:
        """Return the inner edges (k, 1, columns) and the columns of x (n, columns)."""
        kinks = np.full((self._features - 1, 1, self.columns), np.inf)
        for i, edges in enumerate(self.bins):
            kinks[: edges.size - 2, 0, i] = edges[1:-1]
        return kinks, x[:, : self.columns]

    def __repr__(self) -> str:
        return (
            f"PiecewiseLinearEmbedding({self.in_features}, columns={self.columns}, "
            f"bins=[{_shown(self.n_bins)}], size={self.size})"
        )

    def _places(self, x: Array) -> tuple[Array, Array, Array]:
        """Return the bin of each column's x, its lower edge and its width, all (columns,)."""
        edges = [own.astype(x.dtype, copy=False) for own in self.bins]
        places = [np.searchsorted(own[1:-1], v) for own, v in zip(edges, x, strict=True)]
        lower = np.array([own[t] for own, t in zip(edges, places, strict=True)], x.dtype)
        upper = np.array([own[t + 1] for own, t in zip(edges, places, strict=True)], x.dtype)
        return np.array(places), lower, upper - lower

    def _values_of_features(self, x: Array) -> Array:
        places, lower, width = self._places(x)
        numbers = np.arange(self._features)
        encoding = (numbers < places[:, np.newaxis]).astype(x.dtype)
        encoding[np.arange(self.columns), places] = (x - lower) / width
        return encoding

    def _slopes(self, x: Array) -> Array:
        places, _, width = self._places(x)
        slopes = np.zeros((self.columns, self._features), x.dtype)
        slopes[np.arange(self.columns), places] = 1 / width
        return slopes

    def _by_params(self, x: Array) -> jacobians.Block:
        return jacobians.Block(self._by_weight_and_bias(x))


def _edges(value: Any, name: str) -> Array:
    """Return checked edges of bins in float64."""
    edges = _checks.real_array(value, name, np.dtype(np.float64), 1)
    if edges.size < 2:
        raise ValueError(f"{name} has {edges.size} edges; at least 2 are wanted")
    falls = np.flatnonzero(np.diff(edges) <= 0)
    if falls.size:
        i = int(falls[0])
        raise ValueError(
            f"{name} has {edges[i]:g} before {edges[i + 1]:g}; ascending edges are wanted"
        )
    return edges


def _unit_bin(lower: float) -> Array:
    """Return the edges of a bin of width 1, or of the least width that float32 can hold there."""
    return np.array([lower, lower + max(1.0, 1e-6 * abs(lower))])


def _shown(counts: Sequence[int]) -> str:
    return f"{len(counts)} columns of up to {max(counts)} bins"
