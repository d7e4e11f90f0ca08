"""What the parts of `Network` share: its model, its layers, and the checks of its inputs."""

from typing import Any

import numpy as np

from fastnn.batch import InputChecks
from fastnn.layers import Layer
from fastnn.model import Model


class NetworkBase:
    """The attributes that `Network` sets and every part of it reads."""

    _layers: tuple[Layer, ...]
    _model: Model
    _inputs: InputChecks

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of parameters, inputs and outputs."""
        return self._model.dtype

    @property
    def in_features(self) -> int:
        """Width of the input."""
        return int(self._model.plan.n_in)

    @property
    def out_features(self) -> int:
        """Width of the output."""
        return int(self._model.plan.n_out)
