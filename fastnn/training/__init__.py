"""The fit loop and its parts; `fastnn.training.loop` is where to begin to read."""

from fastnn.training.history import DivergenceError, History

__all__ = ["DivergenceError", "History"]

# Pickles name this package, so that the files in it may change.
for _thing in (DivergenceError, History):
    _thing.__module__ = __name__
