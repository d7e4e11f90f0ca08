/* The product of K steps: C (m, n) = start (n,) + A (m, K) B (K, n), with contiguous C.
 *
 * For one vector of columns at a time, K vectors of B stay in registers while all rows are
 * computed. The last vector of columns overlaps the one before. If a row is less than a vector, a
 * store overwrites the start of the next rows, which are written later; for the last rows a partial
 * store is used.
 */

#define TAKE_STEP(p) const vector b##p = load_some(b + p * b_row + j, part);
#define ADD_STEP(p) \
    { scalar a_p = from[p * a_col]; KEEP_FACTOR(a_p); sum += (a_p - (vector){0}) * b##p; }

#define HEIGHT 1
#include "shallow_shape.h"
#undef HEIGHT
#define HEIGHT 2
#include "shallow_shape.h"
#undef HEIGHT
#define HEIGHT 3
#include "shallow_shape.h"
#undef HEIGHT
#define HEIGHT 4
#include "shallow_shape.h"
#undef HEIGHT
#define HEIGHT 8
#include "shallow_shape.h"
#undef HEIGHT

typedef void (*OF_DTYPE(shallow))(
    ptrdiff_t m, ptrdiff_t n, const scalar *a, ptrdiff_t a_row, ptrdiff_t a_col,
    const scalar *b, ptrdiff_t b_row, const scalar *start, scalar *c, int relu, const scalar *gate);

/* shallows[K]; NULL for other K */
static const OF_DTYPE(shallow) OF_DTYPE(shallows)[9] = {
    NULL, OF_DTYPE(shallow_1), OF_DTYPE(shallow_2), OF_DTYPE(shallow_3), OF_DTYPE(shallow_4),
    NULL, NULL, NULL, OF_DTYPE(shallow_8)};
