/* Register tiles of the dense product: C[0:R, 0:W] = A[0:R, 0:k] B[0:k, 0:W] + start[0:R, 0:W].
 *
 * a) Written with GNU vectors and one named variable per accumulator: gcc and clang keep these in
 *    registers at every -O level, whereas a local array of vectors (or plain loops left to the
 *    auto-vectoriser) spills as soon as edges are added. This is the one place where C macros
 *    generate code; everything else of the core is typed Cython.
 * b) A is read in place with any strides, one broadcast per row and step of k. B is read in rows
 *    of one or two vectors, in place or from a packed panel. A tile writes whole vectors; the
 *    caller sends ragged right edges through a small buffer.
 * c) Three rows share one pointer (p, p + s, p + 2s), and an empty asm hides the pointers' origin:
 *    gcc otherwise turns every row into an induction variable of its own and spills those.
 * d) Sums over k run in order, so an element's bits depend neither on the tile's height and width
 *    nor on its place in it: rows and columns may be split among threads at will.
 */
#ifndef FASTNN_TILE_H
#define FASTNN_TILE_H

#include <stddef.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define TILE_ROWS 14
#define KEEP_VECTOR(v) __asm__("" : "+v"(v))
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#define TILE_ROWS 6
#define KEEP_VECTOR(v) __asm__("" : "+x"(v))
#elif defined(__SSE2__)
#define VECTOR_BYTES 16
#define TILE_ROWS 6
#define KEEP_VECTOR(v) __asm__("" : "+x"(v))
#else
#define VECTOR_BYTES 16
#define TILE_ROWS 6
#define KEEP_VECTOR(v)
#endif

typedef float f32_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef double f64_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef float f32_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef double f64_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

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
#define POINTERS_4(F) F(0) F(3)
#define POINTERS_5(F) POINTERS_4(F)
#define POINTERS_6(F) POINTERS_4(F)
#define POINTERS_7(F) POINTERS_4(F) F(6)
#define POINTERS_8(F) POINTERS_7(F)
#define POINTERS_9(F) POINTERS_7(F)
#define POINTERS_10(F) POINTERS_7(F) F(9)
#define POINTERS_11(F) POINTERS_10(F)
#define POINTERS_12(F) POINTERS_10(F)
#define POINTERS_13(F) POINTERS_10(F) F(12)
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
#define LANES ((ptrdiff_t)(sizeof(vector) / sizeof(scalar)))

/* x - 0 broadcasts a scalar without an add (x + 0 is not the identity for -0, so it costs one) */
#define DECLARE_1(i) vector c##i = {0};
#define MULTIPLY_1(i) c##i += (A_##i - (vector){0}) * b0;
#define STORE_1(i) \
    *(unaligned *)(c + i * c_row) = c##i + *(const unaligned *)(start + i * start_row);

#define DECLARE_2(i) vector c##i = {0}, d##i = {0};
#define MULTIPLY_2(i) { const vector x = A_##i - (vector){0}; c##i += x * b0; d##i += x * b1; }
#define STORE_2(i) \
    STORE_1(i) \
    *(unaligned *)(c + i * c_row + LANES) = \
        d##i + *(const unaligned *)(start + i * start_row + LANES);

#define LOAD_1 vector b0 = *(const unaligned *)b; KEEP_VECTOR(b0);
#define LOAD_2 LOAD_1 vector b1 = *(const unaligned *)(b + LANES); KEEP_VECTOR(b1);

#define TILE(T, SCALAR, R, W) \
static void T##_tile_##R##x##W(ptrdiff_t k, const SCALAR *a, ptrdiff_t s, ptrdiff_t a_col, \
                               const SCALAR *b, ptrdiff_t b_row, \
                               const SCALAR *start, ptrdiff_t start_row, \
                               SCALAR *c, ptrdiff_t c_row) \
{ \
    typedef SCALAR scalar; \
    typedef T##_vector vector; \
    typedef T##_unaligned unaligned; \
    POINTERS_##R(DECLARE_POINTER) \
    ROWS_##R(DECLARE_##W) \
    for (; k > 0; k--, b += b_row) { \
        LOAD_##W \
        ROWS_##R(MULTIPLY_##W) \
        POINTERS_##R(STEP_POINTER) \
    } \
    ROWS_##R(STORE_##W) \
}

typedef void (*f32_tile)(ptrdiff_t, const float *, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t,
                         const float *, ptrdiff_t, float *, ptrdiff_t);
typedef void (*f64_tile)(ptrdiff_t, const double *, ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t,
                         const double *, ptrdiff_t, double *, ptrdiff_t);

#if TILE_ROWS == 14
#define FOR_HEIGHTS(F, T, S, W) \
    F(T, S, 1, W) F(T, S, 2, W) F(T, S, 3, W) F(T, S, 4, W) F(T, S, 5, W) F(T, S, 6, W) \
    F(T, S, 7, W) F(T, S, 8, W) F(T, S, 9, W) F(T, S, 10, W) F(T, S, 11, W) F(T, S, 12, W) \
    F(T, S, 13, W) F(T, S, 14, W)
#else
#define FOR_HEIGHTS(F, T, S, W) \
    F(T, S, 1, W) F(T, S, 2, W) F(T, S, 3, W) F(T, S, 4, W) F(T, S, 5, W) F(T, S, 6, W)
#endif

#define ENTRY(T, S, R, W) T##_tile_##R##x##W,
#define TILES(T, SCALAR) \
    FOR_HEIGHTS(TILE, T, SCALAR, 1) \
    FOR_HEIGHTS(TILE, T, SCALAR, 2) \
    /* T_tiles[vectors - 1][rows - 1] */ \
    static const T##_tile T##_tiles[2][TILE_ROWS] = { \
        {FOR_HEIGHTS(ENTRY, T, SCALAR, 1)}, {FOR_HEIGHTS(ENTRY, T, SCALAR, 2)}};

TILES(f32, float)
TILES(f64, double)

/* A block of LANES x LANES transposed in registers: rows of b, b_stride apart, become columns of c.
 * log2(LANES) times, row i is interleaved with row i + LANES / 2. */
#if defined(__clang__) || __GNUC__ >= 12
#define HAVE_TRANSPOSE 1
#define LOW_2(a, b) __builtin_shufflevector(a, b, 0, 2)
#define HIGH_2(a, b) __builtin_shufflevector(a, b, 1, 3)
#define LOW_4(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH_4(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define LOW_8(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH_8(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW_16(a, b) \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH_16(a, b) \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#else
#define HAVE_TRANSPOSE 0
#endif

#if HAVE_TRANSPOSE
#define TRANSPOSE(T, SCALAR, L) \
static void T##_transpose(const SCALAR *b, ptrdiff_t b_stride, SCALAR *c, ptrdiff_t c_stride) \
{ \
    T##_vector v[L], w[L]; \
    _Pragma("GCC unroll 16") \
    for (int i = 0; i < L; i++) v[i] = *(const T##_unaligned *)(b + i * b_stride); \
    _Pragma("GCC unroll 4") \
    for (int n = L; n > 1; n /= 2) { \
        _Pragma("GCC unroll 8") \
        for (int i = 0; i < L / 2; i++) { \
            w[2 * i] = LOW_##L(v[i], v[i + L / 2]); \
            w[2 * i + 1] = HIGH_##L(v[i], v[i + L / 2]); \
        } \
        _Pragma("GCC unroll 16") \
        for (int i = 0; i < L; i++) v[i] = w[i]; \
    } \
    _Pragma("GCC unroll 16") \
    for (int i = 0; i < L; i++) *(T##_unaligned *)(c + i * c_stride) = v[i]; \
}
#else
#define TRANSPOSE(T, SCALAR, L) \
static void T##_transpose(const SCALAR *b, ptrdiff_t b_stride, SCALAR *c, ptrdiff_t c_stride) \
{ \
    for (int i = 0; i < L; i++) \
        for (int j = 0; j < L; j++) c[j * c_stride + i] = b[i * b_stride + j]; \
}
#endif

#if VECTOR_BYTES == 64
TRANSPOSE(f32, float, 16)
TRANSPOSE(f64, double, 8)
#elif VECTOR_BYTES == 32
TRANSPOSE(f32, float, 8)
TRANSPOSE(f64, double, 4)
#else
TRANSPOSE(f32, float, 4)
TRANSPOSE(f64, double, 2)
#endif

#endif
