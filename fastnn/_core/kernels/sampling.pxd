"""The order of an epoch's samples, and gathering their rows into a minibatch."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from fastnn._core.kernels.dtypes cimport real

# Declared here since NumPy's own declarations import numpy.random with the engine, which then takes
# a third of the time of `import fastnn`.
cdef extern from "numpy/random/bitgen.h" nogil:
    ctypedef struct bitgen_t:
        pass

cdef extern from "numpy/random/distributions.h" nogil:
    uint64_t random_interval(bitgen_t *random, uint64_t maximum)


cdef inline void permutation(bitgen_t *random, int64_t *order, Py_ssize_t n) noexcept nogil:
    """Overwrite order with a permutation of 0 … n-1, equal to `Generator.permutation(n)`.

    Fisher and Yates's shuffle from the end, as NumPy draws it, with NumPy's own bounded integers.
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

    The C library's copy is vectorised; rows fetched some ahead of it, even from data far larger
    than the cache, gained at most 3 %.
    """
    cdef Py_ssize_t i
    for i in range(rows):
        memcpy(target + i * n, source + order[i] * n, n * sizeof(real))
