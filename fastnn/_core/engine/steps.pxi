# Single steps of an optimizer, for gradients that the user computes.
#
# The lock of Python is held; in a free-threaded Python, the lock of the dict in which a fit claims
# the network. So no other thread can start a fit or a step within a step, and Ctrl-C cannot
# separate the new parameters from the count of updates.

@cython.final
cdef class Steps:
    """Steps of one optimizer on the parameters of one network.

    Parameters
    ----------
    rule : dict
        As an optimizer's `update_rule()` returns it.
    params : ndarray (n_params,)
        Overwritten by `take`.
    state : ndarray (n_states, n_params)
        Likewise.
    """

    cdef Optimizer optimizer
    cdef cnp.ndarray params
    cdef cnp.ndarray state
    cdef Workspace before

    def __init__(self, dict rule, cnp.ndarray params, cnp.ndarray state, /):
        self.optimizer = optimizer_of(rule)
        self.params, self.state = params, state
        self.before = Workspace(cnp.PyArray_NBYTES(params))

    def take(self, grads, double rate, double weight_decay, cnp.ndarray segments, counts,
             list missed, dict training, int n_threads, /):
        """Update the parameters by a gradient, and count the update in `counts`.

        `weight_decay` replaces that of the rule. `segments` are as for the Trainer. `counts` is an
        OptimizerState, whose `step` and `schedule_step` grow by 1; `missed` becomes its count of
        missed updates.

        Returns
        -------
        bool or None
            None if nothing was done: `grads` is not a finite, contiguous array of the right dtype
            and shape, apart from the parameters, or the parameters are read-only, or the dict
            `training` is not empty. False if a parameter would not be finite: then the parameters
            are as before. Otherwise True.
        """
        cdef cnp.ndarray params = self.params
        cdef cnp.ndarray ready
        cdef Py_ssize_t step
        cdef bint finite
        if not cnp.PyArray_CheckExact(grads):
            return None
        ready = grads
        if (cnp.PyArray_TYPE(ready) != cnp.PyArray_TYPE(params)
                or cnp.PyArray_NDIM(ready) != 1
                or cnp.PyArray_DIM(ready, 0) != cnp.PyArray_DIM(params, 0)
                or not cnp.PyArray_ISCARRAY_RO(ready) or not cnp.PyArray_ISWRITEABLE(params)
                or abs(cnp.PyArray_BYTES(ready) - cnp.PyArray_BYTES(params))
                < cnp.PyArray_NBYTES(params)):  # they overlap
            return None
        if not all_finite(ready):
            return None
        with cython.critical_section(training):
            if training:
                return None
            step = counts.step + 1
            self.optimizer.weight_decay = weight_decay
            memcpy(self.before.data, cnp.PyArray_DATA(params), cnp.PyArray_NBYTES(params))
            if is_float(params):
                finite = take_typed(self, <float *>address(params), ready, rate, segments,
                                    step, n_threads)
            else:
                finite = take_typed(self, <double *>address(params), ready, rate, segments,
                                    step, n_threads)
            if not finite:
                memcpy(cnp.PyArray_DATA(params), self.before.data, cnp.PyArray_NBYTES(params))
                return False
            counts.step = step
            counts.schedule_step += 1
            counts.missed = missed
        return True


cdef bint take_typed(
    Steps steps, real *params, cnp.ndarray grads, double rate, cnp.ndarray segments,
    Py_ssize_t step, int n_threads,
):
    """Update the parameters; return whether they are finite."""
    cdef Py_ssize_t n = cnp.PyArray_DIM(grads, 0)
    update_params(&steps.optimizer, rate, params, <const real *>address(grads),
                  <real *>address(steps.state), n, <const Segment *>address(segments),
                  cnp.PyArray_DIM(segments, 0), step, n_threads)
    return is_finite(params, n)
