"""The ONNX operators of the embeddings of columns."""

from typing import Any

import numpy as np

from fastnn.onnx_export.graph import Graph


def periodic(graph: Graph, layer: Any, x: str, width: int) -> str:
    """Add the nodes of a PeriodicEmbedding."""
    columns = _embedded(graph, layer, x)
    turn = graph.node("Mul", columns, graph.number(2 * np.pi))
    angles = graph.node("Mul", turn, graph.own("frequency"))
    features = graph.node("Cos", graph.node("Add", angles, graph.own("phase")))
    return _mapped(graph, layer, x, features, [columns] if layer.joined else [])


def piecewise_linear(graph: Graph, layer: Any, x: str, width: int) -> str:
    """Add the nodes of a PiecewiseLinearEmbedding."""
    most = max(layer.n_bins)
    starts = np.zeros((layer.columns, most), int)  # the place of the lower edge of each bin
    low, high = np.zeros(starts.shape), np.zeros(starts.shape)  # the limits of the encoding
    first = 0
    for i, n in enumerate(layer.n_bins):
        starts[i] = first  # for the bins that the column lacks, whose encoding is 0
        starts[i, :n] += np.arange(n)
        high[i, :n] = 1
        low[i, 0], high[i, n - 1] = -np.inf, np.inf
        first += n + 1
    lower = graph.node("Gather", graph.own("edges"), graph.integers(starts))
    upper = graph.node("Gather", graph.own("edges"), graph.integers(starts + 1))
    offset = graph.node("Sub", _embedded(graph, layer, x), lower)
    place = graph.node("Div", offset, graph.node("Sub", upper, lower))
    above = graph.node("Max", place, graph.derived("low", low))
    features = graph.node("Min", above, graph.derived("high", high))
    return _mapped(graph, layer, x, features, [])


def categorical(graph: Graph, layer: Any, x: str, width: int) -> str:
    """Add the nodes of a CategoricalEmbedding."""
    n = len(layer.cardinalities)
    codes = graph.columns(x, width - n, width)
    counts = graph.derived("cardinalities", layer.cardinalities)
    whole = graph.node("Floor", codes)
    rest = graph.node("Sub", codes, whole)
    up = graph.node("GreaterOrEqual", rest, graph.number(0.5))
    kind = 1 if graph.dtype == np.float32 else 11  # of ONNX; 7 is int64
    rounded = graph.node("Add", whole, graph.node("Cast", up, to=kind))
    known = graph.node(
        "And", graph.node("Greater", codes, graph.number(-0.5)), graph.node("Less", rounded, counts)
    )
    # a code that is no category chooses the row of zeros behind its table
    rows = graph.node("Cast", graph.node("Where", known, rounded, counts), to=7)
    parts, first = [graph.columns(x, 0, width - n)] if n < width else [], 0
    for i, (count, size) in enumerate(zip(layer.cardinalities, layer.size, strict=True)):
        end = first + count * size
        flat = graph.node(
            "Slice", graph.own("weight"), graph.integers([first]), graph.integers([end])
        )
        table = graph.node("Reshape", flat, graph.integers([count, size]))
        zeros = graph.derived(f"zeros.{i}", np.zeros((1, size)))
        padded = graph.node("Concat", table, zeros, axis=0)
        own_rows = graph.node("Gather", rows, graph.integers(i), axis=1)
        parts.append(graph.node("Gather", padded, own_rows, axis=0))
        first = end
    return graph.node("Concat", *parts, axis=1)


def _embedded(graph: Graph, layer: Any, x: str) -> str:
    """Return the embedded columns, (n, columns, 1)."""
    return graph.node("Unsqueeze", graph.columns(x, 0, layer.columns), graph.integers([2]))


def _mapped(graph: Graph, layer: Any, x: str, features: str, joined: list[str]) -> str:
    """Return each column's W φ + b for its features φ (n, columns, k), and the other columns."""
    weight = graph.node("Transpose", graph.own("weight"), perm=[0, 2, 1])
    rows = graph.node("Unsqueeze", features, graph.integers([2]))
    products = graph.node("Squeeze", graph.node("MatMul", rows, weight), graph.integers([2]))
    parts = [*joined, graph.node("Add", products, graph.own("bias"))]
    embedding = graph.node("Concat", *parts, axis=2) if joined else parts[0]
    width = layer.columns * (len(joined) + layer.size)
    flat = graph.node("Reshape", embedding, graph.integers([0, width]))  # 0 keeps the batch
    if layer.columns == layer.in_features:
        return flat
    others = graph.columns(x, layer.columns, layer.in_features)
    return graph.node("Concat", flat, others, axis=1)
