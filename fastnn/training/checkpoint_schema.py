"""What each value in a checkpoint must be: one declared schema, checked before anything is used.

A field has a name and a kind; kinds are functions that return what is wrong, or None. The fields of
a part are checked in order, so that one may depend on those before it. A value without a field is
an error, as is a field without a value.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.callbacks import Callback, EarlyStopping
from fastnn.layers import BatchNorm, Layer, Standardize
from fastnn.model import Model
from fastnn.optimizers import OptimizerState
from fastnn.optimizers.levenberg_marquardt import FIGURES, LevenbergMarquardtTrainer
from fastnn.training.rates import RateFeed
from fastnn.training.stepwise import StepwiseTrainer

Array = NDArray[Any]
State = dict[str, Any]
Kind = Callable[[Any], bool]
Field = tuple[Kind, str]  # and what is wanted, for the error

MOST = 2**62  # of what the engine counts
NEVER_NEGATIVE = ("exp_avg_sq", "square_avg")


@dataclass
class Facts:
    """What is known of the fit that a checkpoint is to go on in."""

    model: Model
    layers: tuple[Layer, ...]
    trainer: Any
    optimizer_state: OptimizerState
    rates: RateFeed
    callbacks: dict[str, Callback]  # by the names of their parts
    epochs: int
    n_samples: int | None
    batch_size: int
    weighted: bool
    shuffled: bool
    measured: tuple[str, ...]  # columns of the validation
    constants: Array = field(default_factory=lambda: np.empty(0))  # of the network in the file
    found: dict[str, State] = field(default_factory=dict)  # the parts checked so far


def demand(facts: Facts, model: Model, grads: Any, parts: dict[str, State]) -> None:
    """Check all that a checkpoint says; `model` is its network's, of the same layers and dtype.

    Raises
    ------
    ValueError
        If a value is missing, left over, or not what it must be; it is named.
    """
    params, facts.constants = facts.model.params, model.constants
    _demand("fit", {"grads": grads}, {"grads": _array(params.dtype, params.shape)}, {})
    own = {"optimizer": _optimizer, "trainer": _trainer, "course": _course, "rates": _rates}
    if parts.keys() != {*own, *facts.callbacks}:
        raise ValueError(f"it has the parts {sorted(parts)}")
    for name, schema in own.items():
        facts.found[name] = {}
        _demand(name, parts[name], schema(facts, parts[name]), facts.found[name])
    if not (facts.found["trainer"]["position"] or _finite(model.params)):
        raise ValueError("a parameter is NaN or infinite")
    for name, callback in facts.callbacks.items():
        kind = type(callback)
        if kind.restore is EarlyStopping.restore and kind.state is EarlyStopping.state:
            _demand(name, parts[name], _early_stopping(facts, parts[name]), {})


def _demand(part: str, state: State, fields: "dict[str, Field]", found: State) -> None:
    for name, (is_right, wanted) in fields.items():
        if name not in state:
            raise ValueError(f"{part}.{name} is missing; {wanted} is wanted")
        if not is_right(state[name]):
            value = state[name]
            shown = f"of shape {value.shape}, {value.dtype}" if _is_array(value) else repr(value)
            raise ValueError(f"{part}.{name} is {shown[:200]}; {wanted} is wanted")
        found[name] = state[name]
    if left := sorted(state.keys() - fields.keys()):
        raise ValueError(f"{part} has {left}, which nothing here remembers")


# ---------------------------------------------------------------------- the schema


def _optimizer(facts: Facts, state: State) -> dict[str, Field]:
    own = facts.optimizer_state

    def numbers(arrays: Array) -> bool:
        squares = [
            row for name, row in zip(own.names, arrays, strict=True) if name in NEVER_NEGATIVE
        ]
        return not np.isnan(arrays).any() and all((row >= 0).all() for row in squares)

    return {
        "kind": _same(own.kind),
        "names": _same(list(own.names)),
        "step": _integer(0, MOST),
        "missed": _list(_integer(0, _whole(state.get("step"))), len(own.missed)),
        "arrays": _array(own.arrays.dtype, own.arrays.shape, numbers, "no NaN, no negative square"),
    }


def _trainer(facts: Facts, state: State) -> dict[str, Field]:
    kind = type(facts.trainer)
    epoch, position = _whole(state.get("epoch")), _whole(state.get("position"))
    full_batch, stepwise = kind is LevenbergMarquardtTrainer, kind is StepwiseTrainer
    last = 0 if full_batch or epoch >= facts.epochs else (facts.n_samples or MOST) - 1
    unit = facts.batch_size if stepwise or facts.model.plan.has_batch_norm else 1
    fields = {
        "epoch": _integer(0, facts.epochs),
        "position": _integer(0, last, unit),
        "step": _step(facts, epoch, position, full_batch),
        "losses": _array(np.float64, (epoch,), _finite, "finite numbers"),
        "seconds": _array(np.float64, (epoch,), _at_least_0, "finite numbers of at least 0"),
    }
    if full_batch:
        bayesian = facts.trainer.optimizer.bayesian
        names = FIGURES if bayesian and epoch else ()
        least = 5e-324 if bayesian and epoch else 0.0
        return fields | {
            "converged": _boolean(),
            "damping": _number(0),
            "weight_precision": _number(least),
            "noise_precision": _number(5e-324),
            **{f"column.{name}": _array(np.float64, (epoch,)) for name in names},
        }
    within = position % facts.batch_size
    fields |= {
        "epoch_loss": _number(),
        "epoch_weight": _weight(facts, position - within, position),
        "elapsed": _number(0),
    }
    if not stepwise:
        rows = facts.batch_size
        if facts.n_samples is not None:
            rows = min(rows, facts.n_samples - (position - within))
        elif within:
            rows = -rows  # or fewer, in the last batch
        fields |= {"batch_loss": _number(), "batch_weight": _weight(facts, rows, within)}
    model = facts.model
    if position or "last_good" in state or "last_good_constants" in state:
        fields |= {
            "last_good": _array(model.params.dtype, model.params.shape, _finite, "finite numbers"),
            "last_good_constants": _constants(facts),
        }
    if position and (stepwise or facts.shuffled):
        n = facts.n_samples
        ordered = facts.shuffled
        fields["order"] = _array(
            np.int64, (n,), lambda order: _is_order(order, ordered), f"an order of {n} samples"
        )
    return fields


def _step(facts: Facts, epoch: int, position: int, full_batch: bool) -> Field:
    before = _whole(facts.found["optimizer"]["step"])
    if facts.n_samples is None:
        return _integer(before + epoch, MOST)
    updates = 1 if full_batch else -(-facts.n_samples // facts.batch_size)
    done = before + epoch * updates + position // facts.batch_size
    return _integer(done, done)


def _weight(facts: Facts, n: int, position: int) -> Field:
    """Of so many samples, or of up to -n; at the beginning it means nothing yet."""
    if facts.weighted or not position:
        return _number(0)
    if n < 0:
        return _number(1, -n)
    return _number(n, n)


def _course(facts: Facts, state: State) -> dict[str, Field]:
    epoch = facts.found["trainer"]["epoch"]
    names = list(facts.measured) if epoch else []
    rng: Field = (_is_pcg64, "the state of a PCG64") if facts.shuffled else _same(None)
    columns = {f"column.{i}": _array(np.float64, (epoch,)) for i in range(len(names))}
    return {"stopped": _boolean(), "rng": rng, "names": _same(names), **columns}


def _rates(facts: Facts, state: State) -> dict[str, Field]:
    memory = facts.rates.memory
    if memory is None:
        return {}
    from fastnn.schedules import PlateauMemory  # here, as `import fastnn` has no need of it

    if type(memory) is not PlateauMemory:  # a schedule of the user's own
        return dict.fromkeys(state, (lambda value: True, "anything"))
    epoch, schedule = facts.found["trainer"]["epoch"], memory.schedule

    def fall(factors: list[float]) -> bool:
        return factors[0] == 1 and all(a >= b for a, b in pairwise(factors))

    list_of = _list(_number(0, 1), epoch + 1)
    return {
        "factors": (lambda v: list_of[0](v) and fall(v), f"{epoch + 1} numbers that fall from 1"),
        "best": (lambda v: v is None or (_is_number(v) and not math.isnan(v)), "a number or None"),
        "bad_epochs": _integer(0, schedule.patience),
        "cooldown_left": _integer(0, schedule.cooldown),
    }


def _early_stopping(facts: Facts, state: State) -> dict[str, Field]:
    epoch, params = facts.found["trainer"]["epoch"], facts.model.params
    fields: dict[str, Field] = {
        "best": (_is_number, "a number"),
        "best_epoch": _integer(0, max(epoch - 1, 0)),
        "waited": _integer(0, epoch),
    }
    if "params" in state or "constants" in state:
        fields |= {
            "params": _array(params.dtype, params.shape, _finite, "finite numbers"),
            "constants": _constants(facts),
        }
    return fields


# ---------------------------------------------------------------------- kinds of fields


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (_is_integer(value) and abs(value) < 2**63)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(value: Any) -> int:
    """Return what others depend on, or -1 where its own field will be an error."""
    return value if _is_integer(value) and 0 <= value <= MOST else -1


def _same(wanted: Any) -> Field:
    return (lambda v: type(v) is type(wanted) and v == wanted), repr(wanted)


def _boolean() -> Field:
    return (lambda v: isinstance(v, bool)), "True or False"


def _integer(least: int, most: int, unit: int = 1) -> Field:
    multiple = f", a multiple of {unit}," if unit > 1 else ""
    return (
        lambda v: _is_integer(v) and least <= v <= most and v % unit == 0,
        f"an integer{multiple} from {least} to {most}",
    )


def _number(least: float = -math.inf, most: float = math.inf) -> Field:
    return (
        lambda v: _is_number(v) and abs(v) < math.inf and least <= v <= most,
        f"a finite number from {least:g} to {most:g}",
    )


def _list(item: Field, n: int) -> Field:
    return (
        lambda v: isinstance(v, list) and len(v) == n and all(map(item[0], v)),
        f"a list of {n}, each {item[1]},",
    )


def _array(
    dtype: Any, shape: tuple[Any, ...], is_right: Kind = lambda array: True, what: str = ""
) -> Field:
    wanted = np.dtype(dtype)
    return (
        lambda v: _is_array(v) and v.dtype == wanted and v.shape == shape and is_right(v),
        f"an array {shape} of {wanted}{' with ' if what else ''}{what}",
    )


def _finite(array: Array) -> bool:
    return bool(np.isfinite(array).all())


def _at_least_0(array: Array) -> bool:
    return _finite(array) and bool((array >= 0).all())


def _is_order(order: Array, shuffled: bool) -> bool:
    n = len(order)
    if not shuffled:
        return bool((order == np.arange(n)).all())
    if n and not 0 <= order.min() <= order.max() < n:
        return False
    return bool((np.bincount(order, minlength=n) == 1).all())


def _constants(facts: Facts) -> Field:
    """Of Standardize those of the network, of BatchNorm a variance of at least 0."""
    model = facts.model

    def are_right(constants: Array) -> bool:
        first = 0
        for layer in facts.layers:
            part = slice(first, first + layer.n_constants)
            first = part.stop
            if isinstance(layer, Standardize):
                if not np.array_equal(constants[part], facts.constants[part]):
                    return False
            elif isinstance(layer, BatchNorm):
                variance = constants[part][layer.in_features :]
                if not (_finite(constants[part]) and (variance >= 0).all()):
                    return False
        return True

    return _array(
        model.constants.dtype,
        model.constants.shape,
        are_right,
        "the network's means and scales, and variances of at least 0",
    )


def _is_pcg64(state: Any) -> bool:
    """Whether it is the state of `numpy.random.default_rng`'s generator."""
    if not isinstance(state, dict) or state.keys() != {
        "bit_generator",
        "state",
        "has_uint32",
        "uinteger",
    }:
        return False
    inner = state["state"]
    return (
        state["bit_generator"] == "PCG64"
        and isinstance(inner, dict)
        and inner.keys() == {"state", "inc"}
        and all(_is_integer(value) and 0 <= value < 2**128 for value in inner.values())
        and inner["inc"] % 2 == 1
        and _is_integer(state["has_uint32"])
        and state["has_uint32"] in (0, 1)
        and _is_integer(state["uinteger"])
        and 0 <= state["uinteger"] < 2**32
    )
