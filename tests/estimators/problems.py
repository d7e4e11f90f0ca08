"""The small problem that tests of the estimators share."""

import numpy as np

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 3))
SIGNAL = X @ rng.standard_normal((3, 3))
LABELS = np.array(["red", "green", "blue"])[SIGNAL.argmax(axis=1)]
Y = np.sin(SIGNAL)
