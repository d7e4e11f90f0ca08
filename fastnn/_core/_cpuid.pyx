"""The CPU's maker, and the instruction sets that it and the operating system support."""

cdef extern from *:
    """
    #if defined(__x86_64__)
    /* The compilers' own functions for this need a library that Clang lacks on Windows. */
    #include <cpuid.h>
    #include <string.h>

    static const char *vendor_name(void)
    {
        static char name[13];
        unsigned a, b, c, d;
        if (__get_cpuid(0, &a, &b, &c, &d))
            memcpy(name, &b, 4), memcpy(name + 4, &d, 4), memcpy(name + 8, &c, 4);
        return name;
    }

    static int has_bits(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

    /* Whether the system saves the registers of this state when it switches between threads. */
    static int system_saves(unsigned state)
    {
        unsigned a, b, c, d, low, high;
        if (!__get_cpuid(1, &a, &b, &c, &d) || !has_bits(c, bit_OSXSAVE))
            return 0;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        return has_bits(low, state);
    }
    static int has_avx2(void)
    {
        unsigned a, b, c, d;
        return system_saves(0x06) && __get_cpuid(1, &a, &b, &c, &d)
            && has_bits(c, bit_AVX | bit_FMA) && __get_cpuid_count(7, 0, &a, &b, &c, &d)
            && has_bits(b, bit_AVX2);
    }
    static int has_avx512(void)
    {
        unsigned a, b, c, d;
    #ifndef __APPLE__ /* macOS begins to save these registers when a thread first uses them */
        if (!system_saves(0xe6))
            return 0;
    #endif
        return has_avx2() && __get_cpuid_count(7, 0, &a, &b, &c, &d)
            && has_bits(b, bit_AVX512F | bit_AVX512CD | bit_AVX512VL | bit_AVX512DQ | bit_AVX512BW);
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
