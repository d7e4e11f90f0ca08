/* The product of one row with a matrix: c (n,) = start (n,) + the sum over p of a[p] B[p, 0:n].
 *
 * HEIGHT rows of B are added in one pass. The CPU prefetches them as separate streams; c stays in a
 * cache and is read and written once per pass. The sum over p runs in order.
 */

#define TAKE_FACTOR(i) const vector x##i = a[i * a_col] - (vector){0};
#define ADD_ROW(i) sum += x##i * LOAD(b + i * b_row);
#define ADD_PART_OF_ROW(i) sum += x##i * load_some(b + i * b_row, mask);

#define HEIGHT 8
#include "row_shape.h"
#undef HEIGHT
#define HEIGHT 2
#include "row_shape.h"
#undef HEIGHT
#define HEIGHT 1
#include "row_shape.h"
#undef HEIGHT

/* The same for n <= LANES; `start` is NULL for zero. There are four sums, each of every fourth row. In
 * a single sum, each addition would wait for the one before. The lanes after the n-th hold what
 * follows in B, as far as B goes, and are not stored. */
static void OF_DTYPE(narrow_row)(
    ptrdiff_t n, ptrdiff_t k, const scalar *a, ptrdiff_t a_col, const scalar *b, ptrdiff_t b_row,
    const scalar *start, scalar *c, int relu, const scalar *gate)
{
    const lane_mask mask = first_lanes(n);
    const ptrdiff_t whole = k - (LANES - n + b_row - 1) / b_row; /* rows with LANES elements left */
    vector sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};
    ptrdiff_t p = 0;
    for (; p + 4 <= whole; p += 4, a += 4 * a_col, b += 4 * b_row) {
        sum0 += (a[0] - (vector){0}) * LOAD(b);
        sum1 += (a[a_col] - (vector){0}) * LOAD(b + b_row);
        sum2 += (a[2 * a_col] - (vector){0}) * LOAD(b + 2 * b_row);
        sum3 += (a[3 * a_col] - (vector){0}) * LOAD(b + 3 * b_row);
    }
    for (; p < k; p++, a += a_col, b += b_row)
        sum0 += (a[0] - (vector){0}) * load_some(b, mask);
    vector sum = (sum0 + sum1) + (sum2 + sum3);
    if (start != NULL) sum += load_some(start, mask);
    if (relu) sum = ZERO_UNLESS(sum, sum);
    if (gate != NULL) sum = ZERO_UNLESS(load_some(gate, mask), sum);
    store_some(c, mask, sum);
}

typedef void (*OF_DTYPE(add_rows))(
    ptrdiff_t n, const scalar *a, ptrdiff_t a_col, const scalar *b, ptrdiff_t b_row,
    const scalar *start, scalar *c);
