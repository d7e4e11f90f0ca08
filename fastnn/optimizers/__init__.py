"""Optimizers as frozen descriptions, and what they remember between updates."""

from fastnn.optimizers.first_order import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    UpdateRule,
)
from fastnn.optimizers.full_batch import FullBatchOptimizer
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
    "LevenbergMarquardt",
    "Optimizer",
    "OptimizerState",
    "RMSprop",
    "Segments",
    "StateView",
    "UpdateRule",
]

# Pickles and checkpoints name this package, so that the files in it may change.
for _thing in (SGD, Adam, AdamW, RMSprop, LBFGS, LevenbergMarquardt, OptimizerState, StateView):
    _thing.__module__ = __name__
