"""Calls of functions that are not inlined, so that their code exists once.

Otherwise a `cdef inline` function, however long, is copied into each of its callers. A call takes a
few nanoseconds, so it is the better choice for a function that takes far longer.
"""


cdef extern from *:
    """
    /* Hide a function from the compiler, which then keeps one copy of it and calls that. */
    static inline void *apart(void *function)
    {
        __asm__("" : "+r"(function));
        return function;
    }
    #define CALL_APART(function, ...) ((__typeof__(&function))apart((void *)function))(__VA_ARGS__)
    """
    void call_apart "CALL_APART"(...) nogil  # a function without result, and its arguments
