/* Products over some steps of k: C[0:R, 0:W] = start + Σ over p in `index` of A[0:R, p] B[p, 0:W].
 *
 * Behind a ReLU about half of a sample's units are active; products with the others would be zero.
 * The active units differ from sample to sample, so each sample has a product of its own, with few
 * rows. The tiles use the macros of tile.h, and read A and B in place at the steps in `index`.
 */

#define AT_POINTER(i) const scalar *p##i = a + i * s; __asm__("" : "+r"(p##i));

/* With one vector per row there are few sums, and in each sum an addition waits for the one before.
 * So every second step of the index, whose A is `d` elements further, has sums of its own. */
#define NEXT_0 p0[d]
#define NEXT_1 p0[d + s]
#define NEXT_2 p0[d + 2 * s]
#define NEXT_3 p3[d]
#define NEXT_4 p3[d + s]
#define NEXT_5 p3[d + 2 * s]
#define NEXT_6 p6[d]
#define NEXT_7 p6[d + s]
#define NEXT_8 p6[d + 2 * s]
#define NEXT_9 p9[d]
#define NEXT_10 p9[d + s]
#define NEXT_11 p9[d + 2 * s]
#define NEXT_12 p12[d]
#define NEXT_13 p12[d + s]
#define ZERO_NEXT(i) vector d##i = {0};
#define MULTIPLY_NEXT(i) d##i += (NEXT_##i - (vector){0}) * b1;
#define ADD_NEXT(i) c##i += d##i;

#define SHAPE_FILE "active_shape.h"
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

typedef void (*OF_DTYPE(active))(
    ptrdiff_t count, const int32_t *index, const scalar *a_0, ptrdiff_t s, ptrdiff_t a_col,
    const scalar *b_0, ptrdiff_t b_row, ptrdiff_t last, const scalar *start, ptrdiff_t start_row,
    scalar *c, ptrdiff_t c_row);

/* actives[0, 1 or 2 for one, two or four vectors][rows - 1] */
static const OF_DTYPE(active) OF_DTYPE(actives)[3][TILE_ROWS] = {
    {SHAPES(active_, 1)}, {SHAPES(active_, 2)}, {WIDE_SHAPES(active_, 4)}};

/* Write the indices of the elements that are not <= 0; return their number. */
static inline ptrdiff_t OF_DTYPE(positive)(ptrdiff_t n, const scalar *y, int32_t *index)
#if defined(__AVX512VL__) && LANES == 16
{
    __m512i places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    ptrdiff_t count = 0;
    for (ptrdiff_t j = 0; j < n; j += 16) {
        const f32_mask some = f32_first(n - j < 16 ? n - j : 16);
        const f32_mask positive = _mm512_mask_cmp_ps_mask(
            some, _mm512_maskz_loadu_ps(some, y + j), _mm512_setzero_ps(), _CMP_NLE_UQ);
        _mm512_mask_compressstoreu_epi32(index + count, positive, places);
        count += __builtin_popcount(positive);
        places = _mm512_add_epi32(places, _mm512_set1_epi32(16));
    }
    return count;
}
#elif defined(__AVX512VL__)
{
    __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    ptrdiff_t count = 0;
    for (ptrdiff_t j = 0; j < n; j += 8) {
        const f64_mask some = f64_first(n - j < 8 ? n - j : 8);
        const f64_mask positive = _mm512_mask_cmp_pd_mask(
            some, _mm512_maskz_loadu_pd(some, y + j), _mm512_setzero_pd(), _CMP_NLE_UQ);
        _mm256_mask_compressstoreu_epi32(index + count, positive, places);
        count += __builtin_popcount(positive);
        places = _mm256_add_epi32(places, _mm256_set1_epi32(8));
    }
    return count;
}
#else
{
    ptrdiff_t count = 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        index[count] = (int32_t)j;
        count += !(y[j] <= 0);
    }
    return count;
}
#endif
