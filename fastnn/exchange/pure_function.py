"""A network as a function y = f(x, p) of the samples and the parameters, with its derivatives.

The outputs and all derivatives are new arrays. The layers compute in evaluation mode.
"""

import dataclasses
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.layers import composition
from fastnn.losses import HalfSquaredError
from fastnn.model import Model
from fastnn.model.model import model_of
from fastnn.network import Network
from fastnn.segments import custom_layers

MOST_SAMPLES = 2**24  # float32 holds the whole numbers up to it


class PureFunction:
    """The function f and its derivatives at arrays x (n, d) and p (n_params,).

    In the products, t = (tx, tp) is a tangent of (x, p), and c (n, m) a cotangent of y. All arrays
    are checked.
    """

    def __init__(self, net: Any) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"net is {net!r}; a Network is wanted")
        self.model = model_of(net)
        self.layers = net.layers
        self.dtype = net.dtype
        self.n_in, self.n_out, self.n_params = net.in_features, net.out_features, net.n_params

    def value(self, x: Any, p: Any) -> Array:
        """Return y, (n, m)."""
        x, model = self._at(x, p)
        return model.predict(x, None)

    def jvp(self, x: Any, p: Any, tx: Any, tp: Any) -> Array:
        """Return J t, (n, m)."""
        x, model = self._at(x, p)
        tx = self._checked(tx, "tangent of x", x.shape)
        tp = self._checked(tp, "tangent of params", (self.n_params,))
        product = model.jvp(x, tx, False, None)
        return product + model.jvp(x, tp, True, None) if tp.any() else product

    def vjp(
        self, x: Any, p: Any, c: Any, wanted: tuple[bool, bool] = (True, True)
    ) -> tuple[Array, Array]:
        """Return Jᵀ c: (n, d) and (n_params,). A part that is not wanted is zeros."""
        x, model = self._at(x, p)
        c = self._checked(c, "cotangent", (len(x), self.n_out))
        dx = model.vjp(x, c, False, None) if wanted[0] else np.zeros_like(x)
        dp = model.vjp(x, c, True, None) if wanted[1] else np.zeros_like(model.params)
        return dx, dp

    def hvp(self, x: Any, p: Any, c: Any, tx: Any, tp: Any) -> tuple[Array, Array]:
        """Return the Hessian of Σ c f by (x, p) times t: (n, d) and (n_params,).

        The engine has the Hessian by parameters. So x becomes a parameter: the rows of a table that
        a CategoricalEmbedding looks up. The loss ½ Σ (y - target)² has the Hessian JᵀJ + Σ r ∇²f
        with the residuals r = y - target = s c. A large scale s keeps the difference of the two
        terms accurate.
        """
        if custom_layers(self.model):
            raise TypeError("layers written in Python have no second derivatives")
        x, model = self._at(x, p)
        c = self._checked(c, "cotangent", (len(x), self.n_out))
        tx = self._checked(tx, "tangent of x", x.shape)
        tp = self._checked(tp, "tangent of params", (self.n_params,))
        n = len(x)
        if n > MOST_SAMPLES:
            raise ValueError(f"x has {n:,} samples; at most {MOST_SAMPLES:,} are wanted")
        largest = float(abs(c).max(initial=0))
        if largest == 0:
            return np.zeros_like(x), np.zeros_like(tp)
        table = ("categorical_embedding", 1, self.n_in, 1, [n, self.n_in])
        operations = [table, *composition.operations(self.layers, self.n_in)]
        wide = Model.compile(operations, self.dtype)
        wide.params[...] = np.concatenate([x.ravel(), model.params])
        wide.constants[...] = model.constants
        codes = np.arange(n, dtype=self.dtype)[:, np.newaxis]
        y = wide.predict(codes, None)
        c = c / self.dtype.type(largest)
        scale = self.dtype.type(2.0 ** np.ceil(np.log2(2.0**20 * max(abs(y).max(), 1))))
        direction = np.concatenate([tx.ravel(), tp])
        loss = HalfSquaredError("sum")
        total = wide.hvp(codes, y - scale * c, None, loss, direction, None)
        total -= wide.vjp(codes, wide.jvp(codes, direction, True, None), True, None)
        total = total / scale * self.dtype.type(largest)
        return total[: x.size].reshape(x.shape), total[x.size :]

    def params(self) -> Array:
        """Return a copy of the network's present parameters."""
        return self.model.params.copy()

    def _at(self, x: Any, p: Any) -> tuple[Array, Model]:
        """Return the checked samples, and the model with these parameters."""
        x = _checks.real_array(x, "x", self.dtype, 2)
        if x.shape[1] != self.n_in:
            raise ValueError(f"x has shape {x.shape}; (n, {self.n_in}) is wanted")
        p = self._checked(p, "params", (self.n_params,))
        return x, dataclasses.replace(self.model, params=p)

    def _checked(self, value: Any, name: str, shape: tuple[int, ...]) -> Array:
        return _checks.shaped_array(value, name, self.dtype, shape)
