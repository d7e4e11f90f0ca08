/* The product of one row with a matrix: c (n,) = start (n,) + the sum over p of a[p] B[p, 0:n].
 *
 * K rows of B at a time are added from one end to the other, which a CPU fetches ahead as so many
 * streams, while c, which stays in a cache, is read and written once. The sum over p runs in order.
 */
#ifndef FASTNN_ROW_H
#define FASTNN_ROW_H

#include "tile.h"

#define TAKE_FACTOR(i) const vector x##i = a[i * a_col] - (vector){0};
#define ADD_ROW(i) sum += x##i * LOAD(b + i * b_row);
#define ADD_SOME_f32(i) sum += x##i * f32_load_some(b + i * b_row, mask);
#define ADD_SOME_f64(i) sum += x##i * f64_load_some(b + i * b_row, mask);

#define ADD_ROWS_ARGUMENTS(SCALAR) \
    ptrdiff_t n, const SCALAR *a, ptrdiff_t a_col, const SCALAR *b, ptrdiff_t b_row, \
    const SCALAR *start, SCALAR *c

#define ADD_ROWS(T, SCALAR, K) \
static void T##_add_##K##_rows(ADD_ROWS_ARGUMENTS(SCALAR)) \
{ \
    typedef SCALAR scalar; \
    typedef T##_vector vector; \
    typedef T##_unaligned unaligned; \
    ROWS_##K(TAKE_FACTOR) \
    for (; n >= LANES; n -= LANES, b += LANES, start += LANES, c += LANES) { \
        vector sum = LOAD(start); \
        ROWS_##K(ADD_ROW) \
        *(unaligned *)c = sum; \
    } \
    if (n > 0) { \
        const T##_mask mask = T##_first(n); \
        vector sum = T##_load_some(start, mask); \
        ROWS_##K(ADD_SOME_##T) \
        T##_store_some(c, mask, sum); \
    } \
}

typedef void (*f32_add_rows)(ADD_ROWS_ARGUMENTS(float));
typedef void (*f64_add_rows)(ADD_ROWS_ARGUMENTS(double));
ADD_ROWS(f32, float, 8)
ADD_ROWS(f32, float, 2)
ADD_ROWS(f32, float, 1)
ADD_ROWS(f64, double, 8)
ADD_ROWS(f64, double, 2)
ADD_ROWS(f64, double, 1)

#endif
