# What a user passes, as an array for the engine: C-contiguous, aligned, of one dtype, and finite.
#
# The functions read arrays of booleans, integers or real numbers with any strides and byte order,
# and lists or tuples of numbers or of rows. Anything else, and any error, gives None: the checks of
# `fastnn._checks` then read the value again, and raise the errors. Both give the same numbers.

cdef enum:
    EXACT = 1 << 24  # up to this, float32 represents all integers

cdef object FLOAT32 = np.float32
cdef object FLOAT64 = np.float64
cdef object MEMMAP = np.memmap

ctypedef fused number:
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t
    float
    double
    long_double


cdef struct Shape:
    int ndim            # 1 or 2; 0 for a value that is not read here
    Py_ssize_t rows     # 1 for a vector
    Py_ssize_t columns


cdef inline bint is_array(object value):
    """Return whether an array is read as it is; other subclasses may change how it behaves."""
    return cnp.PyArray_CheckExact(value) or type(value) is MEMMAP


cdef inline bint is_list(object value):
    return type(value) is list or type(value) is tuple


cdef Shape shape_of(object value):
    """Return the shape of an array or list, by its first row."""
    cdef Shape shape
    cdef object first
    shape.ndim = 0
    shape.rows = 1
    shape.columns = 0
    if is_array(value):
        shape.ndim = cnp.PyArray_NDIM(value)
        if shape.ndim != 1 and shape.ndim != 2:
            shape.ndim = 0
            return shape
        if shape.ndim == 2:
            shape.rows = cnp.PyArray_DIM(value, 0)
        shape.columns = cnp.PyArray_DIM(value, shape.ndim - 1)
    elif is_list(value) and len(value) > 0:
        first = value[0]
        shape.ndim = 1
        shape.columns = len(value)
        if is_list(first) or is_array(first):
            shape.ndim = 2
            shape.rows = shape.columns
            shape.columns = len(first) if is_list(first) or cnp.PyArray_NDIM(first) == 1 else 0
    return shape


cdef inline bint is_native_float32(object value):
    """Return whether a value has a dtype that is equal to float32."""
    return (is_array(value) and cnp.PyArray_TYPE(value) == cnp.NPY_FLOAT
            and not cnp.PyArray_ISBYTESWAPPED(value))


def form_of(value, /):
    """Return the number of columns, 0 if `value` cannot be read, and `is_native_float32`."""
    return shape_of(value).columns, is_native_float32(value)


cdef cnp.ndarray read(object value, Shape shape, int kind, bint copy):
    """Return a value of this shape as a finite array of the dtype `kind`, or None.

    The result may be the value itself, unless `copy` is set.
    """
    cdef cnp.npy_intp[2] dims
    cdef cnp.ndarray array
    cdef bint finite
    if is_array(value):
        array = value
        if (not copy and cnp.PyArray_TYPE(array) == kind and cnp.PyArray_ISCARRAY_RO(array)):
            return array if all_finite(array, kind) else None
    dims[0] = shape.rows
    dims[shape.ndim - 1] = shape.columns
    array = cnp.PyArray_EMPTY(shape.ndim, dims, kind, 0)
    if kind == cnp.NPY_FLOAT:
        finite = fill(value, shape, <float *>cnp.PyArray_DATA(array))
    else:
        finite = fill(value, shape, <double *>cnp.PyArray_DATA(array))
    return array if finite else None


cdef bint all_finite(cnp.ndarray array, int kind):
    if kind == cnp.NPY_FLOAT:
        return is_finite(<const float *>cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array))
    return is_finite(<const double *>cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array))


cdef bint fill(object value, Shape shape, real *out):
    """Write the numbers of an array or list to `out`; return whether all were read and finite."""
    cdef Py_ssize_t i
    cdef cnp.ndarray array
    if is_array(value):
        array = value
        if not fill_from_array(
                array, cnp.PyArray_BYTES(array), shape.rows, shape.columns,
                cnp.PyArray_STRIDE(array, 0) if shape.ndim == 2 else 0,
                cnp.PyArray_STRIDE(array, shape.ndim - 1), out):
            return False
    elif shape.ndim == 1:
        if not fill_from_list(value, shape.columns, out):
            return False
    else:
        for i in range(shape.rows):
            if not fill_row(value[i], shape.columns, out + i * shape.columns):
                return False
    return is_finite(out, shape.rows * shape.columns)


cdef bint fill_row(object row, Py_ssize_t n, real *out):
    """Write a row of a list of rows, which is itself a list or an array."""
    cdef cnp.ndarray array
    if is_list(row):
        return len(row) == n and fill_from_list(row, n, out)
    if not cnp.PyArray_CheckExact(row):
        return False
    array = row
    if cnp.PyArray_NDIM(array) != 1 or cnp.PyArray_DIM(array, 0) != n:
        return False
    # NumPy would convert the rows to a common dtype first, which may round long numbers
    if cnp.PyArray_ITEMSIZE(array) >= 8 and cnp.PyArray_TYPE(array) != cnp.NPY_DOUBLE:
        return False
    return fill_from_array(
        array, cnp.PyArray_BYTES(array), 1, n, 0, cnp.PyArray_STRIDE(array, 0), out)


cdef bint fill_from_list(object items, Py_ssize_t n, real *out):
    """Write a list or tuple of numbers; return False for another type or a large integer."""
    cdef Py_ssize_t i
    cdef object item
    cdef type kind
    cdef long long integer
    cdef int overflow = 0
    cdef float single
    if type(items) is tuple:
        items = list(<tuple>items)
    with cython.critical_section(items):  # no other thread may change the list
        if len(<list>items) != n:
            return False
        for i in range(n):
            item = (<list>items)[i]
            kind = type(item)
            if kind is float or kind is FLOAT64:
                out[i] = <real>PyFloat_AS_DOUBLE(item)
            elif kind is int:
                integer = PyLong_AsLongLongAndOverflow(item, &overflow)
                if overflow or integer > EXACT or integer < -EXACT:
                    return False
                out[i] = <real>integer
            elif kind is FLOAT32:
                cnp.PyArray_ScalarAsCtype(item, &single)
                out[i] = single
            else:
                return False
    return True


cdef bint fill_from_array(
    cnp.ndarray array, const char *data, Py_ssize_t rows, Py_ssize_t columns,
    Py_ssize_t row_stride, Py_ssize_t stride, real *out,
):
    """Write rows of an array, from `data` on; return False if its dtype is no real number."""
    cdef int kind = cnp.PyArray_TYPE(array)
    cdef int size = cnp.PyArray_ITEMSIZE(array)
    cdef bint swapped = cnp.PyArray_ISBYTESWAPPED(array)
    cdef bint aligned = cnp.PyArray_ISALIGNED(array) and not swapped
    cdef Py_ssize_t i
    if cnp.PyTypeNum_ISFLOAT(kind):
        if size == 4:
            copy_numbers(<float *>NULL, data, rows, columns, row_stride, stride, swapped, aligned,
                         out)
        elif size == 8:
            copy_numbers(<double *>NULL, data, rows, columns, row_stride, stride, swapped, aligned,
                         out)
        elif size == 2:
            copy_numbers(<uint16_t *>NULL, data, rows, columns, row_stride, stride, swapped,
                         aligned, out)
            for i in range(rows * columns):
                out[i] = half(<uint16_t>out[i])
        elif size == sizeof(long_double):
            copy_numbers(<long_double *>NULL, data, rows, columns, row_stride, stride, swapped,
                         aligned, out)
        else:
            return False
    elif cnp.PyTypeNum_ISBOOL(kind):
        copy_numbers(<uint8_t *>NULL, data, rows, columns, row_stride, stride, swapped, aligned,
                     out)
        for i in range(rows * columns):
            out[i] = out[i] != 0  # a view of bytes may hold other numbers than 0 and 1
    elif cnp.PyTypeNum_ISSIGNED(kind):
        if size == 1:
            copy_numbers(<int8_t *>NULL, data, rows, columns, row_stride, stride, swapped, aligned,
                         out)
        elif size == 2:
            copy_numbers(<int16_t *>NULL, data, rows, columns, row_stride, stride, swapped,
                         aligned, out)
        elif size == 4:
            copy_numbers(<int32_t *>NULL, data, rows, columns, row_stride, stride, swapped,
                         aligned, out)
        else:
            copy_numbers(<int64_t *>NULL, data, rows, columns, row_stride, stride, swapped,
                         aligned, out)
    elif cnp.PyTypeNum_ISUNSIGNED(kind):
        if size == 1:
            copy_numbers(<uint8_t *>NULL, data, rows, columns, row_stride, stride, swapped,
                         aligned, out)
        elif size == 2:
            copy_numbers(<uint16_t *>NULL, data, rows, columns, row_stride, stride, swapped,
                         aligned, out)
        elif size == 4:
            copy_numbers(<uint32_t *>NULL, data, rows, columns, row_stride, stride, swapped,
                         aligned, out)
        else:
            copy_numbers(<uint64_t *>NULL, data, rows, columns, row_stride, stride, swapped,
                         aligned, out)
    else:
        return False
    return True


cdef void copy_numbers(
    const number *_, const char *data, Py_ssize_t rows, Py_ssize_t columns,
    Py_ssize_t row_stride, Py_ssize_t stride, bint swapped, bint aligned, real *out,
) noexcept:
    """Write numbers that are `stride` bytes apart, in rows that are `row_stride` bytes apart."""
    cdef number value
    cdef char *bytes = <char *>&value
    cdef Py_ssize_t i, j, k
    cdef int half_size = sizeof(number) // 2
    for i in range(rows):
        if aligned and stride == sizeof(number):  # vectorized
            for j in range(columns):
                out[j] = <real>(<const number *>data)[j]
        elif not swapped:
            for j in range(columns):
                memcpy(&value, data + j * stride, sizeof(number))
                out[j] = <real>value
        else:
            for j in range(columns):
                memcpy(&value, data + j * stride, sizeof(number))
                for k in range(half_size):
                    bytes[k], bytes[sizeof(number) - 1 - k] = (
                        bytes[sizeof(number) - 1 - k], bytes[k])
                out[j] = <real>value
        data += row_stride
        out += columns


cdef inline float half(uint16_t bits) noexcept:
    """Return the number with these bits in float16, which float32 represents exactly."""
    cdef uint32_t exponent = bits >> 10 & 31
    cdef uint32_t fraction = bits & 1023
    cdef uint32_t wide
    cdef float size
    if exponent == 0:  # zero or a denormal number, in units of 2^-24
        size = fraction / <float>(1 << 24)
    else:
        wide = (255 if exponent == 31 else exponent + 112) << 23 | fraction << 13
        memcpy(&size, &wide, 4)
    return -size if bits >> 15 else size


cdef cnp.ndarray read_labels(object value, Py_ssize_t n, Py_ssize_t n_classes):
    """Return new class indices (n,), from 0 to n_classes - 1, or None."""
    cdef Shape shape = shape_of(value)
    cdef cnp.npy_intp size = n
    cdef cnp.ndarray given, labels
    cdef const double *numbers
    cdef int64_t *indices
    cdef Py_ssize_t i
    cdef bint inside = True
    if shape.ndim != 1 or shape.columns != n:
        return None
    if (is_array(value) and cnp.PyArray_TYPE(value) == cnp.NPY_INT64
            and cnp.PyArray_ISCARRAY_RO(value)):
        labels = cnp.PyArray_EMPTY(1, &size, cnp.NPY_INT64, 0)
        indices = <int64_t *>cnp.PyArray_DATA(labels)
        memcpy(indices, cnp.PyArray_DATA(value), n * sizeof(int64_t))
        for i in range(n):
            inside &= 0 <= indices[i] < n_classes
        return labels if inside else None
    if is_array(value) and cnp.PyArray_TYPE(value) == cnp.NPY_LONGDOUBLE:
        return None  # float64 could round it to an index
    given = read(value, shape, cnp.NPY_DOUBLE, True)
    if given is None:
        return None
    labels = cnp.PyArray_EMPTY(1, &size, cnp.NPY_INT64, 0)
    numbers = <const double *>cnp.PyArray_DATA(given)
    indices = <int64_t *>cnp.PyArray_DATA(labels)
    for i in range(n):
        if not 0 <= numbers[i] < n_classes or numbers[i] != floor(numbers[i]):
            return None
        indices[i] = <int64_t>numbers[i]
    return labels


cdef bint lies_in(cnp.ndarray array, int kind, double low, double high):
    """Return whether all numbers are from `low` to `high`."""
    cdef Py_ssize_t i
    cdef Py_ssize_t n = cnp.PyArray_SIZE(array)
    cdef bint inside = True
    if kind == cnp.NPY_FLOAT:
        for i in range(n):
            inside &= low <= (<const float *>cnp.PyArray_DATA(array))[i] <= high
    else:
        for i in range(n):
            inside &= low <= (<const double *>cnp.PyArray_DATA(array))[i] <= high
    return inside


cdef cnp.ndarray read_weights(object value, Py_ssize_t n, int kind):
    """Return weights (n,) that are at least 0 and not all 0, or None."""
    cdef Shape shape = shape_of(value)
    cdef cnp.ndarray weights
    if shape.ndim != 1 or shape.columns != n:
        return None
    weights = read(value, shape, kind, False)
    if weights is None or not lies_in(weights, kind, 0, INFINITY) or lies_in(weights, kind, 0, 0):
        return None
    return weights
