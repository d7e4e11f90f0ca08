/* Register tiles of the dense product: C[0:R, 0:W] = A[0:R, 0:k] B[0:k, 0:W] + start[0:R, 0:W].
 *
 * a) Written with GNU vectors and one named variable per accumulator: gcc and clang keep these in
 *    registers at every -O level, whereas a local array of vectors (or plain loops left to the
 *    auto-vectoriser) spills as soon as edges are added. Here and in dot.h C macros generate the
 *    code; everything else of the core is typed Cython.
 * b) A is read in place with any strides, one broadcast per row and step of k. B is read in rows
 *    of one, two or four vectors, in place or from a packed panel; of the last vector only the
 *    first `last` lanes are read (with HAVE_MASKS, else all) and written. Four vectors are for few
 *    rows, which would otherwise have too few sums in flight.
 * c) Three rows share one pointer (p, p + s, p + 2s), and an empty asm hides the pointers' origin:
 *    gcc otherwise turns every row into an induction variable of its own and spills those.
 * d) Sums over k run in order and begin with `start`, so an element's bits depend neither on the
 *    tile's height and width, nor on its place in it, nor on where k was cut into blocks: the
 *    caller may block and split as the machine likes it.
 * e) What follows a product is done while its tile is in registers: ReLU, or ReLU's derivative,
 *    which keeps an element where `gate` (strides as C) is positive and otherwise makes it zero.
 */
#ifndef FASTNN_TILE_H
#define FASTNN_TILE_H

#include "vector.h"

#if VECTOR_BYTES == 64
#define TILE_ROWS 14
#define WIDE_TILE_ROWS 6
#else
#define TILE_ROWS 6
#define WIDE_TILE_ROWS 2
#endif

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

/* what a tile begins with when there is no `start`: as wide as the widest tile, in either dtype */
static const double zeros[4 * VECTOR_BYTES / sizeof(double)] __attribute__((aligned(64))) = {0};

#define DECLARE_POINTER(i) const scalar *p##i = a + i * s;
#define STEP_POINTER(i) p##i += a_col; __asm__("" : "+r"(p##i));
#define LANES ((ptrdiff_t)(sizeof(vector) / sizeof(scalar)))
#define LOAD(p) (*(const unaligned *)(p))
#if HAVE_MASKS
#define LOAD_LAST(T, p) T##_load_some(p, mask)
#else
#define LOAD_LAST(T, p) LOAD(p)
#endif

#define B_1(T) vector b0 = LOAD_LAST(T, b); KEEP_VECTOR(b0);
#define B_2(T) \
    __builtin_prefetch(b + 8 * b_row); __builtin_prefetch(b + 8 * b_row + LANES); \
    vector b0 = LOAD(b); KEEP_VECTOR(b0); \
    vector b1 = LOAD_LAST(T, b + LANES); KEEP_VECTOR(b1);
#define B_4(T) \
    vector b0 = LOAD(b); KEEP_VECTOR(b0); \
    vector b1 = LOAD(b + LANES); KEEP_VECTOR(b1); \
    vector b2 = LOAD(b + 2 * LANES); KEEP_VECTOR(b2); \
    vector b3 = LOAD_LAST(T, b + 3 * LANES); KEEP_VECTOR(b3);

#define FIRST(i, j) LOAD(start + i * start_row + j * LANES)
#define FIRST_OF_LAST(T, i, j) T##_load_some(start + i * start_row + j * LANES, mask)
#define START_1(T, i) vector c##i = FIRST_OF_LAST(T, i, 0);
#define START_2(T, i) vector c##i = FIRST(i, 0), d##i = FIRST_OF_LAST(T, i, 1);
#define START_4(T, i) \
    vector c##i = FIRST(i, 0), d##i = FIRST(i, 1), e##i = FIRST(i, 2), \
        f##i = FIRST_OF_LAST(T, i, 3);

/* x - 0 broadcasts a scalar without an add (x + 0 is not the identity for -0, so it costs one) */
#define MULTIPLY_1(i) c##i += (A_##i - (vector){0}) * b0;
#define MULTIPLY_2(i) { const vector x = A_##i - (vector){0}; c##i += x * b0; d##i += x * b1; }
#define MULTIPLY_4(i) { \
    const vector x = A_##i - (vector){0}; \
    c##i += x * b0; d##i += x * b1; e##i += x * b2; f##i += x * b3; }

/* zero where x is not positive; NaN in x lets v pass */
#define ZERO_UNLESS(x, v) ((vector)((bits)(v) & ~(bits)((x) <= (vector){0})))
#define RELU_1(i) c##i = ZERO_UNLESS(c##i, c##i);
#define RELU_2(i) RELU_1(i) d##i = ZERO_UNLESS(d##i, d##i);
#define RELU_4(i) RELU_2(i) e##i = ZERO_UNLESS(e##i, e##i); f##i = ZERO_UNLESS(f##i, f##i);
#define GATE(i, j, v) v = ZERO_UNLESS(LOAD(gate + i * c_row + j * LANES), v);
#define GATE_LAST(T, i, j, v) \
    v = ZERO_UNLESS(T##_load_some(gate + i * c_row + j * LANES, mask), v);
#define GATE_1(T, i) GATE_LAST(T, i, 0, c##i)
#define GATE_2(T, i) GATE(i, 0, c##i) GATE_LAST(T, i, 1, d##i)
#define GATE_4(T, i) GATE(i, 0, c##i) GATE(i, 1, d##i) GATE(i, 2, e##i) GATE_LAST(T, i, 3, f##i)
#define STORE(i, j, v) *(unaligned *)(c + i * c_row + j * LANES) = v;
#define STORE_LAST(T, i, j, v) T##_store_some(c + i * c_row + j * LANES, mask, v);
#define STORE_1(T, i) STORE_LAST(T, i, 0, c##i)
#define STORE_2(T, i) STORE(i, 0, c##i) STORE_LAST(T, i, 1, d##i)
#define STORE_4(T, i) \
    STORE(i, 0, c##i) STORE(i, 1, d##i) STORE(i, 2, e##i) STORE_LAST(T, i, 3, f##i)
#define START_1_f32(i) START_1(f32, i)
#define START_2_f32(i) START_2(f32, i)
#define START_4_f32(i) START_4(f32, i)
#define START_1_f64(i) START_1(f64, i)
#define START_2_f64(i) START_2(f64, i)
#define START_4_f64(i) START_4(f64, i)
#define GATE_1_f32(i) GATE_1(f32, i)
#define GATE_2_f32(i) GATE_2(f32, i)
#define GATE_4_f32(i) GATE_4(f32, i)
#define STORE_1_f32(i) STORE_1(f32, i)
#define STORE_2_f32(i) STORE_2(f32, i)
#define STORE_4_f32(i) STORE_4(f32, i)
#define GATE_1_f64(i) GATE_1(f64, i)
#define GATE_2_f64(i) GATE_2(f64, i)
#define GATE_4_f64(i) GATE_4(f64, i)
#define STORE_1_f64(i) STORE_1(f64, i)
#define STORE_2_f64(i) STORE_2(f64, i)
#define STORE_4_f64(i) STORE_4(f64, i)

#define TILE_ARGUMENTS(SCALAR) \
    ptrdiff_t k, const SCALAR *a, ptrdiff_t s, ptrdiff_t a_col, \
    const SCALAR *b, ptrdiff_t b_row, ptrdiff_t last, \
    const SCALAR *start, ptrdiff_t start_row, SCALAR *c, ptrdiff_t c_row, \
    int relu, const SCALAR *gate

#define TILE(T, SCALAR, R, W) \
static void T##_tile_##R##x##W(TILE_ARGUMENTS(SCALAR)) \
{ \
    typedef SCALAR scalar; \
    typedef T##_vector vector; \
    typedef T##_unaligned unaligned __attribute__((unused)); \
    typedef T##_bits bits; \
    const T##_mask mask = T##_first(last); \
    POINTERS_##R(DECLARE_POINTER) \
    ROWS_##R(START_##W##_##T) \
    for (; k > 0; k--, b += b_row) { \
        B_##W(T) \
        __builtin_prefetch(p0 + 8 * a_col); \
        ROWS_##R(MULTIPLY_##W) \
        POINTERS_##R(STEP_POINTER) \
    } \
    if (relu) { ROWS_##R(RELU_##W) } \
    if (gate != NULL) { ROWS_##R(GATE_##W##_##T) } \
    ROWS_##R(STORE_##W##_##T) \
}

typedef void (*f32_tile)(TILE_ARGUMENTS(float));
typedef void (*f64_tile)(TILE_ARGUMENTS(double));

#if TILE_ROWS == 14
#define FOR_HEIGHTS(F, T, S, W) \
    F(T, S, 1, W) F(T, S, 2, W) F(T, S, 3, W) F(T, S, 4, W) F(T, S, 5, W) F(T, S, 6, W) \
    F(T, S, 7, W) F(T, S, 8, W) F(T, S, 9, W) F(T, S, 10, W) F(T, S, 11, W) F(T, S, 12, W) \
    F(T, S, 13, W) F(T, S, 14, W)
#define FOR_LOW_HEIGHTS(F, T, S, W) \
    F(T, S, 1, W) F(T, S, 2, W) F(T, S, 3, W) F(T, S, 4, W) F(T, S, 5, W) F(T, S, 6, W)
#else
#define FOR_HEIGHTS(F, T, S, W) \
    F(T, S, 1, W) F(T, S, 2, W) F(T, S, 3, W) F(T, S, 4, W) F(T, S, 5, W) F(T, S, 6, W)
#define FOR_LOW_HEIGHTS(F, T, S, W) F(T, S, 1, W) F(T, S, 2, W)
#endif

#define ENTRY(T, S, R, W) T##_tile_##R##x##W,
#define TILES(T, SCALAR) \
    FOR_HEIGHTS(TILE, T, SCALAR, 1) \
    FOR_HEIGHTS(TILE, T, SCALAR, 2) \
    FOR_LOW_HEIGHTS(TILE, T, SCALAR, 4) \
    /* T_tiles[0, 1 or 2 for one, two or four vectors][rows - 1] */ \
    static const T##_tile T##_tiles[3][TILE_ROWS] = { \
        {FOR_HEIGHTS(ENTRY, T, SCALAR, 1)}, {FOR_HEIGHTS(ENTRY, T, SCALAR, 2)}, \
        {FOR_LOW_HEIGHTS(ENTRY, T, SCALAR, 4)}};

TILES(f32, float)
TILES(f64, double)

#endif
