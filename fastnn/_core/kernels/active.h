/* Products over some steps of k: C[0:R, 0:W] = start + Σ over p in `index` of A[0:R, p] B[p, 0:W].
 *
 * ReLU's derivative leaves about half of a sample's units active, and the others' products would be
 * with zero. Which ones differs from sample to sample, so each sample is a product of its own, of
 * as few rows as it has. The tiles are those of tile.h, whose macros these are, with A and B read
 * in place at the steps that the index names.
 */
#ifndef FASTNN_ACTIVE_H
#define FASTNN_ACTIVE_H

#include "tile.h"


/* without HAVE_MASKS the last vector is read element by element: B is not packed, and may end */
#define ACTIVE_B_2(T) \
    vector b0 = LOAD(b); KEEP_VECTOR(b0); \
    vector b1 = T##_load_some(b + LANES, mask); KEEP_VECTOR(b1);
#define ACTIVE_B_4(T) \
    vector b0 = LOAD(b); KEEP_VECTOR(b0); \
    vector b1 = LOAD(b + LANES); KEEP_VECTOR(b1); \
    vector b2 = LOAD(b + 2 * LANES); KEEP_VECTOR(b2); \
    vector b3 = T##_load_some(b + 3 * LANES, mask); KEEP_VECTOR(b3);
#define AT_POINTER(i) const scalar *p##i = a + i * s; __asm__("" : "+r"(p##i));

/* One vector a row gives few sums, each a chain of additions that wait for one another: so the next
 * step of the index, whose A stands `d` further, goes to sums of its own. */
#define NEXT_0 p0[d]
#define NEXT_1 p0[d + s]
#define NEXT_2 p0[d + 2 * s]
#define NEXT_3 p3[d]
#define NEXT_4 p3[d + s]
#define NEXT_5 p3[d + 2 * s]
#define NEXT_6 p6[d]
#define NEXT_7 p6[d + s]
#define NEXT_8 p6[d + 2 * s]
#define NEXT_9 p9[d]
#define NEXT_10 p9[d + s]
#define NEXT_11 p9[d + 2 * s]
#define NEXT_12 p12[d]
#define NEXT_13 p12[d + s]
#define ZERO_NEXT(i) vector d##i = {0};
#define MULTIPLY_NEXT(i) d##i += (NEXT_##i - (vector){0}) * b1;
#define ADD_NEXT(i) c##i += d##i;

#define ACTIVE_ARGUMENTS(SCALAR) \
    ptrdiff_t count, const int32_t *index, const SCALAR *a_0, ptrdiff_t s, ptrdiff_t a_col, \
    const SCALAR *b_0, ptrdiff_t b_row, ptrdiff_t last, \
    const SCALAR *start, ptrdiff_t start_row, SCALAR *c, ptrdiff_t c_row

#define ACTIVE(T, SCALAR, R, W) \
static void T##_active_##R##x##W(ACTIVE_ARGUMENTS(SCALAR)) \
{ \
    typedef SCALAR scalar; \
    typedef T##_vector vector; \
    typedef T##_unaligned unaligned __attribute__((unused)); \
    const T##_mask mask = T##_first(last); \
    ROWS_##R(START_##W##_##T) \
    for (ptrdiff_t t = 0; t < count; t++) { \
        const scalar *b = b_0 + index[t] * b_row; \
        const scalar *a = a_0 + index[t] * a_col; \
        ACTIVE_B_##W(T) \
        POINTERS_##R(AT_POINTER) \
        ROWS_##R(MULTIPLY_##W) \
    } \
    ROWS_##R(STORE_##W##_##T) \
}

#define ACTIVE_VECTOR(T, SCALAR, R, W) \
static void T##_active_##R##x1(ACTIVE_ARGUMENTS(SCALAR)) \
{ \
    typedef SCALAR scalar; \
    typedef T##_vector vector; \
    typedef T##_unaligned unaligned __attribute__((unused)); \
    const T##_mask mask = T##_first(last); \
    ptrdiff_t t = 0; \
    ROWS_##R(START_1_##T) \
    ROWS_##R(ZERO_NEXT) \
    for (; t + 1 < count; t += 2) { \
        const scalar *a = a_0 + index[t] * a_col; \
        const ptrdiff_t d = (index[t + 1] - index[t]) * a_col; \
        vector b0 = T##_load_some(b_0 + index[t] * b_row, mask); KEEP_VECTOR(b0); \
        vector b1 = T##_load_some(b_0 + index[t + 1] * b_row, mask); KEEP_VECTOR(b1); \
        POINTERS_##R(AT_POINTER) \
        ROWS_##R(MULTIPLY_1) \
        ROWS_##R(MULTIPLY_NEXT) \
    } \
    if (t < count) { \
        const scalar *a = a_0 + index[t] * a_col; \
        vector b0 = T##_load_some(b_0 + index[t] * b_row, mask); KEEP_VECTOR(b0); \
        POINTERS_##R(AT_POINTER) \
        ROWS_##R(MULTIPLY_1) \
    } \
    ROWS_##R(ADD_NEXT) \
    ROWS_##R(STORE_1_##T) \
}

typedef void (*f32_active)(ACTIVE_ARGUMENTS(float));
typedef void (*f64_active)(ACTIVE_ARGUMENTS(double));

#define ACTIVE_ENTRY(T, S, R, W) T##_active_##R##x##W,
#define ACTIVES(T, SCALAR) \
    FOR_HEIGHTS(ACTIVE_VECTOR, T, SCALAR, 1) \
    FOR_HEIGHTS(ACTIVE, T, SCALAR, 2) \
    FOR_LOW_HEIGHTS(ACTIVE, T, SCALAR, 4) \
    static const T##_active T##_actives[3][TILE_ROWS] = { \
        {FOR_HEIGHTS(ACTIVE_ENTRY, T, SCALAR, 1)}, {FOR_HEIGHTS(ACTIVE_ENTRY, T, SCALAR, 2)}, \
        {FOR_LOW_HEIGHTS(ACTIVE_ENTRY, T, SCALAR, 4)}};

ACTIVES(f32, float)
ACTIVES(f64, double)

/* The places of the elements that are not <= 0, as ReLU's derivative has it; returns how many. */
#if defined(__AVX512VL__)
static inline ptrdiff_t f32_positive(ptrdiff_t n, const float *y, int32_t *index)
{
    __m512i places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    ptrdiff_t count = 0;
    for (ptrdiff_t j = 0; j < n; j += 16) {
        const f32_mask some = f32_first(n - j < 16 ? n - j : 16);
        const f32_mask positive = _mm512_mask_cmp_ps_mask(
            some, _mm512_maskz_loadu_ps(some, y + j), _mm512_setzero_ps(), _CMP_NLE_UQ);
        _mm512_mask_compressstoreu_epi32(index + count, positive, places);
        count += __builtin_popcount(positive);
        places = _mm512_add_epi32(places, _mm512_set1_epi32(16));
    }
    return count;
}
static inline ptrdiff_t f64_positive(ptrdiff_t n, const double *y, int32_t *index)
{
    __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    ptrdiff_t count = 0;
    for (ptrdiff_t j = 0; j < n; j += 8) {
        const f64_mask some = f64_first(n - j < 8 ? n - j : 8);
        const f64_mask positive = _mm512_mask_cmp_pd_mask(
            some, _mm512_maskz_loadu_pd(some, y + j), _mm512_setzero_pd(), _CMP_NLE_UQ);
        _mm256_mask_compressstoreu_epi32(index + count, positive, places);
        count += __builtin_popcount(positive);
        places = _mm256_add_epi32(places, _mm256_set1_epi32(8));
    }
    return count;
}
#else
#define POSITIVE(T, SCALAR) \
static inline ptrdiff_t T##_positive(ptrdiff_t n, const SCALAR *y, int32_t *index) \
{ \
    ptrdiff_t count = 0; \
    for (ptrdiff_t j = 0; j < n; j++) { \
        index[count] = (int32_t)j; \
        count += !(y[j] <= 0); \
    } \
    return count; \
}
POSITIVE(f32, float)
POSITIVE(f64, double)
#endif

#endif
