"""A network as an operation inside a graph of PyTorch."""

from collections.abc import Callable
from typing import Any

from fastnn import _checks
from fastnn.exchange.pure_function import PureFunction
from fastnn.network import Network


def torch_function(net: Network) -> "Callable[..., Any]":
    """Return a network as a function of tensors, which PyTorch can differentiate twice.

    Parameters
    ----------
    net : Network
        Its layers compute in evaluation mode.

    Returns
    -------
    function (x, params=None) -> y
        x is a tensor (n, in_features) or (in_features,), and y (n, out_features) or
        (out_features,). `params` is a tensor (n_params,) in the order of `net.params`. By default
        it has the network's values at the call, and gets no gradient. All tensors are on the CPU
        and have the network's dtype. The function does not change the network.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    TypeError
        If `net` is not a Network.

    Notes
    -----
    The function raises TypeError for tensors of another dtype, device or layout, and ValueError for
    another shape and for NaN or infinity. A second derivative of a network with a `CustomLayer`
    raises TypeError, and a third derivative RuntimeError.
    """
    torch = _checks.optional_package("torch", "torch_function", "torch")
    from fastnn.exchange.torch_autograd import Value

    function = PureFunction(net)
    wanted = getattr(torch, str(net.dtype))

    def checked(value: Any, name: str) -> Any:
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"{name} is a {type(value).__name__}; a tensor is wanted")
        if value.dtype != wanted or value.device.type != "cpu":
            raise TypeError(
                f"{name} has dtype {value.dtype} on {value.device}; {wanted} on cpu is wanted"
            )
        if value.layout != torch.strided or value.is_nested:
            raise TypeError(f"{name} is sparse or nested; a dense tensor is wanted")
        return value

    def apply(x: Any, params: Any = None) -> Any:
        """Return the network's outputs, as a tensor."""
        x = checked(x, "x")
        p = torch.from_numpy(function.params()) if params is None else checked(params, "params")
        y = Value.apply(function, x if x.ndim != 1 else x[None], p)
        return y if x.ndim != 1 else y[0]

    return apply
