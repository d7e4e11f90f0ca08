"""The methods of a network that write it for other programs."""

import os
import re

from fastnn import _checks
from fastnn.c_code import source_and_header
from fastnn.files.atomic_file import atomic_file, check_destination
from fastnn.network.base import NetworkBase


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
    ) -> None:
        """Write the network as a C99 source without dependencies, and its header beside it.

        The source has a function `NAME_predict(x, y)` for one sample, and one function for each
        derivative that is wanted. All layers compute as in `predict`. The numbers are `float` or
        `double`, as the network's dtype is. Nothing is allocated, and nothing is kept between
        calls.

        Parameters
        ----------
        path : str or PathLike
            The source, such as "net.c". The header gets the ending ".h".
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

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, a parameter is not finite, or there is a custom layer. No
            file is changed then.
        OSError
            If a file cannot be written.

        Notes
        -----
        The order of the operations is that of the engine's build for every CPU. Another order, or
        fused multiply-add instructions, change the last bits. A compiler must not use -ffast-math.
        """
        target = os.fspath(path) if isinstance(path, os.PathLike) else path
        wanted_path = f"path is {path!r}; a file name that ends in .c is wanted"
        if not isinstance(target, str):
            raise TypeError(wanted_path)
        folder, file_name = os.path.split(target)
        stem, ending = os.path.splitext(file_name)
        if ending != ".c" or re.search(r'["\\\n]', stem):
            raise ValueError(wanted_path)
        prefix = stem if name is None else name
        if not isinstance(prefix, str):
            raise TypeError(f"name is {name!r}; an identifier of C is wanted")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", prefix):
            raise ValueError(f"name is {prefix!r}; an identifier of C is wanted, such as net")
        choices = {"jacobian": jacobian, "jvp": jvp, "vjp": vjp, "hessian": hessian}
        wanted = [key for key, value in choices.items() if _checks.boolean(value, key)]
        if hessian and self.out_features != 1:
            raise ValueError(
                f"hessian is True, but the network has {self.out_features} outputs; one is wanted"
            )
        if not _checks.all_finite(self._model.params):
            raise ValueError("params hold NaN or infinity; finite numbers are wanted")
        header = os.path.join(folder, f"{stem}.h")
        texts = source_and_header(
            self._layers, self.in_features, self.dtype, prefix, f"{stem}.h", ["predict", *wanted]
        )
        for destination in (target, header):  # errors below would name the source alone
            check_destination(destination)
        with atomic_file(target) as file, atomic_file(header) as header_file:
            for output, text in zip((file, header_file), texts, strict=True):
                output.write(text.encode())
