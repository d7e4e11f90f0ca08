"""Networks from ONNX files."""

import json
import os
from typing import Any

from fastnn import _checks
from fastnn.exchange.onnx_file import DOMAINS, OnnxGraph, shown
from fastnn.exchange.onnx_patterns import KNOWN, PATTERNS, Builder, Match, find
from fastnn.files.model_file import METADATA_KEY, ModelFileError
from fastnn.layers import Layer, Residual
from fastnn.network import Network
from fastnn.onnx_export import model_of

# A node with the match and the builder of its layer, or with the parts of a residual block.
Part = tuple[Any, ...]

# The errors that an invalid file may cause while layers are made from its arrays.
INVALID = (
    ValueError, TypeError, KeyError, OverflowError, AttributeError, IndexError, MemoryError,
    RecursionError,
)  # fmt: skip


def import_onnx(path: "str | os.PathLike[str]") -> Network:
    """Return the network in an ONNX file.

    A file of `Network.export_onnx` gives the same network, with all layers, names and labels. Files
    of PyTorch, Keras and skl2onnx are read if they are a chain: each layer takes the output of the
    layer before it, and fastnn has all the layers. Sums x + f(x) become `Residual`. The opset must
    be 7 or later.

    Parameters
    ----------
    path : str or PathLike

    Returns
    -------
    Network
        In float64 if an array in the file has this dtype, else in float32.

    Raises
    ------
    ImportError
        If onnx is not installed.
    ModelFileError
        If the file is truncated or not an ONNX file, if a node is not a layer of fastnn, or if an
        array has a wrong shape or holds NaN or infinity. The message names the first such node.
    OSError
        If the file, or the file of its arrays in the same folder, cannot be read.

    Notes
    -----
    Mul and Add with a constant for each column become a `Scale`, Sub and Div a `Standardize`. For
    a classifier of scikit-learn the outputs are probabilities, and its classes become
    `class_labels`.
    """
    name = _checks.file_path(path)
    try:
        graph = OnnxGraph(name)
        return _described(graph) or _chain(graph)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error
    except INVALID as error:
        raise ModelFileError(f"{name}: not a valid graph: {error!r}") from error


def _described(graph: OnnxGraph) -> Network | None:
    """Return the network that the metadata describes, if fastnn would write this very graph."""
    found = {entry.key: entry.value for entry in graph.model.metadata_props}
    if METADATA_KEY not in found:
        return None
    names = [tensor.name for tensor in graph.model.graph.initializer]
    try:
        description = json.loads(found[METADATA_KEY])
        own = [name for name in names if name.partition(".")[0].isdecimal()]
        net = Network._from_description(description, {n: graph.array(n) for n in own})
        made = model_of(net.layers, net.dtype, net.in_features, *net._describe())
    except INVALID:
        return None
    return net if made.graph == graph.model.graph else None


def _chain(graph: OnnxGraph) -> Network:
    """Return the network of a graph whose nodes are layers one after the other."""
    for node in graph.ancestors():
        if node.op_type not in KNOWN or node.domain not in DOMAINS:
            raise ModelFileError(f"{shown(node)} is no layer of fastnn, nor a part of one")
    layers = _layers_of(_parts(graph, graph.output, graph.input), graph.width)
    try:
        net = Network(layers, graph.dtype())
        net.class_labels = graph.class_labels
    except INVALID as error:
        raise ModelFileError(f"the nodes are no network: {error}") from error
    return net


def _parts(graph: OnnxGraph, name: str, start: str) -> "list[Part]":
    """Return what lies between two tensors, from the first to the last."""
    found: list[Part] = []
    name = graph.source(name)
    while name != start:
        node = graph.node(name)
        terms = map(graph.source, node.input if node is not None else [])
        if node is not None and node.op_type == "Add" and not any(map(graph.is_array, terms)):
            name, inner = _branches(graph, node)
            found.append((node, inner))
        else:
            found.append(_last_layer(graph, name))
            name = graph.source(found[-1][1].x or "")
    return found[::-1]


def _branches(graph: OnnxGraph, node: Any) -> "tuple[str, list[Part]]":
    """Return x, and the parts of f, of a node that adds x and f(x)."""
    names = [graph.source(name) for name in node.input]
    for x, end in (names, names[::-1]):
        needed = graph.ancestors(end)
        if x != end and (x == graph.input or any(x in before.output for before in needed)):
            return x, _parts(graph, end, x)
    raise ModelFileError(f"{shown(node)} adds two tensors, neither of which the other depends on")


def _layers_of(parts: "list[Part]", width: int) -> list[Layer]:
    """Return the layers of parts one after the other, for so many columns."""
    layers: list[Layer] = []
    for node, *part in parts:
        try:
            if len(part) == 1:
                made: list[Layer] = [Residual(_layers_of(part[0], width))]
            else:
                match, builder = part
                made = builder(match, width)
            for layer in made:
                width = layer.width_after(width)
        except INVALID as error:
            raise ModelFileError(f"{shown(node)}: {error}") from error
        layers += made
    return layers


def _last_layer(graph: OnnxGraph, name: str) -> tuple[Any, Match, Builder]:
    """Return the node of a tensor, and the first pattern that fits it with its builder."""
    node = graph.node(name)
    if node is None:
        raise ModelFileError("the output does not depend on the input")
    for pattern, builder in PATTERNS:
        match = Match(graph)
        try:
            fits = pattern[0] == node.op_type and find(graph, name, pattern, match)
        except INVALID as error:
            raise ModelFileError(f"{shown(node)}: {error}") from error
        if fits:
            return node, match, builder
    raise ModelFileError(f"{shown(node)} and the nodes before it are no layer of fastnn")
