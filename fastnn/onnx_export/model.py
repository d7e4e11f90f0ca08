"""The ONNX model of a network: its graph, its input and output, and its metadata."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn._version import __version__
from fastnn.files.model_file import METADATA_KEY
from fastnn.layers import Layer, composition
from fastnn.onnx_export.graph import Graph
from fastnn.onnx_export.operators import add_layers

OPSET = 17  # of 2022; the first one with LayerNormalization
IR_VERSION = 8  # the one of this opset
MOST_BYTES = 2_000_000_000  # a message of Protocol Buffers has less than 2 GiB


def model_of(
    layers: Sequence[Layer],
    dtype: "np.dtype[Any]",
    width: int,
    description: dict[str, Any],
    arrays: dict[str, Array],
) -> Any:
    """Return a network as an `onnx.ModelProto`, with the input "x" and the output "y".

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If a layer is written in Python.
    ValueError
        If the arrays are too large for one file.
    """
    onnx = _checks.optional_package("onnx", "export_onnx", "onnx")
    size = sum(array.nbytes for array in arrays.values())
    if size > MOST_BYTES:
        raise ValueError(f"the arrays have {size:,} bytes; ONNX files hold less than 2 GiB")
    graph = Graph(dtype, arrays)
    graph.end_at(add_layers(graph, layers, "x", width), "y")
    widths = {"x": width, "y": composition.widths_through(layers, width)[-1]}
    kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    x, y = (
        onnx.helper.make_tensor_value_info(name, kind, ["n", columns])
        for name, columns in widths.items()
    )
    model = onnx.helper.make_model(
        graph.finish([x], [y]),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fastnn",
        producer_version=__version__,
    )
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(description)})
    onnx.checker.check_model(model, full_check=True)
    return model
