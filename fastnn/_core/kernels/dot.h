/* Blocks of dot products: C[0:R, 0:J] = A[0:R, 0:k] B[0:k, 0:J] + start[0:R, 0:J], where rows of A
 * and columns of B are contiguous.
 *
 * The vectors run along k. So a transposed B needs no packing, which would not pay for few rows,
 * and all lanes are used even if C has few columns. The price is the sum over the lanes at the end.
 * The order of an element's sum does not depend on the height and width of its block.
 */

/* F for each of the WIDTH columns. Column j has the pointer q and the vector b; row i has the sums
 * c, d, e, f, g, h, u and v, one for each column. */
#define COLUMNS(F) JOIN(COLUMNS_, WIDTH)(F)
#define COLUMNS_1(F) F(0)
#define COLUMNS_2(F) F(0) F(1)
#define COLUMNS_3(F) F(0) F(1) F(2)
#define COLUMNS_4(F) F(0) F(1) F(2) F(3)
#define COLUMNS_8(F) COLUMNS_4(F) F(4) F(5) F(6) F(7)
#define DECLARE_COLUMN(j) const scalar *q##j = b + j * b_col;
#define STEP_COLUMN(j) q##j += LANES; __asm__("" : "+r"(q##j));
#define STEP_ALONG_ROW(i) p##i += LANES; __asm__("" : "+r"(p##i));
#define FETCH_COLUMN(j) __builtin_prefetch(q##j + ahead);
#define LOAD_COLUMN(j) vector b##j = LOAD(q##j); if (WIDTH < 8) { KEEP_VECTOR(b##j); }
#define LOAD_REST_OF_COLUMN(j) const vector b##j = load_some(q##j, mask);
#define ZERO JOIN(ZERO_, WIDTH)
#define ZERO_1(i) vector c##i = {0};
#define ZERO_2(i) ZERO_1(i) vector d##i = {0};
#define ZERO_3(i) ZERO_2(i) vector e##i = {0};
#define ZERO_4(i) ZERO_3(i) vector f##i = {0};
#define ZERO_8(i) ZERO_4(i) vector g##i = {0}, h##i = {0}, u##i = {0}, v##i = {0};
#define PRODUCTS_8(i) PRODUCTS_4(i) g##i += x * b4; h##i += x * b5; u##i += x * b6; v##i += x * b7;
#define ADD_PRODUCTS(i) { const vector x = LOAD(&A_##i); JOIN(PRODUCTS_, WIDTH)(i) }
#define ADD_REST(i) { const vector x = load_some(&A_##i, mask); JOIN(PRODUCTS_, WIDTH)(i) }
#define LIST JOIN(LIST_, WIDTH)
#define LIST_1(i) c##i,
#define LIST_2(i) LIST_1(i) d##i,
#define LIST_3(i) LIST_2(i) e##i,
#define LIST_4(i) LIST_3(i) f##i,
#define LIST_8(i) LIST_4(i) g##i, h##i, u##i, v##i,

/* Four elements of C. A wider vector would have to wait until several of these are in the cache. */
typedef scalar OF_DTYPE(four)
    __attribute__((vector_size(4 * sizeof(scalar)), aligned(sizeof(scalar)), may_alias));
#define FOUR(p) (*(const OF_DTYPE(four) *)(p))

/* The sums over the lanes of four vectors. Interleaved halves are added until each lane holds a
 * part of one sum; then halves are folded until four lanes are left. */
static inline void OF_DTYPE(sums)(vector v0, vector v1, vector v2, vector v3, scalar *sums)
{
#if LANES == 2
    scalar s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int i = 0; i < LANES; i++) { s0 += v0[i]; s1 += v1[i]; s2 += v2[i]; s3 += v3[i]; }
    sums[0] = s0; sums[1] = s1; sums[2] = s2; sums[3] = s3;
#else
    vector v02 = JOIN(LOW_, LANES)(v0, v2) + JOIN(HIGH_, LANES)(v0, v2);
    vector v13 = JOIN(LOW_, LANES)(v1, v3) + JOIN(HIGH_, LANES)(v1, v3);
    vector v = JOIN(LOW_, LANES)(v02, v13) + JOIN(HIGH_, LANES)(v02, v13);
#if LANES == 16
    v += SHUFFLE(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    v += SHUFFLE(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
#elif LANES == 8
    v += SHUFFLE(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
#endif
    *(OF_DTYPE(four) *)sums = FOUR(&v);
#endif
}

#define SHAPE_FILE "dot_shape.h"
#define HEIGHTS WIDE_TILE_ROWS
#define WIDTH 1
#include "heights.h"
#define WIDTH 2
#include "heights.h"
#define WIDTH 3
#include "heights.h"
#define WIDTH 4
#include "heights.h"
#undef HEIGHTS
#undef SHAPE_FILE

/* One row with fewer columns would have too few independent sums. */
#define HEIGHT 1
#define WIDTH 8
#include "dot_shape.h"
#undef HEIGHT
#undef WIDTH

typedef void (*OF_DTYPE(dot))(
    ptrdiff_t k, const scalar *a, ptrdiff_t s, const scalar *b, ptrdiff_t b_col, ptrdiff_t ahead,
    const scalar *start, ptrdiff_t start_row, scalar *c, ptrdiff_t c_row, int relu,
    const scalar *gate);

/* dots[columns - 1][rows - 1]; dots[4] is for eight columns */
static const OF_DTYPE(dot) OF_DTYPE(dots)[5][WIDE_TILE_ROWS] = {
    {WIDE_SHAPES(dot_, 1)}, {WIDE_SHAPES(dot_, 2)}, {WIDE_SHAPES(dot_, 3)}, {WIDE_SHAPES(dot_, 4)},
    {SHAPED(dot_, 1, 8)}};

#undef COLUMNS
#undef FOUR
