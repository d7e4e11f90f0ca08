"""Sparse matrices of the shapes in which an error would hide."""

import numpy as np

N, FEATURES = 57, 40


def matrices():
    """Return pairs of a name and a CSR matrix (n, FEATURES) in float64."""
    sparse = __import__("scipy.sparse").sparse
    rng = np.random.default_rng(0)
    scattered = sparse.random(N, FEATURES, 0.05, format="csr", random_state=1)
    holes = scattered.toarray()
    holes[[0, 5, 6, N - 1]] = 0
    holes[:, [0, 7, FEATURES - 1]] = 0
    zeros = scattered.copy()
    zeros.data[::3] = 0
    wide = scattered.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    unsorted = sparse.csr_matrix(
        (rng.normal(size=4 * N), np.concatenate([[9, 2, 9, 3]] * N), np.arange(0, 4 * N + 1, 4)),
        (N, FEATURES),
    )
    return [
        ("scattered", scattered),
        ("empty rows and columns", sparse.csr_matrix(holes)),
        ("explicit zeros", zeros),
        ("no element", sparse.csr_matrix((N, FEATURES))),
        ("int64 indices", wide),
        ("unsorted, with duplicates", unsorted),
        ("one row", scattered[3:4]),
        ("csr_array", sparse.csr_array(scattered)),
        ("half full", sparse.random(N, FEATURES, 0.5, format="csr", random_state=2)),
    ]
