"""The Network: layers, passes, derivatives and training of one multi-layer perceptron."""

from fastnn.network.loading import load
from fastnn.network.network import Network

__all__ = ["Network", "load"]

# Pickles name this package, so that the files in it may change.
Network.__module__ = __name__
