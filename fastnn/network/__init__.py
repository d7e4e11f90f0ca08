"""The Network: layers, passes, derivatives and training of one multi-layer perceptron."""

from fastnn.network.loading import load
from fastnn.network.network import Network
from fastnn.network.posterior import GaussianPosterior, PredictiveVariance

__all__ = ["GaussianPosterior", "Network", "PredictiveVariance", "load"]

# Pickles name this package, so that the files in it may change.
Network.__module__ = GaussianPosterior.__module__ = PredictiveVariance.__module__ = __name__
