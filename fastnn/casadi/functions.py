"""A network as a function of CasADi."""

from typing import Any

import casadi

from fastnn import _checks
from fastnn.casadi.expressions import after_layers
from fastnn.network import Network


def function(net: Network, name: str = "net", *, symbols: str = "MX") -> Any:
    """Return the network as a `casadi.Function` of CasADi's own operations.

    CasADi can differentiate it any number of times, without calls of Python. All layers compute as
    in `predict`, in double precision. The function has copies of the parameters: later changes of
    the network do not change it.

    Parameters
    ----------
    net : Network
        A network without `CustomLayer`.
    name : str
        The function's name in CasADi, by default "net".
    symbols : {"MX", "SX"}
        The type of the expressions. "MX", the default, consists of operations on matrices, and
        "SX" of operations on single numbers. MX is smaller and faster. Some functions of CasADi
        demand SX.

    Returns
    -------
    casadi.Function
        It maps `x`, (in_features, 1), to `y`, (out_features, 1). A sample is a column.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, a parameter is not finite, or the network has a `CustomLayer`.

    Notes
    -----
    At a kink of an activation, such as ReLU at 0, the first derivative is that of fastnn. Second
    derivatives are those of the two sides, without the jump of the slope. A float32 network rounds
    its results to float32; this function does not. It does not check x: NaN in x may give a finite
    number.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net is {net!r}; a fastnn.Network is wanted")
    if not isinstance(name, str):
        raise TypeError(f"name is {name!r}; a string is wanted")
    if "\0" in name or not casadi.Function.check_name(name):
        raise ValueError(f"name is {name!r}; a name of CasADi is wanted, such as net")
    kind = getattr(casadi, _checks.choice(symbols, "symbols", ("MX", "SX")))
    if not _checks.all_finite(net.params):
        raise ValueError("params hold NaN or infinity; finite numbers are wanted")
    x = kind.sym("x", net.in_features)
    return casadi.Function(name, [x], [after_layers(net.layers, x)], ["x"], ["y"])
