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

typedef void (*OF_DTYPE(add_rows))(
    ptrdiff_t n, const scalar *a, ptrdiff_t a_col, const scalar *b, ptrdiff_t b_row,
    const scalar *start, scalar *c);
