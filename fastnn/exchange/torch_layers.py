"""PyTorch modules for those layers of fastnn that PyTorch lacks.

`to_torch` uses them. The names in their state dicts are those of a model file.
"""

from typing import Any

import torch
from torch import Tensor, nn


class FixedScaling(nn.Module):
    """The base class of Standardize and Unstandardize."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))


class Standardize(FixedScaling):
    """(x - mean) / scale."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return (x - self.mean) / self.scale


class Unstandardize(FixedScaling):
    """x * scale + mean."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return x * self.scale + self.mean


class Abs(nn.Module):
    """|x|."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return torch.abs(x)


class Scale(nn.Module):
    """w x, or w x + b."""

    def __init__(self, features: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.register_parameter("bias", nn.Parameter(torch.zeros(features)) if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return self.weight * x if self.bias is None else self.weight * x + self.bias


class Parametric(nn.Module):
    """x + α (f(x) - x)."""

    def __init__(self, features: int, activation: nn.Module) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(features))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return x + self.alpha * (self.activation(x) - x)


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return x + self.layers(x)


class Parallel(nn.Module):
    """The sum of branches, or their outputs side by side."""

    def __init__(self, branches: "list[nn.Sequential]", combine: str) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.combine = combine

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        outputs: Any = [branch(x) for branch in self.branches]
        return torch.cat(outputs, -1) if self.combine == "concat" else sum(outputs[1:], outputs[0])
