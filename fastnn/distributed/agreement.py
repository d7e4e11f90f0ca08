"""The comparison of what the ranks were given, before the first update."""

import re
from typing import Any

from fastnn import _core, _version
from fastnn.distributed.data import SharedData
from fastnn.distributed.ranks import Ranks
from fastnn.losses import is_built_in
from fastnn.model import Model, model_of
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.segments import custom_layers
from fastnn.training.settings import FitSettings
from fastnn.training.validation import Validation

ADDRESS = re.compile(" at 0x[0-9a-f]+")  # in the repr of an object without a repr of its own


def demand_agreement(
    ranks: Ranks,
    net: Any,
    data: SharedData,
    settings: FitSettings,
    validation: Validation | None,
    others: dict[str, Any],
    deterministic: bool,
) -> None:
    """Raise ValueError on all ranks if one differs from rank 0, with its name and what differs.

    `others` are further arguments of `fit` by their names.
    """
    _demand_rows_for_batch_norm(ranks, net, data, settings, deterministic)
    layers = net._describe()[0]["layers"]
    own = {
        "version of fastnn": _version.__version__,
        "instruction set (FASTNN_ISA)": _core.isa,
        "dtype": str(net.dtype),
        "number of layers": len(layers),
        **{f"layer {i}": repr(layer) for i, layer in enumerate(layers)},
        "number of parameters": net.n_params,
        "frozen layers": [i for i, layer in enumerate(net.layers) if not layer.trainable],
        "loss": repr(settings.loss),
        "optimizer": repr(settings.optimizer),
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "shuffle": settings.shuffle,
        "drop_last": settings.drop_last,
        "dropout_factor": repr(settings.dropout_factor),
        "shape of a target": list(data.target.shape[1:]),
        "sample_weight or class_weight": "given" if data.weights is not None else None,
        "validation_data": "given" if validation is not None else None,
        "metrics": None if validation is None else list(validation.names),
        **others,
    }
    own = {name: ADDRESS.sub("", str(value)) for name, value in own.items()}
    found = ranks.exchange("the settings", own)
    for rank, theirs in enumerate(found):
        for name, value in found[0].items():
            if theirs.get(name) != value:
                ranks.agree(
                    ValueError(
                        f"the ranks differ in the {name}: {value} on rank 0, {theirs.get(name)} "
                        f"on rank {rank} of {ranks.size}; the same on all is wanted"
                    )
                )


def demand_distributable(model: Model, loss: Any, optimizer: Any, given: dict[str, Any]) -> None:
    """Raise ValueError or TypeError if several processes cannot train like this.

    `given` has further arguments of `fit`.
    """
    if not is_built_in(loss):
        raise TypeError(
            f"comm is given, and loss is {loss!r}; a loss of fastnn is wanted, since a loss "
            f"written in Python need not be a sum over the rows"
        )
    if custom := custom_layers(model):
        raise TypeError(
            f"comm is given, and the network has the custom layer {custom[0]!r}; layers of fastnn "
            f"are wanted"
        )
    if isinstance(optimizer, FullBatchOptimizer):
        raise ValueError(
            f"comm is given, and optimizer is {optimizer!r}, which takes all samples at once in "
            f"one process; SGD(…), Adam(…) or another is wanted"
        )
    if given["standardize"] is not None:
        raise ValueError(
            f"comm is given, and standardize is {given['standardize']!r}; None is wanted. "
            f"Standardize and Unstandardize take means and scales of all rows"
        )


def _demand_rows_for_batch_norm(
    ranks: Ranks, net: Any, data: SharedData, settings: FitSettings, deterministic: bool
) -> None:
    if not model_of(net).plan.has_batch_norm:
        return
    if deterministic:
        raise ValueError(
            "deterministic is True, and the network has BatchNorm, whose statistics are sums over "
            "the ranks; False is wanted, or a network without BatchNorm"
        )
    last = settings.samples_per_epoch(data.n_samples) % settings.batch_size
    smallest = last or settings.batch_size
    if smallest < ranks.size:
        raise ValueError(
            f"batch_size is {settings.batch_size}, so one batch of the {data.n_samples} samples "
            f"has {smallest}; BatchNorm needs one or more on each of {ranks.size} ranks"
        )
