"""Optimizers as frozen descriptions; the engine holds the arithmetic, the network the state."""

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from numpy.typing import NDArray

from fastnn import _checks
from fastnn.optimizers.schedule import Schedule

Array = NDArray[Any]

# What the engine takes: the kind, and its numbers by name.
UpdateRule = dict[str, Any]


@dataclass(frozen=True, kw_only=True, repr=False)
class Optimizer:
    """What all optimizers have; use SGD, Adam, AdamW or RMSprop.

    Parameters
    ----------
    learning_rate : float or Schedule
    l1 : float
        L1 penalty on all parameters: l1 · sign(Θ) is added to the gradient, 0 where Θ is 0; at
        least 0, by default none.
    clip_norm : float, optional
        Scale the gradient of all trainable parameters by clip_norm / (‖g‖ + 10⁻⁶) where that is
        below 1, as `torch.nn.utils.clip_grad_norm_`; above 0, by default never.
    clip_value : float, optional
        Cut off each entry of the gradient at ± clip_value, as `torch.nn.utils.clip_grad_value_`;
        above 0, by default never. With both, the norm is clipped first.

    Notes
    -----
    Clipping sees the gradient of the loss alone: penalties are added after it. The loss that is
    reported contains no penalty.
    """

    kind: ClassVar[str]
    learning_rate: float | Schedule

    l1: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.learning_rate, Schedule):
            _checks.number(self.learning_rate, "learning_rate", above=0)
        _checks.number(self.l1, "l1", at_least=0)
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                _checks.number(getattr(self, name), name, above=0)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The arrays of the parameters' size that it keeps, by PyTorch's names."""
        raise NotImplementedError

    def update_rule(self) -> UpdateRule:
        """Return the description in the engine's form, which is told the learning rate apart."""
        rule = {"kind": self.kind, **asdict(self)}
        del rule["learning_rate"]
        return rule

    def __repr__(self) -> str:
        shown = [f for f in fields(self) if getattr(self, f.name) != f.default]
        shown.sort(key=lambda f: f.kw_only is True)
        arguments = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in shown)
        return f"{type(self).__name__}({arguments})"


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, with PyTorch's formulas.

    With the gradient g (plus `weight_decay` times the parameter):
    v ← momentum · v + g, then Θ ← Θ - learning_rate · v,
    or Θ ← Θ - learning_rate · (g + momentum · v) with `nesterov`.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above 0; one of `fastnn.schedules` lets it change.
    momentum : float
        In [0, 1); by default 0, plain gradient descent.
    nesterov : bool
        Look ahead along the velocity; needs momentum.
    weight_decay : float
        L2 penalty on all parameters; at least 0, by default none.
    l1, clip_norm, clip_value : float
        L1 penalty and clipping, as all optimizers have them; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    kind: ClassVar[str] = "sgd"

    learning_rate: float | Schedule
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.number(self.momentum, "momentum", at_least=0, below=1)
        _checks.number(self.weight_decay, "weight_decay", at_least=0)
        if _checks.boolean(self.nesterov, "nesterov") and not self.momentum:
            raise ValueError("nesterov is True and momentum 0; Nesterov's step needs momentum")

    @property
    def state_names(self) -> tuple[str, ...]:
        """The velocity, with momentum."""
        return ("momentum_buffer",) if self.momentum else ()


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), with PyTorch's formulas.

    m and v are running means of g and g² with the rates `betas`;
    Θ ← Θ - learning_rate · m̂ / (√v̂ + eps), where m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ).

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above 0; one of `fastnn.schedules` lets it change.
    betas : (float, float)
        Decay rates of the two running means, each in [0, 1).
    eps : float
        Added to the denominator; at least 1e-37, float32's smallest normal number.
    weight_decay : float
        L2 penalty, added to the gradient; at least 0, by default none.
    l1, clip_norm, clip_value : float
        L1 penalty and clipping, as all optimizers have them; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    kind: ClassVar[str] = "adam"

    learning_rate: float | Schedule = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.betas, tuple | list) or len(self.betas) != 2:
            raise TypeError(f"betas is {self.betas!r}; a pair of numbers is wanted")
        for i, beta in enumerate(self.betas):
            _checks.number(beta, f"betas[{i}]", at_least=0, below=1)
        _checks.number(self.eps, "eps", at_least=1e-37)
        _checks.number(self.weight_decay, "weight_decay", at_least=0)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The two running means."""
        return ("exp_avg", "exp_avg_sq")

    def update_rule(self) -> UpdateRule:
        """Return the description in the engine's form, which is told the learning rate apart."""
        rule = super().update_rule()
        rule["beta1"], rule["beta2"] = rule.pop("betas")
        return rule


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), with PyTorch's formulas.

    The decay stays out of the gradient and of its running means: before Adam's step,
    Θ ← (1 - learning_rate · weight_decay) Θ.

    Parameters
    ----------
    learning_rate, betas, eps
        As in Adam.
    weight_decay : float
        At least 0, by default 0.01; on all parameters.
    l1, clip_norm, clip_value : float
        L1 penalty, which is in the gradient, and clipping; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    kind: ClassVar[str] = "adamw"

    weight_decay: float = 0.01


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012), with PyTorch's formulas.

    v is a running mean of g² with the rate `alpha`, less the square of the running mean of g if
    `centered` (Graves 2013). Θ ← Θ - learning_rate · u for u = g / (√v + eps), or, with momentum,
    for u ← momentum · u + g / (√v + eps).

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above 0; one of `fastnn.schedules` lets it change.
    alpha : float
        Decay rate of the running means, in [0, 1).
    eps : float
        Added to the denominator; at least 1e-37, float32's smallest normal number.
    weight_decay : float
        L2 penalty, added to the gradient; at least 0, by default none.
    momentum : float
        In [0, 1), by default none.
    centered : bool
        Whether to divide by an estimate of the gradient's variance, not of its square's mean.
    l1, clip_norm, clip_value : float
        L1 penalty and clipping, as all optimizers have them; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    kind: ClassVar[str] = "rmsprop"

    learning_rate: float | Schedule = 0.01
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.number(self.alpha, "alpha", at_least=0, below=1)
        _checks.number(self.eps, "eps", at_least=1e-37)
        _checks.number(self.weight_decay, "weight_decay", at_least=0)
        _checks.number(self.momentum, "momentum", at_least=0, below=1)
        _checks.boolean(self.centered, "centered")

    @property
    def state_names(self) -> tuple[str, ...]:
        """The running mean of the square, then velocity and running mean where they are kept."""
        velocity = ("momentum_buffer",) if self.momentum else ()
        return ("square_avg", *velocity, *(("grad_avg",) if self.centered else ()))


OPTIMIZERS = (SGD, Adam, AdamW, RMSprop)
