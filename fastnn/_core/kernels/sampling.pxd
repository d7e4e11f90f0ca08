"""The order of an epoch's samples, and the copy of their rows into a minibatch."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastnn._core.kernels.dtypes cimport real

# Declared here: NumPy's own declarations would import numpy.random with the engine, which takes a
# third of the time of `import fastnn`. NumPy's C library of random numbers would bring tables
# of its distributions, 4 % of the wheel.
cdef extern from "numpy/random/bitgen.h" nogil:
    ctypedef struct bitgen_t:
        void *state
        uint64_t (*next_uint64)(void *state) noexcept nogil
        uint32_t (*next_uint32)(void *state) noexcept nogil


cdef inline void permutation(bitgen_t *random, int64_t *order, Py_ssize_t n) noexcept nogil:
    """Overwrite order with a permutation of 0 … n-1, equal to `Generator.permutation(n)`.

    It is the Fisher-Yates shuffle from the end. As in NumPy, a number from 0 to i is drawn from as
    many random bits as i has, until one is not larger than i.
    """
    cdef uint64_t mask = 1
    cdef uint64_t drawn
    cdef Py_ssize_t i
    for i in range(n):
        order[i] = i
    while mask < <uint64_t>n:
        mask = 2 * mask + 1
    for i in range(n - 1, 0, -1):
        while mask >> 1 >= <uint64_t>i:
            mask >>= 1
        drawn = i + 1
        while drawn > <uint64_t>i:
            if mask >> 32 == 0:
                drawn = random.next_uint32(random.state) & mask
            else:
                drawn = random.next_uint64(random.state) & mask
        order[i], order[drawn] = order[drawn], order[i]


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
