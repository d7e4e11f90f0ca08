"""The fit loop and its parts. Begin to read at `fastnn.training.loop`."""

from fastnn.training.history import DivergenceError, History

__all__ = ["DivergenceError", "History"]

# Pickles name this package, so that classes may move between its files.
for _class in (DivergenceError, History):
    _class.__module__ = __name__
