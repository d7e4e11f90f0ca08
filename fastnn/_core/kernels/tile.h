/* Register tiles of the dense product: C[0:R, 0:W] = A[0:R, 0:k] B[0:k, 0:W] + start[0:R, 0:W].
 *
 * a) The code uses GNU vectors and one named variable per accumulator, which gcc and clang keep in
 *    registers at every -O level. A local array of vectors, or plain loops that the compiler
 *    vectorizes, would be spilled to memory as soon as edges are added.
 * b) A is read in place with any strides, one broadcast per row and step of k. B is read in rows
 *    of one, two or four vectors, in place or from a packed panel; of the last vector only the
 *    first `last` lanes are read (with HAVE_MASKS, else all) and written. Four vectors are for few
 *    rows, which would otherwise have too few independent sums.
 * c) Three rows share one pointer (p, p + s, p + 2s), and an empty asm hides where the pointers
 *    come from: otherwise gcc makes an induction variable for each row and spills these.
 * d) Sums over k run in order and begin with `start`. So the bits of an element depend neither on
 *    the height and width of the tile, nor on its position there, nor on how k is divided into
 *    blocks.
 * e) ReLU, or the derivative of ReLU, is applied while the tile is in registers. The derivative
 *    makes an element zero where `gate`, which has the strides of C, is not positive.
 */

/* F for each row of a block of HEIGHT rows, and for each pointer to rows of A. */
#define ROWS(F) JOIN(ROWS_, HEIGHT)(F)
#define POINTERS(F) JOIN(POINTERS_, HEIGHT)(F)
#define ROWS_1(F) F(0)
#define ROWS_2(F) ROWS_1(F) F(1)
#define ROWS_3(F) ROWS_2(F) F(2)
#define ROWS_4(F) ROWS_3(F) F(3)
#define ROWS_5(F) ROWS_4(F) F(4)
#define ROWS_6(F) ROWS_5(F) F(5)
#define ROWS_7(F) ROWS_6(F) F(6)
#define ROWS_8(F) ROWS_7(F) F(7)
#define ROWS_9(F) ROWS_8(F) F(8)
#define ROWS_10(F) ROWS_9(F) F(9)
#define ROWS_11(F) ROWS_10(F) F(10)
#define ROWS_12(F) ROWS_11(F) F(11)
#define ROWS_13(F) ROWS_12(F) F(12)
#define ROWS_14(F) ROWS_13(F) F(13)

#define POINTERS_1(F) F(0)
#define POINTERS_2(F) F(0)
#define POINTERS_3(F) F(0)
#define POINTERS_4(F) POINTERS_3(F) F(3)
#define POINTERS_5(F) POINTERS_4(F)
#define POINTERS_6(F) POINTERS_4(F)
#define POINTERS_7(F) POINTERS_6(F) F(6)
#define POINTERS_8(F) POINTERS_7(F)
#define POINTERS_9(F) POINTERS_7(F)
#define POINTERS_10(F) POINTERS_9(F) F(9)
#define POINTERS_11(F) POINTERS_10(F)
#define POINTERS_12(F) POINTERS_10(F)
#define POINTERS_13(F) POINTERS_12(F) F(12)
#define POINTERS_14(F) POINTERS_13(F)

#define A_0 p0[0]
#define A_1 p0[s]
#define A_2 p0[2 * s]
#define A_3 p3[0]
#define A_4 p3[s]
#define A_5 p3[2 * s]
#define A_6 p6[0]
#define A_7 p6[s]
#define A_8 p6[2 * s]
#define A_9 p9[0]
#define A_10 p9[s]
#define A_11 p9[2 * s]
#define A_12 p12[0]
#define A_13 p12[s]

#define DECLARE_POINTER(i) const scalar *p##i = a + i * s;
#define STEP_POINTER(i) p##i += a_col; __asm__("" : "+r"(p##i));
/* The last vector of a row: whole, or of the first lanes. A constant `whole` leaves one of both. */
#define LOAD_SOME(p) (whole ? (vector)LOAD(p) : load_some(p, mask))
#if HAVE_MASKS
#define LOAD_LAST(p) LOAD_SOME(p)
#else
#define LOAD_LAST(p) LOAD(p)
#endif

/* Row i has the sums c, d, e and f, one for each vector; the last vector may be a part of one. */
#define START JOIN(START_, WIDTH)
#define FIRST(i, j) LOAD(start + i * start_row + j * LANES)
#define FIRST_OF_LAST(i, j) LOAD_SOME(start + i * start_row + j * LANES)
#define START_1(i) vector c##i = FIRST_OF_LAST(i, 0);
#define START_2(i) vector c##i = FIRST(i, 0), d##i = FIRST_OF_LAST(i, 1);
#define START_3_WHOLE(i) vector c##i = FIRST(i, 0), d##i = FIRST(i, 1), e##i = FIRST(i, 2);
#define START_4(i) START_3_WHOLE(i) vector f##i = FIRST_OF_LAST(i, 3);

/* x - 0 broadcasts a scalar without an addition. x + 0 would be one, since it changes -0. */
#define MULTIPLY(i) { scalar a_i = A_##i; KEEP_FACTOR(a_i); const vector x = a_i - (vector){0}; \
    JOIN(PRODUCTS_, WIDTH)(i) }
#define PRODUCTS_1(i) c##i += x * b0;
#define PRODUCTS_2(i) PRODUCTS_1(i) d##i += x * b1;
#define PRODUCTS_3(i) PRODUCTS_2(i) e##i += x * b2;
#define PRODUCTS_4(i) PRODUCTS_3(i) f##i += x * b3;

/* v, but 0 where x <= 0; NaN in x keeps v. */
#define ZERO_UNLESS(x, v) ((vector)((bits)(v) & ~(bits)((x) <= (vector){0})))
#define APPLY_RELU JOIN(RELU_, WIDTH)
#define RELU_1(i) c##i = ZERO_UNLESS(c##i, c##i);
#define RELU_2(i) RELU_1(i) d##i = ZERO_UNLESS(d##i, d##i);
#define RELU_4(i) RELU_2(i) e##i = ZERO_UNLESS(e##i, e##i); f##i = ZERO_UNLESS(f##i, f##i);
#define APPLY_GATE JOIN(GATE_, WIDTH)
#define GATE(i, j, v) v = ZERO_UNLESS(LOAD(gate + i * c_row + j * LANES), v);
#define GATE_LAST(i, j, v) v = ZERO_UNLESS(LOAD_SOME(gate + i * c_row + j * LANES), v);
#define GATE_1(i) GATE_LAST(i, 0, c##i)
#define GATE_2(i) GATE(i, 0, c##i) GATE_LAST(i, 1, d##i)
#define GATE_4(i) GATE(i, 0, c##i) GATE(i, 1, d##i) GATE(i, 2, e##i) GATE_LAST(i, 3, f##i)
#define STORE_ROW JOIN(STORE_, WIDTH)
#define STORE(i, j, v) *(unaligned *)(c + i * c_row + j * LANES) = v;
#define STORE_LAST(i, j, v) \
    if (whole) { STORE(i, j, v) } else store_some(c + i * c_row + j * LANES, mask, v);
#define STORE_1(i) STORE_LAST(i, 0, c##i)
#define STORE_2(i) STORE(i, 0, c##i) STORE_LAST(i, 1, d##i)
#define STORE_4(i) STORE(i, 0, c##i) STORE(i, 1, d##i) STORE(i, 2, e##i) STORE_LAST(i, 3, f##i)

/* The functions f32_KIND_1xW, f32_KIND_2xW, ... for a table. */
#define SHAPED(kind, height, width) JOIN(OF_DTYPE(kind), JOIN(height, JOIN(x, width)))
#define SHAPES_2(kind, width) SHAPED(kind, 1, width), SHAPED(kind, 2, width)
#define SHAPES_4(kind, width) SHAPES_2(kind, width), SHAPED(kind, 3, width), SHAPED(kind, 4, width)
#define SHAPES_6(kind, width) SHAPES_4(kind, width), SHAPED(kind, 5, width), SHAPED(kind, 6, width)
#define SHAPES_8(kind, width) SHAPES_6(kind, width), SHAPED(kind, 7, width), SHAPED(kind, 8, width)
#define SHAPES_10(kind, width) \
    SHAPES_8(kind, width), SHAPED(kind, 9, width), SHAPED(kind, 10, width)
#define SHAPES_12(kind, width) \
    SHAPES_10(kind, width), SHAPED(kind, 11, width), SHAPED(kind, 12, width)
#define SHAPES_14(kind, width) \
    SHAPES_12(kind, width), SHAPED(kind, 13, width), SHAPED(kind, 14, width)
#define SHAPES(kind, width) JOIN(SHAPES_, TILE_ROWS)(kind, width)
#define WIDE_SHAPES(kind, width) JOIN(SHAPES_, WIDE_TILE_ROWS)(kind, width)

#define SHAPE_FILE "tile_shape.h"
#define HEIGHTS TILE_ROWS
#define WIDTH 1
#include "heights.h"
#define WIDTH 2
#include "heights.h"
#undef HEIGHTS
#define HEIGHTS WIDE_TILE_ROWS
#define WIDTH 4
#include "heights.h"
#undef HEIGHTS
#undef SHAPE_FILE

typedef void (*OF_DTYPE(tile))(
    ptrdiff_t k, const scalar *a, ptrdiff_t s, ptrdiff_t a_col, const scalar *b, ptrdiff_t b_row,
    ptrdiff_t last, const scalar *start, ptrdiff_t start_row, scalar *c, ptrdiff_t c_row, int relu,
    const scalar *gate);

/* tiles[0, 1 or 2 for one, two or four vectors][rows - 1] */
static const OF_DTYPE(tile) OF_DTYPE(tiles)[3][TILE_ROWS] = {
    {SHAPES(tile_, 1)}, {SHAPES(tile_, 2)}, {WIDE_SHAPES(tile_, 4)}};
