"""Layers as a user would write them, and networks of them with compiled counterparts."""

import numpy as np

import fastnn as fn


class PythonLinear(fn.CustomLayer):
    """Linear, in Python."""

    name = "linear in Python"

    def __init__(self, n_in, n_out):
        weight = (fn.initializers.xavier_uniform, (n_out, n_in))
        super().__init__(n_in, n_out, {"weight": weight, "bias": np.zeros(n_out)})

    def forward(self, x, params):
        return x @ params["weight"].T + params["bias"]

    def vjp(self, x, params, cotangent):
        gradients = {"weight": cotangent.T @ x, "bias": cotangent.sum(axis=0)}
        return cotangent @ params["weight"], gradients

    def jvp(self, x, params, x_tangent, params_tangent):
        moved = x_tangent @ params["weight"].T + x @ params_tangent["weight"].T
        return moved + params_tangent["bias"]


class PythonTanh(fn.CustomLayer):
    """Tanh, in Python."""

    def forward(self, x, params):
        return np.tanh(x)

    def vjp(self, x, params, cotangent):
        return cotangent * (1 - np.tanh(x) ** 2), {}

    def jvp(self, x, params, x_tangent, params_tangent):
        return x_tangent * (1 - np.tanh(x) ** 2)


class Fourier(fn.CustomLayer):
    """cos(x F) and sin(x F), without parameters."""

    def __init__(self, frequencies):
        self.frequencies = np.atleast_2d(np.asarray(frequencies, float))
        n_in, n_out = self.frequencies.shape
        super().__init__(n_in, 2 * n_out)

    def forward(self, x, params):
        phase = x @ self.frequencies
        return np.hstack([np.cos(phase), np.sin(phase)])

    def vjp(self, x, params, cotangent):
        phase = x @ self.frequencies
        cosine, sine = np.hsplit(cotangent, 2)
        return (np.cos(phase) * sine - np.sin(phase) * cosine) @ self.frequencies.T, {}


class Scaling(fn.CustomLayer):
    """A learnable scale of each feature."""

    def __init__(self, features):
        super().__init__(features, parameters={"scale": np.ones(features)})

    def forward(self, x, params):
        return x * params["scale"]

    def vjp(self, x, params, cotangent):
        return cotangent * params["scale"], {"scale": (cotangent * x).sum(axis=0)}


class Quadratic(fn.CustomLayer):
    """y_k = xᵀ A_k x + b_k."""

    def __init__(self, n_in, n_out, size=0.3):
        def normal(rng, shape):
            return size * rng.standard_normal(shape)

        parameters = {"a": (normal, (n_out, n_in, n_in)), "b": (normal, (n_out,))}
        super().__init__(n_in, n_out, parameters)

    def forward(self, x, params):
        return np.einsum("ni,kij,nj->nk", x, params["a"], x) + params["b"]

    def vjp(self, x, params, cotangent):
        both = params["a"] + params["a"].transpose(0, 2, 1)
        dx = np.einsum("nk,kij,nj->ni", cotangent, both, x)
        da = np.einsum("nk,ni,nj->kij", cotangent, x, x)
        return dx, {"a": da, "b": cotangent.sum(axis=0)}

    def jvp(self, x, params, x_tangent, params_tangent):
        both = params["a"] + params["a"].transpose(0, 2, 1)
        moved = np.einsum("ni,kij,nj->nk", x_tangent, both, x)
        return moved + self.forward(x, params_tangent)


CLASSES = {cls.name: cls for cls in (PythonLinear, PythonTanh, Fourier, Scaling, Quadratic)}

# for each place of the custom layers, the layers of a network and of its compiled counterpart
PLACES = {
    "first": (
        lambda: [PythonLinear(3, 5), fn.Tanh(), fn.Linear(5, 4)],
        lambda: [fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 4)],
    ),
    "middle": (
        lambda: [fn.Linear(3, 5), PythonTanh(), fn.Linear(5, 4)],
        lambda: [fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 4)],
    ),
    "last": (
        lambda: [fn.Standardize([0.1, 0.2, 0.3], [1, 2, 3]), fn.LayerNorm(3), PythonLinear(3, 4)],
        lambda: [fn.Standardize([0.1, 0.2, 0.3], [1, 2, 3]), fn.LayerNorm(3), fn.Linear(3, 4)],
    ),
    "two in a row": (
        lambda: [fn.Linear(3, 5), fn.ReLU(), PythonLinear(5, 6), PythonTanh(), fn.Linear(6, 4)],
        lambda: [fn.Linear(3, 5), fn.ReLU(), fn.Linear(5, 6), fn.Tanh(), fn.Linear(6, 4)],
    ),
    "all": (
        lambda: [PythonLinear(3, 5), PythonTanh(), PythonLinear(5, 4)],
        lambda: [fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 4)],
    ),
    "between normalisations": (
        lambda: [
            fn.BatchNorm(3),
            PythonLinear(3, 6),
            fn.BatchNorm(6),
            PythonTanh(),
            fn.Linear(6, 4),
        ],
        lambda: [fn.BatchNorm(3), fn.Linear(3, 6), fn.BatchNorm(6), fn.Tanh(), fn.Linear(6, 4)],
    ),
    "before softmax": (
        lambda: [PythonLinear(3, 4), fn.Softmax()],
        lambda: [fn.Linear(3, 4), fn.Softmax()],
    ),
}


def networks(place, dtype="float64", seed=0):
    """Return a network with custom layers and its compiled counterpart, of equal parameters."""
    own, compiled = (fn.Network(make(), dtype, seed=seed) for make in PLACES[place])
    rng = np.random.default_rng(seed)
    own.params[...] = compiled.params[...] = 0.5 * rng.standard_normal(own.n_params)
    return own, compiled
