"""Settings to make before NumPy or a peer is imported: threads, processors, instruction sets."""

import getpass
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# The processors of this process, before `configure` reduces them. Only Linux tells.
PROCESSORS = (
    sorted(os.sched_getaffinity(0))
    if hasattr(os, "sched_getaffinity")
    else list(range(os.cpu_count() or 1))
)

# For each build of fastnn, the settings that limit its peers to the same instruction set. A library
# without kernels for exactly that set gets its best ones with registers of the same width. ONNX
# Runtime and the products of JAX cannot be limited.
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


def run_on(processors):
    """Let this thread and its future children run on these processors alone, if this is Linux."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, processors)


def configure(threads, isa=None):
    """Limit every library to so many threads and processors, and to an instruction set."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    if threads == 1:
        os.environ["MKL_THREADING_LAYER"] = "SEQUENTIAL"
    for variable in (*ISAS["baseline"], "OPENBLAS_L2_SIZE"):
        os.environ.pop(variable, None)  # a caller's limit on a peer would make it slower
    os.environ["KMP_BLOCKTIME"] = "20"  # milliseconds in place of 200; see bench.common.QUIET
    run_on(PROCESSORS[:threads])
    if isa:
        os.environ["FASTNN_ISA"] = isa
        os.environ.update(ISAS[isa])
        os.environ["NPY_DISABLE_CPU_FEATURES"] = " ".join(numpy_features_above(isa))
        # PyTorch would use the compiled code in its cache, which is for another instruction set.
        cache = Path(tempfile.gettempdir(), f"fastnn_bench_inductor_{isa}_{getpass.getuser()}")
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)


def numpy_features_above(isa):
    """Return the names of NumPy's optional kernels beyond that set, asked in another process."""
    command = "from numpy._core._multiarray_umath import __cpu_dispatch__ as d; print(*d)"
    answer = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    beyond = {"baseline": ("",), "avx2": ("AVX512", "X86_V4"), "avx512": ()}[isa]  # prefixes
    return [feature for feature in answer.stdout.split() if feature.startswith(beyond)]
