"""C code of the benches: the machine's limits, and products of BLAS libraries in a loop.

`native.c` is compiled at first use, for the instruction set of the engine's build.
"""

import ctypes
import shutil
import subprocess
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from fastnn import _core

SOURCE = Path(__file__).with_suffix(".c")
WANTED_FLAGS = ("-m", "-O", "-ffp-contract")


@cache
def library():
    """Compile and load `native.c` for the engine's build, or return None without a compiler."""
    pythons = (sysconfig.get_config_var("CC") or "cc").split()[0]
    compiler = next(filter(shutil.which, (pythons, "cc", "gcc", "clang")), None)
    if compiler is None:
        return None
    flags = [flag for flag in _core.engine.flags.split() if flag.startswith(WANTED_FLAGS)]
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder, "native.so"))
        command = [compiler, *flags, "-shared", "-fPIC", str(SOURCE), "-o", target]
        subprocess.run(command, check=True)
        return ctypes.CDLL(target)  # the loaded library does not need the file


def flops(dtype, repeats):
    """Do so many rounds of independent multiply-adds in registers, and return their flops."""
    name, scalar = {
        "float32": ("multiply_adds_f32", ctypes.c_float),
        "float64": ("multiply_adds_f64", ctypes.c_double),
    }[np.dtype(dtype).name]
    function = getattr(library(), name)
    function.restype = ctypes.c_double
    return function(ctypes.c_int64(repeats), ctypes.byref(scalar()))


def read(array):
    """Read an array of float32 once."""
    function = library().read_all
    function.restype = ctypes.c_double
    return function(ctypes.c_void_p(array.ctypes.data), ctypes.c_int64(array.size))


class Blas:
    """The functions cblas_sgemm and cblas_dgemm of a library, called from a loop in C.

    Functions whose names end in 64_ take integers of 64 bits.
    """

    def __init__(self, name, path, symbol):
        self.name = name
        handle = ctypes.CDLL(str(path))
        wide = "64" if symbol.endswith("64_") else ""
        self.calls = {
            np.dtype(dtype): (
                getattr(library(), f"repeat_{letter}gemm{wide}"),
                ctypes.cast(getattr(handle, symbol.format(letter)), ctypes.c_void_p),
            )
            for letter, dtype in (("s", np.float32), ("d", np.float64))
        }

    def matmul(self, a, b, out, repeats):
        """Compute `out = a @ b` many times. a and b are contiguous, or transposed so."""
        repeat, gemm = self.calls[out.dtype]
        arguments = []
        for matrix in (a, b):
            transposed = not matrix.flags.c_contiguous
            base = matrix.T if transposed else matrix
            arguments.append((112 if transposed else 111, base.ctypes.data, base.shape[1]))
        (trans_a, data_a, lda), (trans_b, data_b, ldb) = arguments
        i64 = ctypes.c_int64
        repeat(
            gemm,
            trans_a,
            trans_b,
            i64(out.shape[0]),
            i64(out.shape[1]),
            i64(a.shape[1]),
            ctypes.c_void_p(data_a),
            i64(lda),
            ctypes.c_void_p(data_b),
            i64(ldb),
            ctypes.c_void_p(out.ctypes.data),
            i64(out.shape[1]),
            i64(repeats),
        )


def find_blas(names=("openblas", "mkl")):
    """Return the OpenBLAS in NumPy's wheel and the MKL of `pip install mkl`, if they exist."""
    if library() is None:
        return []
    inside_numpy = Path(np.__file__).parents[1] / "numpy.libs"
    places = [
        ("openblas", inside_numpy, "libscipy_openblas64_*", "scipy_cblas_{}gemm64_"),
        ("mkl", Path(sysconfig.get_path("data"), "lib"), "libmkl_rt.so*", "cblas_{}gemm"),
    ]
    return [
        Blas(name, path, symbol)
        for name, folder, pattern, symbol in places
        if name in names
        for path in sorted(folder.glob(pattern))[:1]
    ]
