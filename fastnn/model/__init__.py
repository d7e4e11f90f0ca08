"""A network as the engine sees it: its plan and its arrays, and every computation on them."""

from fastnn.model.model import Model, Snapshot, TrainingMode, model_of

__all__ = ["Model", "Snapshot", "TrainingMode", "model_of"]
