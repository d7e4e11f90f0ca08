"""Compiles the engine's source once for each instruction set, with the flags of the table below.

Everything else about the package is in pyproject.toml.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

MAC = platform.system() == "Darwin"
WINDOWS = os.name == "nt"
MACHINE = platform.machine().lower()
if MAC:  # Python's own flags may ask for two architectures at once, and for a macOS without
    # `aligned_alloc`
    MACHINE = os.environ.setdefault("ARCHFLAGS", f"-arch {MACHINE}").split()[-1]
    os.environ.setdefault("MACOSX_DEPLOYMENT_TARGET", "11.0")

# Microsoft's own compiler has no vector types, so that Windows needs its variant of Clang.
COMPILER = shlex.split(
    "clang-cl" if WINDOWS else os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
)

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
if MACHINE not in ("x86_64", "amd64"):
    ISAS = {"baseline": []}

# No -ffast-math: NaN, infinities and denormals keep their meaning. Nothing reads errno or traps
# floating-point errors, and without both, square roots and selections are vectorized. Python's own
# flags include -fwrapv, which prevents the optimization of loops over a signed index. Of the
# optimizations that -O3 adds to -O2, only GCC's cost model of vectorizing makes kernels faster. The
# others made the machine code 28 % larger. Clang has this model by default. Tables for unwinding
# serve debuggers alone, and take 2 % of the wheel. GCC also inlines small functions that nothing
# marks as inline. Without that the engines are equally fast, and 34 kB of the wheel are saved. On
# ARM, GCC moves loads up before it assigns registers. Then the sums of a tile have too few of them.
FLAGS = [
    "-O2",
    "-ftree-vectorize",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-wrapv",
    "-fno-asynchronous-unwind-tables",
]
GCC_FLAGS = [
    "-ffp-contract=fast",
    "-fvect-cost-model=dynamic",
    "-fno-inline-small-functions",
    "-fno-schedule-insns",
]
# With "fast", Clang contracts across statements, and not in the same way in a loop's vectors and in
# its rest: the bits would depend on the place in an array.
CLANG_FLAGS = ["-ffp-contract=on"]
OPENMP_PROBE = "#include <omp.h>\nint main(void) { return omp_get_max_threads() == 0; }"
LINK_FLAGS = []

# The limited API makes one wheel for all Pythons from 3.11 on.
LIMITED_API = os.environ.get("FASTNN_LIMITED_API") == "1"

sanitizers = os.environ.get("FASTNN_SANITIZE")
if sanitizers:  # as in FASTNN_SANITIZE=address,undefined
    FLAGS += ["-g", "-fno-omit-frame-pointer", f"-fsanitize={sanitizers}", "-fno-sanitize-recover"]
    LINK_FLAGS += [f"-fsanitize={sanitizers}"]
else:
    FLAGS += ["-g0"]
    LINK_FLAGS += [] if MAC or WINDOWS else ["-Wl,-s"]

ADVICE = """
fastnn is compiled when it is installed. Install a C compiler and Python's headers first:
  Debian, Ubuntu  apt-get install gcc python3-dev
  Fedora          dnf install gcc python3-devel
  Alpine          apk add gcc musl-dev linux-headers python3-dev
  macOS           xcode-select --install
  Windows         Visual Studio Build Tools, with "C++ Clang tools for Windows"
  conda           conda install gcc
Or name another compiler, as in CC=clang"""


def error_of(source, *flags):
    """Return what the compiler says of a program that it cannot build, or None."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "probe.c").write_text(source)
        try:
            ran = subprocess.run(
                [*COMPILER, "probe.c", *flags], cwd=folder, capture_output=True, text=True
            )
        except OSError as error:
            return str(error)
        return (ran.stderr or ran.stdout or f"{COMPILER[0]} failed") if ran.returncode else None


def openmp_flags():
    """Return the flags for OpenMP, to compile and to link, or none if the compiler lacks it."""
    if os.environ.get("FASTNN_OPENMP") == "0" or WINDOWS:
        return [], []
    choices = [(["-fopenmp"], ["-fopenmp"])]
    if MAC:  # Apple's compiler comes without the library; Homebrew has it
        choices += [
            (["-Xpreprocessor", "-fopenmp", f"-I{omp}/include"], [f"-L{omp}/lib", "-lomp"])
            for omp in ("/opt/homebrew/opt/libomp", "/usr/local/opt/libomp")
        ]
    for compile_flags, link_flags in choices:
        if error_of(OPENMP_PROBE, *compile_flags, *link_flags) is None:
            return compile_flags, link_flags
    return [], []


# Before anything is translated, which takes half a minute.
failure = error_of("#include <Python.h>", "-c", f"-I{sysconfig.get_path('include')}")
if failure:
    sys.exit(f"{COMPILER[0]!r} cannot compile: {failure.strip()}\n{ADVICE}")
is_gcc = error_of("#ifdef __clang__\n#error\n#endif", "-c") is None
openmp_compile_flags, openmp_link_flags = openmp_flags()
LINK_FLAGS += openmp_link_flags


class build(build_ext):
    """Calls Clang in place of Microsoft's compiler."""

    def build_extensions(self):
        if WINDOWS:
            self.compiler.initialize()
            self.compiler.cc = shutil.which("clang-cl")
        super().build_extensions()


def extension(name, flags, **options):
    flags = FLAGS + flags + (GCC_FLAGS if is_gcc else CLANG_FLAGS) + openmp_compile_flags
    return Extension(
        f"fastnn._core.{name}",
        [f"fastnn/_core/{name}.pyx"],
        extra_compile_args=[f"/clang:{flag}" for flag in flags] if WINDOWS else flags,
        extra_link_args=LINK_FLAGS,
        define_macros=[
            ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"),
            # loops over a function are vectorized only where the function is inlined
            ("CYTHON_INLINE", "__inline__ __attribute__((always_inline, unused))"),
            ("FASTNN_FLAGS", f'"{" ".join(flags)}"'),
            *[("Py_LIMITED_API", "0x030B0000")] * LIMITED_API,
        ],
        py_limited_api=LIMITED_API,
        **options,
    )


setup(
    cmdclass={"build_ext": build},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED_API else {},
    ext_modules=cythonize(
        [extension("_cpuid", []), extension("_calls", [], include_dirs=[np.get_include()])]
        + [
            extension(
                f"_engine_{isa}",
                flags,
                include_dirs=["fastnn/_core/kernels", np.get_include()],
                libraries=[] if WINDOWS else ["m"],
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
