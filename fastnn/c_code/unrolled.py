"""Linear layers as straight code, with the weights as numbers in it.

A microcontroller without a cache saves the loops and the loads of weights. Vector units need loops.
"""

import numpy as np

from fastnn._core.arrays import Array
from fastnn.c_code.operations import Lines, Operation, Place, is_by_dots, pulls_by_dots
from fastnn.c_code.text import number


class UnrolledLinear(Operation):
    """y = W x + b with the weight (n_out, n_in). The sums have the order of `Linear`."""

    def __init__(self, dtype: "np.dtype[np.floating]", weight: Array, bias: Array | None) -> None:
        super().__init__(weight.shape[1], weight.shape[0])
        self._weight, self._bias = weight, bias
        sizes = self.n_out, self.n_in, dtype, False
        lanes = 16 // dtype.itemsize
        self._lanes = min(lanes, self.n_in) if is_by_dots(*sizes) else 1
        self._pull_lanes = min(lanes, self.n_out) if pulls_by_dots(*sizes) else 1

    def forward(self, x: Place, y: Place) -> Lines:
        """Return y = W x + b."""
        zeros = np.zeros(self.n_out)
        return _sums(self._weight, zeros if self._bias is None else self._bias, x, y, self._lanes)

    def push(self, kept: Place, dx: Place, dy: Place) -> Lines:
        """Return dy = W dx."""
        return _sums(self._weight, np.zeros(self.n_out), dx, dy, self._lanes)

    def pull(self, kept: Place, dy: Place, dx: Place) -> Lines:
        """Return dx = W' dy."""
        return _sums(self._weight.T, np.zeros(self.n_in), dy, dx, self._pull_lanes)


def _sums(weight: Array, starts: Array, x: Place, y: Place, lanes: int) -> Lines:
    """Return y = weight x + starts. With several lanes, each has a part of the products."""
    # the compiler may not keep x in registers when y is written, which could be the same memory
    lines = [f"const T x{j} = {x.base}[{x.offset + j}];" for j in range(weight.shape[1])]
    for i, (row, start) in enumerate(zip(weight, starts, strict=True)):
        products = [f"x{j} * {number(value)}" for j, value in enumerate(row)]
        if lanes == 1:
            total = " + ".join([number(start), *products])
        else:
            parts = [" + ".join(["R(0)", *products[k::lanes]]) for k in range(lanes)]
            while len(parts) > 1:
                half = len(parts) // 2
                parts = [f"({a}) + ({b})" for a, b in zip(parts[:half], parts[half:], strict=True)]
            total = f"({parts[0]}) + {number(start)}"
        lines.append(f"{y.base}[{y.offset + i}] = {total};")
    return ["{", *(f"    {line}" for line in lines), "}"]
