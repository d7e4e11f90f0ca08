"""A comparison of gradients with finite differences, entry by entry.

A finite difference across a kink is not a derivative: it lies between the slopes of the two sides.
For a network, the check therefore looks for activations such as ReLU whose input crosses a kink
within a step. It reports such an entry as a kink, not as an error.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import _checks, _html
from fastnn._core.arrays import Array
from fastnn.jacobians import Jacobian
from fastnn.layers import Layer, Softmax
from fastnn.losses import (
    CustomLoss,
    Loss,
    NegativeLogLikelihood,
    SoftmaxCrossEntropy,
    check_target,
    is_built_in,
)
from fastnn.losses.custom import value_and_grad
from fastnn.network import Network
from fastnn.numerical import numerical_jacobian

STEP = 2.0**-17  # about the cube root of float64's eps, where curvature and rounding err alike
KINKS_SHOWN = 5  # in the text of a report


@dataclass(frozen=True)
class Kink:
    """An activation's unit whose input crosses a kink within the step of a finite difference.

    Attributes
    ----------
    entry : str
        The entry that was changed, such as "layers[0].weight[3, 1]".
    layer, unit, sample : int
        The input of the activation `layers[layer]`, or of one inside that block, crosses a kink at
        this unit and sample.
    interval : (float, float)
        The slopes of the loss on the left and on the right of the entry. If no other unit crosses a
        kink, every number between them is a subderivative.
    """

    entry: str
    layer: int
    unit: int
    sample: int
    interval: tuple[float, float]

    def __str__(self) -> str:
        left, right = self.interval
        return (
            f"layers[{self.layer}], unit {self.unit}, sample {self.sample}: the derivative by "
            f"{self.entry} is between {left:.6g} and {right:.6g}"
        )


@dataclass(frozen=True)
class GradientReport:
    """The result of `check_gradient`; true if the gradient is right.

    Attributes
    ----------
    ok : bool
        Whether every entry's relative error is within its tolerance.
    entry : str
        The entry with the largest error, such as "layers[2].weight[3, 1]". Empty if no entry was
        compared.
    analytic, numeric : float
        The two values of this entry. If one kink is within the step, the numeric value is the
        number between the two slopes that is nearest to the analytic value.
    absolute_error, relative_error : float
        The difference of the two values, absolute and relative. The relative error is divided by
        the largest of: the two values, 1/100 of the largest entry, 1/1000 of the function's value.
        For a network the divisor is also at least 1/1000 of √(c V). c is the second derivative of
        the loss by the entry, and V is the largest c s² of all entries, where s is 1, or about the
        entry's size if that is larger. So rounding errors at a minimum are no mistake.
    n_entries : int
        How many entries were compared.
    kinks : tuple of Kink
        The kinks within the steps. An entry with one kink must lie between the slopes of its two
        sides. An entry with several kinks is not compared.
    tolerance : float
        The largest allowed relative error; at least 1e-4 is allowed for an entry with a kink.
    """

    ok: bool
    entry: str
    analytic: float
    numeric: float
    absolute_error: float
    relative_error: float
    n_entries: int
    kinks: tuple[Kink, ...]
    tolerance: float

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        verdict = "right" if self.ok else "WRONG"
        lines = [f"gradient {verdict}: {self.n_entries} entries, tolerance {self.tolerance:g}"]
        if self.entry:
            lines.append(
                f"worst {self.entry}: analytic {self.analytic:.9g}, numeric {self.numeric:.9g}, "
                f"absolute error {self.absolute_error:.2g}, relative {self.relative_error:.2g}"
            )
        lines += [f"kink at {kink}" for kink in self.kinks[:KINKS_SHOWN]]
        if len(self.kinks) > KINKS_SHOWN:
            lines.append(f"and {len(self.kinks) - KINKS_SHOWN} more kinks")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the comparison as a table, for a notebook."""
        rows = [("entries", f"{self.n_entries:,}"), ("tolerance", f"{self.tolerance:g}")]
        if self.entry:
            rows += [
                ("entry with the largest error", self.entry),
                ("analytic", f"{self.analytic:.9g}"),
                ("numeric", f"{self.numeric:.9g}"),
                ("absolute error", f"{self.absolute_error:.2g}"),
                ("relative error", f"{self.relative_error:.2g}"),
            ]
        rows += [("kink", str(kink)) for kink in self.kinks[:KINKS_SHOWN]]
        if len(self.kinks) > KINKS_SHOWN:
            rows.append(("", f"and {len(self.kinks) - KINKS_SHOWN} more kinks"))
        verdict = "right" if self.ok else "WRONG"
        return _html.table(f"gradient {verdict}", ("", "value"), rows, n_texts=2)


def check_gradient(
    f: "Network | Callable[[Any], Any]",
    x: Any,
    y: Any = None,
    loss: "Loss | CustomLoss | None" = None,
    *,
    derivative: Any = None,
    wrt: str | None = None,
    tolerance: float | None = None,
) -> GradientReport:
    """Compare a gradient with finite differences, and return a report.

    `check_gradient(net, X, y, loss)` checks the gradient of a loss of a network.
    `check_gradient(f, x, derivative=gradient)` checks the derivative of any function f.

    Parameters
    ----------
    f : Network or callable
    x : array_like
        The samples (n, in_features) for a network, else the argument of f.
    y : array_like
        The targets, as the loss takes them.
    loss : Loss, or an object with `value_and_grad(y_pred, y)`
    derivative : callable or array_like
        The derivative of f as a function, or its value at x: the gradient, in the shape of x, if f
        is scalar, else the Jacobian, in the numerator layout of `numerical_jacobian`. The value may
        be a `fastnn.jacobians.Jacobian`.
    wrt : {"params", "input"}, optional
        For a network, whether to check the gradient with respect to its parameters or to x. By
        default "params".
    tolerance : float, optional
        The largest allowed relative error; by default 1e-6, or 1e-3 if the gradient or f is
        float32.

    Returns
    -------
    GradientReport
        True if the gradient is right. Its text names the entry with the largest error.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, or shapes do not fit.

    Notes
    -----
    For a network, the finite differences are computed with a float64 copy, from the parameters and
    samples rounded to the network's dtype. Each entry takes two evaluations. The network's
    parameters and `grads` are not changed.
    """
    if tolerance is not None:
        tolerance = _checks.number(tolerance, "tolerance", above=0)
    if derivative is None:
        if not isinstance(f, Network):
            raise TypeError(f"f is {f!r}; a Network, or a function and its derivative=, is wanted")
        if loss is None:
            raise TypeError("loss is None; check_gradient(net, X, y, loss) is wanted")
        by = _checks.choice("params" if wrt is None else wrt, "wrt", ("params", "input"))
        return _NetworkCheck(f, x, y, loss, by).report(tolerance)
    if not (y is None and loss is None and wrt is None):
        raise TypeError("y, loss and wrt go with a network, not with derivative=")
    return _of_function(f, x, derivative, tolerance)


def _of_function(f: Any, x: Any, derivative: Any, tolerance: float | None) -> GradientReport:
    if not callable(f):
        raise TypeError(f"f is {f!r}; a function is wanted")
    point = _checks.real_array(x, "x", np.dtype(np.float64))
    value = np.asarray(f(point.copy()[()]))
    layout = "numerator" if value.ndim else "denominator"
    numeric = numerical_jacobian(f, point, layout=layout)
    given = derivative(point.copy()[()]) if callable(derivative) else derivative
    analytic = given.to_dense() if isinstance(given, Jacobian) else given
    analytic = _checks.numeric_array(analytic, "derivative")
    single = np.float32 in (analytic.dtype, value.dtype)
    analytic = _checks.shaped_array(analytic, "derivative", numeric.dtype, numeric.shape)

    def name(k: int) -> str:
        place = tuple(int(i) for i in np.unravel_index(k, numeric.shape))
        if value.ndim == 0:
            return _indexed("x", place)
        outputs, inputs = place[: value.ndim], place[value.ndim :][::-1]
        return f"{_indexed('f(x)', outputs)} by {_indexed('x', inputs if point.ndim else ())}"

    return _compared(
        name,
        analytic.ravel(),
        numeric.ravel(),
        float(np.abs(value).max(initial=0)),
        [],
        tolerance or (1e-3 if single else 1e-6),
    )


def _indexed(name: str, place: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, place))}]" if place else name


class _NetworkCheck:
    """The finite differences of a network's loss, by changing one entry at a time in float64."""

    def __init__(self, net: Network, X: Any, y: Any, loss: Any, wrt: str) -> None:
        samples = _checks.converted(net._inputs.sample_matrix(X, "x"), "x", net.dtype)
        self.target = check_target(loss, y, (len(samples), net.out_features), net.dtype, "y")
        self.net, self.loss, self.wrt = net, loss, wrt
        layers = net.layers
        if type(loss) is NegativeLogLikelihood and isinstance(layers[-1], Softmax) and layers[1:]:
            # as the network does, so that the loss is finite if a probability rounds to 0
            layers, self.loss = layers[:-1], SoftmaxCrossEntropy(loss.reduction)
        if wrt == "params":
            _, self.analytic = net.loss_and_grad(samples, y, loss)
        else:
            own = _copy_of(layers, net.dtype)
            _, dy = self._value_and_grad(own(samples))
            self.analytic = own.backward(dy).ravel()
        if is_built_in(loss) and self.target.dtype == net.dtype:
            self.target = self.target.astype(np.float64)
        self.exact = _copy_of(layers, np.dtype(np.float64))
        self.x = samples.astype(np.float64)
        self.entries = self.exact.params if wrt == "params" else self.x.reshape(-1)

    def report(self, tolerance: float | None) -> GradientReport:
        """Return the comparison of all entries."""
        value, _ = self._pass()
        numeric, kinks = np.empty(self.entries.size), []
        curvature, sizes = np.zeros(numeric.size), np.empty(numeric.size)
        for k, at in enumerate(self.entries.tolist()):
            sizes[k] = 2.0 ** np.ceil(np.log2(max(abs(at), 1.0)))
            step = STEP * sizes[k]
            self.entries[k] = above = at + step
            value_above, inputs_above = self._pass()
            self.entries[k] = below = at - step
            value_below, inputs_below = self._pass()
            self.entries[k] = at
            numeric[k] = (value_above - value_below) / (above - below)
            slopes = ((value - value_below) / (at - below), (value_above - value) / (above - at))
            for (i, places, inputs), (_, _, below_inputs) in zip(
                inputs_above, inputs_below, strict=True
            ):
                crossed = np.sign(inputs - places) != np.sign(below_inputs - places)
                crossed = crossed.any(axis=0)
                for sample, unit in np.argwhere(crossed).tolist():
                    kinks.append((k, Kink(self._name(k), i, unit, sample, slopes)))
            if not (kinks and kinks[-1][0] == k):
                curvature[k] = abs(slopes[1] - slopes[0]) / step
        if tolerance is None:
            tolerance = 1e-3 if self.net.dtype == np.float32 else 1e-6
        # At a minimum the gradient consists of rounding errors. By Cauchy-Schwarz, the errors of a
        # squared loss are proportional to √curvature of the entry.
        rise = (curvature * sizes**2).max(initial=0)
        scale = np.maximum(abs(value), np.sqrt(curvature * rise))
        return _compared(self._name, self.analytic.astype(float), numeric, scale, kinks, tolerance)

    def _pass(self) -> tuple[float, list[tuple[int, Array, Array]]]:
        """Return the loss, and for each activation that has kinks: layer, kinks and input."""
        a, inputs = self.x, []
        for i, layer in enumerate(self.exact.layers):
            inputs += [(i, *found) for found in _inputs_with_kinks(layer, a)]
            a = layer(a)
        return self._value_and_grad(a)[0], inputs

    def _value_and_grad(self, outputs: Array) -> tuple[float, Array]:
        if is_built_in(self.loss):
            return self.loss.evaluate(outputs, self.target)
        return value_and_grad(self.loss, outputs, self.target)

    def _name(self, k: int) -> str:
        if self.wrt == "input":
            return f"x[{', '.join(map(str, divmod(k, self.net.in_features)))}]"
        for layer_name, layer in _named_leaves(self.net.layers, "layers"):
            if k >= layer.n_params:
                k -= layer.n_params
                continue
            for name, array in layer.arrays().items():
                if k < array.size:
                    place = tuple(int(j) for j in np.unravel_index(k, array.shape))
                    return _indexed(f"{layer_name}.{name}", place)
                k -= array.size
        raise IndexError(k)


def _inputs_with_kinks(layer: Layer, x: Array) -> Iterator[tuple[Array, Array]]:
    """Yield the kinks and the input of a layer, or of the layers of a block, if it has kinks."""
    found = layer.kinks_at(x)
    if found is not None:
        yield found[0], found[1].copy()  # the samples are changed entry by entry
    for _, inner_layers in layer.inner_layers():
        a = x
        for inner in inner_layers:
            yield from _inputs_with_kinks(inner, a)
            a = inner(a)


def _named_leaves(layers: Sequence[Layer], name: str) -> Iterator[tuple[str, Layer]]:
    """Yield the layers in the order of their parameters, such as "layers[1].branches[0][2]"."""
    for i, layer in enumerate(layers):
        branches = layer.inner_layers()
        if not branches:
            yield f"{name}[{i}]", layer
        for branch, inner in branches:
            attribute, _, number = branch.partition(".")
            place = f"[{number}]" if number else ""
            yield from _named_leaves(inner, f"{name}[{i}].{attribute}{place}")


def _copy_of(layers: Sequence[Layer], dtype: np.dtype[Any]) -> Network:
    return Network([copy.deepcopy(layer) for layer in layers], dtype)


def _compared(
    name: Callable[[int], str],
    analytic: Array,
    numeric: Array,
    scale: "float | Array",
    kinks: list[tuple[int, Kink]],
    tolerance: float,
) -> GradientReport:
    """Return the report for all entries.

    1/1000 of `scale` counts as the least size of an entry. `kinks` are pairs of an entry's index
    and a kink.
    """
    allowed = np.full(analytic.size, tolerance)
    met = np.bincount([k for k, _ in kinks], minlength=analytic.size).astype(int)
    numeric = numeric.copy()
    for k, kink in kinks:
        if met[k] == 1:
            numeric[k] = np.clip(analytic[k], min(kink.interval), max(kink.interval))
            allowed[k] = max(tolerance, 1e-4)  # one-sided slopes have larger errors
    error = np.abs(analytic - numeric)
    floor = max(np.abs(numeric).max(initial=0) / 100, np.finfo(float).tiny)
    floor = np.maximum(floor, np.asarray(scale) / 1000)
    relative = error / np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), floor)
    compared = np.flatnonzero(met < 2)
    found = tuple(kink for _, kink in kinks)
    if compared.size == 0:
        return GradientReport(True, "", 0.0, 0.0, 0.0, 0.0, 0, found, tolerance)
    worst = int(compared[np.argmax((relative / allowed)[compared])])  # argmax returns the first NaN
    return GradientReport(
        bool((relative <= allowed)[compared].all()),
        name(worst),
        float(analytic[worst]),
        float(numeric[worst]),
        float(error[worst]),
        float(relative[worst]),
        compared.size,
        found,
        tolerance,
    )
