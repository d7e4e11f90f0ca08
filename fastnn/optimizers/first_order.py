"""Optimizers that follow the gradient of a minibatch.

An object here only describes an optimizer. The arithmetic is in the engine
(`_core/kernels/optimizers.pxd`), and the arrays that it updates are in the network
(`OptimizerState`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from fastnn import _checks
from fastnn.optimizers.groups import Group
from fastnn.optimizers.schedule import Schedule, demand_no_metric

UpdateRule = dict[str, Any]  # an optimizer for the engine: its kind, and its numbers by name


@dataclass(frozen=True, kw_only=True, repr=False)
class Optimizer:
    """The base class of the optimizers that follow the gradient, such as SGD and Adam.

    Parameters
    ----------
    learning_rate : float or Schedule
    l1 : float
        Strength of an L1 penalty on all parameters Θ, at least 0. l1 · sign(Θ) is added to the
        gradient. By default 0, no penalty.
    clip_norm : float, optional
        Largest norm of the gradient over all trainable parameters, above 0. A larger gradient g is
        multiplied by clip_norm / (‖g‖ + 10⁻⁶), as by `torch.nn.utils.clip_grad_norm_`. By default
        the norm is not clipped.
    clip_value : float, optional
        Largest magnitude of an entry of the gradient, above 0. Larger entries are replaced by
        ± clip_value, as by `torch.nn.utils.clip_grad_value_`. By default entries are not clipped.
    groups : sequence of Group
        Groups of parameters with their own factors of the learning rate and the weight decay. By
        default none.

    Notes
    -----
    The order is: clip the norm of the loss's gradient, clip its entries, then add the gradients of
    the penalties. The reported loss does not include the penalties.

    Each subclass has a `weight_decay`: a number, or a schedule that does not follow a metric.
    """

    kind: ClassVar[str]
    learning_rate: float | Schedule

    l1: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    groups: "Sequence[Group]" = ()

    def __post_init__(self) -> None:
        if not isinstance(self.learning_rate, Schedule):
            _checks.number(self.learning_rate, "learning_rate", above=0)
        object.__setattr__(self, "groups", _checks.sequence_of(self.groups, "groups", Group))
        _checks.number(self.l1, "l1", at_least=0)
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                _checks.number(getattr(self, name), name, above=0)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names, as in PyTorch, of the arrays (n_params,) that the optimizer updates."""
        raise NotImplementedError

    def update_rule(self) -> UpdateRule:
        """Return the optimizer for the engine, without learning rate, schedules and groups."""
        rule = {"kind": self.kind, **{f.name: getattr(self, f.name) for f in fields(self)}}
        del rule["learning_rate"], rule["groups"]
        if isinstance(rule["weight_decay"], Schedule):
            rule["weight_decay"] = 0.0
        if "betas" in rule:
            rule["beta1"], rule["beta2"] = rule.pop("betas")
        return rule

    def __repr__(self) -> str:
        shown = [f for f in fields(self) if getattr(self, f.name) != f.default]
        shown.sort(key=lambda f: f.kw_only is True)
        arguments = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in shown)
        return f"{type(self).__name__}({arguments})"


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, with PyTorch's formulas.

    g is the gradient plus `weight_decay` times the parameters Θ, and v the velocity:
    v ← momentum · v + g, then Θ ← Θ - learning_rate · v,
    or Θ ← Θ - learning_rate · (g + momentum · v) with `nesterov`.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above 0. A schedule of `fastnn.schedules` changes it during training.
    momentum : float
        Decay factor of the velocity, in [0, 1). By default 0, plain gradient descent.
    nesterov : bool
        Whether to use Nesterov's step, which needs momentum. By default False.
    weight_decay : float or Schedule
        Strength of an L2 penalty on all parameters, at least 0. By default 0, no penalty.
    l1, clip_norm, clip_value, groups
        L1 penalty, gradient clipping and groups of parameters; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.

    Examples
    --------
    >>> net = fn.Network([fn.Linear(1, 1)], seed=0)
    >>> net.params = [1.0, 0.0]
    >>> net.step([0.5, 2.0], fn.SGD(0.1))
    >>> net.params
    array([ 0.95, -0.2 ], dtype=float32)
    """

    kind: ClassVar[str] = "sgd"

    learning_rate: float | Schedule
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: "float | Schedule" = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.number(self.momentum, "momentum", at_least=0, below=1)
        _demand_decay(self.weight_decay)
        if _checks.boolean(self.nesterov, "nesterov") and not self.momentum:
            raise ValueError("nesterov is True and momentum 0; Nesterov's step needs momentum")

    @property
    def state_names(self) -> tuple[str, ...]:
        """The velocity, if there is momentum."""
        return ("momentum_buffer",) if self.momentum else ()


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), with PyTorch's formulas.

    m and v are running means of the gradient g and of g², with the decay rates β₁ and β₂. Update t
    is Θ ← Θ - learning_rate · m̂ / (√v̂ + eps), where m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ).

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above 0. A schedule of `fastnn.schedules` changes it during training.
    betas : (float, float)
        Decay rates β₁ and β₂, each in [0, 1).
    eps : float
        Added to the denominator; at least 1e-37, about the smallest normal float32 number.
    weight_decay : float or Schedule
        Strength of an L2 penalty, whose gradient is added to g; at least 0. By default 0, no
        penalty.
    l1, clip_norm, clip_value, groups
        L1 penalty, gradient clipping and groups of parameters; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.

    Examples
    --------
    >>> net = fn.Network([fn.Linear(1, 1)], seed=0)
    >>> net.params = [1.0, 0.0]
    >>> net.step([0.5, 2.0], fn.Adam(0.1))  # the first step has the size of the learning rate
    >>> net.params
    array([ 0.9, -0.1], dtype=float32)
    """

    kind: ClassVar[str] = "adam"

    learning_rate: float | Schedule = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: "float | Schedule" = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _demand_betas(self.betas)
        _demand_decay(self.weight_decay)
        _checks.number(self.eps, "eps", at_least=1e-37)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The two running means."""
        return ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), with PyTorch's formulas.

    The decay changes the parameters directly, and not the gradient and its running means: before
    Adam's step, Θ ← (1 - learning_rate · weight_decay) Θ.

    Parameters
    ----------
    learning_rate, betas, eps
        As in Adam.
    weight_decay : float or Schedule
        Strength of the decay of all parameters, at least 0. By default 0.01.
    l1, clip_norm, clip_value, groups
        L1 penalty, which is part of the gradient, gradient clipping and groups of parameters; see
        `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.

    Examples
    --------
    >>> fn.AdamW(fn.schedules.CosineDecay(0.01), weight_decay=0.05)
    AdamW(learning_rate=CosineDecay(0.01), weight_decay=0.05)
    """

    kind: ClassVar[str] = "adamw"

    weight_decay: "float | Schedule" = 0.01


@dataclass(frozen=True, repr=False)
class Lion(Optimizer):
    """Lion, which steps by the sign of a running mean (Chen et al. 2023, "Symbolic discovery").

    Every parameter moves by the learning rate in each update. For the gradient g and its running
    mean m, the update is Θ ← Θ - learning_rate · (sign(β₁ m + (1 - β₁) g) + weight_decay · Θ), and
    then m ← β₂ m + (1 - β₂) g. The authors recommend a learning rate of a third to a tenth of
    AdamW's, and a weight decay three to ten times AdamW's.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above 0. A schedule of `fastnn.schedules` changes it during training.
    betas : (float, float)
        Decay rates β₁ and β₂, each in [0, 1).
    weight_decay : float or Schedule
        Strength of the decay of all parameters, at least 0. By default 0, no decay.
    l1, clip_norm, clip_value, groups
        L1 penalty, which is part of the gradient, gradient clipping and groups of parameters; see
        `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.
    """

    kind: ClassVar[str] = "lion"

    learning_rate: float | Schedule = 0.0001
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: "float | Schedule" = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _demand_betas(self.betas)
        _demand_decay(self.weight_decay)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The running mean."""
        return ("exp_avg",)


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012), with PyTorch's formulas.

    v is a running mean of g² for the gradient g. With `centered`, the square of the running mean of
    g is subtracted from it (Graves 2013). The update is Θ ← Θ - learning_rate · u, where
    u = g / (√v + eps), or u ← momentum · u + g / (√v + eps) with momentum.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above 0. A schedule of `fastnn.schedules` changes it during training.
    alpha : float
        Decay rate of the running means, in [0, 1).
    eps : float
        Added to the denominator; at least 1e-37, about the smallest normal float32 number.
    weight_decay : float or Schedule
        Strength of an L2 penalty, whose gradient is added to g; at least 0. By default 0, no
        penalty.
    momentum : float
        Decay factor of u, in [0, 1). By default 0, no momentum.
    centered : bool
        Whether v estimates the variance of the gradient, instead of the mean of its square. By
        default False.
    l1, clip_norm, clip_value, groups
        L1 penalty, gradient clipping and groups of parameters; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.
    """

    kind: ClassVar[str] = "rmsprop"

    learning_rate: float | Schedule = 0.01
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: "float | Schedule" = 0.0
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.number(self.alpha, "alpha", at_least=0, below=1)
        _demand_decay(self.weight_decay)
        _checks.number(self.eps, "eps", at_least=1e-37)
        _checks.number(self.momentum, "momentum", at_least=0, below=1)
        _checks.boolean(self.centered, "centered")

    @property
    def state_names(self) -> tuple[str, ...]:
        """The running mean of g²; then u, with momentum, and the running mean of g, if centered."""
        velocity = ("momentum_buffer",) if self.momentum else ()
        return ("square_avg", *velocity, *(("grad_avg",) if self.centered else ()))


def _demand_decay(decay: Any) -> None:
    """Check a weight decay, which is a number or a schedule."""
    if isinstance(decay, Schedule):
        demand_no_metric(decay, "weight_decay")
    else:
        _checks.number(decay, "weight_decay", at_least=0)


def _demand_betas(betas: Any) -> None:
    """Check the decay rates of two running means."""
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"betas is {betas!r}; a pair of numbers is wanted")
    for i, beta in enumerate(betas):
        _checks.number(beta, f"betas[{i}]", at_least=0, below=1)
