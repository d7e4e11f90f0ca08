"""Checks of arguments of `fit` that concern the network as well."""

from collections.abc import Sequence
from typing import Any

from fastnn.layers import BatchNorm, Dropout, Layer, composition
from fastnn.model import Model
from fastnn.optimizers import OPTIMIZERS
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.optimizers.lbfgs import LBFGS
from fastnn.optimizers.schedule import Schedule, demand_no_metric
from fastnn.training.data import refuse_batches_of_one


def demand_optimizer(layers: Sequence[Layer], optimizer: Any, checkpoint: Any) -> None:
    """Check that fit can use this optimizer on this network."""
    if type(optimizer) not in OPTIMIZERS:
        raise TypeError(f"optimizer is {optimizer!r}; SGD(…), Adam(…) or another is wanted")
    if not isinstance(optimizer, FullBatchOptimizer):
        return
    for layer in composition.leaves(layers):
        if isinstance(layer, Dropout | BatchNorm):
            raise ValueError(
                f"optimizer is {optimizer!r}, which needs the same loss in each pass, but the "
                f"network has {layer!r}; SGD(…), Adam(…) or another is wanted"
            )
    if checkpoint is not None and isinstance(optimizer, LBFGS):
        raise ValueError(
            f"checkpoint is {checkpoint!r}; None is wanted with the optimizer {optimizer!r}, "
            f"because its state is inside SciPy and cannot be saved"
        )


def demand_dropout_factor(model: Model, factor: Any, streams: bool) -> None:
    """Check that fit can use this factor of dropout on this network."""
    if factor is None:
        return
    if not isinstance(factor, Schedule):
        raise TypeError(
            f"dropout_factor is {factor!r}; a schedule such as FlatCosine(1.0) is wanted"
        )
    demand_no_metric(factor, "dropout_factor")
    if not model.plan.has_dropout:
        raise ValueError(
            f"dropout_factor is {factor!r}, but the network has no Dropout; None is wanted"
        )
    if streams:
        raise ValueError(
            f"dropout_factor is {factor!r}, which needs the number of updates in an epoch; X "
            f"is an iterable, so None is wanted"
        )


def batch_size_for(
    model: Model, n: int | None, batch_size: int, optimizer: Any, drop_last: bool
) -> int:
    """Return the number of samples in an update; n is None for an iterable."""
    if n is None:
        return batch_size
    refuse_batches_of_one(model, n, min(batch_size, n), batch_size, drop_last)
    return n if isinstance(optimizer, FullBatchOptimizer) else min(batch_size, n)
