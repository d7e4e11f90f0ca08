"""The fits that the tests of the tabular estimators share."""

import numpy as np
from small_tables import columns, pandas_frame, signal

from fastnn.tabular import TabularClassifier, TabularRegressor

TABLE, NEW_TABLE = columns(), columns(100, seed=1)
FRAME, NEW = pandas_frame(TABLE), pandas_frame(NEW_TABLE)
NUMBERS, NEW_NUMBERS = signal(TABLE), signal(NEW_TABLE)
LABELS = np.array(["high", "low", "mid"])[np.where(NUMBERS > 2, 0, np.where(NUMBERS < 1, 1, 2))]
EPOCHS = 80


def classifier(*args, **kwargs):
    """Return a classifier that trains for a few epochs."""
    return TabularClassifier(*args, **{"epochs": EPOCHS, "random_state": 0, **kwargs})


def regressor(*args, **kwargs):
    """Return a regressor that trains for a few epochs."""
    return TabularRegressor(*args, **{"epochs": EPOCHS, "random_state": 0, **kwargs})
