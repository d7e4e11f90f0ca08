"""A network as an operation inside a graph of JAX."""

from collections.abc import Callable
from typing import Any

from fastnn import _checks
from fastnn.exchange.pure_function import PureFunction
from fastnn.network import Network


def jax_function(net: Network) -> "Callable[..., Any]":
    """Return a network as a function of JAX arrays, which JAX can differentiate, map and compile.

    Parameters
    ----------
    net : Network
        Its layers compute in evaluation mode.

    Returns
    -------
    function (x, params=None) -> y
        x is an array (n, in_features) or (in_features,), and y (n, out_features) or
        (out_features,). `params` is an array (n_params,) in the order of `net.params`. By default
        it has the network's values at the call; `jax.jit` keeps those of the first call. All arrays
        have the network's dtype. The function does not change the network.

    Raises
    ------
    ImportError
        If JAX is not installed.
    TypeError
        If `net` is not a Network.

    Notes
    -----
    `jax.grad`, `jax.jvp`, `jax.vjp` and `jax.hessian` differentiate the function by x and by
    `params`. `jax.grad` also works for a function that contains gradients. Forward-mode derivatives
    of forward-mode derivatives, and third derivatives, raise NotImplementedError. A `CustomLayer`
    has first derivatives only. JAX calls the engine with `buffer_callback`, on the CPU. `jax.vmap`
    over samples makes one call.

    The function raises TypeError for arrays of another dtype, and ValueError for another shape.
    NaN and infinity raise an error of JAX, whose text contains the message of fastnn.
    """
    _checks.optional_package("jax", "jax_function", "jax")
    import jax.numpy as jnp

    from fastnn.exchange import jax_primitives

    function = PureFunction(net)

    def checked(value: Any, name: str, shape: tuple[int, ...]) -> Any:
        array = jnp.asarray(value)
        if array.dtype != function.dtype:
            also = "" if function.dtype == "float32" else ", which needs jax_enable_x64,"
            raise TypeError(f"{name} has dtype {array.dtype}; {function.dtype}{also} is wanted")
        if array.ndim not in (1, len(shape)) or array.shape[-1] != shape[-1]:
            raise ValueError(f"{name} has shape {array.shape}; {shape} is wanted")
        return array

    def apply(x: Any, params: Any = None) -> Any:
        """Return the network's outputs, as an array of JAX."""
        x = checked(x, "x", (-1, function.n_in))
        p = function.params() if params is None else params
        p = checked(p, "params", (function.n_params,))
        y = jax_primitives.value.bind(x if x.ndim == 2 else x[None], p, function=function)
        return y if x.ndim == 2 else y[0]

    return apply
