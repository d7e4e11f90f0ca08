"""The methods of a network that write it in C, in C with int8, and in ONNX.

The packages `c_code` and `onnx_export` are imported when they are needed, so that the import of
fastnn stays fast.
"""

import copy
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.files.atomic_file import atomic_file
from fastnn.network.base import NetworkBase

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from fastnn.c_code import Int8Network

# Parameters of a program in straight code. With gcc 12 for a Cortex-M4, 450 parameters took 0.6 s
# to compile and 5.7 kB, 2,466 took 3.4 s and 38 kB, and 4,866 took 15 s and 73 kB. Such a program
# needs half the instructions of loops, but 3 to 4 times their flash memory.
MOST_UNROLLED = 4096


class Exporting(NetworkBase):
    """The methods of `Network` that write files for other programs."""

    def export_c(
        self,
        path: "str | os.PathLike[str]",
        name: str | None = None,
        *,
        jacobian: bool = False,
        jvp: bool = False,
        vjp: bool = False,
        hessian: bool = False,
        unroll: bool = False,
        dtype: "DTypeLike | None" = None,
        quantize: Any = None,
    ) -> None:
        """Write the network as a C99 source without dependencies, and its header beside it.

        The source has a function `NAME_predict(x, y)` for one sample, and one function for each
        derivative that an argument selects. All layers compute as in `predict`. The functions
        allocate no memory and keep no state between calls.

        Parameters
        ----------
        path : str or PathLike
            The file of the source, such as "net.c". The header is then "net.h" in the same folder.
        name : str, optional
            The beginning of all names in C; by default the name of the file without ".c".
        jacobian : bool
            Whether to write `NAME_jacobian(x, y, jacobian)`: the outputs, and the Jacobian by the
            input (out_features, in_features), row by row. By default False.
        jvp : bool
            Whether to write `NAME_jvp(x, tangent, y, y_tangent)`: the outputs, and the Jacobian
            times a tangent (in_features,). By default False.
        vjp : bool
            Whether to write `NAME_vjp(x, cotangent, y, x_cotangent)`: the outputs, and the
            transposed Jacobian times a cotangent (out_features,). By default False.
        hessian : bool
            Whether to write `NAME_hessian(x, y, gradient, hessian)`: the output, its gradient
            (in_features,), and its Hessian by the input (in_features, in_features). By default
            False. It needs a network with one output.
        unroll : bool
            Whether to write linear layers as code without loops, which contains the weights as
            numbers. On a microcontroller tiny networks are then faster, but take more memory. At
            most 4,096 parameters are possible. By default False: loops, which are faster on
            processors with vector units.
        dtype : {"float32", "float64"}, optional
            Whether the numbers are `float` or `double`; by default as in the network.
        quantize : array_like (n, in_features), optional
            A calibration set. The program is then that of `quantize(X)`, with weights in int8. It
            has no derivatives, contains loops, and has the network's dtype: those options cannot be
            given too. By default None.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, a parameter is not finite or out of the range of `dtype`, or
            the network has a `CustomLayer`. No file is changed then.
        OSError
            If a file cannot be written.

        Notes
        -----
        The program has the order of operations of the engine's build for every CPU, so that both
        predict the same bits. The builds for AVX2 and AVX-512 have fused multiply-add instructions,
        so their last bits differ. Compile the program without -ffast-math.
        """
        from fastnn.c_code import Program, destination, write

        choices = {"jacobian": jacobian, "jvp": jvp, "vjp": vjp, "hessian": hessian}
        wanted = [key for key, value in choices.items() if _checks.boolean(value, key)]
        if hessian and self.out_features != 1:
            raise ValueError(
                f"hessian is True, but the network has {self.out_features} outputs; one is wanted"
            )
        n_params = self._model.params.size
        if _checks.boolean(unroll, "unroll") and n_params > MOST_UNROLLED:
            raise ValueError(
                f"unroll is True, but the network has {n_params:,} parameters; at most "
                f"{MOST_UNROLLED:,} are wanted"
            )
        _demand_finite(self._model.params)
        if quantize is not None:
            others = [*wanted, *["unroll"] * unroll, *["dtype"] * (dtype is not None)]
            if others:
                raise ValueError(
                    f"quantize and {others[0]} are given; a program in int8 has no derivatives and "
                    f"no code without loops, and its dtype is that of the network"
                )
            self.quantize(quantize).export_c(path, name)
            return
        numbers = self.dtype if dtype is None else _checks.floating_dtype(dtype)
        for array in (self._model.params, self._model.constants):
            with np.errstate(over="ignore", under="ignore"):
                converted = array.astype(numbers)
            lost = array is self._model.constants and ((converted == 0) & (array != 0)).any()
            if lost or not _checks.all_finite(converted):
                raise ValueError(f"a number of the network is out of the range of {numbers}")
        functions = ["predict", *wanted]
        program = Program(self._layers, self.in_features, numbers, functions, unroll)
        write(destination(path, name), program)

    def quantize(self, X: Any) -> "Int8Network":
        """Return a copy of the network whose linear layers compute in integers of 8 bits.

        Parameters
        ----------
        X : array_like (n, in_features)
            The calibration set: typical samples. The smallest and largest numbers between the
            layers set the scales. Numbers outside this range are clipped later.

        Returns
        -------
        Int8Network
            `predict(X)` computes with the integers, `export_c(path, name)` writes the program in C
            that computes the same integers, and `rms_error` and `max_error` are the differences
            from this network's outputs for X. It has copies of the parameters.

        Raises
        ------
        ValueError, TypeError
            If X has another shape or no rows, or holds anything but finite real numbers. If a
            parameter is not finite. If a layer is not possible at its place in int8. Between linear
            layers, activations are possible, with BatchNorm, Scale, Standardize and Unstandardize
            before and after them. Standardize is possible before the first linear layer, any
            layer after the last one, and Dropout everywhere.

        Notes
        -----
        Weights are int8 with a scale for each output. Activations are int8 with a scale and a zero
        point for each layer. Products are added in int32, and the sums are rescaled by integers.
        The program in C returns a finite number for NaN.
        """
        from fastnn.c_code import Int8Network

        given = self._inputs.sample_matrix(X, "X")
        if len(given) == 0:
            raise ValueError(f"X has shape {given.shape}; at least one sample is wanted")
        _demand_finite(self._model.params)
        x = _checks.converted(given, "X", self.dtype)
        outputs = self._model.predict(x, _checks.thread_count(None))
        quantized = Int8Network(copy.deepcopy(self._layers), self.in_features, x, outputs)
        quantized.feature_names = copy.copy(self._inputs.feature_names)
        return quantized

    def export_onnx(self, path: "str | os.PathLike[str]") -> None:
        """Write the network to an ONNX file.

        The graph has the input "x" (n, in_features) and the output "y" (n, out_features) for any
        number n of samples, both in the network's dtype. The outputs are those of `predict`, up to
        rounding. The operators are those of opset 17. `fastnn.import_onnx` reads the file.

        Parameters
        ----------
        path : str or PathLike
            The file, such as "net.onnx".

        Raises
        ------
        ImportError
            If onnx is not installed.
        TypeError
            If the network has a `CustomLayer`.
        ValueError
            If the parameters hold NaN or infinity, or take more than 2 GB.
        OSError
            If the file cannot be written. An earlier file is not changed then.

        Notes
        -----
        The arrays have the same names as in a model file ("0.weight", "0.bias", …). The file's
        metadata has the key "fastnn". Its value is a JSON text with the layers, the class labels
        and the feature names, as in a model file.
        """
        from fastnn.onnx_export import model_of

        path = _checks.file_path(path)
        _demand_finite(self._model.params)
        model = model_of(self._layers, self.dtype, self.in_features, *self._describe())
        with atomic_file(path) as file:
            file.write(model.SerializeToString())


def _demand_finite(params: Array) -> None:
    if not _checks.all_finite(params):
        raise ValueError("params hold NaN or infinity; finite numbers are wanted")
