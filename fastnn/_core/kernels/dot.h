/* Blocks of dot products: C[0:R, 0:J] = A[0:R, 0:k] B[0:k, 0:J] + start[0:R, 0:J], where rows of A
 * and columns of B lie in memory without gaps.
 *
 * The vectors run along k, so that a transposed B needs no packing, which few rows would not repay,
 * and that a C of few columns leaves no lane idle. The price is the sum over the lanes at the end.
 * Every element is summed in the same order, whatever the height and width of its block.
 */
#ifndef FASTNN_DOT_H
#define FASTNN_DOT_H

#include "tile.h"

#define PRODUCTS_1(i) c##i += x * b0;
#define PRODUCTS_2(i) PRODUCTS_1(i) d##i += x * b1;
#define PRODUCTS_3(i) PRODUCTS_2(i) e##i += x * b2;
#define PRODUCTS_4(i) PRODUCTS_3(i) f##i += x * b3;
#define PRODUCTS_8(i) PRODUCTS_4(i) g##i += x * b4; h##i += x * b5; u##i += x * b6; v##i += x * b7;
#define COLUMNS_1(F) F(0)
#define COLUMNS_2(F) F(0) F(1)
#define COLUMNS_3(F) F(0) F(1) F(2)
#define COLUMNS_4(F) F(0) F(1) F(2) F(3)
#define COLUMNS_8(F) COLUMNS_4(F) F(4) F(5) F(6) F(7)
#define ZERO_1(i) vector c##i = {0};
#define ZERO_2(i) ZERO_1(i) vector d##i = {0};
#define ZERO_3(i) ZERO_2(i) vector e##i = {0};
#define ZERO_4(i) ZERO_3(i) vector f##i = {0};
#define ZERO_8(i) ZERO_4(i) vector g##i = {0}, h##i = {0}, u##i = {0}, v##i = {0};
#define DECLARE_COLUMN(j) const scalar *q##j = b + j * b_col;
#define STEP_COLUMN(j) q##j += LANES; __asm__("" : "+r"(q##j));
#define STEP_ROWS(i) p##i += LANES; __asm__("" : "+r"(p##i));
#define FETCH_COLUMN(j) __builtin_prefetch(q##j + ahead);
#define WHOLE_COLUMN(j) vector b##j = LOAD(q##j); if (WIDTH < 8) { KEEP_VECTOR(b##j); }
#define WHOLE_1(i) { const vector x = LOAD(&A_##i); PRODUCTS_1(i) }
#define WHOLE_2(i) { const vector x = LOAD(&A_##i); PRODUCTS_2(i) }
#define WHOLE_3(i) { const vector x = LOAD(&A_##i); PRODUCTS_3(i) }
#define WHOLE_4(i) { const vector x = LOAD(&A_##i); PRODUCTS_4(i) }
#define WHOLE_8(i) { const vector x = LOAD(&A_##i); PRODUCTS_8(i) }
#define REST_COLUMN_f32(j) const vector b##j = f32_load_some(q##j, mask);
#define REST_COLUMN_f64(j) const vector b##j = f64_load_some(q##j, mask);
#define REST_1_f32(i) { const vector x = f32_load_some(&A_##i, mask); PRODUCTS_1(i) }
#define REST_2_f32(i) { const vector x = f32_load_some(&A_##i, mask); PRODUCTS_2(i) }
#define REST_3_f32(i) { const vector x = f32_load_some(&A_##i, mask); PRODUCTS_3(i) }
#define REST_4_f32(i) { const vector x = f32_load_some(&A_##i, mask); PRODUCTS_4(i) }
#define REST_8_f32(i) { const vector x = f32_load_some(&A_##i, mask); PRODUCTS_8(i) }
#define REST_1_f64(i) { const vector x = f64_load_some(&A_##i, mask); PRODUCTS_1(i) }
#define REST_2_f64(i) { const vector x = f64_load_some(&A_##i, mask); PRODUCTS_2(i) }
#define REST_3_f64(i) { const vector x = f64_load_some(&A_##i, mask); PRODUCTS_3(i) }
#define REST_4_f64(i) { const vector x = f64_load_some(&A_##i, mask); PRODUCTS_4(i) }
#define REST_8_f64(i) { const vector x = f64_load_some(&A_##i, mask); PRODUCTS_8(i) }

/* The sums over the lanes of four vectors. Interleaved halves are added until each lane holds a
 * part of one sum; then halves are folded until four lanes are left. */
#define SUMS_IN_ORDER(T, SCALAR) \
static inline void T##_sums(T##_vector v0, T##_vector v1, T##_vector v2, T##_vector v3, \
                            SCALAR *sums) \
{ \
    enum { L = VECTOR_BYTES / sizeof(SCALAR) }; \
    SCALAR s0 = 0, s1 = 0, s2 = 0, s3 = 0; \
    for (int i = 0; i < L; i++) { s0 += v0[i]; s1 += v1[i]; s2 += v2[i]; s3 += v3[i]; } \
    sums[0] = s0; sums[1] = s1; sums[2] = s2; sums[3] = s3; \
}
#define SUMS_BY_SHUFFLE(T, SCALAR, L) \
static inline void T##_sums(T##_vector v0, T##_vector v1, T##_vector v2, T##_vector v3, \
                            SCALAR *sums) \
{ \
    T##_vector v02 = LOW_##L(v0, v2) + HIGH_##L(v0, v2); \
    T##_vector v13 = LOW_##L(v1, v3) + HIGH_##L(v1, v3); \
    T##_vector v = LOW_##L(v02, v13) + HIGH_##L(v02, v13); \
    FOLD_##L(v) \
    for (int i = 0; i < 4; i++) sums[i] = v[i]; \
}
#define FOLD_4(v)
#define FOLD_8(v) v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
#define FOLD_16(v) \
    v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7); \
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);

#if !HAVE_SHUFFLE
SUMS_IN_ORDER(f32, float)
SUMS_IN_ORDER(f64, double)
#elif VECTOR_BYTES == 64
SUMS_BY_SHUFFLE(f32, float, 16)
SUMS_BY_SHUFFLE(f64, double, 8)
#elif VECTOR_BYTES == 32
SUMS_BY_SHUFFLE(f32, float, 8)
SUMS_BY_SHUFFLE(f64, double, 4)
#else
SUMS_BY_SHUFFLE(f32, float, 4)
SUMS_IN_ORDER(f64, double)
#endif

#define LIST_1(i) c##i,
#define LIST_2(i) LIST_1(i) d##i,
#define LIST_3(i) LIST_2(i) e##i,
#define LIST_4(i) LIST_3(i) f##i,
#define LIST_8(i) LIST_4(i) g##i, h##i, u##i, v##i,

#define DOT_ARGUMENTS(SCALAR) \
    ptrdiff_t k, const SCALAR *a, ptrdiff_t s, const SCALAR *b, ptrdiff_t b_col, ptrdiff_t ahead, \
    const SCALAR *start, ptrdiff_t start_row, SCALAR *c, ptrdiff_t c_row, \
    int relu, const SCALAR *gate

#define DOT(T, SCALAR, R, J) \
static void T##_dot_##R##x##J(DOT_ARGUMENTS(SCALAR)) \
{ \
    typedef SCALAR scalar; \
    typedef T##_vector vector; \
    typedef T##_unaligned unaligned __attribute__((unused)); \
    enum { WIDTH = J }; \
    const vector zero = {0}; \
    scalar sums[R * J + 3]; \
    POINTERS_##R(DECLARE_POINTER) \
    COLUMNS_##J(DECLARE_COLUMN) \
    ROWS_##R(ZERO_##J) \
    for (; k >= LANES; k -= LANES) { \
        if (R <= 4) { COLUMNS_##J(FETCH_COLUMN) } /* few rows wait for the next columns */ \
        COLUMNS_##J(WHOLE_COLUMN) \
        ROWS_##R(WHOLE_##J) \
        COLUMNS_##J(STEP_COLUMN) \
        POINTERS_##R(STEP_ROWS) \
    } \
    if (k > 0) { \
        const T##_mask mask = T##_first(k); \
        COLUMNS_##J(REST_COLUMN_##T) \
        ROWS_##R(REST_##J##_##T) \
    } \
    const vector products[R * J + 3] = {ROWS_##R(LIST_##J) zero, zero, zero}; \
    _Pragma("GCC unroll 6") \
    for (int i = 0; i < R * J; i += 4) \
        T##_sums(products[i], products[i + 1], products[i + 2], products[i + 3], sums + i); \
    scalar *s_i = sums; \
    for (int i = 0; i < R; i++, s_i += J, start += start_row, c += c_row) { \
        for (int j = 0; j < J; j++) s_i[j] += start[j]; \
        if (relu) for (int j = 0; j < J; j++) s_i[j] = s_i[j] <= 0 ? 0 : s_i[j]; \
        if (gate != NULL) \
            for (int j = 0; j < J; j++) s_i[j] = gate[i * c_row + j] <= 0 ? 0 : s_i[j]; \
        for (int j = 0; j < J; j++) c[j] = s_i[j]; \
    } \
}

typedef void (*f32_dot)(DOT_ARGUMENTS(float));
typedef void (*f64_dot)(DOT_ARGUMENTS(double));

#define DOT_ENTRY(T, S, R, J) T##_dot_##R##x##J,
#define DOTS(T, SCALAR) \
    FOR_LOW_HEIGHTS(DOT, T, SCALAR, 1) \
    FOR_LOW_HEIGHTS(DOT, T, SCALAR, 2) \
    FOR_LOW_HEIGHTS(DOT, T, SCALAR, 3) \
    FOR_LOW_HEIGHTS(DOT, T, SCALAR, 4) \
    DOT(T, SCALAR, 1, 8) /* a single row has too few sums in flight otherwise */ \
    /* T_dots[columns - 1][rows - 1], with that of eight columns as the fifth */ \
    static const T##_dot T##_dots[5][WIDE_TILE_ROWS] = { \
        {FOR_LOW_HEIGHTS(DOT_ENTRY, T, SCALAR, 1)}, {FOR_LOW_HEIGHTS(DOT_ENTRY, T, SCALAR, 2)}, \
        {FOR_LOW_HEIGHTS(DOT_ENTRY, T, SCALAR, 3)}, {FOR_LOW_HEIGHTS(DOT_ENTRY, T, SCALAR, 4)}, \
        {T##_dot_1x8}};

DOTS(f32, float)
DOTS(f64, double)

#endif
