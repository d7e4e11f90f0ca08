"""The identity of a fit: what must be equal for a checkpoint to be resumed."""

from typing import Any

from fastnn.training.data import TrainingData
from fastnn.training.rates import depends_on_epochs
from fastnn.training.settings import FitSettings
from fastnn.training.validation import Validation


def identity_of(
    net: Any, data: TrainingData, settings: FitSettings, validation: Validation | None
) -> dict[str, Any]:
    """Return what tells this fit from another one, as values that JSON can hold."""
    learning_rate, epochs = settings.optimizer.learning_rate, settings.epochs
    updates = settings.updates_per_epoch(data.n_samples)
    metrics = {} if validation is None else validation.metrics
    return {
        "network": net._describe()[0]["layers"],
        "dtype": str(net.dtype),
        **data.fingerprint(net.in_features),
        "loss": describe(settings.loss),
        "optimizer": repr(settings.optimizer),
        "epochs": epochs if depends_on_epochs(learning_rate, updates, epochs) else None,
        "batch_size": settings.batch_size,
        "shuffle": settings.shuffle,
        "seed": settings.entropy,
        "validation_data": None if validation is None else list(validation.x.shape),
        "metrics": {name: describe(metric) for name, metric in metrics.items()},
        "callbacks": [describe(callback) for callback in settings.callbacks],
    }


def describe(thing: Any) -> str:
    """Return the repr of a frozen description of fastnn, else the name of a class or function."""
    if type(thing).__module__.partition(".")[0] == "fastnn" and hasattr(
        type(thing), "__dataclass_fields__"
    ):
        return repr(thing)
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"
