"""Optimizers as frozen descriptions; the engine holds the arithmetic, the network the state."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks, _core

# What the engine takes: the kind, and its numbers by name.
UpdateRule = dict[str, Any]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, with PyTorch's formulas.

    With the gradient g (plus `weight_decay` times the parameter):
    v ← momentum · v + g, then Θ ← Θ - learning_rate · v,
    or Θ ← Θ - learning_rate · (g + momentum · v) with `nesterov`.

    Parameters
    ----------
    learning_rate : float
        Step size, above 0.
    momentum : float
        In [0, 1); by default 0, plain gradient descent.
    nesterov : bool
        Look ahead along the velocity; needs momentum.
    weight_decay : float
        L2 penalty on all parameters; at least 0, by default none.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    kind: ClassVar[str] = "sgd"

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _checks.number(self.learning_rate, "learning_rate", above=0)
        _checks.number(self.momentum, "momentum", at_least=0, below=1)
        _checks.number(self.weight_decay, "weight_decay", at_least=0)
        if _checks.boolean(self.nesterov, "nesterov") and not self.momentum:
            raise ValueError("nesterov is True and momentum 0; Nesterov's step needs momentum")

    @property
    def n_states(self) -> int:
        """Arrays of the parameters' size that it keeps: the velocity, with momentum."""
        return 1 if self.momentum else 0

    def update_rule(self) -> UpdateRule:
        """Return the description in the engine's form."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015), with PyTorch's formulas.

    m and v are running means of g and g² with the rates `betas`;
    Θ ← Θ - learning_rate · m̂ / (√v̂ + eps), where m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ).

    Parameters
    ----------
    learning_rate : float
        Step size, above 0.
    betas : (float, float)
        Decay rates of the two running means, each in [0, 1).
    eps : float
        Added to the denominator; at least 1e-37, float32's smallest normal number.
    weight_decay : float
        L2 penalty, added to the gradient; at least 0, by default none.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    kind: ClassVar[str] = "adam"

    learning_rate: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _checks.number(self.learning_rate, "learning_rate", above=0)
        if not isinstance(self.betas, tuple | list) or len(self.betas) != 2:
            raise TypeError(f"betas is {self.betas!r}; a pair of numbers is wanted")
        for i, beta in enumerate(self.betas):
            _checks.number(beta, f"betas[{i}]", at_least=0, below=1)
        _checks.number(self.eps, "eps", at_least=1e-37)
        _checks.number(self.weight_decay, "weight_decay", at_least=0)

    @property
    def n_states(self) -> int:
        """Arrays of the parameters' size that it keeps: the two running means."""
        return 2

    def update_rule(self) -> UpdateRule:
        """Return the description in the engine's form."""
        rule = {"kind": self.kind, **asdict(self)}
        rule["beta1"], rule["beta2"] = rule.pop("betas")
        return rule


Optimizer = SGD | Adam


@dataclass
class OptimizerState:
    """What an optimizer remembers from one step to the next.

    Attributes
    ----------
    kind : str
        Of the optimizer that it belongs to; "" before the first.
    arrays : ndarray (n_states, n_params)
    step : int
        Updates so far.
    """

    kind: str = ""
    arrays: NDArray[Any] = field(default_factory=lambda: np.empty((0, 0)))
    step: int = 0

    def continued_for(self, optimizer: Any, params: NDArray[Any]) -> "OptimizerState":
        """Return this state if it is such an optimizer's, or a fresh one."""
        shape = (optimizer.n_states, params.size)
        if self.kind == optimizer.kind and self.arrays.shape == shape:
            return self
        return OptimizerState(optimizer.kind, _core.aligned_zeros(shape, params.dtype))

    def forget(self) -> None:
        """Start afresh, as at the first step."""
        self.arrays[...] = 0
        self.step = 0
