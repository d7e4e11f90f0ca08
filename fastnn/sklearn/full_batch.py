"""The solvers "lbfgs" and "lm", which see all samples at once."""

import warnings
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fastnn import _core
from fastnn.layers import Linear
from fastnn.network import Network
from fastnn.sklearn.objectives import Objective

Array = NDArray[Any]


def weight_mask(network: Network) -> NDArray[np.bool_]:
    """Return which parameters are weights, which alone are penalised: (n_params,)."""
    parts = []
    for layer in network.layers:
        if isinstance(layer, Linear):
            n_weights = layer.out_features * layer.in_features
            parts.append(np.arange(layer.n_params) < n_weights)
    return np.concatenate(parts)


def fit_lbfgs(
    estimator: Any, network: Network, objective: Objective, x: Array, target: Array,
    sample_weight: "Array | None",
) -> None:  # fmt: skip
    """Minimise by SciPy's L-BFGS-B, in float64 whatever the network's dtype."""
    decay = estimator.alpha * weight_mask(network) / len(x)
    n_threads = _core.thread_count(estimator._n_threads())

    def value_and_grad(params: Array) -> tuple[float, Array]:
        network.params[...] = params
        value, gradient = network._loss_and_grad(x, target, objective.loss, n_threads)
        value = value * objective.factor + objective.offset + 0.5 * params @ (decay * params)
        return value, gradient * objective.factor + decay * params

    start = network.params.astype(np.float64)
    options = {
        "maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol,
    }  # fmt: skip
    found = scipy.optimize.minimize(
        value_and_grad, start, method="L-BFGS-B", jac=True, options=options
    )
    network.params[...] = found.x
    estimator.n_iter_ = min(found.nit, estimator.max_iter)
    estimator.loss_ = float(found.fun)
    if found.status:
        warnings.warn(
            f"lbfgs failed to converge after {estimator.n_iter_} iteration(s) "
            f"(status={found.status}): {found.message}. A larger max_iter or max_fun, or scaled "
            f"features, may help",
            ConvergenceWarning,
            stacklevel=2,
        )
