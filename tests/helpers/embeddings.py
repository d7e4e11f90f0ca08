"""One embedding of each kind, and networks that begin with it."""

import fastnn as fn

EDGES = [[-1.0, 0.0, 0.5, 2.0], [0.0, 1.0]]


def periodic(**arguments):
    return fn.PeriodicEmbedding(4, columns=2, frequencies=5, **arguments)


def piecewise():
    return fn.PiecewiseLinearEmbedding(3, 2, bins=EDGES, size=4)


def categorical():
    return fn.CategoricalEmbedding(4, [3, 2], size=[2, 5])


ALL = [periodic, piecewise, categorical]


def network(first, dtype="float64", seed=0):
    """Return a network whose first layer is the embedding, with two outputs."""
    layers = [first, fn.Linear(first.out_features, 6), fn.Tanh(), fn.Linear(6, 2)]
    return fn.Network(layers, dtype, seed=seed)


def inputs(layer, rng, n=30):
    """Return rows of numbers, with codes in the last columns of a categorical embedding."""
    X = rng.standard_normal((n, layer.in_features))
    for i, count in enumerate(getattr(layer, "cardinalities", ()), -2):
        X[:, i] = rng.integers(-1, count + 1, n)
    return X
