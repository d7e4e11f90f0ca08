"""The number of threads that a parallel region may have. See threads.h."""


cdef extern from "threads.h" nogil:
    int startable "fastnn_startable"(int n)
