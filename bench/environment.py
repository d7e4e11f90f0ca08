"""What must hold before NumPy or any peer is imported: threads, processors, instruction sets."""

import os
import subprocess
import sys

PROCESSORS = sorted(os.sched_getaffinity(0))  # before any of it is taken away

# The instruction set of each of fastnn's builds, in the words of its peers. Where a library has no
# kernels for just that one, it gets the best that it has without the next wider registers. ONNX
# Runtime and the products in JAX cannot be limited: they ask the processor alone.
ISAS = {
    "baseline": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
    },
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
    "avx512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "OPENBLAS_CORETYPE": "SkylakeX",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX512",
    },
}


def configure(threads, isa=None):
    """Give every library that many threads and processors, and that instruction set at most."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    if threads == 1:
        os.environ["MKL_THREADING_LAYER"] = "SEQUENTIAL"
    os.environ["KMP_BLOCKTIME"] = "20"  # milliseconds, in place of 200, see bench.common.QUIET
    os.sched_setaffinity(0, PROCESSORS[:threads])
    if isa:
        os.environ["FASTNN_ISA"] = isa
        os.environ.update(ISAS[isa])
        os.environ["NPY_DISABLE_CPU_FEATURES"] = " ".join(numpy_features_above(isa))


def numpy_features_above(isa):
    """Ask a NumPy in another process which of its optional kernels are beyond that set."""
    command = "from numpy._core._multiarray_umath import __cpu_dispatch__ as d; print(*d)"
    answer = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    beyond = {"baseline": ("",), "avx2": ("AVX512", "X86_V4"), "avx512": ()}[isa]  # prefixes
    return [feature for feature in answer.stdout.split() if feature.startswith(beyond)]
