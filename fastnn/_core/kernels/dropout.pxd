"""Dropout: each element becomes 0 with probability p, else x / (1 - p) (Srivastava et al. 2014).

The mask is a hash of a key and the element's position. There is no generator with a state, and
neither threads nor the chunks of a batch change a mask. A row has 64 bits from splitmix64 (Steele
et al. 2014). A 32-bit mixer (lowbias32 by C. Wellons) derives the bits of an element, in a loop
without branches that the compiler vectorizes. The forward pass keeps the mask, divided by 1 - p.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastnn._core.kernels.dtypes cimport real


cdef inline uint64_t hashed(uint64_t key, uint64_t number) noexcept nogil:
    """Return the output `number` of splitmix64 started at `key`."""
    key += (number + 1) * <uint64_t>0x9E3779B97F4A7C15ULL
    key = (key ^ (key >> 30)) * <uint64_t>0xBF58476D1CE4E5B9ULL
    key = (key ^ (key >> 27)) * <uint64_t>0x94D049BB133111EBULL
    return key ^ (key >> 31)


cdef inline void dropout_forward(
    const real *x, double p, uint64_t key, Py_ssize_t first_row, const int64_t *numbers, real *y,
    real *mask, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """Overwrite y and mask (rows, n).

    `numbers` are the numbers of the rows in the batch. NULL means those from `first_row` on.
    """
    cdef uint32_t threshold = <uint32_t>(p * 4294967296.0)
    cdef real kept = <real>(1 / (1 - p))
    cdef uint64_t row
    cdef uint32_t low, high, h
    cdef Py_ssize_t i, j
    for i in range(rows):
        row = hashed(key, first_row + i if numbers == NULL else numbers[i])
        low = <uint32_t>row
        high = <uint32_t>(row >> 32)
        for j in range(n):
            h = low + <uint32_t>j * <uint32_t>0x9E3779B9
            h = (h ^ (h >> 16)) * <uint32_t>0x21F0AAAD
            h = (h ^ (h >> 15) ^ high) * <uint32_t>0xD35A2D97
            h = h ^ (h >> 15)
            mask[j] = kept if h >= threshold else 0
            y[j] = x[j] * mask[j]
        x += n
        y += n
        mask += n
