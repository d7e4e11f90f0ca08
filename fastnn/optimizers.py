"""Optimizers as frozen descriptions; the engine holds the arithmetic, the network the state."""

from dataclasses import dataclass
from typing import ClassVar

from fastnn import _checks

# The engine's common form: kind, number of state arrays, learning rate, momentum or beta1, beta2,
# eps, weight decay, nesterov.
UpdateRule = tuple[str, int, float, float, float, float, float, bool]


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
        In [0, 1); 0 is plain gradient descent.
    nesterov : bool
        Look ahead along the velocity; needs momentum.
    weight_decay : float
        L2 penalty on all parameters, at least 0.

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
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov is True and momentum 0; Nesterov's step needs momentum")

    @property
    def update_rule(self) -> UpdateRule:
        """The description in the engine's form."""
        n_states = 1 if self.momentum else 0
        return (
            self.kind, n_states, float(self.learning_rate), float(self.momentum), 0.0, 0.0,
            float(self.weight_decay), bool(self.nesterov),
        )  # fmt: skip


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
        Added to the denominator, above 0.
    weight_decay : float
        L2 penalty, added to the gradient; at least 0.

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
        _checks.number(self.eps, "eps", above=0)
        _checks.number(self.weight_decay, "weight_decay", at_least=0)

    @property
    def update_rule(self) -> UpdateRule:
        """The description in the engine's form."""
        return (
            self.kind, 2, float(self.learning_rate), float(self.betas[0]), float(self.betas[1]),
            float(self.eps), float(self.weight_decay), False,
        )  # fmt: skip


Optimizer = SGD | Adam
