"""The program in C of a network: its functions, constants and workspace."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.c_code.embeddings import Gather, Tables
from fastnn.c_code.layers import Branches, Node, Translation
from fastnn.c_code.operations import (
    Constants,
    Linear,
    Lines,
    Operation,
    Place,
    Softmax,
    copied,
    loop,
    zeroed,
)
from fastnn.c_code.passes import Workspace, ahead, back
from fastnn.c_code.unrolled import UnrolledLinear
from fastnn.layers import Layer

# The arguments of each function, and what it computes.
SIGNATURES = {
    "predict": ("const T *x, T *y", "y = f(x)"),
    "jacobian": (
        "const T *x, T *y, T *jacobian",
        "y = f(x), and the Jacobian (outputs, inputs) row by row",
    ),
    "jvp": (
        "const T *x, const T *tangent, T *y, T *y_tangent",
        "y = f(x), and the Jacobian times a tangent (inputs)",
    ),
    "vjp": (
        "const T *x, const T *cotangent, T *y, T *x_cotangent",
        "y = f(x), and the transposed Jacobian times a cotangent (outputs)",
    ),
    "hessian": (
        "const T *x, T *y, T *gradient, T *hessian",
        "y = f(x), the gradient (inputs) and the Hessian (inputs, inputs)",
    ),
    "weighted_hessian": (
        "const T *x, const T *cotangent, T *y, T *x_cotangent, T *hessian",
        "As vjp, and the Hessian (inputs, inputs) of the sum of cotangent * y",
    ),
}


@dataclass
class Kept:
    """Where a derivative finds what an operation kept."""

    numbers: Place
    x_tangent: Place
    cotangent: Place  # of the output


class Program:
    """The functions of some layers one after the other, in the text of `text.py`.

    `wanted` has names of `SIGNATURES`, the first of which is "predict"; "hessian" needs a network
    with one output. With `unroll`, linear layers are straight code.

    Raises
    ------
    TypeError
        If there is a custom layer.

    Attributes
    ----------
    functions : list of str
        The definitions, each after what it calls.
    arrays : dict of str to ndarray
        The constants by their names.
    workspaces : dict of str to int
        How many numbers the functions hold on the stack, by the name of the macro.
    note : str
        More lines for the comment at the head of the files.
    interface : str
        More functions for the end of the source, in which NAME is the name of the program.
    """

    note = ""
    interface = ""

    def __init__(
        self,
        layers: Sequence[Layer],
        n_in: int,
        dtype: "np.dtype[Any]",
        wanted: list[str],
        unroll: bool = False,
    ) -> None:
        self.dtype, self.wanted = dtype, wanted
        constants = Constants(dtype)
        self._twice = not {"hessian", "weighted_hessian"}.isdisjoint(wanted)
        self._nodes = Translation(constants, self._twice, unroll).nodes(layers, n_in)
        self.arrays = constants.arrays
        self.n_in, self.n_out = n_in, self._nodes[-1].n_out if self._nodes else n_in
        self.workspaces: dict[str, int] = {}
        self.functions = [self._predict()]
        if len(wanted) > 1:
            self.functions += self._derivatives(wanted)

    def _predict(self) -> str:
        x, y, workspace = Place("x"), Place("y"), Workspace()
        lines = ahead(self._nodes, self.n_in, x, y, workspace, lambda op, x, y: op.forward(x, y))
        self.workspaces["PREDICT_WORKSPACE"] = workspace.size
        if workspace.size:
            lines = ["T work[@PREDICT_WORKSPACE];", *lines]
        return function("predict", lines)

    def _derivatives(self, wanted: Sequence[str]) -> Lines:
        by_rows = not _forward_is_cheaper(list(_operations(self._nodes)), self.n_in, self.n_out)
        below = by_rows and "jacobian" in wanted and self._ends_in_softmax()
        pushes, pulls = {"jvp"}, {"vjp"}
        if not below:
            (pulls if by_rows else pushes).add("jacobian")
        workspace = Workspace()
        kept = {id(own): self._kept(own, workspace) for own in _operations(self._nodes)}
        bodies: dict[str, Callable[[Workspace], Lines]] = {
            "jacobian": self._rows if by_rows else self._columns,
            "jvp": lambda _: ["@push(tangent, y_tangent, work);"],
            "vjp": lambda _: ["@pull(cotangent, x_cotangent, work);"],
            "hessian": lambda workspace: self._hessian(workspace, None, "gradient"),
            "weighted_hessian": lambda workspace: self._hessian(
                workspace, Place("cotangent"), "x_cotangent"
            ),
        }
        if below:
            bodies["jacobian"] = lambda workspace: self._rows_below_softmax(workspace, kept)
        public = {name: bodies[name](workspace) for name in wanted if name != "predict"}

        def linearize(operation: Operation, x: Place, y: Place) -> Lines:
            return operation.linearize(x, y, kept[id(operation)].numbers)

        def push(operation: Operation, dx: Place, dy: Place) -> Lines:
            own = kept[id(operation)]
            lines = operation.push(own.numbers, dx, dy)
            if self._twice and operation.curved:
                return [*copied(dx, own.x_tangent, operation.n_in), *lines]
            return lines

        def pull(operation: Operation, dy: Place, dx: Place) -> Lines:
            own = kept[id(operation)]
            lines = operation.pull(own.numbers, dy, dx)
            if self._twice and operation.curved:
                return [*copied(dy, own.cotangent, operation.n_out), *lines]
            return lines

        def pull_tangent(operation: Operation, dy_tangent: Place, dx_tangent: Place) -> Lines:
            own = kept[id(operation)]
            lines = operation.pull(own.numbers, dy_tangent, dx_tangent)
            if operation.curved:
                lines += operation.curve(own.numbers, own.x_tangent, own.cotangent, dx_tangent)
            return lines

        passes = [_pass(self._nodes, self.n_in, "linearize", ahead, workspace, linearize)]
        if self._twice or pushes & set(wanted):
            passes.append(_pass(self._nodes, self.n_in, "push", ahead, workspace, push))
        if self._twice or pulls & set(wanted):
            passes.append(_pass(self._nodes, self.n_in, "pull", back, workspace, pull))
        if below:
            passes.append(_pass(self._nodes[:-2], self.n_in, "pull_below", back, workspace, pull))
        if self._twice:
            tangents = _pass(self._nodes, self.n_in, "pull_tangent", back, workspace, pull_tangent)
            passes.append(tangents)
        self.workspaces["DERIVATIVES_WORKSPACE"] = max(workspace.size, 1)
        first = ["T work[@DERIVATIVES_WORKSPACE];", "@linearize(x, y, work);"]
        return passes + [function(name, [*first, *lines]) for name, lines in public.items()]

    def _kept(self, operation: Operation, workspace: Workspace) -> Kept:
        twice = self._twice and operation.curved
        sizes = (operation.n_kept, twice * operation.n_in, twice * operation.n_out)
        return Kept(*(workspace.take(size) for size in sizes))

    def _rows(self, workspace: Workspace) -> Lines:
        unit = workspace.take(self.n_out)
        step = f"@pull({unit}, jacobian + k * {self.n_in}, work);"
        return _for_each_unit(unit, self.n_out, [step])

    def _ends_in_softmax(self) -> bool:
        """Return whether the last operations are a linear layer in loops, and softmax."""
        return [type(own) for own in self._nodes[-2:]] == [Linear, Softmax]

    def _rows_below_softmax(self, workspace: Workspace, kept: "dict[int, Kept]") -> Lines:
        """Apply softmax from the left to the weight before it, as the engine does."""
        linear, softmax = self._nodes[-2:]
        assert isinstance(linear, Linear)
        assert isinstance(softmax, Softmax)
        S = kept[id(softmax)].numbers
        mean, row = workspace.take(linear.n_in), workspace.take(linear.n_in)
        weight = f"{S}, {linear.weight_and_steps()}, {linear.n_in}, {self.n_out}, {mean}"
        lines = [f"@row_below({weight}, k, {row});"]
        if not softmax.logarithm:
            lines += loop(linear.n_in, f"{row.element()} *= ({S})[k]")
        lines.append(f"@pull_below({row}, jacobian + k * {self.n_in}, work);")
        each = [f"for (int k = 0; k < {self.n_out}; ++k) {{", *(f"    {own}" for own in lines), "}"]
        return [f"@mean_of_rows({weight});", *each]

    def _columns(self, workspace: Workspace) -> Lines:
        unit, column = workspace.take(self.n_in), workspace.take(self.n_out)
        copied = loop(self.n_out, f"jacobian[i * {self.n_in} + k] = {column.element()}")
        return _for_each_unit(unit, self.n_in, [f"@push({unit}, {column}, work);", *copied])

    def _hessian(self, workspace: Workspace, cotangent: Place | None, gradient: str) -> Lines:
        """Return the Hessian for a cotangent; None stands for 1."""
        n = self.n_in
        first: Lines = []
        unit, zeros, y_tangent = (workspace.take(size) for size in (n, self.n_out, self.n_out))
        if cotangent is None:
            cotangent = workspace.take(1)
            first.append(f"*({cotangent}) = R(1);")
        lines = [*first, f"@pull({cotangent}, {gradient}, work);", *zeroed(zeros, self.n_out)]
        steps = [
            f"@push({unit}, {y_tangent}, work);",
            f"@pull_tangent({zeros}, hessian + k * {n}, work);",
        ]
        # the two halves differ by rounding
        mirrored = [f"for (int k = 0; k < {n}; ++k) {{"]
        mirrored += [
            f"    {line}" for line in loop("k", f"hessian[k * {n} + i] = hessian[i * {n} + k]")
        ]
        return [*lines, *_for_each_unit(unit, n, steps), *mirrored, "}"]


def _operations(nodes: Sequence[Node]) -> Iterator[Operation]:
    for node in nodes:
        if isinstance(node, Branches):
            for branch in node.branches:
                yield from _operations(branch)
        else:
            yield node


def _forward_is_cheaper(operations: Sequence[Operation], n_in: int, n_out: int) -> bool:
    """Return whether the engine computes the Jacobian from the tangents of all inputs."""
    products = [
        own.n_in * own.n_out for own in operations if isinstance(own, Linear | UnrolledLinear)
    ]
    if not products or any(isinstance(own, Gather | Tables) for own in operations):
        return False
    total = sum(products)
    return n_in * (total - products[0]) < n_out * (total - products[-1])


def _pass(
    nodes: Sequence[Node], n_in: int, name: str, way: Any, workspace: Workspace, step: Any
) -> str:
    """Return a function of the program that goes through all operations."""
    source, target = Place("source"), Place("result")
    lines = way(nodes, n_in, source, target, workspace, step)
    text = "".join(lines)
    unused = [f"(void){name};" for name in ("source", "work") if name not in text]
    head = f"static void @{name}(const T *source, T *result, T *work)"
    return _definition(head, [*unused, *lines])


def _for_each_unit(unit: Place, n: int, lines: Lines) -> Lines:
    """Return lines for each unit vector, the k-th of which is written to `unit`."""
    inner = [*loop(n, f"{unit.element()} = i == k ? R(1) : R(0)"), *lines]
    return [f"for (int k = 0; k < {n}; ++k) {{", *(f"    {line}" for line in inner), "}"]


def function(name: str, lines: Lines) -> str:
    """Return the definition of one of the public functions."""
    return _definition(f"void @{name}({SIGNATURES[name][0]})", lines)


def _definition(head: str, lines: Lines) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"{head}\n{{\n{body}\n}}"
