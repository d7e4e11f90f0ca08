"""An ONNX graph under construction."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array


class Graph:
    """The nodes and the arrays of an ONNX graph, in the order in which they are added.

    Tensors are named like the arrays of a model file: "1.weight" is an array of the layer 1, and
    "1.Gemm" an output of its nodes.

    Attributes
    ----------
    dtype : numpy dtype
        Of all arrays that are not integers.
    place : str
        The prefix of the names in the present layer, such as "1.".
    """

    def __init__(self, dtype: "np.dtype[Any]", arrays: dict[str, Array]) -> None:
        self._onnx = _checks.optional_package("onnx", "ONNX", "onnx")
        self.dtype = dtype
        self.place = ""
        self.nodes: list[Any] = []
        self._uses: Counter[str] = Counter()
        self._arrays = {name: array.astype(dtype) for name, array in arrays.items()}

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        name = f"{self.place}{operator}"
        self._uses[name] += 1
        if self._uses[name] > 1:
            name += f"_{self._uses[name]}"
        made = self._onnx.helper.make_node(operator, inputs, [name], name=name, **attributes)
        self.nodes.append(made)
        return name

    def own(self, name: str) -> str:
        """Return the name of an array of the present layer, such as "1.weight"."""
        return f"{self.place}{name}"

    def derived(self, name: str, value: Any, dtype: Any = None) -> str:
        """Add an array that follows from the description of the layer, and return its name."""
        name = f"derived {self.own(name)}"
        self._arrays[name] = np.asarray(value, dtype or self.dtype)
        return name

    def number(self, value: float) -> str:
        """Return the name of an array () with this value."""
        name = f"number {value!r}"
        self._arrays[name] = np.array(value, self.dtype)
        return name

    def integers(self, values: "int | Sequence[int] | Array") -> str:
        """Return the name of an array of these integers: axes, a shape or indices."""
        array = np.asarray(values, np.int64)
        name = f"integers {array.tolist()}"
        self._arrays[name] = array
        return name

    def labels(self, values: Array) -> str:
        """Return the name of an array of class labels: texts or integers."""
        is_number = values.dtype.kind in "biuf"
        self._arrays["class labels"] = values.astype(np.int64) if is_number else values.astype(str)
        return "class labels"

    def columns(self, x: str, start: int, stop: int) -> str:
        """Add a node that returns some columns of a matrix."""
        return self.node("Slice", x, *(self.integers([i]) for i in (start, stop, 1)))

    def end_at(self, output: str, name: str) -> None:
        """Give the output of the last node another name."""
        if not self.nodes or output not in self.nodes[-1].output:
            self.place = ""
            output = self.node("Identity", output)
        self.nodes[-1].output[:] = [name]

    def finish(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Return the `onnx.GraphProto`; arrays that no node reads are left out."""
        read = {name for node in self.nodes for name in node.input}
        arrays = [
            self._onnx.numpy_helper.from_array(
                array.astype(object) if array.dtype.kind == "U" else array, name
            )
            for name, array in self._arrays.items()
            if name in read
        ]
        return self._onnx.helper.make_graph(self.nodes, "fastnn", inputs, outputs, arrays)
