/* What differs between Windows and the other systems: the clock, and memory that starts at a cache
 * line, whose size in bytes is a multiple of 64. */
#ifndef FASTNN_SYSTEM_H
#define FASTNN_SYSTEM_H

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <malloc.h>
#include <windows.h>

static inline void *fastnn_allocate_lines(size_t size) { return _aligned_malloc(size, 64); }
static inline void fastnn_free_lines(void *memory) { _aligned_free(memory); }

static inline double fastnn_now(void)
{
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    return (double)count.QuadPart / (double)frequency.QuadPart;
}
#else
#include <stdlib.h>
#include <time.h>

static inline void *fastnn_allocate_lines(size_t size) { return aligned_alloc(64, size); }
static inline void fastnn_free_lines(void *memory) { free(memory); }

static inline double fastnn_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
#endif

#endif
