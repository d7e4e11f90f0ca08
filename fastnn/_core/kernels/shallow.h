/* The product of K steps: C (m, n) = start (n,) + A (m, K) B (K, n), rows of C without gaps.
 *
 * K vectors of B stay in registers while all rows pass, for one vector of columns at a time. The
 * last of these overlaps the one before it. Where a row is less than a vector, the vector reaches
 * into the rows below, which are written later; of the last rows only their own part is written.
 */
#ifndef FASTNN_SHALLOW_H
#define FASTNN_SHALLOW_H

#include "tile.h"

#define TAKE_STEP_f32(p) const vector b##p = f32_load_some(b + p * b_row + j, part);
#define TAKE_STEP_f64(p) const vector b##p = f64_load_some(b + p * b_row + j, part);
#define ADD_STEP(p) sum += (from[p * a_col] - (vector){0}) * b##p;
#define SHALLOW_ROW(T, K, READ, WRITE) \
    vector sum = first; \
    ROWS_##K(ADD_STEP) \
    if (relu) sum = ZERO_UNLESS(sum, sum); \
    if (gate != NULL) { const vector open = READ(T, gate + e); sum = ZERO_UNLESS(open, sum); } \
    WRITE(T, c + e, sum)
#define READ_WHOLE(T, p) LOAD(p)
#define READ_PART(T, p) T##_load_some(p, part)
#define WRITE_WHOLE(T, p, v) *(unaligned *)(p) = v;
#define WRITE_PART(T, p, v) T##_store_some(p, part, v);

#define SHALLOW_ARGUMENTS(SCALAR) \
    ptrdiff_t m, ptrdiff_t n, const SCALAR *a, ptrdiff_t a_row, ptrdiff_t a_col, \
    const SCALAR *b, ptrdiff_t b_row, const SCALAR *start, SCALAR *c, \
    int relu, const SCALAR *gate

#define SHALLOW(T, SCALAR, K) \
static void T##_shallow_##K(SHALLOW_ARGUMENTS(SCALAR)) \
{ \
    typedef SCALAR scalar; \
    typedef T##_vector vector; \
    typedef T##_unaligned unaligned; \
    typedef T##_bits bits; \
    const ptrdiff_t lanes = n < LANES ? n : LANES; \
    const T##_mask part = T##_first(lanes); \
    ptrdiff_t j = 0; \
    for (;;) { \
        ROWS_##K(TAKE_STEP_##T) \
        const vector first = start == NULL ? (vector){0} : T##_load_some(start + j, part); \
        const SCALAR *from = a; \
        ptrdiff_t e = j; \
        for (; e <= m * n - LANES; e += n, from += a_row) { \
            SHALLOW_ROW(T, K, READ_WHOLE, WRITE_WHOLE) \
        } \
        for (; e < m * n; e += n, from += a_row) { SHALLOW_ROW(T, K, READ_PART, WRITE_PART) } \
        if (j == n - lanes) return; \
        j = j + LANES < n - lanes ? j + LANES : n - lanes; \
    } \
}

typedef void (*f32_shallow)(SHALLOW_ARGUMENTS(float));
typedef void (*f64_shallow)(SHALLOW_ARGUMENTS(double));
#define SHALLOWS(T, SCALAR) \
    SHALLOW(T, SCALAR, 1) SHALLOW(T, SCALAR, 2) SHALLOW(T, SCALAR, 3) SHALLOW(T, SCALAR, 4) \
    SHALLOW(T, SCALAR, 8)
SHALLOWS(f32, float)
SHALLOWS(f64, double)
/* one for each K, NULL where there is none */
static const f32_shallow f32_shallows[9] = {
    NULL, f32_shallow_1, f32_shallow_2, f32_shallow_3, f32_shallow_4, NULL, NULL, NULL,
    f32_shallow_8};
static const f64_shallow f64_shallows[9] = {
    NULL, f64_shallow_1, f64_shallow_2, f64_shallow_3, f64_shallow_4, NULL, NULL, NULL,
    f64_shallow_8};

#endif
