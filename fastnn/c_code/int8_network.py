"""A network in integers of 8 bits, as users see it."""

import os
from collections.abc import Sequence
from typing import Any

from fastnn import _checks
from fastnn._checks import frames
from fastnn._core.arrays import Array
from fastnn.c_code.int8 import Int8Arithmetic
from fastnn.c_code.int8_program import Int8Program
from fastnn.c_code.writing import destination, write
from fastnn.layers import Layer


class Int8Network(Int8Arithmetic):
    """A network whose linear layers compute in integers of 8 bits; `Network.quantize` makes it.

    Attributes
    ----------
    feature_names : list of str, or None
        The names of the input features, which the columns of a data frame must have.
    rms_error, max_error : float
        The root of the mean square, and the maximum, of the differences to the outputs of the
        network for the calibration set.
    """

    feature_names: "list[str] | None" = None

    def __init__(self, layers: Sequence[Layer], n_in: int, X: Array, outputs: Array) -> None:
        super().__init__(layers, n_in, X, outputs)
        self._program = Int8Program(self)  # refuses layers that have no form in C

    def predict(self, X: Any) -> Array:
        """Return the outputs, from the same integers that the program in C computes.

        Parameters
        ----------
        X : array_like (n, in_features) or (in_features,)

        Returns
        -------
        ndarray (n, out_features) or (out_features,)
            In the network's dtype.

        Raises
        ------
        ValueError, TypeError
            If X has another shape, or holds anything but finite real numbers.
        """
        frames.demand_names(X, self.feature_names)
        given, single = _checks.one_or_more_samples(
            _checks.numeric_array(X, "X"), "X", self.in_features
        )
        outputs = self.outputs(_checks.converted(given, "X", self.dtype, single))
        return outputs[0] if single else outputs

    def export_c(self, path: "str | os.PathLike[str]", name: str | None = None) -> None:
        """Write a C99 source with the function `NAME_predict(x, y)`, and its header.

        x and y are numbers of the network's dtype. The weights are int8.

        Parameters
        ----------
        path : str or PathLike
            The source, such as "net.c". The header gets the ending ".h".
        name : str, optional
            The beginning of all names in C; by default the name of the file without ".c".

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid.
        OSError
            If a file cannot be written.
        """
        write(destination(path, name), self._program)
