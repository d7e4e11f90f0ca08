"""Networks as ONNX models."""

from fastnn.onnx_export.model import model_of

__all__ = ["model_of"]
