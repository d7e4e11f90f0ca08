"""Schedules: frozen dataclasses that describe how a number changes during a fit.

The number is a learning rate, a weight decay, or a factor of dropout.
"""

from fastnn.optimizers.schedule import Schedule
from fastnn.schedules.cycles import CosLog, OneCycle, Warmup
from fastnn.schedules.decays import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    FlatCosine,
    InverseScaling,
    StepDecay,
)
from fastnn.schedules.plateau import PlateauMemory, ReduceOnPlateau

__all__ = [
    "Constant",
    "CosLog",
    "CosineDecay",
    "ExponentialDecay",
    "FlatCosine",
    "InverseScaling",
    "OneCycle",
    "ReduceOnPlateau",
    "Schedule",
    "StepDecay",
    "Warmup",
]

# Pickles and checkpoints name this package, so that classes may move between its files.
for _class in (
    Constant,
    CosLog,
    CosineDecay,
    ExponentialDecay,
    FlatCosine,
    InverseScaling,
    OneCycle,
    PlateauMemory,
    ReduceOnPlateau,
    StepDecay,
    Warmup,
):
    _class.__module__ = __name__
