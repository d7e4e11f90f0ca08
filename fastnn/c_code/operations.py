"""The operations of a network as statements in C, with their derivatives.

a) An operation is one step for one sample. The arguments of its methods are `Place`s: arrays of the
   program, or parts of its workspace.
b) `linearize` computes the output as `forward` does, and writes the numbers that the derivatives
   need to `kept`. `push` applies the Jacobian to a tangent, and `pull` its transpose to a
   cotangent. `curve` adds the second derivative, d/dx (J(x)' dy) x_tangent, to a cotangent.
c) If `in_place`, source and result may be one place.
"""

from typing import NamedTuple

import numpy as np

from fastnn._core.arrays import Array

Lines = list[str]


class Place(NamedTuple):
    """A part of an array of the program."""

    base: str
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.base} + {self.offset}" if self.offset else self.base

    def element(self) -> str:
        """Return the element i."""
        return f"{self.base}[{self.offset} + i]" if self.offset else f"{self.base}[i]"

    def after(self, n: int) -> "Place":
        """Return the place n numbers later."""
        return Place(self.base, self.offset + n)


def loop(n: int | str, *statements: str) -> Lines:
    """Return a loop over i."""
    body = [f"    {statement};" for statement in statements]
    return [f"for (int i = 0; i < {n}; ++i) {{", *body, "}"]


def copied(source: Place, target: Place, n: int) -> Lines:
    """Return a copy of n numbers."""
    return loop(n, f"{target.element()} = {source.element()}")


def zeroed(target: Place, n: int) -> Lines:
    """Return statements that write zeros."""
    return loop(n, f"{target.element()} = R(0)")


def added(source: Place, target: Place, n: int) -> Lines:
    """Return the addition of n numbers to others."""
    return loop(n, f"{target.element()} += {source.element()}")


# Numbers of products in a sum, for which the engine's few columns are not dot products.
SHALLOW = (1, 2, 3, 4, 8)


class Constants:
    """The constant arrays of a program, by their names in C."""

    def __init__(self, dtype: "np.dtype[np.floating]") -> None:
        self.dtype = dtype
        self.arrays: dict[str, Array] = {}

    def add(self, name: str, array: Array) -> str:
        """Return the name in C of a new array."""
        kept = array if array.dtype.kind in "iu" else array.astype(self.dtype)
        name = f"{name}_{len(self.arrays)}"
        self.arrays[name] = kept
        return f"@{name}"


class Operation:
    """One step of the network; use one of the subclasses."""

    n_kept = 0
    curved = False
    in_place = False

    def __init__(self, n_in: int, n_out: int) -> None:
        self.n_in, self.n_out = n_in, n_out

    def forward(self, x: Place, y: Place) -> Lines:
        """Return y = f(x)."""
        raise NotImplementedError

    def linearize(self, x: Place, y: Place, kept: Place) -> Lines:
        """Return y = f(x), and what the derivatives need."""
        return self.forward(x, y)

    def push(self, kept: Place, dx: Place, dy: Place) -> Lines:
        """Return dy = J dx."""
        raise NotImplementedError

    def pull(self, kept: Place, dy: Place, dx: Place) -> Lines:
        """Return dx = J' dy."""
        raise NotImplementedError

    def curve(self, kept: Place, x_tangent: Place, dy: Place, dx_tangent: Place) -> Lines:
        """Return the addition of the second derivative."""
        raise NotImplementedError


class Linear(Operation):
    """y = W x + b, or such a map for the features of each of some columns.

    `weight` is (columns, n_out, n_in) and `bias` (columns, n_out). With many outputs, the weight is
    stored transposed: the inner loop of the product then runs over the outputs. The order of the
    sums is that of the engine's products of many rows, in `_core/kernels/gemm.pxd`: the dot
    products of few outputs have partial sums.
    """

    def __init__(
        self, constants: Constants, weight: Array, bias: Array | None, embeds: bool = False
    ) -> None:
        self._columns, self._outputs, self._inputs = weight.shape
        super().__init__(self._columns * self._inputs, self._columns * self._outputs)
        self._by_dots = is_by_dots(self._outputs, self._inputs, constants.dtype, embeds)
        self._pulls_by_dots = pulls_by_dots(self._outputs, self._inputs, constants.dtype, embeds)
        stored = weight if self._by_dots else weight.transpose(0, 2, 1)
        self._weight = constants.add("weight", stored)
        self._bias = None if bias is None else constants.add("bias", bias)

    def forward(self, x: Place, y: Place) -> Lines:
        """Return y = W x + b."""
        if self._bias is None:
            return self.push(Place(""), x, y)
        bias = Place(self._bias)
        if self._by_dots:
            return [*self.push(Place(""), x, y), *added(bias, y, self.n_out)]
        sums = self._products("add_product", x, self._inputs, y, self._outputs)
        return [*copied(bias, y, self.n_out), *sums]

    def push(self, kept: Place, dx: Place, dy: Place) -> Lines:
        """Return dy = W dx."""
        if self._by_dots:
            return self._products("dots", dx, self._inputs, dy, self._outputs)
        sums = self._products("add_product", dx, self._inputs, dy, self._outputs)
        return [*zeroed(dy, self.n_out), *sums]

    def pull(self, kept: Place, dy: Place, dx: Place) -> Lines:
        """Return dx = W' dy."""
        if self._by_dots:
            sums = self._products("add_product", dy, self._outputs, dx, self._inputs)
            return [*zeroed(dx, self.n_in), *sums]
        if self._pulls_by_dots:
            return self._products("dots", dy, self._outputs, dx, self._inputs)
        return self._products("pull_product", dy, self._outputs, dx, self._inputs)

    def weight_and_steps(self) -> str:
        """Return the weight, and how far apart its outputs and its inputs are."""
        steps = (self._inputs, 1) if self._by_dots else (1, self._outputs)
        return f"{Place(self._weight)}, {steps[0]}, {steps[1]}"

    def _products(self, function: str, x: Place, n_x: int, y: Place, n_y: int) -> Lines:
        sizes = f"{n_y}, {n_x}" if function == "pull_product" else f"{n_x}, {n_y}"
        return [
            f"@{function}({x.after(c * n_x)}, {Place(self._weight, c * n_x * n_y)}, "
            f"{sizes}, {y.after(c * n_y)});"
            for c in range(self._columns)
        ]


def is_by_dots(n_out: int, n_in: int, dtype: "np.dtype[np.floating]", embeds: bool) -> bool:
    """Return whether the engine computes each output of a linear layer as a dot product."""
    lanes = 16 // dtype.itemsize
    return n_out <= 4 and n_in >= lanes if embeds else n_out <= 4 and n_in not in SHALLOW


def pulls_by_dots(n_out: int, n_in: int, dtype: "np.dtype[np.floating]", embeds: bool) -> bool:
    """Return whether it computes each cotangent of the layer's inputs as a dot product."""
    least = (1 if n_in == 1 else 2) * 16 // dtype.itemsize
    if n_in > 4 or n_out < least or (n_in > 1 and n_in * n_out > 8192):
        return False
    return embeds or n_out not in SHALLOW


class Pointwise(Operation):
    """A function of each number with a constant slope, which may use constants [i].

    The text `value` has {x}, and `product`, the product of the slope and a number, has {d}.
    """

    in_place = True

    def __init__(self, n: int, value: str, product: str) -> None:
        super().__init__(n, n)
        self._value, self._product = value, product

    def forward(self, x: Place, y: Place) -> Lines:
        """Return y = f(x)."""
        return loop(self.n_in, f"{y.element()} = {self._value.format(x=x.element())}")

    def push(self, kept: Place, dx: Place, dy: Place) -> Lines:
        """Return dy = slope dx."""
        return loop(self.n_in, f"{dy.element()} = {self._product.format(d=dx.element())}")

    def pull(self, kept: Place, dy: Place, dx: Place) -> Lines:
        """Return dx = slope dy."""
        return self.push(kept, dy, dx)


class Activation(Operation):
    """A function of each number. Its texts have {x}, and may use constants [i].

    It keeps the slopes, and if `twice` the second derivatives, unless these are 0.
    """

    in_place = True

    def __init__(self, n: int, value: str, slope: str, curvature: str | None, twice: bool) -> None:
        super().__init__(n, n)
        self._value, self._derivatives = value, [slope]
        if twice and curvature is not None:
            self._derivatives.append(curvature)
            self.curved = True
        self.n_kept = n * len(self._derivatives)

    def forward(self, x: Place, y: Place) -> Lines:
        """Return y = f(x)."""
        return loop(self.n_in, f"{y.element()} = {self._value.format(x=x.element())}")

    def linearize(self, x: Place, y: Place, kept: Place) -> Lines:
        """Return y = f(x), and the derivatives."""
        return loop(
            self.n_in,
            *(
                f"{kept.after(order * self.n_in).element()} = {text.format(x=x.element())}"
                for order, text in enumerate(self._derivatives)
            ),
            f"{y.element()} = {self._value.format(x=x.element())}",
        )

    def push(self, kept: Place, dx: Place, dy: Place) -> Lines:
        """Return dy = slope dx."""
        return loop(self.n_in, f"{dy.element()} = {kept.element()} * {dx.element()}")

    def pull(self, kept: Place, dy: Place, dx: Place) -> Lines:
        """Return dx = slope dy."""
        return self.push(kept, dy, dx)

    def curve(self, kept: Place, x_tangent: Place, dy: Place, dx_tangent: Place) -> Lines:
        """Return the addition of curvature x_tangent dy."""
        factors = (kept.after(self.n_in), x_tangent, dy)
        product = " * ".join(factor.element() for factor in factors)
        return loop(self.n_in, f"{dx_tangent.element()} += {product}")


class Softmax(Operation):
    """Softmax or its logarithm; S is kept."""

    curved = True
    in_place = True

    def __init__(self, n: int, logarithm: bool) -> None:
        super().__init__(n, n)
        self.n_kept = n
        self.logarithm = logarithm
        self._name = "log_softmax" if logarithm else "softmax"
        self._push = "log_softmax_push" if logarithm else "softmax_times"
        self._pull = "log_softmax_pull" if logarithm else "softmax_times"

    def forward(self, x: Place, y: Place) -> Lines:
        """Return y = f(x)."""
        return [f"@{self._name}({x}, {self.n_in}, {y});"]

    def linearize(self, x: Place, y: Place, kept: Place) -> Lines:
        """Return S, and y = f(x)."""
        if self.logarithm:
            return [f"@log_softmax_and_S({x}, {self.n_in}, {y}, {kept});"]
        return [f"@softmax({x}, {self.n_in}, {kept});", *copied(kept, y, self.n_in)]

    def push(self, kept: Place, dx: Place, dy: Place) -> Lines:
        """Return dy = J dx."""
        return [f"@{self._push}({kept}, {dx}, {self.n_in}, {dy});"]

    def pull(self, kept: Place, dy: Place, dx: Place) -> Lines:
        """Return dx = J' dy."""
        return [f"@{self._pull}({kept}, {dy}, {self.n_in}, {dx});"]

    def curve(self, kept: Place, x_tangent: Place, dy: Place, dx_tangent: Place) -> Lines:
        """Return the addition of the second derivative."""
        return [f"@{self._name}_curve({kept}, {x_tangent}, {dy}, {self.n_in}, {dx_tangent});"]


class Normalization(Operation):
    """The normalization of the row by its own mean and variance; the output is kept."""

    curved = True
    in_place = True

    def __init__(self, n: int, eps: str) -> None:
        super().__init__(n, n)
        self.n_kept = n + 1
        self._eps = eps

    def forward(self, x: Place, y: Place) -> Lines:
        """Return y = f(x)."""
        return [f"(void)@normalize({x}, {self._eps}, {self.n_in}, {y});"]

    def linearize(self, x: Place, y: Place, kept: Place) -> Lines:
        """Return y = f(x), the same in `kept`, and the inverse of the divisor after it."""
        inverse = f"*({kept.after(self.n_in)}) = @normalize({x}, {self._eps}, {self.n_in}, {kept});"
        return [inverse, *copied(kept, y, self.n_in)]

    def push(self, kept: Place, dx: Place, dy: Place) -> Lines:
        """Return dy = J dx."""
        return [f"@normalize_times({self._state(kept)}, {dx}, {self.n_in}, {dy});"]

    def pull(self, kept: Place, dy: Place, dx: Place) -> Lines:
        """Return dx = J dy, since J is symmetric."""
        return self.push(kept, dy, dx)

    def curve(self, kept: Place, x_tangent: Place, dy: Place, dx_tangent: Place) -> Lines:
        """Return the addition of the second derivative."""
        arguments = f"{self._state(kept)}, {x_tangent}, {dy}, {self.n_in}, {dx_tangent}"
        return [f"@normalize_curve({arguments});"]

    def _state(self, kept: Place) -> str:
        return f"{kept}, *({kept.after(self.n_in)})"
