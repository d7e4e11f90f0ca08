"""Compiles the engine's source once for each instruction set, with the flags of the table below.

Everything else about the package is in pyproject.toml.
"""

import os
import platform
import shlex
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# On x86-64 there is one build for each of these. Other architectures have the baseline alone, with
# the compiler's vector width. The tiles of the matrix product are written as multiply and add, and
# the compiler contracts these to FMA where the CPU has it.
ISAS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": [
        "-mavx512f",
        "-mavx512cd",
        "-mavx512vl",
        "-mavx512dq",
        "-mavx512bw",
        "-mfma",
        "-mprefer-vector-width=512",
    ],
}
if platform.machine().lower() not in ("x86_64", "amd64"):
    ISAS = {"baseline": []}

# No -ffast-math: NaN, infinities and denormals keep their meaning. Nothing reads errno or traps
# floating-point errors, and without both, square roots and selections are vectorized. Python's own
# flags include -fwrapv, which prevents the optimization of loops over a signed index. Of the
# optimizations that -O3 adds to -O2, only this cost model of vectorizing makes kernels faster. The
# others made the machine code 28 % larger. Clang has this model by default. Tables for unwinding
# serve debuggers alone, and take 2 % of the wheel. GCC also inlines small functions that nothing
# marks as inline. Without that the engines are equally fast, and 34 kB of the wheel are saved.
FLAGS = [
    "-O2",
    "-ftree-vectorize",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-wrapv",
    "-fno-asynchronous-unwind-tables",
]
GCC_FLAGS = ["-fvect-cost-model=dynamic", "-fno-inline-small-functions"]
OPENMP_PROBE = "#include <omp.h>\nint probe(void) { return omp_get_max_threads(); }"
LINK_FLAGS = []

sanitizers = os.environ.get("FASTNN_SANITIZE")
if sanitizers:  # as in FASTNN_SANITIZE=address,undefined
    FLAGS += ["-g", "-fno-omit-frame-pointer", f"-fsanitize={sanitizers}", "-fno-sanitize-recover"]
    LINK_FLAGS += [f"-fsanitize={sanitizers}"]
else:
    FLAGS += ["-g0"]
    LINK_FLAGS += [] if platform.system() == "Darwin" else ["-Wl,-s"]


def demand_compiler():
    """Exit with advice on what to install if the compiler that setuptools would call is missing."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    compiler = next(word for word in shlex.split(command) if "=" not in word)  # CC="ccache gcc"
    if shutil.which(compiler) is None:
        sys.exit(
            f"fastnn is compiled when it is installed, and the C compiler {compiler!r} is "
            f"missing. Install one first: `apt-get install gcc` (Debian, Ubuntu), "
            f"`dnf install gcc` (Fedora), `apk add gcc musl-dev linux-headers` (Alpine) "
            f"or `conda install gcc`; or name another compiler, as in CC=clang"
        )


if os.name == "posix":  # setuptools finds Microsoft's compiler by itself
    demand_compiler()  # here, since translating the sources takes half a minute

RANDOM_LIBRARY = Path(np.get_include()).parents[1] / "random" / "lib"


class build(build_ext):
    """Adds the flags that the compiler accepts: GCC's own, and OpenMP unless FASTNN_OPENMP=0."""

    def build_extensions(self):
        if self.compiles_with(GCC_FLAGS):
            for extension in self.extensions:
                extension.extra_compile_args += GCC_FLAGS
        openmp = os.environ.get("FASTNN_OPENMP") != "0"
        if openmp and self.compiles_with(["-fopenmp"], OPENMP_PROBE):
            for extension in self.extensions:
                extension.extra_compile_args.append("-fopenmp")
                extension.extra_link_args.append("-fopenmp")
        for extension in self.extensions:
            flags = " ".join(extension.extra_compile_args)
            extension.define_macros.append(("FASTNN_FLAGS", f'"{flags}"'))
        super().build_extensions()

    def compiles_with(self, flags, probe="int probe(void) { return 0; }"):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(probe)
            try:
                objects = self.compiler.compile(
                    [str(source)],
                    output_dir="/" if os.path.isabs(folder) else folder,
                    extra_postargs=flags,
                )
                self.compiler.link_shared_object(
                    objects, str(Path(folder, "probe.so")), extra_postargs=flags
                )
            except Exception:
                return False
        return True


def extension(name, flags, **options):
    return Extension(
        f"fastnn._core.{name}",
        [f"fastnn/_core/{name}.pyx"],
        extra_compile_args=FLAGS + flags,
        extra_link_args=list(LINK_FLAGS),
        define_macros=[
            ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"),
            # loops over a function are vectorized only where the function is inlined
            ("CYTHON_INLINE", "__inline__ __attribute__((always_inline))"),
        ],
        **options,
    )


setup(
    cmdclass={"build_ext": build},
    ext_modules=cythonize(
        [extension("_cpuid", []), extension("_calls", [], include_dirs=[np.get_include()])]
        + [
            extension(
                f"_engine_{isa}",
                flags,
                include_dirs=["fastnn/_core/kernels", np.get_include()],
                library_dirs=[str(RANDOM_LIBRARY)],
                libraries=["npyrandom", "m"],
                depends=[str(header) for header in Path("fastnn/_core/kernels").glob("*.h")],
            )
            for isa, flags in ISAS.items()
        ],
        include_path=["."],
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            "embedsignature": False,
            "binding": False,
            "freethreading_compatible": True,
        },
    ),
)
