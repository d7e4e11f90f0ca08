"""Callbacks, whose methods `fit` calls between epochs, and ready-made ones.

`TensorBoard`, `MLflow` and `OptunaPruning` need the library of that name. It is imported when it is
used first.
"""

from fastnn.callbacks.callback import Callback
from fastnn.callbacks.csv_log import CSVLog
from fastnn.callbacks.early_stopping import EarlyStopping
from fastnn.callbacks.optuna_pruning import OptunaPruning
from fastnn.callbacks.time_limit import TimeLimit
from fastnn.callbacks.tracking import MLflow, TensorBoard

__all__ = [
    "CSVLog",
    "Callback",
    "EarlyStopping",
    "MLflow",
    "OptunaPruning",
    "TensorBoard",
    "TimeLimit",
]

# Checkpoints and pickles name this package, so that classes may move between its files.
for _class in (Callback, CSVLog, EarlyStopping, MLflow, OptunaPruning, TensorBoard, TimeLimit):
    _class.__module__ = __name__
