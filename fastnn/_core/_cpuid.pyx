"""The instruction sets that the CPU and the operating system support."""

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(__i386__)
    #include <cpuid.h>
    #include <string.h>
    static const char *vendor_name(void)
    {
        static char name[13];
        unsigned a = 0, b = 0, c = 0, d = 0;
        __get_cpuid(0, &a, &b, &c, &d);
        memcpy(name, &b, 4), memcpy(name + 4, &d, 4), memcpy(name + 8, &c, 4);
        return name;
    }
    /* These functions of the compiler check the CPU (cpuid) and the system (xgetbv). */
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
    static const char *vendor_name(void) { return ""; }
    static int has_avx2(void) { return 0; }
    static int has_avx512(void) { return 0; }
    #endif
    """
    bint has_avx2()
    bint has_avx512()
    const char *vendor_name()


def vendor():
    """Return the maker as the CPU gives it, as in "GenuineIntel"; "" if it is not an x86."""
    return vendor_name().decode()


def supported():
    """Return the names of the builds that can run on this machine, slowest first.

    Returns
    -------
    list of str
        Some of "baseline", "avx2" and "avx512".
    """
    return ["baseline"] + ["avx2"] * has_avx2() + ["avx512"] * has_avx512()
