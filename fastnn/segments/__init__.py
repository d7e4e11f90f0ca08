"""Networks with layers written in Python: compiled segments, and custom layers between them.

The engine's plan is a linear list of operations. Custom layers cut it into segments. Each segment
is a `Model` on its slices of the flat arrays. Each custom layer is a `CustomPart`, which has the
same methods. So a pass goes through one list of parts. As in `fastnn.model`, all arguments are
trusted.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.layers import CustomLayer
from fastnn.layers.custom import CustomOperation
from fastnn.model import Model
from fastnn.segments.model import SegmentedModel, with_loss
from fastnn.segments.plan import SegmentedPlan, plan_of

__all__ = [
    "SegmentedModel",
    "compiled",
    "custom_layers",
    "for_training",
    "on_arrays",
    "trouble",
    "with_loss",
]


def compiled(operations: Sequence[Any], dtype: np.dtype[Any]) -> Model:
    """Return a model of these operations, segmented if there is a custom layer among them."""
    if any(isinstance(operation, CustomOperation) for operation in operations):
        return SegmentedModel.compile(operations, dtype)
    return Model.compile(operations, dtype)


def on_arrays(model: Model, operations: Sequence[Any], params: slice, constants: slice) -> Model:
    """Return a model of other operations, on parts of the arrays of a model."""
    arrays = model.params[params], model.grads[params], model.constants[constants]
    if any(isinstance(operation, CustomOperation) for operation in operations):
        return SegmentedModel(SegmentedPlan(operations), *arrays)
    return Model(plan_of(operations), *arrays)


def custom_layers(model: Model) -> tuple[CustomLayer, ...]:
    """Return the layers of a model that are written in Python."""
    return model.custom_layers if isinstance(model, SegmentedModel) else ()


def for_training(model: Model) -> Model:
    """Return a model on the same arrays for a fit, where NaN and infinity mean divergence."""
    return dataclasses.replace(model, trouble=[]) if isinstance(model, SegmentedModel) else model


def trouble(model: Model) -> list[str]:
    """Return what custom layers did wrong in a fit: at most one message."""
    return (isinstance(model, SegmentedModel) and model.trouble) or []
