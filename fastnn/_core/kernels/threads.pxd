"""How many threads a parallel region may have; threads.h says how."""


cdef extern from "threads.h" nogil:
    int startable "fastnn_startable"(int n)
