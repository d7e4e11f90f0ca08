"""Converters of the estimators for skl2onnx: `import fastnn.sklearn.onnx_converters`.

The import registers them. Then `skl2onnx.to_onnx` converts `MLPClassifier` and `MLPRegressor`, also
inside pipelines, with every activation and `network=`, several outputs and several labels. The
probabilities and predictions are those of the estimator, up to rounding. The target opset must be
17 or later.
"""

from collections.abc import Callable, Sequence
from typing import Any

from fastnn import _checks
from fastnn.layers import composition
from fastnn.network import Network
from fastnn.onnx_export import OPSET, Graph, add_layers
from fastnn.sklearn.classifier import MLPClassifier
from fastnn.sklearn.regressor import MLPRegressor

_skl2onnx = _checks.optional_package("skl2onnx", "fastnn.sklearn.onnx_converters", "skl2onnx")
_types = _checks.optional_package("skl2onnx.common.data_types", "this module", "skl2onnx")
_shapes = _checks.optional_package("skl2onnx.common.shape_calculator", "this module", "skl2onnx")
_helper = _checks.optional_package("onnx.helper", "this module", "onnx")


class Writer(Graph):
    """A graph of one or more networks, whose nodes go to a container of skl2onnx."""

    def __init__(
        self,
        scope: Any,
        operator: Any,
        container: Any,
        networks: Sequence[Network],
        element: int | None = None,
    ) -> None:
        if container.target_opset < OPSET:
            raise ValueError(
                f"target_opset is {container.target_opset}; {OPSET} or later is wanted for the "
                f"estimators of fastnn"
            )
        self._scope, self._container = scope, container
        self.networks = networks
        is_double = isinstance(operator.inputs[0].type, _types.DoubleTensorType)
        self.element = 11 if is_double else 1  # of ONNX: double or float
        arrays = {
            f"{i}.{name}": array
            for i, network in enumerate(networks)
            for name, array in composition.arrays_of(network.layers).items()
        }
        super().__init__(_helper.tensor_dtype_to_np_dtype(element or self.element), arrays)

    def outputs_of(self, x: str) -> list[str]:
        """Add the layers of all networks, and return the names of their outputs."""
        return [
            add_layers(self, network.layers, x, network.in_features, f"{i}.")
            for i, network in enumerate(self.networks)
        ]

    def write(self, outputs: Sequence[tuple[str, str]]) -> None:
        """Give the container all nodes and arrays, and some tensors the names of its outputs."""
        self.place = "output."
        for tensor, name in outputs:
            self.nodes.append(_helper.make_node("Identity", [tensor], [name]))
        made = [output for node in self.nodes for output in node.output]
        wanted = {name for _, name in outputs}
        graph = self.finish([], [])
        names = {
            name: self._scope.get_unique_variable_name(name)
            for name in [*made, *(tensor.name for tensor in graph.initializer)]
            if name not in wanted
        }
        for tensor in graph.initializer:
            tensor.name = names[tensor.name]
            self._container.initializers.append(tensor)
        for node in graph.node:
            self._container.add_node(
                node.op_type,
                [names.get(name, name) for name in node.input],
                [names.get(name, name) for name in node.output],
                name=self._scope.get_unique_operator_name(node.op_type),
                **{a.name: _helper.get_attribute_value(a) for a in node.attribute},
            )


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    estimator = operator.raw_operator
    writer = Writer(scope, operator, container, [estimator.to_network()])
    x = writer.node("Cast", operator.inputs[0].full_name, to=writer.element)
    (logits,) = writer.outputs_of(x)
    writer.place = "output."
    several = estimator._label_binarizer.y_type_.startswith("multilabel")
    if estimator.out_activation_ == "softmax":
        probabilities = writer.node("Softmax", logits, axis=-1)
    elif several:
        probabilities = writer.node("Sigmoid", logits)
    else:
        other = writer.node("Sigmoid", writer.node("Neg", logits))
        probabilities = writer.node("Concat", other, writer.node("Sigmoid", logits), axis=1)
    if several:
        chosen = writer.node("Greater", logits, writer.number(0.0))
        labels = writer.node("Cast", chosen, to=7)  # of ONNX: int64
    else:
        place = writer.node("ArgMax", probabilities, axis=1, keepdims=0)
        labels = writer.node("Gather", writer.labels(estimator.classes_), place)
    names = [output.full_name for output in operator.outputs]
    writer.write([(labels, names[0]), (probabilities, names[1])])


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    writer = Writer(scope, operator, container, [operator.raw_operator.to_network()])
    x = writer.node("Cast", operator.inputs[0].full_name, to=writer.element)
    (outputs,) = writer.outputs_of(x)
    if operator.raw_operator.out_activation_ == "exp":
        writer.place = "output."
        outputs = writer.node("Exp", outputs)
    elif operator.raw_operator.out_activation_ == "logistic":
        outputs = writer.node("Sigmoid", outputs)
    writer.write([(outputs, operator.outputs[0].full_name)])


def _regressor_shapes(operator: Any) -> None:
    set_output_type(operator, operator.raw_operator.to_network().out_features)


def set_output_type(operator: Any, width: int) -> None:
    """Set the type of a regressor's output: (n, width), in double precision if the input is."""
    is_double = isinstance(operator.inputs[0].type, _types.DoubleTensorType)
    kind = _types.DoubleTensorType if is_double else _types.FloatTensorType
    operator.outputs[0].type = kind([operator.inputs[0].get_first_dimension(), width])


def register_classifier(estimator: type, convert: "Callable[..., None]") -> None:
    """Register a converter of a classifier with skl2onnx."""
    _skl2onnx.update_registered_converter(
        estimator,
        f"Fastnn{estimator.__name__}",
        _shapes.calculate_linear_classifier_output_shapes,
        convert,
        options={
            "zipmap": [True, False, "columns"],
            "output_class_labels": [False, True],
            "nocl": [True, False],
        },
    )


def register_regressor(
    estimator: type, convert: "Callable[..., None]", shapes: "Callable[[Any], None]"
) -> None:
    """Register a converter of a regressor, with the function that sets its output's type."""
    name = f"Fastnn{estimator.__name__}"
    _skl2onnx.update_registered_converter(estimator, name, shapes, convert)


register_classifier(MLPClassifier, _convert_classifier)
register_regressor(MLPRegressor, _convert_regressor, _regressor_shapes)
