"""The identity of a fit: what must be equal for a checkpoint to be resumed."""

from typing import Any

import numpy as np

from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.training.data import TrainingData
from fastnn.training.rates import depends_on_epochs
from fastnn.training.settings import FitSettings
from fastnn.training.streaming import Batches
from fastnn.training.validation import Validation


def identity_of(
    net: Any, data: TrainingData, settings: FitSettings, validation: Validation | None
) -> dict[str, Any]:
    """Return what tells this fit from another one, as values that JSON can hold."""
    epochs, dropout = settings.epochs, settings.dropout_factor
    updates = settings.updates_per_epoch(data.n_samples)
    by_epochs = any(depends_on_epochs(s, updates, epochs) for s in settings.schedules.values())
    metrics = {} if validation is None else validation.metrics
    return {
        "network": net._describe()[0]["layers"],
        "dtype": str(net.dtype),
        **_data_identity(data, net.in_features),
        "loss": _describe(settings.loss),
        "optimizer": repr(settings.optimizer),
        "dropout_factor": None if dropout is None else repr(dropout),
        "epochs": epochs if by_epochs else None,
        "batch_size": settings.batch_size,
        "shuffle": settings.shuffle,
        "drop_last": settings.drop_last or None,  # checkpoints of earlier versions have none
        "seed": settings.entropy,
        "validation_data": None if validation is None else list(validation.x.shape),
        "metrics": {name: _describe(metric) for name, metric in metrics.items()},
        "callbacks": [_describe(callback) for callback in settings.callbacks],
    }


def _describe(thing: Any) -> str:
    """Return the repr of a frozen description of fastnn, else the name of a class or function."""
    if type(thing).__module__.partition(".")[0] == "fastnn" and hasattr(
        type(thing), "__dataclass_fields__"
    ):
        return repr(thing)
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def _data_identity(data: TrainingData, in_features: int) -> dict[str, Any]:
    """Return the shapes of the data, and hashes of the arrays that are in memory."""
    is_iterable = isinstance(data.x, Batches)
    return {
        "data": ["batches" if is_iterable else len(data.target), in_features],
        "targets": list(np.shape(data.target)),
        "X": None if is_iterable or data.from_file else _digest(data.x),
        "y": _digest(data.target),
        "weights": _digest(data.weights),
    }


def _digest(array: "Array | SparseRows | None") -> Any:
    """Return a hash of the bits of an array, or None for an array of objects.

    Sparse rows have a hash for each of their arrays.
    """
    import hashlib  # loads OpenSSL, which would be a tenth of the time of `import fastnn`

    if isinstance(array, SparseRows):
        return [_digest(part) for part in (array.data, array.indices, array.indptr)]
    if array is None or array.dtype.hasobject:
        return None
    return hashlib.sha256(np.ascontiguousarray(array).view(np.uint8).data).hexdigest()
