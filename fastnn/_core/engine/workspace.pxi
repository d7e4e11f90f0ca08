# Memory for a call of the engine, taken once and never inside an epoch.

@cython.final
cdef class Workspace:
    """Uninitialised memory on a cache line's boundary, freed with the object."""

    cdef char *data

    def __cinit__(self, Py_ssize_t n_bytes):
        self.data = <char *>aligned_alloc(64, (n_bytes + 63) // 64 * 64 + 64)
        if self.data == NULL:
            raise MemoryError(f"no {n_bytes} bytes of workspace")

    def __dealloc__(self):
        free(self.data)


cdef inline char *aligned(char *pointer) noexcept nogil:
    """The next cache line's boundary."""
    return <char *>((<uintptr_t>pointer + 63) & ~<uintptr_t>63)
