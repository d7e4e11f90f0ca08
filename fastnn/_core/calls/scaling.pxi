# The scaling of the numeric columns of a table, for `fastnn.tabular`: one pass over the numbers.

cdef enum:
    SCALED = 128  # numbers at a time


def scale(cnp.ndarray values, cnp.ndarray scalings, cnp.ndarray out, /):
    """Write scaled numbers into `out`, and 0 for NaN; return False if a number is infinite.

    A number x is limited to the range from low to high, and becomes 3 w / sqrt(1 + w²) for
    w = (x - centre) * third, in double precision.

    Parameters
    ----------
    values : ndarray (n, k) or (n,)
        Real numbers, with any strides.
    scalings : ndarray (4, k) or (4, 1), float64 and C-contiguous
        The low, high, centre and third of each column.
    out : ndarray of the shape of `values`, float32 or float64
        In native byte order and aligned, with any strides. It is overwritten.
    """
    cdef bint matrix = cnp.PyArray_NDIM(values) == 2
    cdef Py_ssize_t rows = cnp.PyArray_DIM(values, 0) if matrix else 1
    cdef Py_ssize_t columns = cnp.PyArray_DIM(values, 1 if matrix else 0)
    cdef Py_ssize_t stride = cnp.PyArray_STRIDE(values, 1 if matrix else 0)
    cdef Py_ssize_t out_stride = cnp.PyArray_STRIDE(out, 1 if matrix else 0)
    cdef bint single = cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT
    cdef const double *given = <const double *>cnp.PyArray_DATA(scalings)
    cdef double[4 * SCALED] scaling
    cdef double[SCALED] numbers
    cdef bint finite = True
    cdef Py_ssize_t i, j, k, first, n
    cdef char *place
    for j in range(0 if matrix else 4):  # all numbers of a vector have one scaling
        for k in range(SCALED):
            scaling[j * SCALED + k] = given[j]
    first = 0
    while first < columns:
        n = min(<Py_ssize_t>SCALED, columns - first)
        for j in range(4 if matrix else 0):
            memcpy(&scaling[j * SCALED], given + j * columns + first, n * sizeof(double))
        for i in range(rows):
            place = (cnp.PyArray_BYTES(values) + first * stride
                     + (i * cnp.PyArray_STRIDE(values, 0) if matrix else 0))
            fill_from_array(values, place, 1, n, 0, stride, numbers)
            finite &= scale_numbers(numbers, scaling, n)
            place = (cnp.PyArray_BYTES(out) + first * out_stride
                     + (i * cnp.PyArray_STRIDE(out, 0) if matrix else 0))
            if single:
                for k in range(n):
                    (<float *>(place + k * out_stride))[0] = <float>numbers[k]
            else:
                for k in range(n):
                    (<double *>(place + k * out_stride))[0] = numbers[k]
        first += n
    return finite


cdef bint scale_numbers(double *numbers, const double *scaling, Py_ssize_t n) noexcept:
    """Scale numbers in place; return False if one is infinite. No branches: it is vectorized."""
    cdef Py_ssize_t i
    cdef bint finite = True
    cdef double x, w
    for i in range(n):
        x = numbers[i]
        finite &= fabs(x) != INFINITY
        w = x if x > scaling[i] else scaling[i]
        w = w if w < scaling[SCALED + i] else scaling[SCALED + i]
        w = (w - scaling[2 * SCALED + i]) * scaling[3 * SCALED + i]
        w = 3 * (w / sqrt(1 + w * w))
        numbers[i] = w if x == x else 0
    return finite
