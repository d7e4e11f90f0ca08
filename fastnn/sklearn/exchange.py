"""Conversion of fitted estimators from `sklearn.neural_network` to fastnn, and back.

scikit-learn keeps parameters and the state of the optimizer in two lists, of weights
(fan_in, fan_out) and of biases. fastnn keeps them in one flat array. The engine's gradients are the
gradients of the objective divided by its factor. Its velocities do not contain the learning rate.
"""

import copy
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.utils.validation import check_is_fitted

from fastnn._core.arrays import Array
from fastnn.optimizers import Adam
from fastnn.sklearn import networks
from fastnn.sklearn.base import BaseMLP
from fastnn.sklearn.classifier import MLPClassifier
from fastnn.sklearn.regressor import MLPRegressor
from fastnn.sklearn.stochastic import StochasticOptimizer

COUNTERPARTS: dict[type, type] = {
    neural_network.MLPClassifier: MLPClassifier,
    neural_network.MLPRegressor: MLPRegressor,
}

# Attributes with the same name and meaning in both libraries.
SHARED = (
    "n_iter_",
    "t_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
    "out_activation_",
    "n_features_in_",
    "feature_names_in_",
    "n_outputs_",
    "n_layers_",
    "classes_",
    "_label_binarizer",
    "_no_improvement_count",
)


def from_sklearn(estimator: Any) -> Any:
    """Return the fastnn estimator for a fitted estimator of scikit-learn.

    It has the same parameters and fitted attributes, and its predictions are the same up to
    rounding. It continues the optimizer, so `partial_fit` and `warm_start` train as in
    scikit-learn.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor
        Everything in it is copied.

    Returns
    -------
    fastnn.sklearn.MLPClassifier or MLPRegressor
        It has the dtype of the weights, float32 or float64.

    Raises
    ------
    TypeError
        If `estimator` is another object, or an instance of a derived class.
    sklearn.exceptions.NotFittedError
        If `estimator` is not fitted.

    See Also
    --------
    to_sklearn
    """
    target = _counterpart(estimator, COUNTERPARTS)
    check_is_fitted(estimator, "coefs_")
    made = target(**copy.deepcopy(estimator.get_params(deep=False)))
    _share(estimator, made)
    coefs, intercepts = list(estimator.coefs_), list(estimator.intercepts_)
    widths = [len(coefs[0]), *(coef.shape[1] for coef in coefs)]
    dtype = np.result_type(*coefs, *intercepts)
    values = iter(zip(coefs, intercepts, strict=True))
    network = networks.perceptron(widths, made.activation, 0, dtype, lambda *_: next(values))
    made._adopt(network)
    made._made_by = {**made._made_by, "hidden_layer_sizes": widths[1:-1]}
    best, constants = made._fitted.snapshot()
    best[...] = _flat(estimator._best_coefs, estimator._best_intercepts)
    made._best = best, constants
    optimizer = getattr(estimator, "_optimizer", None)
    if optimizer is not None:
        made._optimizer = _from_optimizer(optimizer, network, _factor(made))
    return made


def to_sklearn(estimator: Any) -> Any:
    """Return the scikit-learn estimator for a fitted estimator of fastnn.

    It is the inverse of `from_sklearn`.

    Parameters
    ----------
    estimator : fastnn.sklearn.MLPClassifier or MLPRegressor
        Everything in it is copied, except `n_jobs`, which does not change results.

    Returns
    -------
    sklearn.neural_network.MLPClassifier or MLPRegressor

    Raises
    ------
    ValueError
        If a parameter has a value that scikit-learn does not know: a `loss` or `activation` that
        only fastnn has, the solver "lm", or any `dropout`, `network`, `callbacks`, `class_weight`
        or `store_covariance`. Or if a parameter that defines the network has changed since the fit.
    TypeError
        If `estimator` is another object, or an instance of a derived class.
    sklearn.exceptions.NotFittedError
        If `estimator` is not fitted.
    """
    target = _counterpart(estimator, {ours: theirs for theirs, ours in COUNTERPARTS.items()})
    check_is_fitted(estimator)
    made = target(**_known_parameters(estimator, target))
    estimator._demand_architecture()
    _share(estimator, made)
    network = estimator._fitted.network
    widths = [network.in_features, *(coef.shape[1] for coef in estimator.coefs_)]
    made.coefs_, made.intercepts_ = _lists(network.params, widths)
    made._best_coefs, made._best_intercepts = _lists(estimator._best[0], widths)
    optimizer = getattr(estimator, "_optimizer", None)
    if optimizer is not None:
        made._optimizer = _to_optimizer(optimizer, widths, _factor(estimator))
    return made


def _counterpart(estimator: Any, counterparts: dict[type, type]) -> type:
    if type(estimator) not in counterparts:
        names = " or ".join(f"{cls.__module__}.{cls.__name__}" for cls in counterparts)
        raise TypeError(
            f"estimator is a {type(estimator).__module__}.{type(estimator).__name__}; expected an "
            f"instance of {names}"
        )
    return counterparts[type(estimator)]


def _share(source: Any, target: Any) -> None:
    for name in SHARED:
        if name in vars(source):
            setattr(target, name, copy.deepcopy(getattr(source, name)))


def _known_parameters(estimator: BaseMLP, target: type) -> dict[str, Any]:
    """Return the parameters that scikit-learn's class has, or raise if one has no counterpart."""
    given = estimator.get_params(deep=False)
    known = target().get_params(deep=False)
    defaults = type(estimator)().get_params(deep=False)
    for name in given.keys() - known.keys() - {"n_jobs"}:
        value = given[name]
        if not (value is None or (isinstance(value, list | tuple) and not value)) and (
            isinstance(value, list | tuple | dict) or callable(value) or value != defaults[name]
        ):
            raise ValueError(
                f"{name} is {value!r}; scikit-learn's {target.__name__} has no such parameter"
            )
    allowed = {
        "activation": ("identity", "logistic", "tanh", "relu"),
        "solver": ("adam", "sgd", "lbfgs"),
        "loss": ("squared_error", "poisson"),
    }
    for name in allowed.keys() & known.keys():
        if not isinstance(given[name], str) or given[name] not in allowed[name]:
            raise ValueError(
                f"{name} is {given[name]!r}; scikit-learn's {target.__name__} has only "
                f"{', '.join(allowed[name])}"
            )
    return copy.deepcopy({name: given[name] for name in known})


def _factor(estimator: Any) -> float:
    """Return the factor of the objective's gradients over those of the engine."""
    several = "classes_" in vars(estimator) and estimator.out_activation_ == "logistic"
    return float(estimator.n_outputs_) if several else 1.0


def _flat(coefs: Any, intercepts: Any) -> Array:
    """Return one array in the order of a network's parameters."""
    pairs = zip(coefs, intercepts, strict=True)
    return np.concatenate([part for coef, bias in pairs for part in (coef.T.ravel(), bias)])


def _lists(flat: Array, widths: list[int]) -> tuple[list[Array], list[Array]]:
    """Return weights (fan_in, fan_out) and biases (fan_out,), copies; the inverse of `_flat`."""
    coefs, intercepts, first = [], [], 0
    for fan_in, fan_out in pairwise(widths):
        end = first + fan_in * fan_out
        coefs.append(flat[first:end].reshape(fan_out, fan_in).T.copy(order="C"))
        intercepts.append(flat[end : end + fan_out].copy())
        first = end + fan_out
    return coefs, intercepts


def _from_optimizer(optimizer: Any, network: Any, factor: float) -> StochasticOptimizer:
    n_layers = len(optimizer.ms if isinstance(optimizer, AdamOptimizer) else optimizer.velocities)

    def flat(arrays: Any, scale: float) -> Array:
        return _flat(arrays[: n_layers // 2], arrays[n_layers // 2 :]) * scale

    first_rate = float(optimizer.learning_rate_init)
    if isinstance(optimizer, AdamOptimizer):
        made = StochasticOptimizer.adam(
            network, first_rate, optimizer.beta_1, optimizer.beta_2, optimizer.epsilon
        )
        made.state.arrays[0] = flat(optimizer.ms, 1 / factor)
        made.state.arrays[1] = flat(optimizer.vs, 1 / factor**2)
        made.state.step = optimizer.t
        return made
    made = StochasticOptimizer.sgd(
        network,
        first_rate,
        optimizer.momentum,
        optimizer.nesterov,
        optimizer.lr_schedule,
        optimizer.power_t,
    )
    made.learning_rate = float(optimizer.learning_rate)
    for row in made.state.arrays:  # none without momentum
        row[...] = flat(optimizer.velocities, -1 / (made.learning_rate * factor))
    return made


def _to_optimizer(optimizer: StochasticOptimizer, widths: list[int], factor: float) -> Any:
    rule, state = optimizer.rule, optimizer.state

    def lists(flat: Array, scale: float) -> list[Array]:
        coefs, intercepts = _lists(flat * flat.dtype.type(scale), widths)
        return coefs + intercepts

    if isinstance(rule, Adam):
        made = AdamOptimizer([], optimizer.first_rate, *rule.betas, rule.eps)
        made.t = state.step
        made.ms = lists(state.arrays[0], factor)
        made.vs = lists(state.arrays[1], factor**2)
        if made.t:
            root = np.sqrt(1 - made.beta_2**made.t)
            made.learning_rate = optimizer.first_rate * root / (1 - made.beta_1**made.t)
        return made
    made = SGDOptimizer(
        [],
        optimizer.first_rate,
        optimizer.schedule,
        rule.momentum,
        rule.nesterov,
        optimizer.power_t,
    )
    made.learning_rate = optimizer.learning_rate
    n_params = sum(fan_in * fan_out + fan_out for fan_in, fan_out in pairwise(widths))
    velocity = state.arrays[0] if rule.momentum else np.zeros(n_params, state.arrays.dtype)
    made.velocities = lists(velocity, -optimizer.learning_rate * factor)
    return made
