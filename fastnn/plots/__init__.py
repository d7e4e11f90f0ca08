"""Figures of networks and fits. matplotlib is imported when a figure is drawn.

As in scikit-learn, each figure is a class `…Display`. A class method such as `from_network` draws
it, and its method `plot` draws it again on other axes.
"""

from fastnn.plots.decision_boundary import DecisionBoundaryDisplay
from fastnn.plots.figure import new_axes
from fastnn.plots.histograms import HistogramDisplay
from fastnn.plots.jacobian import JacobianDisplay
from fastnn.plots.learning_curve import LearningCurveDisplay
from fastnn.plots.network import NetworkDisplay

__all__ = [
    "DecisionBoundaryDisplay",
    "HistogramDisplay",
    "JacobianDisplay",
    "LearningCurveDisplay",
    "NetworkDisplay",
    "new_axes",
]
