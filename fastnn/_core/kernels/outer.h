/* Outer products c ⊗ a of short vectors, many of them: for each sample, r rows c and one a.
 *
 * The result of one c is a row of `rows` times `n` elements without gaps, element i * n + j being
 * c[i] a[j]. Where n is less than a vector, a vector holds several i: its factors are permuted out
 * of c and a by index vectors that repeat after n vectors at most. They are the same for all
 * samples, and the permuted a is the same for a sample's r rows.
 */
#ifndef FASTNN_OUTER_H
#define FASTNN_OUTER_H

#include "vector.h"

#if defined(__AVX512F__)
#define f32_permute(v, index) ((f32_vector)_mm512_permutexvar_ps((__m512i)(index), (__m512)(v)))
#define f64_permute(v, index) ((f64_vector)_mm512_permutexvar_pd((__m512i)(index), (__m512d)(v)))
#define f32_NARROW 16
#define f64_NARROW 8
#elif defined(__AVX2__)
#define f32_permute(v, index) ((f32_vector)_mm256_permutevar8x32_ps((__m256)(v), (__m256i)(index)))
#define f64_permute(v, index) (v)
#define f32_NARROW 8
#define f64_NARROW 0 /* no permutation of four doubles by a vector of indices */
#else
#define f32_permute(v, index) (v)
#define f64_permute(v, index) (v)
#define f32_NARROW 0
#define f64_NARROW 0
#endif

#define OUTER_ARGUMENTS(SCALAR) \
    ptrdiff_t samples, ptrdiff_t r, ptrdiff_t rows, ptrdiff_t n, \
    const SCALAR *c, ptrdiff_t c_sample, ptrdiff_t c_row, const SCALAR *a, ptrdiff_t a_sample, \
    SCALAR *out, ptrdiff_t out_sample, ptrdiff_t out_row

#define OUTER(T, SCALAR) \
static void T##_outer_narrow(OUTER_ARGUMENTS(SCALAR)) \
{ \
    enum { L = VECTOR_BYTES / sizeof(SCALAR) }; \
    T##_bits of_c[L], of_a[L]; \
    T##_vector repeated[L]; \
    ptrdiff_t first[L]; \
    const ptrdiff_t size = rows * n; \
    const ptrdiff_t period = size < n * L ? (size + L - 1) / L : n; \
    for (ptrdiff_t t = 0, i = 0, j = 0; t < period; t++) { \
        first[t] = i; \
        for (ptrdiff_t lane = 0; lane < L; lane++) { \
            of_c[t][lane] = i - first[t]; \
            of_a[t][lane] = j; \
            if (++j == n) { j = 0; i++; } \
        } \
    } \
    for (ptrdiff_t s = 0; s < samples; s++) { \
        const T##_vector short_a = T##_load_some(a + s * a_sample, T##_first(n)); \
        for (ptrdiff_t t = 0; t < period; t++) repeated[t] = T##_permute(short_a, of_a[t]); \
        for (ptrdiff_t k = 0; k < r; k++) { \
            const SCALAR *from = c + s * c_sample + k * c_row; \
            SCALAR *to = out + s * out_sample + k * out_row; \
            ptrdiff_t e = 0, t = 0, row = 0; \
            for (; e < size; e += L) { \
                const ptrdiff_t left = rows - row - first[t]; \
                const T##_vector factors = T##_load_some( \
                    from + row + first[t], T##_first(left < L ? left : L)); \
                const T##_vector v = repeated[t] * T##_permute(factors, of_c[t]); \
                if (size - e >= L) *(T##_unaligned *)(to + e) = v; \
                else T##_store_some(to + e, T##_first(size - e), v); \
                if (++t == n) { t = 0; row += L; } \
            } \
        } \
    } \
} \
static void T##_outer(OUTER_ARGUMENTS(SCALAR)) \
{ \
    enum { L = VECTOR_BYTES / sizeof(SCALAR) }; \
    const ptrdiff_t last = (n - 1) / L * L; \
    const T##_mask mask = T##_first(n - last); \
    if (n < T##_NARROW) { \
        T##_outer_narrow(samples, r, rows, n, c, c_sample, c_row, a, a_sample, out, out_sample, \
                         out_row); \
        return; \
    } \
    for (ptrdiff_t s = 0; s < samples; s++, a += a_sample) { \
        const T##_vector tail = T##_load_some(a + last, mask); \
        for (ptrdiff_t k = 0; k < r; k++) { \
            const SCALAR *from = c + s * c_sample + k * c_row; \
            SCALAR *to = out + s * out_sample + k * out_row; \
            for (ptrdiff_t i = 0; i < rows; i++, to += n) { \
                for (ptrdiff_t j = 0; j < last; j += L) \
                    *(T##_unaligned *)(to + j) = *(const T##_unaligned *)(a + j) * from[i]; \
                T##_store_some(to + last, mask, tail * from[i]); \
            } \
        } \
    } \
} \
/* sums[s] (n,) = the sum over k of column[s, k] block[s, k] (n,) */ \
static void T##_weighted_sums(ptrdiff_t samples, ptrdiff_t r, ptrdiff_t n, \
                              const SCALAR *column, ptrdiff_t column_sample, ptrdiff_t column_row, \
                              const SCALAR *block, ptrdiff_t block_sample, ptrdiff_t block_row, \
                              SCALAR *sums, ptrdiff_t sums_sample) \
{ \
    enum { L = VECTOR_BYTES / sizeof(SCALAR) }; \
    for (ptrdiff_t s = 0; s < samples; s++) { \
        ptrdiff_t j = 0; \
        for (; j + 4 * L <= n; j += 4 * L) { \
            T##_vector sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0}; \
            for (ptrdiff_t k = 0; k < r; k++) { \
                const SCALAR c = column[s * column_sample + k * column_row]; \
                const T##_unaligned *b = (const T##_unaligned *) \
                    (block + s * block_sample + k * block_row + j); \
                sum0 += c * b[0]; \
                sum1 += c * b[1]; \
                sum2 += c * b[2]; \
                sum3 += c * b[3]; \
            } \
            T##_unaligned *to = (T##_unaligned *)(sums + s * sums_sample + j); \
            to[0] = sum0, to[1] = sum1, to[2] = sum2, to[3] = sum3; \
        } \
        for (; j < n; j += L) { \
            const T##_mask mask = T##_first(n - j < L ? n - j : L); \
            T##_vector sum = {0}; \
            for (ptrdiff_t k = 0; k < r; k++) \
                sum += column[s * column_sample + k * column_row] \
                       * T##_load_some(block + s * block_sample + k * block_row + j, mask); \
            T##_store_some(sums + s * sums_sample + j, mask, sum); \
        } \
    } \
}

OUTER(f32, float)
OUTER(f64, double)

#endif
