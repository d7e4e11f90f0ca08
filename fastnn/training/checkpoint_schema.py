"""Which values each part of a checkpoint must hold. All are checked before any is used.

Each value in a file must have a field, and each field must have a value. The parts are checked in
the order of `demand`, so that the fields of a part may depend on the values of the parts before it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.callbacks import EarlyStopping
from fastnn.layers import BatchNorm, Layer, composition
from fastnn.model import Model
from fastnn.optimizers import LevenbergMarquardt, OptimizerState
from fastnn.optimizers.levenberg_marquardt import METRICS
from fastnn.training import fields
from fastnn.training.fields import Field, State
from fastnn.training.rates import RateFeed
from fastnn.training.settings import FitSettings

NEVER_NEGATIVE = ("exp_avg_sq", "square_avg")  # arrays of an optimizer
SMALLEST_POSITIVE = 5e-324


@dataclass(frozen=True)
class Facts:
    """What is known about the fit that a checkpoint is restored into.

    Attributes
    ----------
    model : Model
    layers : tuple of Layer
    settings : FitSettings
    n_samples : int, or None if unknown before the end of an epoch
    weighted : bool
        Whether samples may count differently: there are sample weights, or missing targets.
    columns : tuple of str
        Names of the History's columns that validation measures.
    optimizer_state : OptimizerState
    rates : RateFeed
    trainer_fields : function
        Returns the fields of the fit's kind of trainer.
    """

    model: Model
    layers: tuple[Layer, ...]
    settings: FitSettings
    n_samples: int | None
    weighted: bool
    columns: tuple[str, ...]
    optimizer_state: OptimizerState
    rates: RateFeed
    trainer_fields: "TrainerFields"


@dataclass(frozen=True)
class Saved:
    """What a file holds: the constants of its network, and the values of each part by its name."""

    constants: Array
    parts: dict[str, State]

    def count(self, part: str, name: str) -> int:
        """Return a value that other fields depend on, or -1 if it is invalid itself."""
        value: Any = self.parts[part].get(name)
        return value if fields.is_integer(value) and 0 <= value <= fields.LARGEST_COUNT else -1


TrainerFields = Callable[[Facts, Saved], dict[str, Field]]


def demand(facts: Facts, model: Model, grads: Any, parts: dict[str, State]) -> None:
    """Check everything that a checkpoint holds.

    `model` is the network in the file. Its layers and dtype equal those of the fit's network.

    Raises
    ------
    ValueError
        If a value is missing, unknown or not allowed. The message names it.
    """
    params, saved = facts.model.params, Saved(model.constants, parts)
    fields.demand_fields(
        "fit", {"grads": grads}, {"grads": fields.array(params.dtype, params.shape)}
    )
    schema = {
        "optimizer": _optimizer_fields,
        "trainer": facts.trainer_fields,
        "course": _loop_fields,
        "rates": _rate_fields,
    }
    callbacks = {f"callbacks.{i}": callback for i, callback in enumerate(facts.settings.callbacks)}
    if parts.keys() != {*schema, *callbacks}:
        raise ValueError(
            f"the parts are {sorted(parts)}; {sorted({*schema, *callbacks})} are wanted"
        )
    for name, fields_of in schema.items():
        fields.demand_fields(name, parts[name], fields_of(facts, saved))
    if not (parts["trainer"]["position"] or fields.is_finite(model.params)):
        raise ValueError("a parameter is NaN or infinite")
    for name, callback in callbacks.items():
        kind = type(callback)
        if kind.restore is EarlyStopping.restore and kind.state is EarlyStopping.state:
            fields.demand_fields(name, parts[name], _early_stopping_fields(facts, saved, name))


def _optimizer_fields(facts: Facts, saved: Saved) -> dict[str, Field]:
    own = facts.optimizer_state

    def numbers(arrays: Array) -> bool:
        squares = [
            row for name, row in zip(own.names, arrays, strict=True) if name in NEVER_NEGATIVE
        ]
        return not np.isnan(arrays).any() and all((row >= 0).all() for row in squares)

    step = saved.count("optimizer", "step")
    return {
        "kind": fields.same(own.kind),
        "names": fields.same(list(own.names)),
        "step": fields.integer(0, fields.LARGEST_COUNT),
        "missed": fields.list_of(fields.integer(0, step), len(own.missed)),
        "arrays": fields.array(
            own.arrays.dtype, own.arrays.shape, numbers, "no NaN, no negative square"
        ),
    }


# ---------------------------------------------------------------------- trainers


def engine_trainer_fields(facts: Facts, saved: Saved) -> dict[str, Field]:
    """Return the fields of the engine's trainer, on data in memory or streamed."""
    position, batch_size = saved.count("trainer", "position"), facts.settings.batch_size
    within = position % batch_size
    rows = batch_size
    if facts.n_samples is not None:
        rows = min(rows, facts.n_samples - (position - within))
    elif within:
        rows = -rows  # or fewer, in the last batch
    unit = batch_size if facts.model.plan.has_batch_norm else 1
    return {
        **_place_fields(facts, saved, unit),
        **_epoch_fields(facts, saved),
        "batch_loss": fields.number(),
        "batch_weight": _weight_field(facts, rows, within),
        **_last_good_fields(facts, saved),
        **(_order_field(facts) if position and facts.settings.shuffle else {}),
    }


def stepwise_trainer_fields(facts: Facts, saved: Saved) -> dict[str, Field]:
    """Return the fields of the trainer with a loss written in Python."""
    return {
        **_place_fields(facts, saved, facts.settings.batch_size),
        **_epoch_fields(facts, saved),
        **_last_good_fields(facts, saved),
        **(_order_field(facts) if saved.count("trainer", "position") else {}),
    }


def streams_trainer_fields(facts: Facts, saved: Saved) -> dict[str, Field]:
    """Return the fields of the trainer of several processes, each with an iterable."""
    own = stepwise_trainer_fields(facts, saved)  # the last batches of an epoch may be smaller
    return {**own, "epoch_weight": fields.number(0)}


def full_batch_trainer_fields(facts: Facts, saved: Saved) -> dict[str, Field]:
    """Return the fields of the trainer of LevenbergMarquardt; LBFGS has no checkpoints."""
    optimizer = facts.settings.optimizer
    assert isinstance(optimizer, LevenbergMarquardt)
    epoch = saved.count("trainer", "epoch")
    measured = optimizer.bayesian and epoch
    return {
        **_place_fields(facts, saved, None),
        "converged": fields.boolean(),
        "damping": fields.number(0),
        "weight_precision": fields.number(SMALLEST_POSITIVE if measured else 0.0),
        "noise_precision": fields.number(SMALLEST_POSITIVE),
        **{
            f"column.{name}": fields.array(np.float64, (epoch,))
            for name in (METRICS if measured else ())
        },
    }


def _place_fields(facts: Facts, saved: Saved, unit: int | None) -> dict[str, Field]:
    """Return the fields of the number of updates and epochs so far.

    Within an epoch a trainer saves only after multiples of `unit` samples; never if `unit` is None.
    """
    epoch, position = saved.count("trainer", "epoch"), saved.count("trainer", "position")
    epochs, n_samples = facts.settings.epochs, facts.n_samples
    last = 0
    if unit is not None and epoch < epochs:
        last = (n_samples or fields.LARGEST_COUNT) - 1
    before = saved.count("optimizer", "step")
    if n_samples is None:
        step = fields.integer(before + epoch, fields.LARGEST_COUNT)
    else:
        updates = 1 if unit is None else facts.settings.updates_per_epoch(n_samples)
        done = before + epoch * updates + position // facts.settings.batch_size
        step = fields.integer(done, done)
    return {
        "epoch": fields.integer(0, epochs),
        "position": fields.integer(0, last, unit or 1),
        "step": step,
        "losses": fields.finite_array(np.float64, (epoch,)),
        "seconds": fields.array(
            np.float64, (epoch,), _are_durations, "finite numbers of at least 0"
        ),
    }


def _epoch_fields(facts: Facts, saved: Saved) -> dict[str, Field]:
    """Return the fields of the sums over the current epoch."""
    position = saved.count("trainer", "position")
    complete = position - position % facts.settings.batch_size
    return {
        "epoch_loss": fields.number(),
        "epoch_weight": _weight_field(facts, complete, position),
        "elapsed": fields.number(0),
    }


def _last_good_fields(facts: Facts, saved: Saved) -> dict[str, Field]:
    """Return the fields of the parameters to go back to if training diverges."""
    state, params = saved.parts["trainer"], facts.model.params
    if not (
        saved.count("trainer", "position") or "last_good" in state or "last_good_constants" in state
    ):
        return {}
    return {
        "last_good": fields.finite_array(params.dtype, params.shape),
        "last_good_constants": _constants_field(facts, saved),
    }


def _order_field(facts: Facts) -> dict[str, Field]:
    n, shuffled = facts.n_samples or 0, facts.settings.shuffle
    is_order = lambda order: fields.is_order(order, shuffled)  # noqa: E731
    return {"order": fields.array(np.int64, (n,), is_order, f"an order of {n} samples")}


def _weight_field(facts: Facts, n: int, position: int) -> Field:
    """Return a field of the summed weight of n samples, or of at most -n if n is negative.

    At position 0 the value is not used.
    """
    if facts.weighted or not position:
        return fields.number(0)
    if n < 0:
        return fields.number(1, -n)
    return fields.number(n, n)


def _constants_field(facts: Facts, saved: Saved) -> Field:
    """Return a field that allows the network's own constants, and variances of at least 0."""

    def are_allowed(constants: Array) -> bool:
        first = 0
        for layer in composition.leaves(facts.layers):
            part = slice(first, first + layer.n_constants)
            first = part.stop
            if isinstance(layer, BatchNorm):
                variance = constants[part][layer.in_features :]
                if not (fields.is_finite(constants[part]) and (variance >= 0).all()):
                    return False
            elif not np.array_equal(constants[part], saved.constants[part]):
                return False
        return True

    constants = facts.model.constants
    return fields.array(
        constants.dtype,
        constants.shape,
        are_allowed,
        "the network's means, scales and edges, and variances of at least 0",
    )


def _are_durations(array: Array) -> bool:
    return fields.is_finite(array) and bool((array >= 0).all())


# ---------------------------------------------------------------------- the other parts


def _loop_fields(facts: Facts, saved: Saved) -> dict[str, Field]:
    epoch = saved.count("trainer", "epoch")
    names = list(facts.columns) if epoch else []
    columns = {f"column.{i}": fields.array(np.float64, (epoch,)) for i in range(len(names))}
    return {
        "stopped": fields.boolean(),
        "rng": fields.pcg64() if facts.settings.shuffle else fields.same(None),
        "names": fields.same(names),
        **columns,
    }


def _rate_fields(facts: Facts, saved: Saved) -> dict[str, Field]:
    memory = facts.rates.memory
    if memory is None:
        return {}
    from fastnn.schedules.plateau import PlateauMemory  # here, as `import fastnn` has no need of it

    if type(memory) is not PlateauMemory:  # a user's own schedule
        return dict.fromkeys(saved.parts["rates"], fields.anything())
    epoch, schedule = saved.count("trainer", "epoch"), memory.schedule

    def fall(factors: list[float]) -> bool:
        return factors[0] == 1 and all(a >= b for a, b in pairwise(factors))

    are_factors = fields.list_of(fields.number(0, 1), epoch + 1)[0]
    return {
        "factors": (lambda v: are_factors(v) and fall(v), f"{epoch + 1} numbers that fall from 1"),
        "best": (
            lambda v: v is None or (fields.is_number(v) and not math.isnan(v)),
            "a number or None",
        ),
        "bad_epochs": fields.integer(0, schedule.patience),
        "cooldown_left": fields.integer(0, schedule.cooldown),
    }


def _early_stopping_fields(facts: Facts, saved: Saved, part: str) -> dict[str, Field]:
    epoch, params = saved.count("trainer", "epoch"), facts.model.params
    schema: dict[str, Field] = {
        "best": (fields.is_number, "a number"),
        "best_epoch": fields.integer(0, max(epoch - 1, 0)),
        "waited": fields.integer(0, epoch),
    }
    if saved.parts[part].keys() & {"params", "constants"}:
        schema |= {
            "params": fields.finite_array(params.dtype, params.shape),
            "constants": _constants_field(facts, saved),
        }
    return schema
