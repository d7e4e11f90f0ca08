"""Read an ONNX file, check it, and find the node or the constant array of each tensor."""

import os
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._checks.printing import printable
from fastnn._core.arrays import Array
from fastnn.files.model_file import ModelFileError

OLDEST_OPSET = 7  # before it, operators broadcast by an attribute
FLOAT, DOUBLE = 1, 11  # the types of elements
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")


class OnnxGraph:
    """A graph with one input and one output of real numbers.

    Attributes
    ----------
    model : onnx.ModelProto
    input : str
        The name of the input.
    width : int
        The number of columns of the input.
    output : str
        The name of the output.
    class_labels : list or None
        The labels of a `ZipMap` node, which scikit-learn's classifiers have at the output.
    """

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self._onnx = _checks.optional_package("onnx", "import_onnx", "onnx")
        self._folder = os.path.dirname(os.path.realpath(path))
        with open(path, "rb") as file:
            content = file.read()
        try:
            self.model = self._onnx.load_model_from_string(content)
        except Exception as error:  # DecodeError of Protocol Buffers, whose place varies
            raise ModelFileError(f"not an ONNX file, or a damaged one: {error}") from error
        graph = self.model.graph
        if not graph.node:
            raise ModelFileError("not an ONNX file, or one without nodes")
        self._check_opset()
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._arrays: dict[str, Array] = {}
        self._nodes: dict[str, Any] = {}  # by the name of each output
        self.input, self.width = self._find_input()
        self._check_order()
        self.class_labels: list[Any] | None = None
        self.output = self._find_output()
        self._check_flatten()

    def node(self, name: str) -> Any:
        """Return the node whose output is a tensor; None for the input and arrays."""
        return None if self.is_array(name) else self._nodes.get(name)

    def source(self, name: str) -> str:
        """Return the tensor before nodes that keep all values: Identity, and Cast to a float."""
        while (node := self._nodes.get(name)) is not None:
            kept = node.op_type == "Identity" or (
                node.op_type == "Cast" and self.attribute(node, "to", 0) in (FLOAT, DOUBLE)
            )
            if not kept or len(node.input) != 1:
                break
            name = node.input[0]
        return name

    def is_array(self, name: str) -> bool:
        """Return whether a tensor is constant: an initializer, or the output of a Constant."""
        node = self._nodes.get(name)
        return name in self._tensors or (node is not None and node.op_type == "Constant")

    def array(self, name: str, kinds: str = "if") -> Array:
        """Return a constant array of finite numbers, or for `kinds` "b" of truth values.

        Between the array and the tensor, there may be nodes as in `source`.
        """
        if kinds == "b":
            return self._read(self.source(name), kinds)
        if name not in self._arrays:
            self._arrays[name] = self._cast(name, self._read(self.source(name), kinds))
        return self._arrays[name]

    def _cast(self, name: str, array: Array) -> Array:
        """Return an array of `source(name)` as the Cast nodes up to `name` convert it."""
        dtypes = []
        place = name
        while not self.is_array(place):
            node = self._nodes[place]
            if node.op_type == "Cast":
                is_double = self.attribute(node, "to", 0) == DOUBLE
                dtypes.append(np.float64 if is_double else np.float32)
            place = node.input[0]
        for dtype in reversed(dtypes):
            with np.errstate(over="ignore"):
                array = array.astype(dtype)
        return self._finite(name, array)

    def _read(self, name: str, kinds: str) -> Array:
        """Return the content of an initializer or of a Constant."""
        if name in self._tensors:
            found = self._content(self._tensors[name])
        else:
            (attribute,) = self._nodes[name].attribute  # a Constant
            value = self._onnx.helper.get_attribute_value(attribute)
            is_tensor = attribute.name == "value"
            found = self._content(value) if is_tensor else np.asarray(value)
        if found.dtype.kind not in kinds or (found.dtype.kind != "b" and found.dtype.itemsize < 4):
            wanted = "bool" if kinds == "b" else "float32"
            raise ValueError(f"{printable(name)} has dtype {found.dtype}; {wanted} is wanted")
        return self._finite(name, found)

    def _finite(self, name: str, array: Array) -> Array:
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{printable(name)} holds NaN or infinity")
        return array

    def dtype(self) -> "np.dtype[Any]":
        """Return the dtype of a network: float64 if an array that was read has this dtype."""
        is_double = any(array.dtype == np.float64 for array in self._arrays.values())
        return np.dtype(np.float64 if is_double else np.float32)

    def attribute(self, node: Any, name: str, default: Any) -> Any:
        """Return an attribute of a node."""
        for attribute in node.attribute:
            if attribute.name == name:
                return self._onnx.helper.get_attribute_value(attribute)
        return default

    def ancestors(self, name: str | None = None) -> list[Any]:
        """Return the nodes that a tensor, or the output, depends on, in the order of the file."""
        needed = {self.output if name is None else name}
        found = []
        for node in reversed(self.model.graph.node):
            if needed.intersection(node.output):
                needed.update(node.input)
                found.append(node)
        return found[::-1]

    def _check_opset(self) -> None:
        newest = self._onnx.defs.onnx_opset_version()
        for entry in self.model.opset_import:
            if entry.domain in ("", "ai.onnx") and not OLDEST_OPSET <= entry.version <= newest:
                raise ModelFileError(
                    f"the opset is {entry.version}; {OLDEST_OPSET} to {newest} is wanted"
                )

    def _find_input(self) -> tuple[str, int]:
        inputs = [value for value in self.model.graph.input if value.name not in self._tensors]
        if len(inputs) != 1:
            names = printable(str([value.name for value in inputs]))
            raise ModelFileError(f"the graph has the inputs {names}; one is wanted")
        kind = inputs[0].type.tensor_type
        if kind.elem_type not in (FLOAT, DOUBLE):
            raise ModelFileError("the input has a dtype other than float32 and float64")
        sizes = [dim.dim_value for dim in kind.shape.dim]
        if len(sizes) < 2 or min(sizes[1:]) < 1:
            raise ModelFileError(
                f"the input has shape {sizes}, with 0 for an unknown size; (n, n_features) with a "
                f"known number of features is wanted"
            )
        self._input_sizes = sizes
        return inputs[0].name, int(np.prod(sizes[1:], dtype=object))

    def _check_flatten(self) -> None:
        """Check that samples of several axes go to a Flatten, on every way to the output."""
        readers = [node for node in self.ancestors() if self.input in node.input]
        if len(self._input_sizes) > 2 and any(node.op_type != "Flatten" for node in readers):
            raise ModelFileError(
                f"the input has shape {self._input_sizes}, and no Flatten after it"
            )

    def _check_order(self) -> None:
        """Check that each node reads only tensors of earlier nodes, so that there is no cycle."""
        known = {self.input, "", *self._tensors}
        for node in self.model.graph.node:
            for name in node.input:
                if name not in known:
                    raise ModelFileError(
                        f"{shown(node)} reads {printable(name)!r}, which no node before it returns"
                    )
            for name in node.output:
                if name and name in known:
                    raise ModelFileError(f"two nodes or arrays return {printable(name)!r}")
            known.update(node.output)
            self._nodes.update({name: node for name in node.output if name})

    def _find_output(self) -> str:
        outputs = list(self.model.graph.output)
        if len(outputs) > 1:  # a classifier also has an output of labels
            outputs = [
                value
                for value in outputs
                if value.type.WhichOneof("value") != "tensor_type"
                or value.type.tensor_type.elem_type in (FLOAT, DOUBLE)
            ]
        if len(outputs) != 1:
            raise ModelFileError(
                f"the graph has {len(outputs)} outputs of real numbers; one is wanted"
            )
        name = outputs[0].name
        node = self._nodes.get(name)
        if node is None:
            raise ModelFileError(f"no node returns the output {printable(name)!r}")
        if node.op_type != "ZipMap" or len(node.input) != 1:
            return str(name)
        texts = self.attribute(node, "classlabels_strings", [])
        integers = self.attribute(node, "classlabels_int64s", [])
        self.class_labels = [text.decode("utf-8") for text in texts] or list(integers)
        return str(node.input[0])

    def _content(self, tensor: Any) -> Array:
        """Return an array. A large model has its arrays in a second file in the same folder."""
        if tensor.data_location == self._onnx.TensorProto.EXTERNAL:
            self._read_external(tensor)
        try:
            found: Array = np.asarray(self._onnx.numpy_helper.to_array(tensor))
        except Exception as error:  # of NumPy, or of the decoder of a dtype
            raise ValueError(f"the array {printable(tensor.name)} is damaged: {error}") from error
        return found

    def _read_external(self, tensor: Any) -> None:
        where = {entry.key: entry.value for entry in tensor.external_data}
        location = where.get("location", "")
        path = os.path.join(self._folder, location)
        # another folder, or a link to it, may be a file that the user does not mean to read
        if (
            os.path.basename(location) != location
            or location in ("", ".", "..")
            or os.path.islink(path)
        ):
            raise ValueError(
                f"the array {printable(tensor.name)} is in {printable(location)!r}; a file in the "
                f"folder of the model is wanted"
            )
        offset = int(where.get("offset", 0))
        dtype = self._onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        length = int(np.prod(tensor.dims, dtype=object)) * dtype.itemsize
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if min(offset, length) < 0 or offset + length > size:
                raise ValueError(f"the array {printable(tensor.name)} goes beyond its file")
            file.seek(offset)
            tensor.raw_data = file.read(length)
        tensor.data_location = self._onnx.TensorProto.DEFAULT


def shown(node: Any) -> str:
    """Return the name and the operator of a node, for messages."""
    name = node.name or (node.output[0] if node.output else "")
    return printable(f"the node {name!r} ({node.op_type})")
