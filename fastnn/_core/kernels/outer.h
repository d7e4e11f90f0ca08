/* Outer products c ⊗ a of short vectors, many of them: for each sample, r rows c and one a.
 * Where there is an index, it names the samples.
 *
 * The result of one c is a row of `rows` times `n` elements without gaps, element i * n + j being
 * c[i] a[j]. Where n is less than a vector, a vector holds several i: its factors are permuted out
 * of c and a by index vectors that repeat after n vectors at most. They are the same for all
 * samples, and the permuted a is the same for a sample's r rows.
 */
#ifndef FASTNN_OUTER_H
#define FASTNN_OUTER_H

#include "vector.h"

/* Vectors of at least so many elements are rows of their own; 0 where nothing can permute a vector
 * by another. */
#if defined(__AVX512F__)
#define f32_permute(v, index) ((f32_vector)_mm512_permutexvar_ps((__m512i)(index), (__m512)(v)))
#define f64_permute(v, index) ((f64_vector)_mm512_permutexvar_pd((__m512i)(index), (__m512d)(v)))
#define f32_NARROW 16
#define f64_NARROW 8
#elif defined(__AVX2__)
#define f32_permute(v, index) ((f32_vector)_mm256_permutevar8x32_ps((__m256)(v), (__m256i)(index)))
#define f32_NARROW 8
#define f64_NARROW 0
#else
#define f32_NARROW 0
#define f64_NARROW 0
#endif

#define OUTER_ARGUMENTS(SCALAR) \
    ptrdiff_t samples, const int32_t *index, ptrdiff_t r, ptrdiff_t rows, ptrdiff_t n, \
    const SCALAR *c, ptrdiff_t c_sample, ptrdiff_t c_row, const SCALAR *a, ptrdiff_t a_sample, \
    SCALAR *out, ptrdiff_t out_sample, ptrdiff_t out_row

#define OUTER_NARROW(T, SCALAR) \
static void T##_outer_narrow(OUTER_ARGUMENTS(SCALAR)) \
{ \
    enum { L = VECTOR_BYTES / sizeof(SCALAR) }; \
    T##_bits of_c[L], of_a[L]; \
    T##_vector repeated[L] = {{0}}; \
    ptrdiff_t first[L] = {0}; \
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
    for (ptrdiff_t number = 0; number < samples; number++) { \
        const ptrdiff_t s = index == NULL ? number : index[number]; \
        const T##_vector short_a = T##_load_some(a + s * a_sample, T##_first(n)); \
        for (ptrdiff_t t = 0; t < period; t++) repeated[t] = T##_permute(short_a, of_a[t]); \
        for (ptrdiff_t k = 0; k < r; k++) { \
            const SCALAR *from = c + s * c_sample + k * c_row; \
            SCALAR *to = out + s * out_sample + k * out_row; \
            ptrdiff_t e = 0, t = 0, row = 0; \
            for (; row + first[t] + L <= rows; e += L) { \
                const T##_vector factors = *(const T##_unaligned *)(from + row + first[t]); \
                *(T##_unaligned *)(to + e) = repeated[t] * T##_permute(factors, of_c[t]); \
                if (++t == n) { t = 0; row += L; } \
            } \
            for (; e < size; e += L) { /* fewer than L are left of c, perhaps also of the row */ \
                const T##_vector factors = T##_load_some( \
                    from + row + first[t], T##_first(rows - row - first[t])); \
                const T##_vector v = repeated[t] * T##_permute(factors, of_c[t]); \
                if (size - e >= L) *(T##_unaligned *)(to + e) = v; \
                else T##_store_some(to + e, T##_first(size - e), v); \
                if (++t == n) { t = 0; row += L; } \
            } \
        } \
    } \
}
#if f32_NARROW
OUTER_NARROW(f32, float)
#else
#define f32_outer_narrow(...)
#endif
#if f64_NARROW
OUTER_NARROW(f64, double)
#else
#define f64_outer_narrow(...)
#endif

#define OUTER(T, SCALAR) \
static void T##_outer(OUTER_ARGUMENTS(SCALAR)) \
{ \
    enum { L = VECTOR_BYTES / sizeof(SCALAR) }; \
    const ptrdiff_t last = (n - 1) / L * L; \
    const T##_mask mask = T##_first(n - last); \
    if (n < T##_NARROW) { \
        T##_outer_narrow(samples, index, r, rows, n, c, c_sample, c_row, a, a_sample, \
                         out, out_sample, out_row); \
        return; \
    } \
    for (ptrdiff_t number = 0; number < samples; number++) { \
        const ptrdiff_t s = index == NULL ? number : index[number]; \
        const SCALAR *own = a + s * a_sample; \
        const T##_vector tail = T##_load_some(own + last, mask); \
        for (ptrdiff_t k = 0; k < r; k++) { \
            const SCALAR *from = c + s * c_sample + k * c_row; \
            SCALAR *to = out + s * out_sample + k * out_row; \
            for (ptrdiff_t i = 0; i < rows; i++, to += n) { \
                for (ptrdiff_t j = 0; j < last; j += L) \
                    *(T##_unaligned *)(to + j) = *(const T##_unaligned *)(own + j) * from[i]; \
                T##_store_some(to + last, mask, tail * from[i]); \
            } \
        } \
    } \
} \
/* sums[s] (n,) = the sum over k of column[s, k] block[s, k] (n,) */ \
static void T##_weighted_sums(ptrdiff_t samples, const int32_t *index, ptrdiff_t r, ptrdiff_t n, \
                              const SCALAR *column, ptrdiff_t column_sample, ptrdiff_t column_row, \
                              const SCALAR *block, ptrdiff_t block_sample, \
                              SCALAR *sums) \
{ \
    enum { L = VECTOR_BYTES / sizeof(SCALAR) }; \
    for (ptrdiff_t number = 0; number < samples; number++) { \
        const ptrdiff_t s = index[number]; \
        const SCALAR *c = column + s * column_sample; \
        const SCALAR *rows = block + s * block_sample; \
        SCALAR *sum_of = sums + s * n; \
        ptrdiff_t j = 0; \
        for (; j + 4 * L <= n; j += 4 * L) { \
            T##_vector sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0}; \
            for (ptrdiff_t k = 0; k < r; k++) { \
                const T##_unaligned *b = (const T##_unaligned *)(rows + k * n + j); \
                sum0 += c[k * column_row] * b[0]; \
                sum1 += c[k * column_row] * b[1]; \
                sum2 += c[k * column_row] * b[2]; \
                sum3 += c[k * column_row] * b[3]; \
            } \
            T##_unaligned *to = (T##_unaligned *)(sum_of + j); \
            to[0] = sum0, to[1] = sum1, to[2] = sum2, to[3] = sum3; \
        } \
        for (; j < n; j += L) { \
            const T##_mask mask = T##_first(n - j < L ? n - j : L); \
            T##_vector sum = {0}; \
            for (ptrdiff_t k = 0; k < r; k++) \
                sum += c[k * column_row] * T##_load_some(rows + k * n + j, mask); \
            T##_store_some(sum_of + j, mask, sum); \
        } \
    } \
}

OUTER(f32, float)
OUTER(f64, double)

#endif
