"""Layers made of layers: a residual block, and branches that read the same input."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.jacobians import Jacobian
from fastnn.layers import composition
from fastnn.layers.base import Layer, Operation
from fastnn.layers.custom import CustomLayer

DEEPEST = 20  # nested blocks; their description stays within the limit of a model file
WIDEST = 2**31  # more than any memory holds, but safe for the engine's integers


class Branched(Layer):
    """The base class of the blocks; use one of its subclasses.

    The engine runs the branches from the first to the last. Their parameters follow one another in
    this order.
    """

    combine: str  # "sum" or "concat"
    _branches: tuple[tuple[Layer, ...], ...]  # an empty one is the identity

    def _set_branches(self, branches: Sequence[Any], combine: str) -> None:
        """Check the branches, and set the widths and counts of the block."""
        self.combine = combine
        self._branches = tuple(tuple(branch) for branch in branches)
        inner = [layer for branch in self._branches for layer in branch]
        for layer in inner:
            if isinstance(layer, CustomLayer):
                raise TypeError(
                    f"{type(self).__name__} has the custom layer {layer!r}; blocks are compiled, "
                    f"so fastnn's own layers are wanted"
                )
        self._depth = 1 + max((getattr(layer, "_depth", 0) for layer in inner), default=0)
        if self._depth > DEEPEST:
            raise ValueError(f"blocks are nested {self._depth} deep; at most {DEEPEST} is wanted")
        widths = [
            composition.sequence_width(branch, self._place(i))
            for i, branch in enumerate(self._branches)
        ]
        known = [(i, width) for i, width in enumerate(widths) if width is not None]
        for i, width in known:
            if width != known[0][1]:
                raise ValueError(
                    f"{self._place(known[0][0])} takes {known[0][1]} features and "
                    f"{self._place(i)} {width}; all branches get the same input"
                )
        # if no branch has a width, these numbers are factors of the input's width, nearly always 1
        width = known[0][1] if known else 1
        outputs = [
            composition.widths_through(branch, width, self._place(i))[-1]
            for i, branch in enumerate(self._branches)
        ]
        if combine == "sum":
            self._demand_equal(width, outputs, bool(known))
        self._widening = sum(outputs) if combine == "concat" else outputs[0]
        if known:
            self.in_features, self.out_features = width, self._widening
        self.n_params = sum(layer.n_params for layer in inner)
        self.n_constants = sum(layer.n_constants for layer in inner)

    def _demand_equal(self, width: int, outputs: list[int], known: bool) -> None:
        """Check the widths of branches that are added; if not `known`, they are factors."""
        raise NotImplementedError

    def _place(self, i: int) -> str:
        """Return the name of a branch in messages."""
        raise NotImplementedError

    @property
    def trainable(self) -> bool:
        """Whether `fit` changes parameters of the block: whether any inner layer is trainable.

        Assigning sets `trainable` of all inner layers.
        """
        inner = [layer.trainable for branch in self._branches for layer in branch]
        return any(inner) or not inner

    @trainable.setter
    def trainable(self, value: Any) -> None:
        value = _checks.boolean(value, "trainable")
        for branch in self._branches:
            for layer in branch:
                layer.trainable = value

    def join_network(self) -> None:
        """Mark the block and its layers as belonging to a network."""
        super().join_network()
        for branch in self._branches:
            for layer in branch:
                layer.join_network()

    def width_after(self, in_features: int) -> int:
        """Return the width of the output for inputs of this width."""
        width = self.out_features or in_features * self._widening
        if width > WIDEST:
            raise ValueError(f"{type(self).__name__} would return {width:,} features: too many")
        return width

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the block, with those of its layers."""
        branches = [composition.operations(branch, in_features) for branch in self._branches]
        return (self.combine, in_features, self.width_after(in_features), branches)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays of the inner layers."""
        return {
            f"{name}.{own_name}": array
            for name, layers in self.inner_layers()
            for own_name, array in composition.arrays_of(layers).items()
        }

    def summary_name(self) -> str:
        """Return the block's name in the summary of a network, which lists its layers."""
        return type(self).__name__

    def _by_input(self, x: Array) -> Jacobian:
        parts = [
            composition.jacobian_operator(branch, x, "input")
            if branch
            else jacobians.Identity(x.size, x.dtype)
            for branch in self._branches
        ]
        return jacobians.Sum(parts) if self.combine == "sum" else jacobians.Stack(parts)

    def _by_params(self, x: Array) -> Jacobian:
        parts = [
            composition.jacobian_operator(branch, x, "params")
            if branch
            else jacobians.Dense(np.empty((x.size, 0), x.dtype))
            for branch in self._branches
        ]
        if self.combine == "sum":
            return jacobians.Block(parts)
        return jacobians.BlockDiagonal(parts)

    def _flat_params(self, dtype: np.dtype[Any]) -> Array:
        leaves = composition.leaves([self])
        return np.concatenate([np.empty(0, dtype), *(leaf._flat_params(dtype) for leaf in leaves)])

    def _flat_constants(self, dtype: np.dtype[Any]) -> Array:
        leaves = composition.leaves([self])
        parts = [leaf._flat_constants(dtype) for leaf in leaves]
        return np.concatenate([np.empty(0, dtype), *parts])

    def _dtype(self) -> np.dtype[Any] | None:
        dtypes = (leaf._dtype() for leaf in composition.leaves([self]))
        return next((dtype for dtype in dtypes if dtype is not None), None)


class Residual(Branched):
    """y = x + f(x), where f is some layers one after the other (He et al. 2016).

    The Jacobian with respect to the input is I + J_f. Backpropagation adds the cotangent of y to
    that of f's input.

    Parameters
    ----------
    layers : sequence of Layer
        At least one layer; f. Its output must be as wide as its input. Layers may be blocks too.

    Raises
    ------
    ValueError, TypeError
        If widths do not fit, a layer already belongs to a network or occurs twice, or blocks are
        nested more than 20 deep.

    Notes
    -----
    The layers work as outside a block: initial weights are drawn in the order of the layers,
    BatchNorm and Dropout have their training mode, and `trainable = False` freezes the block or one
    layer. A linear layer at the end of f gets initial weights that suit the activation after the
    block.
    """

    kind: ClassVar[str] = "residual"

    def __init__(self, layers: Sequence[Layer]) -> None:
        if not isinstance(layers, list | tuple):
            raise TypeError(f"layers is {layers!r}; a list of layers is wanted")
        if not layers:
            raise ValueError("layers is empty; at least one layer is wanted")
        composition.demand_free_layers(layers, "layers")
        self.layers = tuple(layers)
        self._set_branches([(), layers], "sum")

    def _demand_equal(self, width: int, outputs: list[int], known: bool) -> None:
        if outputs[1] != width:
            raise ValueError(
                f"layers takes {width} features and returns {outputs[1]}; Residual adds its input "
                f"to the output, so both widths must be equal"
                if known
                else f"layers returns {outputs[1]} times the width of its input; Residual adds its "
                f"input to the output, so both widths must be equal"
            )

    def _place(self, i: int) -> str:
        return "layers"

    def inner_layers(self) -> list[tuple[str, tuple[Layer, ...]]]:
        """Return the layers, under the name of their attribute."""
        return [("layers", self.layers)]

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        return {"layers": composition.describe(self.layers)}

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return a new layer, made from the results of `config()` and `arrays()`."""
        rest = dict(config)
        arrays_of = _by_branch(arrays, {"layers"})
        layers = composition.build(rest.pop("layers"), arrays_of["layers"], {})
        return cls(layers, **rest)

    def __repr__(self) -> str:
        return f"Residual([{', '.join(map(repr, self.layers))}])"


class Parallel(Branched):
    """The sum of branches that read the same input, or their outputs side by side.

    With combine="sum" y = f_1(x) + f_2(x) + …, added in this order, and with combine="concat"
    y = (f_1(x), f_2(x), …). The Jacobian with respect to the input is the sum of the branches'
    Jacobians, or their rows one below the other.

    Parameters
    ----------
    branches : sequence of sequences of Layer
        At least one branch. The layers of a branch are applied one after the other; an empty list
        is the identity. Layers may be blocks too.
    combine : {"sum", "concat"}
        By default "sum", for which all branches must return the same width.

    Raises
    ------
    ValueError, TypeError
        If widths do not fit, a layer already belongs to a network or occurs twice, or blocks are
        nested more than 20 deep.

    Notes
    -----
    Initial weights are drawn branch by branch. A linear layer before the block gets initial weights
    that suit the first branch with layers. A linear layer at the end of a branch gets initial
    weights that suit the activation after the block.
    """

    kind: ClassVar[str] = "parallel"

    def __init__(self, branches: "Sequence[Sequence[Layer]]", combine: str = "sum") -> None:
        if not isinstance(branches, list | tuple):
            raise TypeError(f"branches is {branches!r}; a list of lists of layers is wanted")
        if not branches:
            raise ValueError("branches is empty; at least one list of layers is wanted")
        combine = _checks.choice(combine, "combine", ("sum", "concat"))
        seen: set[int] = set()
        for i, branch in enumerate(branches):
            if not isinstance(branch, list | tuple):
                raise TypeError(f"branches[{i}] is {branch!r}; a list of layers is wanted")
            composition.demand_free_layers(branch, f"branches[{i}]", seen)
        self.branches = tuple(tuple(branch) for branch in branches)
        self._set_branches(self.branches, combine)

    def _demand_equal(self, width: int, outputs: list[int], known: bool) -> None:
        unit = "features" if known else "times the width of its input"
        for i, output in enumerate(outputs):
            if output != outputs[0]:
                raise ValueError(
                    f"branches[0] returns {outputs[0]} {unit} and branches[{i}] {output}; with "
                    f"combine='sum' the same width is wanted"
                )

    def _place(self, i: int) -> str:
        return f"branches[{i}]"

    def inner_layers(self) -> list[tuple[str, tuple[Layer, ...]]]:
        """Return the name and the layers of each branch."""
        return [(f"branches.{i}", branch) for i, branch in enumerate(self.branches)]

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        branches = [composition.describe(branch) for branch in self.branches]
        return {"branches": branches, "combine": self.combine}

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return a new layer, made from the results of `config()` and `arrays()`."""
        rest = dict(config)
        described = rest.pop("branches")
        if not isinstance(described, list):
            raise ValueError(f"branches is {described!r}; a list of lists is wanted")
        names = [f"branches.{i}" for i in range(len(described))]
        arrays_of = _by_branch(arrays, set(names))
        branches = [
            composition.build(branch, arrays_of[name], {})
            for name, branch in zip(names, described, strict=True)
        ]
        return cls(branches, **rest)

    def summary_name(self) -> str:
        """Return the block's name in the summary of a network, which lists its layers."""
        return f"Parallel, {self.combine}"

    def __repr__(self) -> str:
        branches = ", ".join(f"[{', '.join(map(repr, branch))}]" for branch in self.branches)
        return f"Parallel([{branches}], combine={self.combine!r})"


def _by_branch(arrays: dict[str, Array], names: set[str]) -> dict[str, dict[str, Array]]:
    """Return the arrays of each branch, by their names without that of the branch."""
    found: dict[str, dict[str, Array]] = {name: {} for name in names}
    for name, array in arrays.items():
        branch = next((b for b in names if name.startswith(f"{b}.")), None)
        if branch is None:
            raise ValueError(f"the array {name} belongs to no layer of the block")
        found[branch][name.removeprefix(f"{branch}.")] = array
    return found
