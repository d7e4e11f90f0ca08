"""Fitted estimators of `sklearn.neural_network` become fastnn's, and back.

The parameters of a network, the optimizer's running means and each gradient stand in scikit-learn
in two lists, of weights (fan_in, fan_out) and of biases; in fastnn in one flat array. The engine's
gradients are the objective's over its factor, and its velocities are free of the learning rate.
"""

import copy
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import neural_network
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.utils.validation import check_is_fitted

from fastnn.optimizers import SGD, Adam, OptimizerState
from fastnn.sklearn import networks
from fastnn.sklearn.base import BaseMLP
from fastnn.sklearn.classifier import MLPClassifier
from fastnn.sklearn.regressor import MLPRegressor
from fastnn.sklearn.stochastic import StochasticOptimizer

Array = NDArray[Any]

COUNTERPARTS: dict[type, type] = {
    neural_network.MLPClassifier: MLPClassifier,
    neural_network.MLPRegressor: MLPRegressor,
}

# What both libraries keep under one name and with one meaning.
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
    """Make fastnn's estimator of a fitted one of scikit-learn.

    It has the same parameters and fitted attributes, and predicts alike up to rounding. Its
    optimizer continues, so `partial_fit` and `warm_start` train on as scikit-learn would.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor
        Copies are taken of all that it holds.

    Returns
    -------
    fastnn.sklearn.MLPClassifier or MLPRegressor
        Of the weights' dtype, float32 or float64.

    Raises
    ------
    TypeError
        If it is another object, or an instance of a derived class.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    to_sklearn
    """
    target = _counterpart(estimator, COUNTERPARTS)
    check_is_fitted(estimator, "coefs_")
    model = target(**copy.deepcopy(estimator.get_params(deep=False)))
    _share(estimator, model)
    coefs, intercepts = list(estimator.coefs_), list(estimator.intercepts_)
    widths = [len(coefs[0]), *(coef.shape[1] for coef in coefs)]
    dtype = np.result_type(*coefs, *intercepts)
    values = iter(zip(coefs, intercepts, strict=True))
    network = networks.perceptron(widths, model.activation, 0, dtype, lambda *_: next(values))
    model._adopt(network)
    model._made_by = {**model._made_by, "hidden_layer_sizes": widths[1:-1]}
    best, constants = model._fitted.snapshot()
    best[...] = _flat(estimator._best_coefs, estimator._best_intercepts)
    model._best = best, constants
    optimizer = getattr(estimator, "_optimizer", None)
    if optimizer is not None:
        model._optimizer = _from_optimizer(optimizer, network, _factor(model))
    return model


def to_sklearn(estimator: Any) -> Any:
    """Make scikit-learn's estimator of a fitted one of fastnn; the inverse of `from_sklearn`.

    Parameters
    ----------
    estimator : fastnn.sklearn.MLPClassifier or MLPRegressor
        Copies are taken of all that it holds. `n_jobs` is left out: results do not depend on it.

    Returns
    -------
    sklearn.neural_network.MLPClassifier or MLPRegressor

    Raises
    ------
    ValueError
        If a parameter has a value that scikit-learn does not know: a `loss` or `activation` of
        fastnn's own, solver "lm", or any `dropout`, `network`, `callbacks`, `class_weight` or
        `store_covariance`; or if the network was made by other parameters than it has now.
    TypeError
        If it is another object, or an instance of a derived class.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    target = _counterpart(estimator, {ours: theirs for theirs, ours in COUNTERPARTS.items()})
    check_is_fitted(estimator)
    model = target(**_known_parameters(estimator, target))
    estimator._demand_architecture()
    _share(estimator, model)
    network = estimator._fitted.network
    widths = [network.in_features, *(coef.shape[1] for coef in estimator.coefs_)]
    model.coefs_, model.intercepts_ = _lists(network.params, widths)
    model._best_coefs, model._best_intercepts = _lists(estimator._best[0], widths)
    optimizer = getattr(estimator, "_optimizer", None)
    if optimizer is not None:
        model._optimizer = _to_optimizer(optimizer, widths, _factor(estimator))
    return model


def _counterpart(estimator: Any, counterparts: dict[type, type]) -> type:
    if type(estimator) not in counterparts:
        names = " or ".join(f"{cls.__module__}.{cls.__name__}" for cls in counterparts)
        raise TypeError(
            f"estimator is a {type(estimator).__module__}.{type(estimator).__name__}; an instance "
            f"of {names} is wanted"
        )
    return counterparts[type(estimator)]


def _share(source: Any, target: Any) -> None:
    for name in SHARED:
        if name in vars(source):
            setattr(target, name, copy.deepcopy(getattr(source, name)))


def _known_parameters(estimator: BaseMLP, target: type) -> dict[str, Any]:
    """Return the parameters that scikit-learn's class has, or raise if one cannot be carried."""
    given = estimator.get_params(deep=False)
    known = target().get_params(deep=False)
    defaults = type(estimator)().get_params(deep=False)
    for name in given.keys() - known.keys() - {"n_jobs"}:
        value = given[name]
        if not (value is None or (isinstance(value, list | tuple) and not value)) and (
            isinstance(value, list | tuple | dict) or callable(value) or value != defaults[name]
        ):
            raise ValueError(f"{name} is {value!r}; scikit-learn's {target.__name__} has none")
    wanted = {
        "activation": ("identity", "logistic", "tanh", "relu"),
        "solver": ("adam", "sgd", "lbfgs"),
        "loss": ("squared_error", "poisson"),
    }
    for name in wanted.keys() & known.keys():
        if not isinstance(given[name], str) or given[name] not in wanted[name]:
            raise ValueError(
                f"{name} is {given[name]!r}; scikit-learn's {target.__name__} knows "
                f"{', '.join(wanted[name])}"
            )
    return copy.deepcopy({name: given[name] for name in known})


def _factor(estimator: Any) -> float:
    """Return what the objective's gradients are over those of the engine."""
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

    first = float(optimizer.learning_rate_init)
    parts = [(layer.n_params, True) for layer in network.layers if layer.n_params]
    rule: SGD | Adam
    if isinstance(optimizer, AdamOptimizer):
        rule = Adam(
            first, betas=(optimizer.beta_1, optimizer.beta_2), eps=max(optimizer.epsilon, 1e-37)
        )
        rows = [flat(optimizer.ms, 1 / factor), flat(optimizer.vs, 1 / factor**2)]
        rate, schedule, power_t, step = first, "constant", 0.5, optimizer.t
    else:
        rate = float(optimizer.learning_rate)
        momentum = min(optimizer.momentum, np.nextafter(1, 0))
        rule = SGD(first, momentum=momentum, nesterov=bool(optimizer.nesterov and momentum))
        rows = [flat(optimizer.velocities, -1 / (rate * factor))] if momentum else []
        schedule, power_t, step = optimizer.lr_schedule, optimizer.power_t, 0
    state = OptimizerState().continued_for(rule, parts, network.dtype)
    for row, values in zip(state.arrays, rows, strict=True):
        row[...] = values
    state.step = step
    return StochasticOptimizer(rule, state, rate, schedule, first, power_t)


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
