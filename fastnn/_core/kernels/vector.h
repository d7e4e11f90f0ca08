/* Vectors of the build's width in both dtypes: whole and partial loads and stores, and transposes.
 *
 * GNU vectors serve every architecture and compiler. Where the CPU has masks, they read and write
 * the first few lanes at the price of all (HAVE_MASKS); elsewhere a loop does, which is too slow
 * for an inner loop.
 */
#ifndef FASTNN_VECTOR_H
#define FASTNN_VECTOR_H

#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#define HAVE_MASKS 1
#define KEEP_VECTOR(v) __asm__("" : "+v"(v))
#elif defined(__AVX2__)
#include <immintrin.h>
#define VECTOR_BYTES 32
#define HAVE_MASKS 1
#define KEEP_VECTOR(v) __asm__("" : "+x"(v))
#elif defined(__SSE2__)
#define VECTOR_BYTES 16
#define HAVE_MASKS 0
#define KEEP_VECTOR(v) __asm__("" : "+x"(v))
#else
#define VECTOR_BYTES 16
#define HAVE_MASKS 0
#define KEEP_VECTOR(v)
#endif

/* for a function whose uses would make a copy each, with constants built in that gain nothing */
#if defined(__clang__)
#define ONE_COPY __attribute__((noinline))
#else
#define ONE_COPY __attribute__((noinline, noclone))
#endif

typedef float f32_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef double f64_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef float f32_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef double f64_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
typedef int32_t f32_bits __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t f64_bits __attribute__((vector_size(VECTOR_BYTES)));

/* A mask stands for the first n lanes, n from 1 to all. */
#if defined(__AVX512F__)
typedef __mmask16 f32_mask;
typedef __mmask8 f64_mask;
static inline f32_mask f32_first(ptrdiff_t n) { return (f32_mask)((1u << n) - 1); }
static inline f64_mask f64_first(ptrdiff_t n) { return (f64_mask)((1u << n) - 1); }
#define f32_load_some(p, mask) ((f32_vector)_mm512_maskz_loadu_ps(mask, p))
#define f64_load_some(p, mask) ((f64_vector)_mm512_maskz_loadu_pd(mask, p))
#define f32_store_some(p, mask, v) _mm512_mask_storeu_ps(p, mask, (__m512)(v))
#define f64_store_some(p, mask, v) _mm512_mask_storeu_pd(p, mask, (__m512d)(v))
#elif defined(__AVX2__)
typedef __m256i f32_mask;
typedef __m256i f64_mask;
static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
static inline f32_mask f32_first(ptrdiff_t n)
{
    return _mm256_loadu_si256((const __m256i *)(ones_then_zeros + 8 - n));
}
static inline f64_mask f64_first(ptrdiff_t n) { return f32_first(2 * n); }
#define f32_load_some(p, mask) ((f32_vector)_mm256_maskload_ps(p, mask))
#define f64_load_some(p, mask) ((f64_vector)_mm256_maskload_pd(p, mask))
#define f32_store_some(p, mask, v) _mm256_maskstore_ps(p, mask, (__m256)(v))
#define f64_store_some(p, mask, v) _mm256_maskstore_pd(p, mask, (__m256d)(v))
#else
#define SOME(T, SCALAR) \
typedef ptrdiff_t T##_mask; \
static inline T##_mask T##_first(ptrdiff_t n) { return n; } \
static inline T##_vector T##_load_some(const SCALAR *p, T##_mask n) \
{ \
    T##_vector v = {0}; \
    if (n == VECTOR_BYTES / sizeof(SCALAR)) return *(const T##_unaligned *)p; \
    for (ptrdiff_t i = 0; i < n; i++) v[i] = p[i]; \
    return v; \
} \
static inline void T##_store_some(SCALAR *p, T##_mask n, T##_vector v) \
{ \
    if (n == VECTOR_BYTES / sizeof(SCALAR)) *(T##_unaligned *)p = v; \
    else for (ptrdiff_t i = 0; i < n; i++) p[i] = v[i]; \
}
SOME(f32, float)
SOME(f64, double)
#endif

/* Rows of `columns` elements copied into rows of `width`, zeros after them up to the next vector or
 * the width. Rows of B lie pages apart, where the CPU's own prefetching ends. */
#define COPY_ROWS(T, SCALAR) \
static void T##_copy_rows(ptrdiff_t rows, ptrdiff_t columns, const SCALAR *b, ptrdiff_t b_row, \
                          SCALAR *c, ptrdiff_t width) \
{ \
    enum { L = VECTOR_BYTES / sizeof(SCALAR), AHEAD = 12 }; \
    const ptrdiff_t whole = columns / L * L, rest = columns - whole; \
    const T##_mask read = T##_first(rest > 0 ? rest : L); \
    const T##_mask written = T##_first(width - whole < L && rest > 0 ? width - whole : L); \
    for (; rows > 0; rows--, b += b_row, c += width) { \
        for (ptrdiff_t j = 0; j < whole; j += L) { \
            __builtin_prefetch(b + AHEAD * b_row + j); \
            *(T##_unaligned *)(c + j) = *(const T##_unaligned *)(b + j); \
        } \
        if (rest > 0) T##_store_some(c + whole, written, T##_load_some(b + whole, read)); \
    } \
}
COPY_ROWS(f32, float)
COPY_ROWS(f64, double)

/* The halves of two vectors interleaved: a0 b0 a1 b1 …, up to the middle or from it. */
#if defined(__clang__) || __GNUC__ >= 12
#define HAVE_SHUFFLE 1
#define LOW_2(a, b) __builtin_shufflevector(a, b, 0, 2)
#define HIGH_2(a, b) __builtin_shufflevector(a, b, 1, 3)
#define LOW_4(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH_4(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define LOW_8(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH_8(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW_16(a, b) \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH_16(a, b) \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#else
#define HAVE_SHUFFLE 0
#endif

/* Row i of n vectors is interleaved with row i + n / 2, several times: log2(L) times transpose an
 * L x L block. L rows of two or four columns without gaps become two or four rows of L after
 * log2(L) times, and the other way round after log2(n). */
#define LOG_2 1
#define LOG_4 2
#define LOG_8 3
#define LOG_16 4
#if HAVE_SHUFFLE
#define INTERLEAVE_ROWS(L, a, b, to) { (to)[0] = LOW_##L(a, b); (to)[1] = HIGH_##L(a, b); }
#else
#define INTERLEAVE_ROWS(L, a, b, to) \
    for (int l = 0; l < 2 * L; l++) (to)[l / L][l % L] = l % 2 ? (b)[l / 2] : (a)[l / 2];
#endif
#define INTERLEAVE(T, SCALAR, L) \
static inline __attribute__((always_inline)) void T##_interleave(T##_vector *v, int n, int times) \
{ \
    T##_vector w[L < 4 ? 4 : L]; \
    _Pragma("GCC unroll 4") \
    for (; times > 0; times--) { \
        _Pragma("GCC unroll 8") \
        for (int i = 0; i < n / 2; i++) INTERLEAVE_ROWS(L, v[i], v[i + n / 2], w + 2 * i) \
        _Pragma("GCC unroll 16") \
        for (int i = 0; i < n; i++) v[i] = w[i]; \
    } \
}

/* c (rows, N) without gaps = the transpose of b (N, rows), rows of which are `stride` apart; and
 * the other way round, where rows of c end with zeros up to a whole vector or to the stride. */
#define NARROW(T, SCALAR, L, N) \
static void T##_to_##N##_columns(ptrdiff_t rows, const SCALAR *b, ptrdiff_t stride, SCALAR *c) \
{ \
    T##_vector v[N]; \
    for (ptrdiff_t left = rows; left > 0; left -= L, b += L, c += L * N) { \
        const T##_mask read = T##_first(left < L ? left : L); \
        _Pragma("GCC unroll 4") \
        for (int j = 0; j < N; j++) v[j] = T##_load_some(b + j * stride, read); \
        T##_interleave(v, N, LOG_##N); \
        _Pragma("GCC unroll 4") \
        for (int j = 0; j < N; j++) { \
            const ptrdiff_t lanes = left * N - j * L; \
            if (lanes > 0) T##_store_some(c + j * L, T##_first(lanes < L ? lanes : L), v[j]); \
        } \
    } \
} \
static void T##_from_##N##_columns(ptrdiff_t rows, const SCALAR *b, SCALAR *c, ptrdiff_t stride) \
{ \
    T##_vector v[N]; \
    for (ptrdiff_t i = 0; i < rows; i += L, b += L * N, c += L) { \
        const T##_mask written = T##_first(stride - i < L ? stride - i : L); \
        _Pragma("GCC unroll 4") \
        for (int j = 0; j < N; j++) { \
            const ptrdiff_t lanes = (rows - i) * N - j * L; \
            v[j] = (T##_vector){0}; \
            if (lanes > 0) v[j] = T##_load_some(b + j * L, T##_first(lanes < L ? lanes : L)); \
        } \
        T##_interleave(v, N, LOG_##L); \
        _Pragma("GCC unroll 4") \
        for (int j = 0; j < N; j++) T##_store_some(c + j * stride, written, v[j]); \
    } \
}

/* A block of up to L x L transposed in registers: `rows` of b, b_stride apart, of `columns` each,
 * become columns of c. Of every row of c the first `lanes` are written, zeros after the block's
 * own. */
#define TRANSPOSE(T, SCALAR, L) \
static ONE_COPY void T##_transpose(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t lanes, \
                          const SCALAR *b, ptrdiff_t b_stride, SCALAR *c, ptrdiff_t c_stride) \
{ \
    T##_vector v[L]; \
    if (rows == L && columns == L && lanes >= L) { \
        _Pragma("GCC unroll 16") \
        for (int i = 0; i < L; i++) v[i] = *(const T##_unaligned *)(b + i * b_stride); \
        T##_interleave(v, L, LOG_##L); \
        _Pragma("GCC unroll 16") \
        for (int i = 0; i < L; i++) *(T##_unaligned *)(c + i * c_stride) = v[i]; \
    } else { \
        const T##_mask read = T##_first(columns); \
        const T##_mask written = T##_first(lanes < L ? lanes : L); \
        _Pragma("GCC unroll 16") \
        for (int i = 0; i < L; i++) \
            v[i] = i < rows ? T##_load_some(b + i * b_stride, read) : (T##_vector){0}; \
        T##_interleave(v, L, LOG_##L); \
        _Pragma("GCC unroll 16") \
        for (int i = 0; i < L; i++) \
            if (i < columns) T##_store_some(c + i * c_stride, written, v[i]); \
    } \
}

#define TRANSPOSES(T, SCALAR, L) \
INTERLEAVE(T, SCALAR, L) \
NARROW(T, SCALAR, L, 2) \
NARROW(T, SCALAR, L, 4) \
TRANSPOSE(T, SCALAR, L)

#if VECTOR_BYTES == 64
TRANSPOSES(f32, float, 16)
TRANSPOSES(f64, double, 8)
#elif VECTOR_BYTES == 32
TRANSPOSES(f32, float, 8)
TRANSPOSES(f64, double, 4)
#else
TRANSPOSES(f32, float, 4)
TRANSPOSES(f64, double, 2)
#endif

#endif
