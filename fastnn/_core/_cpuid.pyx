"""Which instruction sets this CPU has and the operating system saves; built for every CPU."""

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(__i386__)
    /* The compiler's run-time library asks both cpuid and, through xgetbv, the system. */
    static int has_avx2(void)
    {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    }
    static int has_avx512(void)
    {
        return has_avx2() && __builtin_cpu_supports("avx512f")
            && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vl")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    }
    #else
    static int has_avx2(void) { return 0; }
    static int has_avx512(void) { return 0; }
    #endif
    """
    bint has_avx2()
    bint has_avx512()


def supported():
    """The names of the builds that can run here, slowest first.

    Returns
    -------
    list of str
        Of "baseline", "avx2" and "avx512".
    """
    return ["baseline"] + ["avx2"] * has_avx2() + ["avx512"] * has_avx512()
