"""Memory that starts at a cache line, and the seconds of a monotonic clock. See system.h."""


cdef extern from "system.h" nogil:
    void *allocate_lines "fastnn_allocate_lines"(size_t size)
    void free_lines "fastnn_free_lines"(void *memory)
    double now "fastnn_now"()
