# The rows of a batch that other processes have: BatchNorm needs their sums.

@cython.final
cdef class OtherRows:
    """Adds the sums of other processes to those of this one.

    Parameters
    ----------
    add : callable
        Adds to an array (n,) of float64, in place.
    n_rows : int
        The number of rows of the whole batch.

    Attributes
    ----------
    error : BaseException or None
        What `add` has raised last. The sums are then NaN.
    """

    cdef Others rows
    cdef object add
    cdef readonly object error

    def __init__(self, add, Py_ssize_t n_rows, /):
        self.add = add
        self.rows = Others(&add_others, <void *>self, n_rows)


cdef void add_others(void *owner, double *sums, Py_ssize_t n) noexcept with gil:
    cdef OtherRows others = <OtherRows>owner
    cdef cnp.npy_intp size = n
    array = cnp.PyArray_SimpleNewFromData(1, &size, cnp.NPY_DOUBLE, sums)
    try:
        others.add(array)
    except BaseException as error:  # the engine's passes cannot raise
        others.error = error
        array[...] = np.nan
