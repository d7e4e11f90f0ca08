"""The base class of the parts of `Network`: its model, its layers, and checks of its inputs."""

from typing import Any

import numpy as np

from fastnn._core._calls import Calls
from fastnn._core.arrays import Array
from fastnn.batch import InputChecks
from fastnn.layers import Layer
from fastnn.model import Model


class NetworkBase:
    """The attributes that `Network` sets, and that all its parts read."""

    _layers: tuple[Layer, ...]
    _model: Model
    _calls: Calls
    _inputs: InputChecks

    def _describe(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the description and the arrays of the network in a model file."""
        raise NotImplementedError

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of parameters, inputs and outputs."""
        return self._model.dtype

    @property
    def in_features(self) -> int:
        """The number of inputs."""
        return int(self._model.plan.n_in)

    @property
    def out_features(self) -> int:
        """The number of outputs."""
        return int(self._model.plan.n_out)
