"""Optimizers, which are frozen descriptions, and the state that they update."""

from fastnn.optimizers.first_order import SGD, Adam, AdamW, Lion, Optimizer, RMSprop, UpdateRule
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.optimizers.groups import Group
from fastnn.optimizers.lbfgs import LBFGS
from fastnn.optimizers.levenberg_marquardt import LevenbergMarquardt
from fastnn.optimizers.state import OptimizerState, Segments, StateView

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "FullBatchOptimizer",
    "Group",
    "LevenbergMarquardt",
    "Lion",
    "Optimizer",
    "OptimizerState",
    "RMSprop",
    "Segments",
    "StateView",
    "UpdateRule",
]

OPTIMIZERS = (SGD, Adam, AdamW, RMSprop, Lion, LBFGS, LevenbergMarquardt)  # what `fit` accepts

# Pickles and checkpoints name this package, so that classes may move between its files.
for _class in (*OPTIMIZERS, Group, OptimizerState, StateView):
    _class.__module__ = __name__
