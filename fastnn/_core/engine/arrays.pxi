# NumPy's arrays as pointers. The arrays are trusted: contiguous, and of one dtype in a call.
#
# A function that Python calls takes arrays and calls a `..._typed` function of the right dtype. As
# memoryviews of a fused type the arguments would take microseconds to check at each call, and a
# quarter of the compiled module.

cdef inline void *address(cnp.ndarray array):
    """Return where the elements are; NULL for None."""
    return NULL if array is None else cnp.PyArray_DATA(array)


cdef inline bint is_float(cnp.ndarray array):
    """Return whether the dtype is float32; otherwise it is float64."""
    return cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT


cdef inline Py_ssize_t sample_count(cnp.ndarray x):
    """Return the number of samples in (n, n_in), or 1 for a single sample (n_in,)."""
    return 1 if cnp.PyArray_NDIM(x) == 1 else cnp.PyArray_DIM(x, 0)


cdef Targets targets_of(cnp.ndarray values, cnp.ndarray labels, cnp.ndarray weights):
    """Return the C form of arrays, each None if it is not given; they must outlive it."""
    cdef Targets targets
    targets.values = address(values)
    targets.labels = <const int64_t *>address(labels)
    targets.weights = address(weights)
    return targets


# `loss_from` and `optimizer_from` are inlined in these functions only, so that their code exists
# once.

cdef dict last_formula = None  # calls on few samples in a row have one loss
cdef Loss last_loss


cdef Loss loss_of(dict formula) except *:
    """Return the C form of a loss's `formula()`, which must outlive it and not change."""
    global last_formula, last_loss
    with cython.critical_section(shared):
        if formula is not last_formula:
            last_loss = loss_from(formula)
            last_formula = formula
        return last_loss


cdef Optimizer optimizer_of(dict rule) except *:
    """Return the C form of an optimizer's `update_rule()`, which must outlive it."""
    return optimizer_from(rule)
