"""Copies of blocks of a matrix, in the order in which the tiles of the product read them."""

from libc.stddef cimport ptrdiff_t

from fastnn._core.kernels.dtypes cimport real


cdef extern from "kernels.h" nogil:
    enum: VECTOR_BYTES
    enum: HAVE_MASKS
    void prefetch "__builtin_prefetch"(const void *) noexcept
    void f32_copy_rows(ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, float *, ptrdiff_t) noexcept
    void f64_copy_rows(ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t,
                       double *, ptrdiff_t) noexcept
    void f32_transpose(ptrdiff_t, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t,
                       float *, ptrdiff_t) noexcept
    void f64_transpose(ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t,
                       double *, ptrdiff_t) noexcept
    void f32_to_2_columns(ptrdiff_t, const float *, ptrdiff_t, float *) noexcept
    void f64_to_2_columns(ptrdiff_t, const double *, ptrdiff_t, double *) noexcept
    void f32_to_4_columns(ptrdiff_t, const float *, ptrdiff_t, float *) noexcept
    void f64_to_4_columns(ptrdiff_t, const double *, ptrdiff_t, double *) noexcept
    void f32_from_2_columns(ptrdiff_t, const float *, float *, ptrdiff_t) noexcept
    void f64_from_2_columns(ptrdiff_t, const double *, double *, ptrdiff_t) noexcept
    void f32_from_4_columns(ptrdiff_t, const float *, float *, ptrdiff_t) noexcept
    void f64_from_4_columns(ptrdiff_t, const double *, double *, ptrdiff_t) noexcept


cdef inline void pack(
    Py_ssize_t depth, Py_ssize_t columns, Py_ssize_t width,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col, real *panel,
) noexcept nogil:
    """Copy a (depth, columns) block of B into rows of `width`, zeros to the right.

    Less than a vector may be left to the right.
    """
    cdef Py_ssize_t lanes = VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t p, j
    if b_row == 1 and b_col != 1 and depth > 4 and columns > 4:
        p = 0
        while p < depth:
            j = 0
            while j < columns:
                transpose(min(lanes, columns - j), min(lanes, depth - p), width - j,
                          b + p + j * b_col, b_col, panel + p * width + j, width)
                j += lanes
            p += lanes
        return
    if b_row == 1 and width == columns and (columns == 2 or columns == 4):
        to_columns(columns, depth, b, b_col, panel)
        return
    if b_row == 1 and b_col == depth and (depth == 2 or depth == 4):
        from_columns(depth, columns, b, panel, width)
        return
    if b_col == 1:
        copy_rows(depth, columns, b, b_row, panel, width)
        return
    for p in range(depth):
        for j in range(columns):
            panel[p * width + j] = b[p * b_row + j * b_col]
        for j in range(columns, width):
            panel[p * width + j] = 0


cdef inline void copy_rows(
    Py_ssize_t rows, Py_ssize_t columns, const real *b, Py_ssize_t b_row,
    real *c, Py_ssize_t width,
) noexcept nogil:
    """c[i, :columns] = b[i, :columns], zeros to the right."""
    if real is float:
        f32_copy_rows(rows, columns, b, b_row, c, width)
    else:
        f64_copy_rows(rows, columns, b, b_row, c, width)


cdef inline void transpose(
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t lanes,
    const real *b, Py_ssize_t b_stride, real *c, Py_ssize_t c_stride,
) noexcept nogil:
    """c[j, i] = b[i, j] for a block of at most a vector's lanes each way."""
    if real is float:
        f32_transpose(rows, columns, lanes, b, b_stride, c, c_stride)
    else:
        f64_transpose(rows, columns, lanes, b, b_stride, c, c_stride)


cdef inline void to_columns(
    Py_ssize_t n, Py_ssize_t rows, const real *b, Py_ssize_t stride, real *c,
) noexcept nogil:
    """c[i, j] = b[j, i] for a c without gaps of two or four columns."""
    if real is float:
        if n == 2:
            f32_to_2_columns(rows, b, stride, c)
        else:
            f32_to_4_columns(rows, b, stride, c)
    elif n == 2:
        f64_to_2_columns(rows, b, stride, c)
    else:
        f64_to_4_columns(rows, b, stride, c)


cdef inline void from_columns(
    Py_ssize_t n, Py_ssize_t rows, const real *b, real *c, Py_ssize_t stride,
) noexcept nogil:
    """c[j, i] = b[i, j] for a b without gaps of two or four columns."""
    if real is float:
        if n == 2:
            f32_from_2_columns(rows, b, c, stride)
        else:
            f32_from_4_columns(rows, b, c, stride)
    elif n == 2:
        f64_from_2_columns(rows, b, c, stride)
    else:
        f64_from_4_columns(rows, b, c, stride)
