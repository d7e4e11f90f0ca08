"""The base class of the losses that the engine computes: reduction, weights, the engine's call."""

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fastnn import _checks, _core, metrics
from fastnn._core._calls import loss_and_grad
from fastnn._core.arrays import Array
from fastnn.losses.probabilities import of_outputs

if TYPE_CHECKING:
    from fastnn._core import engine

Reduction = Literal["mean", "sum"]

# The engine's description of a loss: kind, reduction, and the loss's parameters by name.
Formula = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Loss:
    """The base class of the built-in losses; use one of its subclasses.

    The engine computes only the built-in losses. A subclass of your own trains one update at a time
    in Python, through its `value_and_grad`.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Whether the loss of a batch is the mean of the samples' losses l, or their sum. By default
        the mean. With sample weights w it is Σ w l / Σ w or Σ w l.
    ignore_nan : bool
        Whether targets may be missing; by default False. A missing target is NaN, or the label -1
        if the loss takes labels. It adds nothing to the loss and its derivatives. The divisor of
        the mean then counts observed targets only. If the loss of a sample is a mean over its
        outputs, each observed element counts equally; if it is a sum, each sample with an observed
        element counts once. The loss of a batch without any observed target is 0.
    output_weight : array_like (n_outputs,), optional
        The weights v of the outputs, at least 0 and not all 0; by default all are 1. The loss of a
        sample is the sum of v times the outputs' losses, or their weighted mean, with the divisor
        Σ v. An output of weight 0 is ignored. A loss that takes labels compares all outputs at
        once, so it has no such weights; `class_weight` of `fit` weights the classes.
    negative_weights : bool
        Whether sample weights may be negative, such as the advantages of policy gradients. By
        default False. Then the weights may also be all 0, and the mean is Σ w l / n for n samples,
        since Σ w may be 0. Metrics of held-out samples ignore such weights.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.
    """

    kind: ClassVar[str]
    takes_labels: ClassVar[bool]
    takes_probabilities: ClassVar[bool] = False
    sums_outputs: ClassVar[bool] = False  # a sample's loss is a sum over outputs, not a mean
    # whether it depends on ŷ - y only, so that both may be counted in other units
    of_errors: ClassVar[bool] = False
    has_hessian: ClassVar[bool] = True
    hessian_takes_target: ClassVar[bool] = False
    metric_name: ClassVar[str]
    link: ClassVar[str | None] = None  # how outputs become probabilities, as in `probabilities.py`

    # whether the engine computes the loss; a subclass of your own may override any method
    in_engine: ClassVar[bool] = False

    reduction: Reduction = "mean"
    ignore_nan: bool = field(default=False, kw_only=True)
    output_weight: Any = field(default=None, kw_only=True)
    negative_weights: bool = field(default=False, kw_only=True)

    def __init_subclass__(cls) -> None:
        cls.in_engine = cls.__module__.startswith("fastnn.losses.")

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise ValueError(f"reduction is {self.reduction!r}; 'mean' or 'sum' is wanted")
        _checks.boolean(self.negative_weights, "negative_weights")
        object.__setattr__(self, "ignore_nan", _checks.boolean(self.ignore_nan, "ignore_nan"))
        if self.output_weight is not None:
            object.__setattr__(self, "output_weight", self._checked_output_weight())

    def _checked_output_weight(self) -> tuple[float, ...]:
        if self.takes_labels:
            raise TypeError(
                f"output_weight is given; {type(self).__name__} takes class labels and compares "
                f"all outputs at once. class_weight of fit weights the classes"
            )
        given = _checks.real_array(self.output_weight, "output_weight", np.dtype(np.float64), 1)
        weights = tuple(given.tolist())
        if not any(weights) or min(weights) < 0:
            raise ValueError(
                f"output_weight is {list(weights)}; numbers of at least 0, not all 0, are wanted"
            )
        return weights

    def __repr__(self) -> str:
        """Return the constructor's call; checkpoints compare it, so new defaults are left out."""
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        if not self.negative_weights:
            del shown["negative_weights"]
        if not self.ignore_nan:
            del shown["ignore_nan"]
        if self.output_weight is None:
            del shown["output_weight"]
        arguments = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{type(self).__qualname__}({arguments})"

    @property
    def gram_takes_target(self) -> bool:
        """Whether the Gauss-Newton matrix depends on the targets."""
        return self.ignore_nan or self.hessian_takes_target

    def formula(self) -> Formula:
        """Return the engine's description of the loss."""
        formula = {"kind": self.kind, **vars(self)}
        if self.output_weight is not None:
            formula["output_weight"] = self.factors_of_outputs()
        return formula

    def factors_of_outputs(self) -> Array:
        """Return the factor of each output's loss in the engine, (n_outputs,) of float64.

        If the loss is a mean over the outputs, the factors have the mean 1: the engine divides by
        the number of outputs.
        """
        weights = np.array(self.output_weight)
        return weights if self.sums_outputs else weights * (len(weights) / weights.sum())

    def under(self, plan: "engine.Plan") -> tuple["engine.Plan", Formula]:
        """Return the plan and the formula with which the engine computes the loss of a network."""
        return plan, self.formula()

    def value_and_grad(self, y_pred: Any, y: Any, sample_weight: Any = None) -> tuple[float, Array]:
        """Return the loss and its gradient with respect to the outputs.

        Parameters
        ----------
        y_pred : array_like (n, n_outputs)
            The network's outputs. Float32 stays float32; other dtypes become float64.
        y : array_like
            Targets (n, n_outputs), or class indices (n,) where the loss takes labels. With
            `ignore_nan`, NaN (or the label -1) marks a missing target.
        sample_weight : array_like (n,), optional
            Weights of the samples, at least 0 and not all 0 unless the loss has
            `negative_weights`. By default all are 1.

        Returns
        -------
        (float, ndarray (n, n_outputs))

        Raises
        ------
        ValueError, TypeError
            If shapes do not fit, or the values do not suit this loss.
        """
        ready = loss_and_grad(_core.engine, self, y_pred, y, sample_weight)
        if ready is not None:
            return ready
        given, dtype = _matrix(y_pred, "y_pred")
        target = self.check_target(y, given.shape, dtype)
        weights = _checks.sample_weight(
            sample_weight, "sample_weight", dtype, len(given), self.negative_weights
        )
        outputs = _checks.converted(given, "y_pred", dtype)
        self.check_outputs(outputs)
        return self.evaluate(outputs, target, weights)

    def probabilities(self, outputs: Any) -> Array:
        """Return the probabilities of the classes that a network's outputs stand for.

        Parameters
        ----------
        outputs : array_like (n, n_outputs)
            Float32 stays float32; other dtypes become float64.

        Returns
        -------
        ndarray (n, n_classes)
            Each row sums to 1. `BinaryCrossEntropy` gives one output two columns, for the classes 0
            and 1, and more outputs a probability each.

        Raises
        ------
        TypeError
            If the loss has no probabilities: it is not one of classes.
        ValueError, TypeError
            If `outputs` is invalid.
        """
        if self.link is None:
            raise TypeError(
                f"{type(self).__name__} has no probabilities of classes; SoftmaxCrossEntropy(), "
                f"BinaryCrossEntropy() or NegativeLogLikelihood() is wanted"
            )
        given, dtype = _matrix(outputs, "outputs")
        checked = _checks.converted(given, "outputs", dtype)
        self.check_outputs(checked)
        return of_outputs(self.link, checked)

    def evaluate(
        self,
        outputs: Array,
        target: Array,
        weights: Array | None = None,
        formula: Formula | None = None,
    ) -> tuple[float, Array]:
        """Return `value_and_grad` for checked arrays, and optionally the formula from `under`."""
        divisor = self.divisor(len(outputs), weights, target)
        gradient = np.empty_like(outputs)
        total = _core.engine.loss(
            formula or self.formula(),
            outputs,
            *self.engine_target(target),
            weights,
            1 / divisor,
            gradient,
        )
        return total / divisor, gradient

    def divisor(self, n_samples: int, weights: Array | None, target: Array | None = None) -> float:
        """Return the divisor of the summed loss of a batch; 1 for a batch without samples.

        The targets are needed only if some may be missing.
        """
        if self.reduction == "sum":
            return 1.0
        if self.ignore_nan and target is not None:
            return self.total_weight(weights, target) or 1.0
        if weights is None or self.negative_weights:
            return float(n_samples) or 1.0
        return float(weights.sum(dtype=np.float64)) or 1.0

    def target_bounds(self, n_outputs: int) -> tuple[float, float] | None:
        """Return the range of the targets that `check_target` accepts.

        None means that only `check_target` can decide, for this number of outputs.
        """
        return -math.inf, math.inf

    def total_weight(self, weights: Array | None, target: Array) -> float:
        """Return the divisor of the mean over samples of which some targets may be missing."""
        shares = self.observed_shares(target)
        if weights is None or self.negative_weights:
            return float(shares.sum())
        return float(shares @ weights.astype(np.float64))

    def observed_shares(self, target: Array) -> Array:
        """Return the share (n,) of each sample's weight that counts in `total_weight`."""
        if self.takes_labels:
            return np.asarray(target >= 0)
        elements = self.element_weights(target)
        if self.sums_outputs:
            return np.asarray(elements.any(axis=1))
        complete = ~np.isnan(target).any(axis=1)
        return np.where(complete, 1.0, elements.mean(axis=1))

    def element_weights(self, target: Array) -> Array:
        """Return the factor of each element of real targets within its sample: 0 if missing."""
        factors = 1.0 if self.output_weight is None else self.factors_of_outputs()
        return np.where(np.isnan(target), 0.0, factors)

    def demand_observed(self, target: Array, weights: Array | None, name: str) -> None:
        """Raise ValueError if there are samples, but no observed target of weight above 0."""
        if self.ignore_nan and len(target) and not self.total_weight(weights, target) > 0:
            raise ValueError(
                f"{name} is missing for every sample of weight above 0; at least one observed "
                f"target is wanted"
            )

    def observed(
        self, outputs: Array, target: Array, weights: Array | None
    ) -> tuple[Array, Array, Array | None]:
        """Return the observed outputs and targets, and their weights, as a metric takes them.

        Rows without a label are left out. With `ignore_nan` or `output_weight`, real targets become
        vectors of the elements of positive weight. Otherwise the arguments are returned.
        """
        if self.takes_labels:
            rows = target >= 0
            if not self.ignore_nan or rows.all():
                return outputs, target, weights
            return outputs[rows], target[rows], None if weights is None else weights[rows]
        if not self.ignore_nan and self.output_weight is None:
            return outputs, target, weights
        elements = self.element_weights(target)
        if weights is not None:
            elements *= weights[:, np.newaxis]
        counted = elements > 0
        return outputs[counted], target[counted], elements[counted]

    def engine_target(self, target: Array) -> tuple[Array | None, Array | None]:
        """Return the engine's two arguments (targets, labels); one of the two is None."""
        return (None, target) if self.takes_labels else (target, None)

    def check_target(
        self, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str = "y"
    ) -> Array:
        """Return the checked targets for outputs of shape (n, n_outputs) and this dtype."""
        n, n_outputs = shape
        self.check_width(n_outputs)
        if self.takes_labels:
            return _checks.class_labels(y, name, n, n_outputs, self.ignore_nan)
        return _checks.real_targets(y, name, dtype, shape, self.ignore_nan)

    def check_width(self, n_outputs: int) -> None:
        """Raise ValueError if the loss does not suit this number of outputs."""
        if self.takes_labels and n_outputs < 2:
            raise ValueError(
                f"{type(self).__name__} needs a network of at least 2 outputs, one for each "
                f"class; the network has {n_outputs}"
            )
        if self.output_weight is not None and len(self.output_weight) != n_outputs:
            raise ValueError(
                f"output_weight has {len(self.output_weight)} numbers; {n_outputs}, one for each "
                f"output of the network, are wanted"
            )

    def check_outputs(self, outputs: Array) -> None:
        """Raise ValueError if the outputs do not suit the loss (logits, not probabilities)."""

    def metric(self, outputs: Array, target: Array, weights: Array | None = None) -> float:
        """Return the metric that is reported with the loss: accuracy or RMSE."""
        metric = metrics.accuracy if self.takes_labels else metrics.rmse
        return metric(*self.observed(outputs, target, weights))


def _matrix(value: Any, name: str) -> tuple[Array, "np.dtype[Any]"]:
    """Return a numeric matrix (n, n_outputs), and the dtype to convert it to."""
    given = _checks.numeric_array(value, name)
    if given.ndim != 2 or given.shape[1] == 0:
        raise ValueError(f"{name} has shape {given.shape}; (n, n_outputs) is wanted")
    return given, np.dtype(np.float32 if given.dtype == np.float32 else np.float64)
