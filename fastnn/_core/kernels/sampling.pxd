"""The order of an epoch's samples, and the copy of their rows into a minibatch."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from fastnn._core.kernels.dtypes cimport real

# Declared here: NumPy's own declarations would import numpy.random with the engine, which takes a
# third of the time of `import fastnn`.
cdef extern from "numpy/random/bitgen.h" nogil:
    ctypedef struct bitgen_t:
        pass

cdef extern from "numpy/random/distributions.h" nogil:
    uint64_t random_interval(bitgen_t *random, uint64_t maximum)


cdef inline void permutation(bitgen_t *random, int64_t *order, Py_ssize_t n) noexcept nogil:
    """Overwrite order with a permutation of 0 … n-1, equal to `Generator.permutation(n)`.

    It is the Fisher-Yates shuffle from the end with bounded integers of NumPy, as in NumPy.
    """
    cdef Py_ssize_t i, j
    for i in range(n):
        order[i] = i
    for i in range(n - 1, 0, -1):
        j = random_interval(random, i)
        order[i], order[j] = order[j], order[i]


cdef inline void gather_rows(
    const real *source, const int64_t *order, real *target, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """target[i] = source[order[i]] for rows of n elements.

    The C library's copy is vectorized. Prefetching rows gained at most 3 %, even for data
    far larger than the cache.
    """
    cdef Py_ssize_t i
    for i in range(rows):
        memcpy(target + i * n, source + order[i] * n, n * sizeof(real))
