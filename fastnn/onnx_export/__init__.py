"""Networks as ONNX models."""

from fastnn.onnx_export.graph import Graph
from fastnn.onnx_export.model import OPSET, model_of
from fastnn.onnx_export.operators import add_layers

__all__ = ["OPSET", "Graph", "add_layers", "model_of"]
