"""Embeddings for the tables in `layer_cases.py` and `cases.py`, by name."""

from descriptions import (
    categorical,
    kind,
    layer_norm,
    linear,
    parallel,
    periodic,
    piecewise_linear,
    residual,
)

EDGES = [[-1.0, 0.0, 0.5, 2.0], [0.0, 1.0]]
MANY_EDGES = [[-2.5, -2.0, -1.2, -0.4, 0.1, 0.9, 1.1, 1.8, 3.0, 4.0], [-1.0, 0.25, 2.0]]

EMBEDDINGS = {
    "periodic": periodic(3, 3),
    "periodic_some": periodic(6, 2, frequencies=16),
    "periodic_one": periodic(1, 1, frequencies=1, size=1),
    "periodic_not_joined": periodic(4, 3, frequencies=70, size=2, joined=False),
    "periodic_wide": periodic(9, 7, frequencies=16, size=5),
    "piecewise_linear": piecewise_linear(2, EDGES),
    "piecewise_linear_some": piecewise_linear(5, MANY_EDGES, size=6),
    "piecewise_linear_one": piecewise_linear(1, [[0.0, 2.0]], size=1),
    "categorical": categorical(4, [3, 2], [2, 5]),
    "categorical_one": categorical(1, [4], [3]),
    "categorical_wide": categorical(6, [4, 1, 7], [8, 8, 1]),
}

EMBEDDING_NETWORKS = {
    "periodic_first": [periodic(4, 2), linear(10, 5), kind("tanh"), linear(5, 2)],
    "embeddings_in_a_row": [
        periodic(5, 2, frequencies=5),
        categorical(11, [3, 2], [2, 4]),
        linear(15, 4),
        kind("silu"),
        linear(4, 3),
        kind("softmax"),
    ],
    "embeddings_inside_and_last": [
        linear(3, 4),
        periodic(4, 3, frequencies=6, size=2, joined=False),
        layer_norm(7),
        linear(7, 3),
        piecewise_linear(3, EDGES, size=2),
    ],
    "piecewise_linear_before_relu": [
        piecewise_linear(3, MANY_EDGES, size=4),
        kind("relu"),
        linear(9, 6),
        kind("relu"),
        linear(6, 2),
    ],
    "periodic_last": [linear(3, 2), kind("softplus"), periodic(2, 2, frequencies=3)],
    "categorical_only": [categorical(3, [3], [2])],
    "embeddings_in_blocks": [
        parallel(
            [periodic(4, 4, frequencies=3, size=1)],
            [piecewise_linear(4, EDGES, size=1), kind("tanh")],
            [categorical(4, [3, 2], [1, 2])],
            combine="concat",
        ),
        linear(17, 5),
        residual(periodic(5, 1), linear(8, 5)),
        parallel([linear(5, 6)], [categorical(5, [2], [2])]),
        linear(6, 2),
    ],
}
