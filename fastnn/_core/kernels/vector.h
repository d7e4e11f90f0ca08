/* Vectors: loads and stores of some lanes, copies of rows, and transposes. */
#define LOAD(p) (*(const unaligned *)(p))

#if !HAVE_MASKS
typedef ptrdiff_t lane_mask;
static inline lane_mask first_lanes(ptrdiff_t n) { return n; }
static inline vector load_some(const scalar *p, lane_mask n)
{
    if (n == LANES) return LOAD(p);
    vector v = {p[0]};
#if LANES == 4
    if (n > 1) v[1] = p[1];
    if (n > 2) v[2] = p[2];
#endif
    return v;
}
static inline void store_some(scalar *p, lane_mask n, vector v)
{
    if (n == LANES) { *(unaligned *)p = v; return; }
    p[0] = v[0];
#if LANES == 4
    if (n > 1) p[1] = v[1];
    if (n > 2) p[2] = v[2];
#endif
}
#endif

/* Copy rows of `columns` elements into rows of `width`, with zeros after them up to the next vector
 * or the width. Rows of B lie pages apart, where the CPU's own prefetching ends. */
static void OF_DTYPE(copy_rows)(ptrdiff_t rows, ptrdiff_t columns, const scalar *b, ptrdiff_t b_row,
                                scalar *c, ptrdiff_t width)
{
    enum { AHEAD = 12 };
    const ptrdiff_t whole = columns / LANES * LANES, rest = columns - whole;
    const lane_mask read = first_lanes(rest > 0 ? rest : LANES);
    const lane_mask written =
        first_lanes(width - whole < LANES && rest > 0 ? width - whole : LANES);
    for (; rows > 0; rows--, b += b_row, c += width) {
        for (ptrdiff_t j = 0; j < whole; j += LANES) {
            __builtin_prefetch(b + AHEAD * b_row + j);
            *(unaligned *)(c + j) = LOAD(b + j);
        }
        if (rest > 0) store_some(c + whole, written, load_some(b + whole, read));
    }
}

/* Row i of n vectors is interleaved with row i + n / 2, several times: log2(LANES) times transpose
 * a square block. LANES rows of two or four columns without gaps become two or four rows of LANES
 * after log2(LANES) times, and the other way round after log2(n). */
static inline __attribute__((always_inline)) void OF_DTYPE(interleave)(vector *v, int n, int times)
{
    vector w[LANES < 4 ? 4 : LANES];
#pragma GCC unroll 4
    for (; times > 0; times--) {
#pragma GCC unroll 8
        for (int i = 0; i < n / 2; i++) {
            w[2 * i] = JOIN(LOW_, LANES)(v[i], v[i + n / 2]);
            w[2 * i + 1] = JOIN(HIGH_, LANES)(v[i], v[i + n / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < n; i++) v[i] = w[i];
    }
}

/* Transpose between rows that are `stride` apart and n = 2 or 4 columns without gaps. Rows that are
 * written end with zeros up to a whole vector or to the stride. */
#define COLUMNS 2
#include "columns_shape.h"
#undef COLUMNS
#define COLUMNS 4
#include "columns_shape.h"
#undef COLUMNS

/* A block of up to LANES x LANES transposed in registers: `rows` of b, b_stride apart, of `columns`
 * each, become columns of c. Of every row of c the first `lanes` are written, with zeros after the
 * block's own. */
static ONE_COPY void OF_DTYPE(transpose)(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t lanes,
                                         const scalar *b, ptrdiff_t b_stride,
                                         scalar *c, ptrdiff_t c_stride)
{
    vector v[LANES];
    if (rows == LANES && columns == LANES && lanes >= LANES) {
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) v[i] = LOAD(b + i * b_stride);
        OF_DTYPE(interleave)(v, LANES, JOIN(LOG_, LANES));
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) *(unaligned *)(c + i * c_stride) = v[i];
    } else {
        const lane_mask read = first_lanes(columns);
        const lane_mask written = first_lanes(lanes < LANES ? lanes : LANES);
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            v[i] = i < rows ? load_some(b + i * b_stride, read) : (vector){0};
        OF_DTYPE(interleave)(v, LANES, JOIN(LOG_, LANES));
        if (lanes >= LANES) { /* a store under a mask is slow to be loaded again */
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++)
                if (i < columns) *(unaligned *)(c + i * c_stride) = v[i];
        } else {
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++)
                if (i < columns) store_some(c + i * c_stride, written, v[i]);
        }
    }
}
