"""Validation: the choice of held-out samples, and the metrics measured on them."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import metrics
from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.layers import Layer, Softmax
from fastnn.losses import BinaryCrossEntropy, CustomLoss, Loss, allows_negative_weights, is_built_in
from fastnn.losses.custom import value_and_grad
from fastnn.model import Model

Metric = Callable[..., float]  # of the outputs and y

# What `fit` takes as held-out samples: (X, y), (X, y, sample_weight), or a share.
ValidationData = tuple[Any, Any] | tuple[Any, Any, Any] | float

NAMED = {"accuracy": metrics.accuracy, "rmse": metrics.rmse, "r2": metrics.r2}
OF_WEIGHTS = (*NAMED.values(), metrics.binary_accuracy)


@dataclass
class Validation:
    """Held-out samples, and the metrics that are measured on them after each epoch.

    `x` has the network's dtype, or is a memmap of another dtype whose values are checked.

    Attributes
    ----------
    given : ndarray, or None
        The targets in their own units, if `target` and the model's outputs are standardised. The
        metrics compare them with the outputs of `last`.
    last : Layer, or None
        The network's last layer, which the model lacks.
    """

    x: Array | SparseRows
    target: Any
    weights: Array | None
    loss: Loss | CustomLoss
    metrics: dict[str, Metric] = field(default_factory=dict)
    given: Any = None
    last: Layer | None = None

    def take_metrics(self, metrics: dict[str, Metric], n_outputs: int) -> None:
        """Measure these metrics too.

        Raises
        ------
        ValueError
            If a metric given by its name cannot compare outputs (n, n_outputs) with the targets.
            A user's own loss may take targets of any shape.
        """
        for name, metric in metrics.items():
            if metric in OF_WEIGHTS:
                _compared(metric, name, self.target, (len(self.x), n_outputs))
        self.metrics = metrics

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the History of what `measure` returns."""
        own = [self.loss.metric_name] if is_built_in(self.loss) else []
        return tuple(dict.fromkeys(f"val_{name}" for name in ("loss", *own, *self.metrics)))

    def measure(self, model: Model, n_threads: int) -> dict[str, float]:
        """Return the loss, the metric of a built-in loss and the user's metrics, by their names."""
        given = self.target if self.last is None else self.given
        # with negative weights, an average would have no meaning
        weights = None if allows_negative_weights(self.loss) else self.weights
        if is_built_in(self.loss):
            plan, formula = self.loss.under(model.plan)
            outputs = self._outputs(replace(model, plan=plan), n_threads)
            value, _ = self.loss.evaluate(outputs, self.target, self.weights, formula)
            if plan is not model.plan:  # the outputs are logits
                outputs = Softmax()(outputs)
            outputs = outputs if self.last is None else self.last(outputs)
            measured = {
                "val_loss": value,
                f"val_{self.loss.metric_name}": self.loss.metric(outputs, given, weights),
            }
        else:
            outputs = self._outputs(model, n_threads)
            value, _ = value_and_grad(self.loss, outputs, self.target, self.weights)
            outputs = outputs if self.last is None else self.last(outputs)
            measured = {"val_loss": value}
        for name, metric in self.metrics.items():
            if metric in OF_WEIGHTS:
                target = _compared(metric, name, given, outputs.shape)
                compared = outputs, target, weights
                if is_built_in(self.loss):
                    compared = self.loss.observed(*compared)
                found = metric(*compared)
            else:  # a user's function may write to its arguments
                found = metric(outputs.copy(), copy.deepcopy(given))
            measured[f"val_{name}"] = _number(found, name)
        return measured

    def _outputs(self, model: Model, n_threads: int) -> Array:
        if isinstance(self.x, SparseRows) or self.x.dtype == model.params.dtype:
            return model.predict(self.x, n_threads)
        return model.predict_by_blocks(self.x, n_threads)


def _compared(metric: Metric, name: str, target: Any, outputs: tuple[int, ...]) -> Array:
    """Return the targets in the shape that a metric of fastnn compares with such outputs."""
    shape = outputs[:1] if metric is metrics.accuracy else outputs
    found = np.asarray(target)
    column = (len(found), 1) if found.ndim else ()
    if found.shape != shape and not {found.shape, shape} <= {column, column[:1]}:
        raise ValueError(
            f"metrics has {name!r}, which compares targets of shape {shape}, and the targets of "
            f"validation_data have {found.shape}; a function of the outputs and y is wanted"
        )
    return found.reshape(shape)


def _number(value: Any, name: str) -> float:
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "biuf":
        raise TypeError(f"the metric {name} returned {value!r}; a number is wanted")
    return float(array)


def check_metrics(given: Any, loss: Loss | CustomLoss, validated: bool) -> dict[str, Metric]:
    """Check the argument `metrics` of `fit`, and return functions by their names.

    Raises
    ------
    ValueError, TypeError
        If it is no sequence of known names or functions of (outputs, y), if a metric does not suit
        the loss or occurs twice, or if there are no held-out samples.
    """
    if isinstance(given, str) or not isinstance(given, tuple | list):
        raise TypeError(f"metrics is {given!r}; a tuple of names or functions is wanted")
    if given and not validated:
        raise ValueError(
            "metrics are measured on held-out samples; give validation_data too, for example 0.2"
        )
    found: dict[str, Metric] = {}
    for i, metric in enumerate(given):
        if isinstance(metric, str):
            name, function = metric, _named(metric, f"metrics[{i}]", loss)
        elif callable(metric):
            name, function = getattr(metric, "__name__", type(metric).__name__), metric
            if is_built_in(loss) and name == loss.metric_name:
                raise ValueError(
                    f"metrics[{i}] is called {name!r}, as {type(loss).__name__}'s own metric is; "
                    f"another name is wanted"
                )
        else:
            raise TypeError(f"metrics[{i}] is {metric!r}; a name or a function is wanted")
        if name in found or name == "loss":
            raise ValueError(f"metrics[{i}]: there is another metric called {name!r}")
        found[name] = function
    return found


def _named(name: str, argument: str, loss: Loss | CustomLoss) -> Metric:
    if name not in NAMED:
        wanted = ", ".join(map(repr, NAMED))
        raise ValueError(f"{argument} is {name!r}; one of {wanted}, or a function, is wanted")
    of_classes = is_built_in(loss) and (loss.takes_labels or isinstance(loss, BinaryCrossEntropy))
    if is_built_in(loss) and (name == "accuracy") != of_classes:
        raise ValueError(
            f"{argument} is {name!r}, which does not suit {type(loss).__name__}: its targets are "
            f"{'classes' if of_classes else 'real numbers'}"
        )
    if isinstance(loss, BinaryCrossEntropy):
        return metrics.binary_accuracy
    return NAMED[name]


def split(
    share: float, target: Any, loss: Loss | CustomLoss, rng: "np.random.Generator"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw a share of the samples to hold out, the same share of each class if there are classes.

    The only sample of a class goes to training, with a warning.

    Returns
    -------
    (ndarray of int64, ndarray of int64)
        Ascending indices of the training samples and of the held-out ones.

    Raises
    ------
    ValueError
        If no sample can be held out: there is only one, or only one of each class.
    """
    from fastnn import datasets  # here, since `import fastnn` has no need of the csv module

    name = f"validation_data is {share:g}"
    stratified = is_built_in(loss) and loss.takes_labels
    strata = target if stratified else np.zeros(len(target), np.int64)
    training, held_out = datasets.stratified_split(strata, share, rng)
    if not held_out.size:
        what = "a single sample of each class" if stratified else "a single sample"
        raise ValueError(f"{name}, but there is {what}, and training needs it")
    if stratified:
        classes, counts = np.unique(target[target >= 0], return_counts=True)
        if single := [int(label) for label in classes[counts == 1]]:
            warnings.warn(
                f"{name}, but of class {', '.join(map(str, single))} there is a single sample, "
                f"which goes to training; validation says nothing about it",
                stacklevel=5,  # where `fit` was called
            )
    return training, held_out
