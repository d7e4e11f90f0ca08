"""Converters of the estimators for skl2onnx: `import fastnn.tabular.onnx_converters`.

The import registers `TabularClassifier` and `TabularRegressor`, fitted on tables of numbers with or
without gaps. The input of the ONNX model is one matrix, with NaN for a gap. A column of categories
or dates is an error that names it. The target opset must be 17 or later.
"""

from typing import Any

import numpy as np

from fastnn.sklearn.onnx_converters import (
    Writer,
    register_classifier,
    register_regressor,
    set_output_type,
)
from fastnn.tabular.classifier import TabularClassifier
from fastnn.tabular.codings import NumericCoding
from fastnn.tabular.encoder import TableEncoder
from fastnn.tabular.regressor import TabularRegressor

FLOAT, DOUBLE = 1, 11  # the types of elements in ONNX


def _begin(scope: Any, operator: Any, container: Any) -> tuple[Writer, list[str]]:
    """Return the writer, and the outputs of each network of an estimator."""
    estimator = operator.raw_operator
    networks = estimator.networks_
    element = FLOAT if networks[0].dtype == np.float32 else DOUBLE
    writer = Writer(scope, operator, container, networks, element)
    writer.place = "encoder."
    x = _encoded(writer, estimator.encoder_, operator.inputs[0].full_name)
    outputs = writer.outputs_of(writer.node("Cast", x, to=element))
    writer.place = "output."
    return writer, outputs


def _encoded(writer: Writer, encoder: TableEncoder, x: str) -> str:
    """Add the nodes of the encoder, which computes in double precision."""
    for coding in encoder._codings:
        if not isinstance(coding, NumericCoding):
            raise TypeError(
                f"column {encoder.columns_[coding.position].name!r} has the kind {coding.type}; "
                f"ONNX models of tables have columns of numbers only"
            )
    plan = encoder._plan
    assert plan is not None
    x = writer.node("Cast", x, to=DOUBLE)
    columns = writer.node("Gather", x, writer.integers(plan.positions), axis=1)
    names = ("low", "high", "centre", "third")
    low, high, centre, third = (
        writer.derived(name, row, np.float64)
        for name, row in zip(names, plan.scalings, strict=True)
    )
    zero, one, three = (writer.derived(str(i), i, np.float64) for i in (0.0, 1.0, 3.0))
    limited = writer.node("Min", writer.node("Max", columns, low), high)
    z = writer.node("Mul", writer.node("Sub", limited, centre), third)
    root = writer.node("Sqrt", writer.node("Add", writer.node("Mul", z, z), one))
    scaled = writer.node("Div", writer.node("Mul", z, three), root)
    scaled = writer.node("Where", writer.node("IsNaN", columns), zero, scaled)
    if not len(plan.gaps):
        return scaled
    with_gaps = writer.node("Gather", columns, writer.integers(plan.gaps), axis=1)
    absent, present = (
        writer.derived(name, row, np.float64)
        for name, row in (("absent", plan.absent), ("present", plan.present))
    )
    indicators = writer.node("Where", writer.node("IsNaN", with_gaps), absent, present)
    joined = writer.node("Concat", scaled, indicators, axis=1)
    order = np.argsort(np.concatenate([plan.outputs, plan.gap_outputs]))
    return writer.node("Gather", joined, writer.integers(order), axis=1)


def _mean(writer: Writer, parts: list[str]) -> str:
    """Return the mean of the networks' results, in the type of the model's outputs."""
    total = parts[0]
    for part in parts[1:]:
        total = writer.node("Add", total, part)
    if len(parts) > 1:
        total = writer.node("Div", total, writer.number(float(len(parts))))
    return writer.node("Cast", total, to=writer.element)


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    estimator = operator.raw_operator
    writer, outputs = _begin(scope, operator, container)
    temperature = writer.number(float(estimator.temperature_))
    parts = [
        writer.node("Softmax", writer.node("Div", logits, temperature), axis=-1)
        for logits in outputs
    ]
    probabilities = _mean(writer, parts)
    place = writer.node("ArgMax", probabilities, axis=1, keepdims=0)
    labels = writer.node("Gather", writer.labels(estimator.classes_), place)
    names = [output.full_name for output in operator.outputs]
    writer.write([(labels, names[0]), (probabilities, names[1])])


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    estimator = operator.raw_operator
    writer, outputs = _begin(scope, operator, container)
    low, high = (writer.number(float(limit)) for limit in estimator.limits_)
    parts = []
    for output in outputs:
        column = writer.columns(output, 0, 1)  # a network may have more, for intervals
        if estimator.loss == "poisson":
            column = writer.node("Exp", column)
        parts.append(writer.node("Min", writer.node("Max", column, low), high))
    writer.write([(_mean(writer, parts), operator.outputs[0].full_name)])


register_classifier(TabularClassifier, _convert_classifier)
register_regressor(
    TabularRegressor, _convert_regressor, lambda operator: set_output_type(operator, 1)
)
