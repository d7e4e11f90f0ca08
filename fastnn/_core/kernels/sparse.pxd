"""The first linear layer on a sparse input: z = x Wᵀ + b and dW = dzᵀ x, by stored elements alone.

The weight is held transposed, (n_in, n_out). So a stored element x[i, j] belongs to one contiguous
row: the product adds x[i, j] W[:, j] to row i of z, and the gradient adds x[i, j] dz[i, :] to row j
of the transposed dW. Elements are added in order for any number of threads. See sparse.h.
"""

from cython.parallel cimport prange
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int8_t, int32_t, int64_t
from libc.string cimport memset

from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.packing cimport VECTOR_BYTES, pack, prefetch
from fastnn._core.kernels.threads cimport startable


cdef extern from "kernels.h" nogil:
    void f32_add_indexed_rows(
        ptrdiff_t, ptrdiff_t, const float *, const int32_t *, const float *, ptrdiff_t,
        const float *, float *) noexcept
    void f64_add_indexed_rows(
        ptrdiff_t, ptrdiff_t, const double *, const int32_t *, const double *, ptrdiff_t,
        const double *, double *) noexcept
    void f32_scatter_rows(
        ptrdiff_t, ptrdiff_t, const float *, const int32_t *, const float *, float *,
        ptrdiff_t) noexcept
    void f64_scatter_rows(
        ptrdiff_t, ptrdiff_t, const double *, const int32_t *, const double *, double *,
        ptrdiff_t) noexcept


cdef enum:
    SPARSE_THREAD_WORK = 1_000_000  # multiply-adds for each thread
    MOVED_BY_THREAD = 500_000       # elements of a transposed matrix for each thread


cdef struct SparseRows:
    # Rows of a CSR matrix. The elements of row r lie from indptr[r] to indptr[r + 1].
    const void *data         # of the network's dtype
    const int32_t *indices   # the columns
    const int64_t *indptr
    const int64_t *order     # the numbers of the rows; NULL: they are first, first + 1, …
    Py_ssize_t first


cdef inline Py_ssize_t number_of_row(const SparseRows *x, Py_ssize_t i) noexcept nogil:
    return x.first + i if x.order == NULL else x.order[i]


cdef inline Py_ssize_t n_stored(const SparseRows *x, Py_ssize_t rows) noexcept nogil:
    """Return the stored elements of the first rows."""
    cdef Py_ssize_t total = 0
    cdef Py_ssize_t i, row
    if x.order == NULL:
        return x.indptr[x.first + rows] - x.indptr[x.first]
    for i in range(rows):
        row = x.order[i]
        total += x.indptr[row + 1] - x.indptr[row]
    return total


cdef inline void dense_rows(
    const SparseRows *x, real *out, Py_ssize_t rows, Py_ssize_t n_in, int n_threads,
) noexcept nogil:
    """Overwrite `out` (rows, n_in) with the rows, zeros included."""
    cdef Py_ssize_t parts = parts_of(rows * n_in, rows, n_threads)
    cdef Py_ssize_t share = (rows + parts - 1) // parts
    cdef Py_ssize_t part
    if parts == 1:
        write_rows(x, out, 0, rows, n_in)
        return
    for part in prange(parts, num_threads=startable(<int>parts), schedule="static"):
        write_rows(x, out, part * share, min(rows, (part + 1) * share), n_in)


cdef inline void write_rows(
    const SparseRows *x, real *out, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t n_in,
) noexcept nogil:
    # The rows of a minibatch lie anywhere, and loads that wait for memory hold up the stores. While
    # a row is written, the one after it is prefetched: 3.6 ms in place of 9.4 for 4.5 million
    # elements, where copying the dense rows takes 2.7 (AMD Zen 3).
    cdef const real *data
    cdef const int32_t *indices
    cdef real *target
    cdef Py_ssize_t i, p, k, first, after, n
    for i in range(begin, end):
        first = x.indptr[number_of_row(x, i)]
        after = x.indptr[number_of_row(x, min(i + 1, end - 1))]
        target = out + i * n_in
        data = <const real *>x.data + first
        indices = x.indices + first
        n = x.indptr[number_of_row(x, i) + 1] - first
        memset(target, 0, n_in * sizeof(real))
        for p in range(0, n, 16):  # a line of the cache has 16 indices
            prefetch(x.indices + after + p)
            prefetch(<const real *>x.data + after + p)
            if sizeof(real) > 4:
                prefetch(<const real *>x.data + after + p + 8)
            for k in range(p, min(p + 16, n)):
                target[indices[k]] = data[k]


cdef inline void sparse_forward(
    const SparseRows *x, const real *transposed, const real *bias, bint relu, real *z,
    Py_ssize_t rows, Py_ssize_t n_out, int n_threads,
) noexcept nogil:
    """z = x Wᵀ + b, or max(z, 0) with `relu`, for Wᵀ (n_in, n_out); bias may be NULL."""
    cdef Py_ssize_t parts = parts_of(n_stored(x, rows) * n_out, rows, n_threads)
    cdef Py_ssize_t share = (rows + parts - 1) // parts
    cdef Py_ssize_t part
    if parts == 1:
        forward_of_rows(x, transposed, bias, relu, z, 0, rows, n_out)
        return
    for part in prange(parts, num_threads=startable(<int>parts), schedule="static"):
        forward_of_rows(x, transposed, bias, relu, z, part * share, min(rows, (part + 1) * share),
                        n_out)


cdef inline Py_ssize_t parts_of(
    Py_ssize_t work, Py_ssize_t most, int n_threads,
) noexcept nogil:
    return max(<Py_ssize_t>1, min(min(<Py_ssize_t>n_threads, most), work // SPARSE_THREAD_WORK))


cdef inline void forward_of_rows(
    const SparseRows *x, const real *transposed, const real *bias, bint relu, real *z,
    Py_ssize_t begin, Py_ssize_t end, Py_ssize_t n_out,
) noexcept nogil:
    cdef const real *data = <const real *>x.data
    cdef Py_ssize_t i, j, row, first, n
    for i in range(begin, end):
        row = number_of_row(x, i)
        first = x.indptr[row]
        n = x.indptr[row + 1] - first
        if real is float:
            f32_add_indexed_rows(n_out, n, data + first, x.indices + first, transposed, n_out,
                                 bias, z + i * n_out)
        else:
            f64_add_indexed_rows(n_out, n, data + first, x.indices + first, transposed, n_out,
                                 bias, z + i * n_out)
        if relu:
            for j in range(i * n_out, (i + 1) * n_out):
                z[j] = 0 if z[j] <= 0 else z[j]


cdef inline void sparse_forward_by_dots(
    const SparseRows *x, const real *weight, const real *bias, bint relu, real *z,
    Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out,
) noexcept nogil:
    """The same z from W (n_out, n_in), for few stored elements: no transposed copy is needed."""
    cdef const real *data = <const real *>x.data
    cdef const real *w
    cdef real sum, a0, a1, a2, a3
    cdef Py_ssize_t i, j, p, row, column
    for i in range(rows):
        row = number_of_row(x, i)
        for j in range(0, n_out - 3, 4):  # four sums, since each addition waits for the one before
            w = weight + j * n_in
            a0 = a1 = a2 = a3 = 0
            if bias != NULL:
                a0, a1, a2, a3 = bias[j], bias[j + 1], bias[j + 2], bias[j + 3]
            for p in range(x.indptr[row], x.indptr[row + 1]):
                column = x.indices[p]
                a0 += data[p] * w[column]
                a1 += data[p] * w[column + n_in]
                a2 += data[p] * w[column + 2 * n_in]
                a3 += data[p] * w[column + 3 * n_in]
            z[i * n_out + j], z[i * n_out + j + 1] = a0, a1
            z[i * n_out + j + 2], z[i * n_out + j + 3] = a2, a3
        for j in range(n_out // 4 * 4, n_out):
            sum = bias[j] if bias != NULL else 0
            for p in range(x.indptr[row], x.indptr[row + 1]):
                sum += data[p] * weight[j * n_in + x.indices[p]]
            z[i * n_out + j] = sum
        if relu:
            for j in range(i * n_out, (i + 1) * n_out):
                z[j] = 0 if z[j] <= 0 else z[j]


cdef inline void sparse_backward_params(
    const SparseRows *x, const real *dz, real *transposed, Py_ssize_t rows, Py_ssize_t n_out,
    int n_threads,
) noexcept nogil:
    """Add dzᵀ x, transposed, to `transposed` (n_in, n_out).

    Each thread has a range of the outputs, for all elements in order.
    """
    cdef Py_ssize_t line = 2 * VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t lines = (n_out + line - 1) // line
    cdef Py_ssize_t parts = parts_of(n_stored(x, rows) * n_out, lines, n_threads)
    cdef Py_ssize_t share = (lines + parts - 1) // parts * line
    cdef Py_ssize_t part
    if parts == 1:
        scatter(x, dz, transposed, rows, 0, n_out, n_out)
        return
    for part in prange(parts, num_threads=startable(<int>parts), schedule="static"):
        scatter(x, dz, transposed, rows, part * share, min(n_out, (part + 1) * share), n_out)


cdef inline void scatter(
    const SparseRows *x, const real *dz, real *transposed, Py_ssize_t rows, Py_ssize_t begin,
    Py_ssize_t end, Py_ssize_t n_out,
) noexcept nogil:
    cdef const real *data = <const real *>x.data
    cdef Py_ssize_t i, row, first, n
    if begin >= end:
        return
    for i in range(rows):
        row = number_of_row(x, i)
        first = x.indptr[row]
        n = x.indptr[row + 1] - first
        if real is float:
            f32_scatter_rows(end - begin, n, data + first, x.indices + first,
                             dz + i * n_out + begin, transposed + begin, n_out)
        else:
            f64_scatter_rows(end - begin, n, data + first, x.indices + first,
                             dz + i * n_out + begin, transposed + begin, n_out)


cdef inline void transpose_matrix(
    const real *a, Py_ssize_t rows, Py_ssize_t columns, real *out, int n_threads,
) noexcept nogil:
    """out (columns, rows) = aᵀ for a (rows, columns), both without gaps."""
    cdef Py_ssize_t parts = max(
        <Py_ssize_t>1, min(<Py_ssize_t>n_threads, rows * columns // MOVED_BY_THREAD))
    cdef Py_ssize_t share = (columns + parts - 1) // parts
    cdef Py_ssize_t part, first
    if parts == 1:
        pack(columns, rows, rows, a, <Py_ssize_t>1, columns, out)
        return
    for part in prange(parts, num_threads=startable(<int>parts), schedule="static"):
        first = part * share
        if first < columns:
            pack(min(share, columns - first), rows, rows, a + first, <Py_ssize_t>1, columns,
                 out + first * rows)
