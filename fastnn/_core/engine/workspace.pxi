# Memory for a call of the engine, taken once and never inside an epoch.

cdef enum:
    KEPT_BYTES = 8_000_000

cdef Workspace idle_workspace = None  # for the next call, which need not ask the system for pages


@cython.final
cdef class Workspace:
    """Uninitialised memory on a cache line's boundary, freed with the object."""

    cdef char *data
    cdef Py_ssize_t n_bytes

    def __cinit__(self, Py_ssize_t n_bytes):
        self.n_bytes = (n_bytes + 63) // 64 * 64 + 64
        self.data = <char *>aligned_alloc(64, self.n_bytes)
        if self.data == NULL:
            raise MemoryError(f"no {n_bytes} bytes of workspace")

    def __dealloc__(self):
        free(self.data)


cdef Workspace take_workspace(Py_ssize_t n_bytes):
    """At least so much memory, the caller's until `give_back`; the GIL is held in both."""
    global idle_workspace
    cdef Workspace workspace = idle_workspace
    idle_workspace = None
    if workspace is None or workspace.n_bytes < n_bytes:
        workspace = Workspace(n_bytes)
    return workspace


cdef void give_back(Workspace workspace):
    """Keep it for the next call, unless it is large."""
    global idle_workspace
    if workspace.n_bytes <= KEPT_BYTES:
        idle_workspace = workspace


cdef inline char *aligned(char *pointer) noexcept nogil:
    """The next cache line's boundary."""
    return <char *>((<uintptr_t>pointer + 63) & ~<uintptr_t>63)
