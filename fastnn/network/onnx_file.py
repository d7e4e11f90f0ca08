"""The method of a network that writes an ONNX file."""

import os

from fastnn import _checks
from fastnn.files.atomic_file import atomic_file
from fastnn.network.base import NetworkBase


class OnnxFile(NetworkBase):
    """The method of `Network` that writes it for other programs."""

    def export_onnx(self, path: "str | os.PathLike[str]") -> None:
        """Write the network to an ONNX file, completely or not at all.

        The graph has the input "x" (n, in_features) and the output "y" (n, out_features) for any
        number n of samples, both in the network's dtype. It computes what `predict` returns, up to
        rounding. The operators are those of opset 17. `fastnn.import_onnx` reads the file.

        Parameters
        ----------
        path : str or PathLike

        Raises
        ------
        ImportError
            If onnx is not installed.
        TypeError
            If the network has a `CustomLayer`.
        ValueError
            If the parameters hold NaN or infinity, or have more than 2 GB.
        OSError
            If the file cannot be written. An earlier file is not changed then.

        Notes
        -----
        The arrays have the names of a model file ("0.weight", "0.bias", …). The value "fastnn" in
        the file's metadata is the description of a model file in JSON, with the layers, the class
        labels and the feature names.
        """
        from fastnn.onnx_export import model_of  # here, so that `import fastnn` stays fast

        if not _checks.all_finite(self._model.params):
            raise ValueError("params hold NaN or infinity; finite numbers are wanted")
        model = model_of(self._layers, self.dtype, self.in_features, *self._describe())
        with atomic_file(path) as file:
            file.write(model.SerializeToString())
