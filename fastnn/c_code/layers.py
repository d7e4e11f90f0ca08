"""The operations of layers in evaluation mode."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.c_code import embeddings
from fastnn.c_code.operations import (
    Activation,
    Constants,
    Linear,
    Normalization,
    Operation,
    Pointwise,
    Softmax,
)
from fastnn.c_code.text import FUNCTIONS, number
from fastnn.c_code.unrolled import UnrolledLinear
from fastnn.layers import Activation as ActivationLayer
from fastnn.layers import (
    BatchNorm,
    CategoricalEmbedding,
    CustomLayer,
    Dropout,
    Identity,
    Layer,
    LayerNorm,
    LogSoftmax,
    Parallel,
    Parametric,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    Residual,
    Scale,
    Standardize,
    Unstandardize,
)
from fastnn.layers import Linear as LinearLayer
from fastnn.layers import Softmax as SoftmaxLayer
from fastnn.layers.column_embedding import ColumnEmbedding


class Branches:
    """Operations side by side on one input; their outputs are added, or joined one after another.

    An empty branch is the identity.
    """

    curved = False
    n_kept = 0
    in_place = False

    def __init__(self, n_in: int, branches: "Sequence[Sequence[Node]]", joined: bool) -> None:
        self.branches, self.joined = branches, joined
        self.widths: list[int] = [branch[-1].n_out if branch else n_in for branch in branches]
        self.n_in = n_in
        self.n_out: int = sum(self.widths) if joined else self.widths[0]


Node = Operation | Branches
Nodes = list[Node]


class Translation:
    """Turns layers into operations; `twice` if second derivatives are wanted."""

    def __init__(self, constants: Constants, twice: bool, unroll: bool) -> None:
        self._constants, self._twice, self._unroll = constants, twice, unroll

    def nodes(self, layers: Sequence[Layer], n_in: int) -> Nodes:
        """Return the operations of layers one after the other."""
        found: Nodes = []
        for layer in layers:
            found += self._of_layer(layer, n_in)
            n_in = layer.width_after(n_in)
        return found

    def _of_layer(self, layer: Layer, n: int) -> Nodes:
        add = self._constants.add
        if isinstance(layer, Dropout | Identity):
            return []
        if isinstance(layer, ActivationLayer):
            return [self._activation(layer, n, None)]
        if isinstance(layer, Parametric):
            return [self._activation(layer.activation, n, add("alpha", layer.alpha))]
        if isinstance(layer, LinearLayer):
            if self._unroll:
                return [UnrolledLinear(self._constants.dtype, layer.weight, layer.bias)]
            return [Linear(self._constants, layer.weight[np.newaxis], layer.bias)]
        if isinstance(layer, SoftmaxLayer | LogSoftmax):
            return [Softmax(n, isinstance(layer, LogSoftmax))]
        if isinstance(layer, Standardize):
            mean, scale = add("mean", layer.mean), add("scale", layer.scale)
            return [Pointwise(n, f"({{x}} - {mean}[i]) / {scale}[i]", f"{{d}} / {scale}[i]")]
        if isinstance(layer, Unstandardize):
            return [self._scaled(n, layer.scale, layer.mean)]
        if isinstance(layer, Scale):
            return [self._scaled(n, layer.weight, layer.bias)]
        if isinstance(layer, LayerNorm):
            return [Normalization(n, number(layer.eps)), self._scaled(n, layer.weight, layer.bias)]
        if isinstance(layer, BatchNorm):
            dtype = self._constants.dtype
            inverse = 1 / np.sqrt(layer.running_var.astype(dtype) + dtype.type(layer.eps))
            mean, factor = add("mean", layer.running_mean), add("inverse", inverse)
            normalize = Pointwise(n, f"({{x}} - {mean}[i]) * {factor}[i]", f"{{d}} * {factor}[i]")
            return [normalize, self._scaled(n, layer.weight, layer.bias)]
        if isinstance(layer, Residual | Parallel):
            inner = [branch for _, branch in layer.inner_layers()]
            branches = [self.nodes(branch, n) for branch in inner]
            if isinstance(layer, Residual):
                branches.insert(0, [])
            return [Branches(n, branches, layer.combine == "concat")]
        if isinstance(layer, ColumnEmbedding):
            return self._columns(layer)
        if isinstance(layer, CategoricalEmbedding):
            return self._categories(layer)
        assert isinstance(layer, CustomLayer)
        raise TypeError(
            f"layers has the custom layer {layer!r}, whose code is Python; fastnn's own layers are "
            f"wanted"
        )

    def _scaled(self, n: int, weight: Any, bias: Any) -> Operation:
        factor = f"{self._constants.add('scale', weight)}[i]"
        shift = "" if bias is None else f" + {self._constants.add('shift', bias)}[i]"
        return Pointwise(n, f"{{x}} * {factor}{shift}", f"{{d}} * {factor}")

    def _activation(self, layer: ActivationLayer, n: int, alpha: str | None) -> Operation:
        """Return the operation of an activation f, or with `alpha` of (1 - alpha) x + alpha f."""
        config = "".join(f", {number(value)}" for value in layer.config().values())
        kind = layer.kind
        texts: list[str] = [f"@{name}({{x}}{config})" for name in (kind, f"{kind}_slope")]
        if f"{kind}_curvature" in FUNCTIONS:
            texts.append(f"@{kind}_curvature({{x}}{config})")
        if kind == "identity":
            texts = ["{x}", "R(1)"]
        if alpha is not None:
            mix = f"{alpha}[i]"
            starts = [f"(R(1) - {mix}) * {{x}} + ", f"(R(1) - {mix}) + ", ""]
            texts = [f"{a}{mix} * {b}" for a, b in zip(starts, texts, strict=False)]
        value, slope, *curvature = texts
        return Activation(n, value, slope, curvature[0] if curvature else None, self._twice)

    def _columns(self, layer: ColumnEmbedding) -> Nodes:
        """Embed the first columns after one copy of all, and put the numbers in their order."""
        constants, n, columns = self._constants, layer.in_features, layer.columns
        embedded: Nodes = []
        if columns < n:
            embedded.append(embeddings.Gather(constants, n, range(columns)))
        if isinstance(layer, PeriodicEmbedding):
            embedded.append(embeddings.Frequencies(constants, layer.frequency, layer.phase))
            texts = ("@cosine({x})", "@cosine_slope({x})", "@cosine_curvature({x})")
            embedded.append(Activation(layer.frequency.size, *texts, self._twice))
            joined = layer.joined
        else:
            assert isinstance(layer, PiecewiseLinearEmbedding)
            joined = False
            edges = np.zeros((columns, max(layer.n_bins) + 2))
            for row, own in zip(edges, layer.bins, strict=True):
                row[0] = own.size - 1
                row[1 : own.size + 1] = own
            embedded.append(embeddings.Encoding(constants, edges))
        embedded.append(Linear(constants, layer.weight, layer.bias, True))
        places = []
        for column in range(columns):
            start = n + column * layer.size
            places += [column] * joined + list(range(start, start + layer.size))
        places += range(columns, n)
        return [
            Branches(n, [[], embedded], True),
            embeddings.Gather(constants, n + columns * layer.size, places),
        ]

    def _categories(self, layer: CategoricalEmbedding) -> Nodes:
        n, codes = layer.in_features, len(layer.cardinalities)
        tables = embeddings.Tables(self._constants, layer.tables)
        if codes == n:
            return [tables]
        others, places = range(n - codes), range(n - codes, n)
        gather = [embeddings.Gather(self._constants, n, own) for own in (others, places)]
        return [Branches(n, [[gather[0]], [gather[1], tables]], True)]
