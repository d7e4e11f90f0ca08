"""Sparse input of a network: predictions, gradients, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest
from sparse_cases import FEATURES, matrices

import fastnn as fn

sparse = pytest.importorskip("scipy.sparse")

MATRICES = matrices()
X = MATRICES[0][1]


def network(dtype="float64", width=7):
    layers = [fn.Linear(FEATURES, width), fn.Tanh(), fn.Linear(width, 2)]
    return fn.Network(layers, dtype, seed=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 4, 7, 100])
@pytest.mark.parametrize(("name", "matrix"), MATRICES, ids=[name for name, _ in MATRICES])
def test_predictions_and_gradients(name, matrix, width, dtype):
    """Against NumPy in float64."""
    net = network(dtype, width)
    dense = matrix.toarray()
    weight, bias, last, end = (
        np.float64(a)
        for a in (
            net.layers[0].weight,
            net.layers[0].bias,
            net.layers[2].weight,
            net.layers[2].bias,
        )
    )
    hidden = np.tanh(dense @ weight.T + bias)
    outputs = hidden @ last.T + end
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(net.predict(matrix), outputs, tolerance, tolerance)
    y = np.ones_like(outputs)
    w = np.linspace(0.5, 1, len(y))
    dz = (w[:, None] * (outputs - y) @ last) * (1 - hidden**2)
    value, gradient = net.loss_and_grad(matrix, y, fn.HalfSquaredError("sum"), sample_weight=w)
    assert value == pytest.approx(0.5 * (w[:, None] * (outputs - y) ** 2).sum(), rel=1e-4)
    found = gradient[: weight.size].reshape(weight.shape)
    np.testing.assert_allclose(found, dz.T @ dense, 100 * tolerance, 100 * tolerance)
    expected = net.loss_and_grad(dense, y, fn.HalfSquaredError("sum"), sample_weight=w)[1]
    np.testing.assert_allclose(gradient, expected, 100 * tolerance, 100 * tolerance)


def test_few_and_many_rows_get_the_same_bits():
    """Few rows read the weight as it is stored, and many a transposed copy."""
    rng = np.random.default_rng(0)
    wide = sparse.random(300, 5000, 0.002, format="csr", random_state=0)
    for width in (1, 6, 50):
        net = fn.Network([fn.Linear(5000, width), fn.ReLU(), fn.Linear(width, 2)], seed=0)
        some = rng.permutation(300)[:3]
        many = net.predict(wide)
        np.testing.assert_allclose(net.predict(wide[some]), many[some], 1e-5, 1e-6)
        for n_threads in (1, 2):
            assert (net.predict(wide, n_threads=n_threads) == many).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [1, 15, 16, 17, 33, 100])
def test_rows_of_every_length_are_written_out(columns, dtype):
    """Rows of 0 to all columns, and a layer that takes dense rows, in a fit and in predictions."""
    rng = np.random.default_rng(0)
    dense = np.zeros((2 * columns + 2, columns), dtype)
    for row, n in zip(dense, rng.permutation(np.arange(2 * columns + 2) // 2), strict=True):
        row[rng.permutation(columns)[:n]] = rng.standard_normal(n)
    y = dense.sum(axis=1)
    found = []
    for matrix in (sparse.csr_matrix(dense), dense):
        net = fn.Network([fn.LayerNorm(columns), fn.Linear(columns, 1)], dtype, seed=0)
        loss = fn.HalfSquaredError()
        net.fit(matrix, y, loss=loss, epochs=2, batch_size=3, seed=1, progress=False)
        found.append((net.params.tobytes(), net.predict(matrix).tobytes()))
    assert found[0] == found[1]


def test_one_sample_and_no_sample():
    net = network()
    row = sparse.coo_array(X[3].toarray()[0])
    if row.ndim == 1:
        assert net.predict(row).shape == (2,)
        np.testing.assert_allclose(net.predict(row), net.predict(X[3].toarray())[0])
    assert net.predict(X[:0]).shape == (0, 2)
    with pytest.raises(ValueError, match="X is empty"):
        net.fit(X[:0], np.ones((0, 2)), loss=fn.MeanSquaredError())


def test_a_loss_in_python_and_probabilities():
    class Squares:
        def value_and_grad(self, y_pred, y):
            return float(((y_pred - y) ** 2).sum()), 2 * (y_pred - y)

    net, y = network(), np.ones((X.shape[0], 2))
    value, gradient = net.loss_and_grad(X, y, Squares())
    other = net.loss_and_grad(X.toarray(), y, Squares())
    assert value == pytest.approx(other[0])
    np.testing.assert_allclose(gradient, other[1], 1e-9, 1e-12)
    net = fn.Network([fn.Linear(FEATURES, 3), fn.Softmax()], "float64", seed=0)
    labels = np.arange(X.shape[0]) % 3
    for matrix in (X, MATRICES[-1][1]):
        value, gradient = net.loss_and_grad(matrix, labels, fn.NegativeLogLikelihood())
        other = net.loss_and_grad(matrix.toarray(), labels, fn.NegativeLogLikelihood())
        assert value == pytest.approx(other[0])
        np.testing.assert_allclose(gradient, other[1], 1e-9, 1e-12)


def damaged(**changes):
    """Return a CSR matrix whose arrays are changed without any check."""
    matrix = X.copy()
    for name, change in changes.items():
        setattr(matrix, name, change(getattr(matrix, name).copy()))
    return matrix


def changed(place, value):
    def change(array):
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indices": changed(3, FEATURES)}, "indices lie in"),
        ({"indices": changed(0, -1)}, "indices lie in"),
        ({"indices": lambda a: changed(0, 2**40)(a.astype(np.int64))}, "indices lie in"),
        ({"indices": lambda a: a[:-1]}, "indptr does not fit"),
        ({"indices": lambda a: a.astype(float)}, "indptr does not fit"),
        ({"data": lambda a: a[:-1]}, "indptr does not fit"),
        ({"indptr": changed(5, 10**9)}, "indptr does not fit"),
        ({"indptr": changed(-1, 10**9)}, "indptr does not fit"),
        ({"indptr": changed(0, 1)}, "indptr does not fit"),
        ({"indptr": changed(7, 0)}, "indptr does not fit"),
        ({"indptr": lambda a: a[:-1]}, "indptr does not fit"),
        ({"data": changed(4, np.nan)}, r"X\[\d+, \d+\] is nan"),
        ({"data": changed(4, np.inf)}, r"X\[\d+, \d+\] is inf"),
    ],
)
def test_damaged_matrices_are_refused(changes, message):
    matrix = damaged(**changes)
    net = network()
    for call in (
        lambda: net.predict(matrix),
        lambda: net.fit(matrix, np.ones((X.shape[0], 2)), loss=fn.MeanSquaredError()),
        lambda: net.loss_and_grad(matrix, np.ones((X.shape[0], 2)), fn.MeanSquaredError()),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_wrong_sparse_input():
    net, y = network("float32"), np.ones((X.shape[0], 2))
    with pytest.raises(ValueError, match=r"X\[\d+, \d+\] is 1e\+300, too large for float32"):
        net.predict(damaged(data=changed(4, 1e300)))
    with pytest.raises(ValueError, match=r"X has shape \(57, 39\); \(n, 40\) is wanted"):
        net.fit(X[:, :39], y, loss=fn.MeanSquaredError())
    with pytest.raises(ValueError, match="X has shape"):
        net.predict(X[:, :39])
    with pytest.raises(TypeError, match="X has dtype complex128"):
        net.predict(X.astype(complex))
    with pytest.raises(ValueError, match=r"validation_data\[0\]"):
        net.fit(X, y, loss=fn.MeanSquaredError(), validation_data=(X[:, :39], y))
    for method in (net.jacobian, net.forward):
        with pytest.raises(TypeError, match=r"X is sparse; pass X.toarray\(\)"):
            method(X)
    with pytest.raises(TypeError, match=r"y is sparse; pass y.toarray\(\)"):
        net.fit(X, sparse.csr_matrix(y), loss=fn.MeanSquaredError())


def test_predictions_import_nothing_of_scipy():
    program = """
import sys
import numpy as np
import fastnn as fn

class Rows:
    shape, dtype = (2, 3), np.dtype(float)
    data, indices, indptr = np.array([1.0, 2.0]), np.array([0, 2]), np.array([0, 1, 2])
    def tocsr(self):
        return self

net = fn.Network([fn.Linear(3, 2)], "float64", seed=0)
expected = net.predict(np.array([[1.0, 0, 0], [0, 0, 2]]))
assert np.allclose(net.predict(Rows()), expected)
net.fit(Rows(), np.ones((2, 2)), loss=fn.MeanSquaredError(), epochs=2)
assert not [name for name in sys.modules if name.startswith("scipy")]
"""
    subprocess.run([sys.executable, "-P", "-c", program], check=True, timeout=60)
