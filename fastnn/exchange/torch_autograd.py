"""The functions of PyTorch's automatic differentiation that call a network."""

from typing import Any

import numpy as np
import torch
from torch.autograd import Function

from fastnn._core.arrays import Array
from fastnn.exchange.pure_function import PureFunction


class Value(Function):
    """y = f(x, p)."""

    @staticmethod
    def forward(ctx: Any, function: PureFunction, x: Any, p: Any) -> Any:
        """Return the outputs."""
        ctx.function = function
        ctx.save_for_backward(x, p)
        return torch.from_numpy(function.value(array_of(x), array_of(p)))

    @staticmethod
    def backward(ctx: Any, c: Any) -> Any:
        """Return Jᵀ c."""
        wanted = ctx.needs_input_grad[1:]
        return None, *Pullback.apply(ctx.function, wanted, *ctx.saved_tensors, c)


class Pullback(Function):
    """Jᵀ c, which can be differentiated once more."""

    @staticmethod
    def forward(ctx: Any, function: PureFunction, wanted: Any, x: Any, p: Any, c: Any) -> Any:
        """Return the derivatives by x and p that are wanted."""
        ctx.function = function
        ctx.save_for_backward(x, p, c)
        found = function.vjp(array_of(x), array_of(p), array_of(c), wanted)
        return tuple(map(torch.from_numpy, found))

    @staticmethod
    def backward(ctx: Any, tx: Any, tp: Any) -> Any:
        """Return the derivatives of <tx, dx> + <tp, dp> by x, p and c."""
        return None, None, *Curvature.apply(ctx.function, *ctx.saved_tensors, tx, tp)


class Curvature(Function):
    """The derivatives of <t, Jᵀ c> by x, p and c, which cannot be differentiated again."""

    @staticmethod
    def forward(ctx: Any, function: PureFunction, *tensors: Any) -> Any:
        """Return the Hessian of <c, f> times t, and J t."""
        x, p, c, tx, tp = map(array_of, tensors)
        found = *function.hvp(x, p, c, tx, tp), function.jvp(x, p, tx, tp)
        return tuple(map(torch.from_numpy, found))

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        """Raise RuntimeError."""
        raise RuntimeError("fastnn has no third derivatives of a network")


def array_of(tensor: Any) -> Array:
    """Return a tensor as an array, which shares its memory if it is contiguous."""
    found: Array = np.asarray(
        tensor.detach().to_dense().resolve_conj().resolve_neg().numpy(), order="C"
    )
    return found
