"""Standard deviations of predictions, beside those of linear regression."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from problems import X, Y
from sklearn.base import clone

import fastnn as fn
from fastnn.sklearn import MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def linear_data(n, seed=1):
    draw = np.random.default_rng(seed)
    X = draw.standard_normal((n, 4))
    return X, X @ [1.0, -2, 0.5, 0] + 3 + 0.7 * draw.standard_normal(n)


def test_deviations_of_a_linear_network_are_those_of_least_squares():
    X, y = linear_data(40)
    model = MLPRegressor(
        hidden_layer_sizes=(), solver="lm", alpha=0, tol=1e-12, store_covariance=True
    ).fit(X, y)
    new = np.random.default_rng(2).standard_normal((10, 4))
    predicted, deviation = model.predict(new, return_std=True)
    A, B = (np.column_stack([rows, np.ones(len(rows))]) for rows in (X, new))
    solution, (squares,), *_ = np.linalg.lstsq(A, y, rcond=None)
    variance = squares / (40 - 5)
    leverage = np.einsum("ni,ij,nj->n", B, np.linalg.inv(A.T @ A), B)
    np.testing.assert_allclose(predicted, B @ solution, rtol=1e-6)
    np.testing.assert_allclose(deviation, np.sqrt(variance * (1 + leverage)), rtol=1e-6)


def test_intervals_cover_new_targets():
    """Of the linear network, for which the assumptions hold, whose noise is known."""
    X, y = linear_data(200)
    new, targets = linear_data(20_000, seed=2)
    model = MLPRegressor(hidden_layer_sizes=(), solver="lm", alpha=0, store_covariance=True)
    predicted, deviation = model.fit(X, y).predict(new, return_std=True)
    assert deviation.mean() == pytest.approx(0.7, rel=0.1)
    covered = np.abs(targets - predicted) <= 1.645 * deviation
    assert covered.mean() == pytest.approx(0.9, abs=0.02)


def test_a_penalty_leaves_fewer_parameters_to_the_data():
    """Against ridge regression, worked out by hand."""
    X, y = linear_data(40)
    model = MLPRegressor(
        hidden_layer_sizes=(), solver="lm", alpha=15, tol=1e-12, store_covariance=True
    ).fit(X, y)
    A = np.column_stack([X, np.ones(40)])
    inverse = np.linalg.inv(A.T @ A + np.diag([15, 15, 15, 15, 0]))
    solution = inverse @ A.T @ y
    variance = ((A @ solution - y) ** 2).sum() / (40 - np.trace(inverse @ A.T @ A))
    leverage = np.einsum("ni,ij,nj->n", A, inverse, A)
    predicted, deviation = model.predict(X, return_std=True)
    np.testing.assert_allclose(predicted, A @ solution, rtol=1e-6)
    np.testing.assert_allclose(deviation, np.sqrt(variance * (1 + leverage)), rtol=1e-6)


def test_deviations_need_a_covariance(regressor):
    with pytest.raises(ValueError, match="store_covariance=True"):
        regressor.predict(X, return_std=True)
    kept = clone(regressor).set_params(store_covariance=True).fit(X, Y)
    predicted, deviation = pickle.loads(pickle.dumps(kept)).predict(X, return_std=True)
    np.testing.assert_array_equal(predicted, regressor.predict(X))
    assert deviation.shape == Y.shape
    assert (deviation > 0).all()


@pytest.mark.parametrize("loss", ["poisson", fn.Pinball((0.1, 0.9)), fn.BinaryCrossEntropy()])
def test_deviations_need_a_loss_of_means(loss):
    model = MLPRegressor(loss, (4,), max_iter=2, store_covariance=True)
    with pytest.raises(
        ValueError, match="store_covariance=True needs a loss whose outputs are means"
    ):
        model.fit(X, Y[:, 0] ** 2)
