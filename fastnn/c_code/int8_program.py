"""The program in C of a network in integers of 8 bits."""

from fastnn.c_code.int8 import Int8Arithmetic
from fastnn.c_code.layers import Nodes, Translation
from fastnn.c_code.operations import Constants, Lines, Place
from fastnn.c_code.passes import Workspace, ahead
from fastnn.c_code.program import function
from fastnn.c_code.text import number


class Int8Program:
    """The function `predict` of a network, with the attributes of `program.Program`."""

    interface = ""

    def __init__(self, network: Int8Arithmetic) -> None:
        constants = Constants(network.dtype)
        translation = Translation(constants, False, False)
        self.n_in, self.dtype, self.wanted = network.in_features, network.dtype, ["predict"]
        self.note = (
            f"\n   Its linear layers compute in int8. For the calibration set, outputs differ from "
            f"those of the\n   network by {network.max_error:.3g} at most; the root mean square is "
            f"{network.rms_error:.3g}."
        )
        head = translation.nodes(network.head, network.in_features)
        integers = _integers(network, constants)
        n = network.layers[-1].bias.size
        tail = translation.nodes(network.tail, n)
        self.n_out = tail[-1].n_out if tail else n
        self.arrays = constants.arrays
        workspace = Workspace()
        x, y = Place("x"), Place("y")
        standardized = workspace.take(self.n_in) if head else x
        lines = _forward(head, self.n_in, x, standardized, workspace) if head else []
        if head:
            workspace.free(standardized)
        outputs = workspace.take(n) if tail else y
        lines += [line.format(x=standardized.element(), y=outputs.element()) for line in integers]
        lines += _forward(tail, n, outputs, y, workspace) if tail else []
        widest = max(layer.weight.shape[1] for layer in network.layers)
        self.workspaces = {"PREDICT_WORKSPACE": workspace.size, "INT8_WORKSPACE": 2 * widest}
        declared = ["signed char integers[@INT8_WORKSPACE];"]
        declared += ["T work[@PREDICT_WORKSPACE];"] * (workspace.size > 0)
        self.functions = [function("predict", [*declared, *lines])]


def _forward(nodes: Nodes, n: int, x: Place, y: Place, workspace: Workspace) -> Lines:
    return ahead(nodes, n, x, y, workspace, lambda operation, x, y: operation.forward(x, y))


def _integers(network: Int8Arithmetic, constants: Constants) -> Lines:
    """Return the linear layers, from {x} to {y}."""
    widest = max(layer.weight.shape[1] for layer in network.layers)
    source, target = Place("integers"), Place("integers", widest)
    scaling = network.input
    to_int8 = f"@to_int8({{x}}, {number(scaling.scale)}, {scaling.zero})"
    first = f"{source.element()} = {to_int8}"
    lines = [f"for (int i = 0; i < {network.in_features}; ++i) {{{{", f"    {first};", "}}"]
    for layer in network.layers:
        n_out, n_in = layer.weight.shape
        weight, bias = constants.add("weight", layer.weight), constants.add("bias", layer.bias)
        total = f"@int8_sum({source}, {weight} + i * {n_in}, {bias}[i], {n_in})"
        if layer.multiplier is None or layer.shift is None:
            result = f"{{y}} = (T){total} * {constants.add('scale', layer.scale)}[i]"
        else:
            multiplier = constants.add("multiplier", layer.multiplier)
            shift = constants.add("shift", layer.shift)
            result = f"@rescaled({total}, {multiplier}[i], {shift}[i], {layer.zero})"
            if layer.table is not None:
                result = f"{constants.add('table', layer.table)}[{result} + 128]"
            result = f"{target.element()} = {result}"
        lines += [f"for (int i = 0; i < {n_out}; ++i) {{{{", f"    {result};", "}}"]
        source, target = target, source
    return lines
