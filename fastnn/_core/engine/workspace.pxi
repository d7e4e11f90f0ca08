# Memory for a call of the engine, and Python's lock (the GIL). Memory is allocated once per call,
# never inside an epoch.

cdef enum:
    KEPT_BYTES = 8_000_000
    GIL_WORK = 50_000         # multiply-adds; below, releasing the GIL is not worth its time

cdef extern from *:
    """
    /* Keep `workspace` for the next call, and return what was kept before; NULL stands for none. */
    #ifdef Py_GIL_DISABLED
    /* Threads would wait for each other's cache lines at one place, so there are several. */
    static struct { void *kept; char apart[56]; } fastnn_idle[16];
    static void *fastnn_keep(void *workspace) {
        uint64_t thread = (uint64_t)(uintptr_t)PyThreadState_Get() * 0x9E3779B97F4A7C15u;
        return __atomic_exchange_n(&fastnn_idle[thread >> 60].kept, workspace, __ATOMIC_ACQ_REL);
    }
    #else
    static void *fastnn_idle = NULL;
    static void *fastnn_keep(void *workspace) {
        void *before = fastnn_idle;
        fastnn_idle = workspace;
        return before;
    }
    #endif
    """
    PyObject *keep "fastnn_keep"(PyObject *workspace)

# Variables that all threads share are guarded by critical sections. A free-threaded Python locks
# the object that a section names. With a GIL the section costs nothing. Python code inside a
# section may let another thread in, as with the GIL.
cdef object shared = object()  # whose sections guard the variables of this module


@cython.final
cdef class Workspace:
    """Uninitialized memory, aligned to a cache line and freed with the object."""

    cdef char *data
    cdef Py_ssize_t n_bytes

    def __cinit__(self, Py_ssize_t n_bytes, /):
        self.n_bytes = (n_bytes + 63) // 64 * 64 + 64
        self.data = <char *>allocate_lines(self.n_bytes)
        if self.data == NULL:
            raise MemoryError(f"no {n_bytes} bytes of workspace")

    def __dealloc__(self):
        free_lines(self.data)


cdef Workspace take_workspace(Py_ssize_t n_bytes):
    """Return memory of at least `n_bytes`, for use until `give_back`. Both need the GIL.

    It is the memory of an earlier call, if that suffices: new pages of the system are slow.
    """
    cdef PyObject *kept = keep(NULL)
    cdef Workspace workspace = None
    if kept != NULL:
        workspace = <Workspace>kept
        Py_DECREF(workspace)  # the reference of `keep`
    if workspace is None or workspace.n_bytes < n_bytes:
        workspace = Workspace(n_bytes)
    return workspace


cdef void give_back(Workspace workspace):
    """Keep a workspace for the next call, unless it is large."""
    if workspace.n_bytes <= KEPT_BYTES:
        Py_INCREF(workspace)
        Py_XDECREF(keep(<PyObject *>workspace))


cdef inline char *aligned(char *pointer) noexcept nogil:
    """Return the next multiple of 64, the size of a cache line."""
    return <char *>((<uintptr_t>pointer + 63) & ~<uintptr_t>63)


cdef inline PyThreadState *release_gil(Py_ssize_t work) noexcept:
    """Release the GIL if there is that much work, in multiply-adds; `regain_gil` takes the result.

    After a release another thread may keep the GIL for milliseconds.
    """
    return PyEval_SaveThread() if work >= GIL_WORK else NULL


cdef inline void regain_gil(PyThreadState *thread) noexcept:
    if thread != NULL:
        PyEval_RestoreThread(thread)
