"""The operations of the embeddings of columns as statements in C."""

from collections.abc import Sequence

import numpy as np

from fastnn._core.arrays import Array
from fastnn.c_code.operations import Constants, Lines, Operation, Place, loop, zeroed


class Gather(Operation):
    """Some of the numbers, each at most once."""

    def __init__(self, constants: Constants, n_in: int, places: Sequence[int]) -> None:
        super().__init__(n_in, len(places))
        self._places = constants.add("places", np.array(places))

    def forward(self, x: Place, y: Place) -> Lines:
        """Return y = x[places]."""
        return loop(self.n_out, f"{y.element()} = ({x})[{self._places}[i]]")

    def push(self, kept: Place, dx: Place, dy: Place) -> Lines:
        """Return dy = dx[places]."""
        return self.forward(dx, dy)

    def pull(self, kept: Place, dy: Place, dx: Place) -> Lines:
        """Return dx with dy at the places, and zeros elsewhere."""
        assigned = loop(self.n_out, f"({dx})[{self._places}[i]] = {dy.element()}")
        return [*zeroed(dx, self.n_in), *assigned]


class Frequencies(Operation):
    """z = 2 pi w x + b for each frequency w (columns, n) of each column."""

    def __init__(self, constants: Constants, frequency: Array, phase: Array) -> None:
        self._columns, self._n = frequency.shape
        super().__init__(self._columns, frequency.size)
        self._frequency = constants.add("frequency", frequency)
        self._phase = constants.add("phase", phase)

    def forward(self, x: Place, y: Place) -> Lines:
        """Return z."""
        added = f"{y.element()} = {self._phase}[i] + {y.element()}"
        return [*self.push(Place(""), x, y), *loop(self.n_out, added)]

    def push(self, kept: Place, dx: Place, dy: Place) -> Lines:
        """Return 2 pi w dx."""
        return [f"@expand({dx}, {self._arguments()}, {dy});"]

    def pull(self, kept: Place, dy: Place, dx: Place) -> Lines:
        """Return the sums of 2 pi w dy."""
        return [f"@contract({dy}, {self._arguments()}, {dx});"]

    def _arguments(self) -> str:
        return f"{self._frequency}, R(6.283185307179586), {self._columns}, {self._n}"


class Encoding(Operation):
    """The piecewise-linear encoding of each column; it keeps the places and widths of the bins."""

    def __init__(self, constants: Constants, edges: Array) -> None:
        self._columns, self._n = edges.shape[0], edges.shape[1] - 2
        super().__init__(self._columns, self._columns * self._n)
        self.n_kept = 2 * self._columns
        self._edges = constants.add("edges", edges)

    def forward(self, x: Place, y: Place) -> Lines:
        """Return the encoding."""
        return [f"@encode({x}, {self._edges}, {self._columns}, {self._n}, {y});"]

    def linearize(self, x: Place, y: Place, kept: Place) -> Lines:
        """Return the encoding, and what its slopes need."""
        places = f"{kept}, {kept.after(self._columns)}"
        slopes = f"@encode_slope({x}, {self._edges}, {self._columns}, {self._n}, {places});"
        return [slopes, *self.forward(x, y)]

    def push(self, kept: Place, dx: Place, dy: Place) -> Lines:
        """Return dx / width at the places, and zeros elsewhere."""
        width = kept.after(self._columns).element()
        target = f"({dy})[(int){kept.element()}]"
        divided = loop(self._columns, f"{target} = {dx.element()} / {width}")
        return [*zeroed(dy, self.n_out), *divided]

    def pull(self, kept: Place, dy: Place, dx: Place) -> Lines:
        """Return dy / width at the places."""
        width = kept.after(self._columns).element()
        source = f"({dy})[(int){kept.element()}]"
        return loop(self._columns, f"{dx.element()} = {source} / {width}")


class Tables(Operation):
    """The rows of tables (categories, size) at codes; the derivative by a code is 0."""

    def __init__(self, constants: Constants, tables: Sequence[Array]) -> None:
        super().__init__(len(tables), sum(table.shape[1] for table in tables))
        self._tables = [(constants.add("table", table), *table.shape) for table in tables]

    def forward(self, x: Place, y: Place) -> Lines:
        """Return the rows."""
        lines = []
        for i, (table, categories, size) in enumerate(self._tables):
            code = f"*({x.after(i)})"
            lines.append(f"@look_up({code}, {table}, {categories}, {size}, {y});")
            y = y.after(size)
        return lines

    def push(self, kept: Place, dx: Place, dy: Place) -> Lines:
        """Return zeros."""
        return zeroed(dy, self.n_out)

    def pull(self, kept: Place, dy: Place, dx: Place) -> Lines:
        """Return zeros."""
        return zeroed(dx, self.n_in)
