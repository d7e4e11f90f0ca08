# Predictions and Jacobians of many networks that have the same operations, in one call.
#
# Each network is computed on one thread, exactly as by `predict_blocks` and `fill_jacobian`. The
# threads share the networks. So the bits equal those of a network's own calls.

cdef enum:
    READY_WORK = 4_000_000  # multiply-adds; up to this many, one thread is fast enough


@cython.final
cdef class Handle:
    """A plan and the arrays of a network, which are found faster here than as attributes."""

    cdef Plan plan
    cdef cnp.ndarray params
    cdef cnp.ndarray constants

    def __cinit__(self, Plan plan, cnp.ndarray params, cnp.ndarray constants, /):
        self.plan, self.params, self.constants = plan, params, constants


cdef struct Member:  # one of the networks
    const void *params
    const void *constants


cdef bint same_operations(Plan a, Plan b):
    """Return whether two plans are equal, byte by byte; the bytes of a Plan start as zeros."""
    return a is b or (
        a.n_operations == b.n_operations
        and memcmp(a.operations, b.operations, a.n_operations * sizeof(Operation)) == 0
        and (not a.has_embeddings or (
            a.n_slots == b.n_slots
            and memcmp(a.operations, b.operations, a.n_slots * sizeof(Operation)) == 0)))


cdef bint gather(
    Plan plan, int kind, list networks, cnp.ndarray params, bint checked, Member *members,
):
    """Set the pointers of all networks; return whether they have one type, the plan and the dtype.

    Nothing is compared if the networks are `checked`. The parameters are the rows of `params`, or
    if it is None, those of the networks. With `params` there is one network, whose constants belong
    to all rows.
    """
    cdef Py_ssize_t many = len(networks)
    cdef Py_ssize_t i
    cdef Handle handle
    for i in range(many):
        network = networks[i]
        if not checked and type(network) is not type(networks[0]):
            return False
        handle = network._model.handle
        if not checked and (not same_operations(plan, handle.plan)
                            or cnp.PyArray_TYPE(handle.params) != kind):
            return False
        members[i].params = cnp.PyArray_DATA(handle.params)
        members[i].constants = cnp.PyArray_DATA(handle.constants)
    if params is not None:
        for i in range(cnp.PyArray_DIM(params, 0)):
            members[i].params = (
                cnp.PyArray_BYTES(params) + i * plan.n_params * cnp.PyArray_ITEMSIZE(params))
            members[i].constants = members[0].constants
    return True


cdef struct Share:            # what the threads share
    const Member *members
    bint checks_params        # whether to check that the parameters are finite
    bint checks_x
    const char *x
    Py_ssize_t x_step         # bytes from one network's samples to the next; 0 if they are shared
    Py_ssize_t n              # samples of a network
    bint jacobian             # or else outputs
    bint by_params
    char *out
    Py_ssize_t out_step       # bytes of a network's result
    Py_ssize_t block          # samples that go through a network at a time, for outputs
    char *workspace
    Py_ssize_t per_thread     # bytes of workspace


cdef bint compute_member(Plan plan, const Share *share, Py_ssize_t i, const real *_) noexcept nogil:
    """Compute the result of one network; return whether its parameters and samples are finite."""
    cdef const real *params = <const real *>share.members[i].params
    cdef const real *constants = <const real *>share.members[i].constants
    cdef const real *x = <const real *>(share.x + i * share.x_step)
    cdef real *out = <real *>(share.out + i * share.out_step)
    cdef char *workspace = share.workspace + threadid() * share.per_thread
    if share.checks_params and not is_finite(params, plan.n_params):
        return False
    if not share.jacobian:
        return predict_blocks(plan, params, constants, x, out, share.n, share.block, workspace, 1)
    if share.checks_x and not is_finite(x, share.n * plan.n_in):
        return False
    fill_jacobian(plan, params, constants, x, share.n, share.by_params, <real *>NULL, out,
                  workspace, 1)
    return True


cdef Py_ssize_t compute_members(
    Plan plan, int kind, const Share *share, Py_ssize_t many, int n_threads,
) noexcept nogil:
    """Compute all results; return how many networks have values that are not finite."""
    cdef Py_ssize_t bad = 0
    cdef Py_ssize_t i
    for i in prange(many, num_threads=startable(n_threads), schedule="static"):
        if kind == cnp.NPY_FLOAT:
            bad += not compute_member(plan, share, i, <const float *>NULL)
        else:
            bad += not compute_member(plan, share, i, <const double *>NULL)
    return bad


cdef bint fill_many(
    Plan plan, list networks, cnp.ndarray params, cnp.ndarray x, bint shared, bint jacobian,
    bint by_params, bint checked, cnp.ndarray out, int n_threads, bint hold,
):
    """Overwrite `out`; return whether the networks are alike and all values finite.

    Nothing is examined if the arguments are `checked`. With `hold`, the GIL is kept and one thread
    computes, since releasing the GIL would take longer.
    """
    cdef Py_ssize_t many = cnp.PyArray_DIM(out, 0)
    cdef int kind = cnp.PyArray_TYPE(out)
    cdef Py_ssize_t itemsize = cnp.PyArray_ITEMSIZE(out)
    cdef Py_ssize_t samples = cnp.PyArray_SIZE(x) // plan.n_in
    cdef Py_ssize_t r = block_rows(plan, by_params)
    cdef Py_ssize_t members_bytes = (many * sizeof(Member) + 63) // 64 * 64
    cdef Py_ssize_t bad
    cdef Workspace workspace
    cdef Share share
    share.n = samples if shared else samples // many
    share.checks_params = params is not None and not checked
    share.checks_x = not checked
    share.x = cnp.PyArray_BYTES(x)
    share.x_step = 0 if shared else share.n * plan.n_in * itemsize
    share.jacobian = jacobian
    share.by_params = by_params
    share.out = cnp.PyArray_BYTES(out)
    share.out_step = cnp.PyArray_NBYTES(out) // many
    share.block = plan.predict_rows(share.n, itemsize)
    if jacobian:
        share.per_thread = blocks_bytes(
            plan, chunk_samples(plan, r, max(share.n, 1), itemsize), r, itemsize, 1)
    else:
        share.per_thread = gemm_workspace(1) + share.block * plan.row_width * itemsize
    share.per_thread = (share.per_thread + 63) // 64 * 64
    workspace = take_workspace(members_bytes + n_threads * share.per_thread)
    share.members = <const Member *>workspace.data
    share.workspace = workspace.data + members_bytes
    try:
        if not gather(plan, kind, networks, params, checked, <Member *>workspace.data):
            return False
        if hold:
            bad = compute_members(plan, kind, &share, many, 1)
        else:
            with nogil:
                bad = compute_members(plan, kind, &share, many, n_threads)
        return bad == 0
    finally:
        give_back(workspace)


def fill_many_networks(
    Plan plan, list networks, cnp.ndarray params, cnp.ndarray x, bint shared, bint jacobian,
    bint by_params, cnp.ndarray out, int n_threads, /,
):
    """Overwrite `out` with the outputs or Jacobians of each network, (many, n, …).

    A network has its Handle as `_model.handle`. All plans equal `plan`. The parameters are the rows
    of `params`, if that is not None; then there is one network. The samples `x` are (n, n_in) if
    `shared`, else (many, n, n_in).
    """
    fill_many(plan, networks, params, x, shared, jacobian, by_params, True, out, n_threads, False)


def many_networks_ready(list networks, params, x, bint jacobian, bint by_params, /):
    """Return the outputs or Jacobians if the work is small and all arrays are ready; else None.

    They are ready if they are finite, contiguous and of the networks' dtype. `x` is (n_in,),
    (n, n_in) or (many, n, n_in).
    """
    cdef Handle first
    cdef cnp.ndarray ready, out, stacked
    cdef Plan plan
    cdef int kind, ndim
    cdef Py_ssize_t many, n, work
    cdef cnp.npy_intp[4] shape
    networks = networks[:]  # another thread may change the list
    if not networks or not cnp.PyArray_CheckExact(x):
        return None
    first = networks[0]._model.handle
    plan = first.plan
    ready = x
    kind = cnp.PyArray_TYPE(first.params)
    ndim = cnp.PyArray_NDIM(ready)
    many = len(networks)
    stacked = None
    if params is not None:
        if not cnp.PyArray_CheckExact(params):
            return None
        stacked = params
        if (many != 1 or cnp.PyArray_TYPE(stacked) != kind or not cnp.PyArray_ISCARRAY_RO(stacked)
                or cnp.PyArray_NDIM(stacked) != 2
                or cnp.PyArray_DIM(stacked, 1) != plan.n_params):
            return None
        many = cnp.PyArray_DIM(stacked, 0)
    if (cnp.PyArray_TYPE(ready) != kind or not cnp.PyArray_ISCARRAY_RO(ready)
            or ndim < 1 or ndim > 3 or cnp.PyArray_DIM(ready, ndim - 1) != plan.n_in
            or (ndim == 3 and cnp.PyArray_DIM(ready, 0) != many)):
        return None
    n = 1 if ndim == 1 else cnp.PyArray_DIM(ready, ndim - 2)
    work = plan.n_params + plan.row_width
    if jacobian:
        work *= block_rows(plan, by_params)
    if many == 0 or n == 0 or many > READY_WORK // (n * work):
        return None
    shape[0] = many
    shape[1] = n
    ndim = 1 if ndim == 1 else 2
    shape[ndim] = plan.n_out
    shape[ndim + 1] = plan.n_params if by_params else plan.n_in
    if jacobian and shape[ndim + 1] == 0:
        return None
    out = cnp.PyArray_EMPTY(ndim + 1 + jacobian, shape, kind, 0)
    if not fill_many(plan, networks, stacked, ready, cnp.PyArray_NDIM(ready) < 3, jacobian,
                     by_params, False, out, 1, many * n * work < GIL_WORK):
        return None
    return out
