"""Networks of linear layers and activations in integers of 8 bits.

a) A number x stands for (q - zero) scale, where q is an int8. A weight has zero = 0 and a scale for
   each output. The scales of activations come from the least and the greatest number in the
   calibration set.
b) A layer adds int8 products in int32, which is exact. It multiplies the sum by a ratio of scales,
   in the form multiplier 2^-shift. So all of it is integer arithmetic, and NumPy computes the same
   integers as the program in C.
c) A layer that scales each feature is a part of the linear layer before or after it. ReLU is the
   lower limit of int8; other activations are tables of 256 numbers.
d) What precedes the first linear layer and what follows the last one is not quantized.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.layers import (
    Activation,
    BatchNorm,
    Dropout,
    Identity,
    Layer,
    Linear,
    ReLU,
    Scale,
    Standardize,
    Unstandardize,
)

LARGEST_BIAS = 2**30
WIDEST = 30_000  # inputs, whose sum with the bias is below 2**31


def _in_range(numbers: Array, dtype: "np.dtype[Any]", least: float = 0.0) -> Array:
    """Return numbers in a dtype, in which they must be finite and at least so large."""
    with np.errstate(over="ignore", under="ignore"):
        found: Array = numbers.astype(dtype)
    if not (np.isfinite(found) & (np.abs(found) >= least)).all():
        raise ValueError(
            f"the network has numbers for X beyond the limits of {dtype}, or scales below them; "
            f"numbers of usual size are wanted for int8"
        )
    return found


def _scales(numbers: Array, dtype: "np.dtype[Any]") -> Array:
    """Return scales, which must not lose digits at the lower limit of the dtype."""
    return _in_range(numbers, dtype, float(np.finfo(dtype).tiny))


@dataclass
class Scaling:
    """How an int8 stands for a number."""

    scale: Any  # of the network's dtype
    zero: int

    @classmethod
    def of(cls, values: Array) -> "Scaling":
        """Return the scaling for these numbers and 0."""
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
        step = high / 255 - low / 255 or 1.0
        scale = _scales(np.array(step), values.dtype)[()]
        return cls(scale, int(np.clip(np.rint(-128 - low / step), -128, 127)))

    def quantized(self, x: Array) -> Array:
        """Return the int8 nearest to each number; halves are rounded away from 0."""
        with np.errstate(over="ignore"):
            ratio = np.clip(x / self.scale, -512, 512)
        whole = np.trunc(ratio + np.copysign(ratio.dtype.type(0.5), ratio)).astype(np.int64)
        integers: Array = np.clip(whole + self.zero, -128, 127).astype(np.int8)
        return integers


@dataclass
class Int8Layer:
    """A linear layer with int8 inputs, and its activation.

    The output is int8 with `multiplier`, `shift` and `zero`, or for the last layer a number, the
    sum times `scale`.
    """

    weight: Array  # int8 (n_out, n_in)
    bias: Array  # int32 (n_out,), which includes the zero of the input
    scale: Array  # of the sums, (n_out,)
    multiplier: Array | None = None  # int32 (n_out,)
    shift: Array | None = None  # uint8 (n_out,)
    zero: int = 0
    table: Array | None = None  # int8 (256,)

    def sums(self, x: Array) -> Array:
        """Return the sums as int64 for int8 inputs."""
        return x.astype(np.int64) @ self.weight.T.astype(np.int64) + self.bias

    def int8_output(self, x: Array) -> Array:
        """Return the int8 outputs for int8 inputs."""
        assert self.multiplier is not None
        assert self.shift is not None
        sums, shift = self.sums(x), self.shift.astype(np.int64)
        rounded = np.abs(sums) * self.multiplier + (np.int64(1) << (shift - 1)) >> shift
        y: Array = np.clip(np.sign(sums) * rounded + self.zero, -128, 127)
        return y.astype(np.int8) if self.table is None else self.table[y + 128]


class Int8Arithmetic:
    """The integers of a network, chosen for the calibration set X with these float outputs."""

    def __init__(self, layers: Sequence[Layer], n_in: int, X: Array, outputs: Array) -> None:
        first, last = _ends(layers)
        self.head, self.tail = layers[:first], layers[last + 1 :]
        self.in_features, self.out_features, self.dtype = n_in, outputs.shape[1], X.dtype
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            self._choose(parts_of(layers[first : last + 1], first), X, outputs)

    def _choose(
        self, parts: "list[tuple[Array, Array, list[Layer]]]", X: Array, outputs: Array
    ) -> None:
        x = _through(self.head, X)
        self.input = Scaling.of(x)
        self.layers = []
        scaling = self.input
        for i, (weight, bias, activations) in enumerate(parts):
            layer = _quantized_layer(weight, bias, scaling, X.dtype)
            self.layers.append(layer)
            if i < len(parts) - 1:
                z = _in_range(x @ weight.T + bias, X.dtype)
                x = _through(activations, z)
                scaling = _set_output(layer, z, x, activations)
        errors = _in_range(self.outputs(X).astype(np.float64) - outputs, np.dtype(np.float64))
        self.max_error = float(np.abs(errors).max())
        shares = errors / (self.max_error or 1)  # their squares do not overflow
        self.rms_error = self.max_error * float(np.sqrt(np.mean(shares**2)))

    def outputs(self, X: Array) -> Array:
        """Return the outputs for checked inputs (n, n_in)."""
        x = self.input.quantized(_through(self.head, X))
        for layer in self.layers[:-1]:
            x = layer.int8_output(x)
        last = self.layers[-1]
        return _through(self.tail, last.sums(x).astype(X.dtype) * last.scale)


def _through(layers: Sequence[Layer], x: Array) -> Array:
    for layer in layers:
        x = layer(x)
    return x


def _ends(layers: Sequence[Layer]) -> tuple[int, int]:
    """Return the places of the first and the last linear layer."""
    places = [i for i, layer in enumerate(layers) if isinstance(layer, Linear)]
    if not places:
        raise ValueError(f"layers is {list(layers)}; at least one Linear is wanted for int8")
    for i, layer in enumerate(layers[: places[0]]):
        # other functions might round differently here and in C, and lead to another int8
        if not isinstance(layer, Standardize | Dropout | Identity):
            raise ValueError(
                f"layers[{i}] is {layer!r}, before the first Linear; only Standardize, Dropout and "
                f"Identity are possible there in int8"
            )
    return places[0], places[-1]


def parts_of(layers: Sequence[Layer], first: int) -> list[tuple[Array, Array, list[Layer]]]:
    """Return weight and bias in float64, and the activations, of each linear layer."""
    found: list[tuple[Array, Array, list[Layer]]] = []
    factor: Any = 1.0  # of the activations, which the next linear layer has to apply
    shift: Any = 0.0
    for i, layer in enumerate(layers):
        if isinstance(layer, Linear):
            weight = layer.weight.astype(np.float64)
            bias = weight @ np.broadcast_to(shift, weight.shape[1])
            if layer.bias is not None:
                bias = bias + layer.bias
            found.append((weight * factor, bias, []))
            factor, shift = 1.0, 0.0
        elif isinstance(layer, Activation) and np.ndim(factor) == 0:
            found[-1][2].append(layer)
        elif isinstance(layer, BatchNorm | Scale | Standardize | Unstandardize):
            a, b = _affine(layer)
            if found[-1][2]:
                factor, shift = factor * a, shift * a + b
            else:
                weight, bias, _ = found[-1]
                found[-1] = (weight * a[:, np.newaxis], bias * a + b, [])
        elif not isinstance(layer, Dropout):
            raise ValueError(
                f"layers[{first + i}] is {layer!r}, which has no form in int8 there; between "
                f"linear layers activations are possible, with BatchNorm, Scale, Standardize and "
                f"Unstandardize before or after them, and Dropout"
            )
    return found


def _affine(layer: Any) -> tuple[Array, Array]:
    """Return a and b in float64 of a layer y = a x + b."""
    if isinstance(layer, Standardize):
        return 1 / layer.scale.astype(np.float64), -layer.mean / layer.scale.astype(np.float64)
    if isinstance(layer, Unstandardize):
        return layer.scale.astype(np.float64), layer.mean.astype(np.float64)
    weight = layer.weight.astype(np.float64)
    bias = np.zeros(weight.size) if layer.bias is None else layer.bias.astype(np.float64)
    if isinstance(layer, Scale):
        return weight, bias
    factor = weight / np.sqrt(layer.running_var.astype(np.float64) + layer.eps)
    return factor, bias - factor * layer.running_mean


def _quantized_layer(
    weight: Array, bias: Array, scaling: Scaling, dtype: "np.dtype[Any]"
) -> Int8Layer:
    if weight.shape[1] > WIDEST:
        raise ValueError(
            f"layers has a Linear of {weight.shape[1]:,} inputs; at most {WIDEST:,} are possible "
            f"in int8"
        )
    x_scale = float(scaling.scale)
    largest = np.abs(weight).max(axis=1) / 127
    step = np.maximum(largest, np.abs(bias) / (x_scale * LARGEST_BIAS))
    step = np.where(step > 0, step, 1.0)
    rounded = np.rint(weight / step[:, np.newaxis]).astype(np.int8)
    whole = np.rint(bias / (step * x_scale)).astype(np.int64)
    whole -= scaling.zero * rounded.astype(np.int64).sum(axis=1)
    return Int8Layer(rounded, whole.astype(np.int32), _scales(step * x_scale, dtype))


def _set_output(layer: Int8Layer, z: Array, x: Array, activations: Sequence[Layer]) -> Scaling:
    """Set how the layer computes its int8 output; return the output's scaling.

    z and x are the numbers before and after the activations.
    """
    is_relu = len(activations) == 1 and isinstance(activations[0], ReLU)
    before = Scaling.of(x if is_relu else z)
    ratio = layer.scale.astype(np.float64) / float(before.scale)
    mantissa, exponent = np.frexp(_in_range(ratio, ratio.dtype))
    layer.shift = np.clip(31 - exponent, 1, 62).astype(np.uint8)
    power = np.ldexp(mantissa, layer.shift.astype(int) + exponent)
    layer.multiplier = np.minimum(np.rint(power), 2**31 - 1).astype(np.int32)
    layer.zero = before.zero
    if is_relu or not activations:
        return before
    after = Scaling.of(x)
    numbers = (np.arange(-128, 128) - before.zero) * before.scale
    layer.table = after.quantized(_through(activations, numbers.astype(x.dtype)[:, np.newaxis]))[
        :, 0
    ]
    return after
