"""A network as a function of CasADi."""

from typing import Any

import casadi

from fastnn import _checks
from fastnn.casadi.expressions import after_layers
from fastnn.network import Network


def function(net: Network, name: str = "net", *, symbols: str = "MX") -> Any:
    """Return the network as a `casadi.Function` of CasADi's own operations.

    CasADi differentiates it as often as a solver needs, without a callback. All layers compute as
    in `predict`, in double precision. The function has the present parameters: later changes of
    the network do not change it.

    Parameters
    ----------
    net : Network
        Of fastnn's own layers.
    name : str
        The function's name, by default "net".
    symbols : {"MX", "SX"}
        The type of the expressions: "MX", the default, has operations on matrices, and "SX" on
        numbers. MX keeps the function small. SX is for CasADi's functions that demand SX.

    Returns
    -------
    casadi.Function
        It maps `x`, (in_features, 1), to `y`, (out_features, 1), one sample at a time.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, a parameter is not finite, or there is a custom layer.

    Notes
    -----
    At a kink of an activation the first derivative is fastnn's, and second derivatives leave the
    kink out. A float32 network rounds its results to float32, and this function does not.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net is {net!r}; a fastnn.Network is wanted")
    if not isinstance(name, str):
        raise TypeError(f"name is {name!r}; a string is wanted")
    if not casadi.Function.check_name(name):
        raise ValueError(f"name is {name!r}; a name of CasADi is wanted, such as net")
    kind = getattr(casadi, _checks.choice(symbols, "symbols", ("MX", "SX")))
    if not _checks.all_finite(net.params):
        raise ValueError("params hold NaN or infinity; finite numbers are wanted")
    x = kind.sym("x", net.in_features)
    return casadi.Function(name, [x], [after_layers(net.layers, x)], ["x"], ["y"])
