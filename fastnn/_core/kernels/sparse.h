/* Rows of a sparse matrix times a dense one, and the transposed product.
 *
 * Row `index[p]` of a matrix belongs to the p-th stored element of a sparse row. Columns are taken
 * in blocks of whole vectors, then in part of one. Each sum runs over the stored elements in order.
 */
#define SPARSE_AHEAD 6 /* elements between a prefetch and its use: the rows lie anywhere */

#define ADD_BLOCK(VECTORS)                                                                        \
    static ONE_COPY void JOIN(OF_DTYPE(add_block_of_), VECTORS)(                                  \
        ptrdiff_t n, const scalar *x, const int32_t *index, const scalar *w, ptrdiff_t w_row,     \
        const scalar *start, scalar *z)                                                           \
    {                                                                                             \
        vector sum[VECTORS];                                                                      \
        _Pragma("GCC unroll 8") for (int k = 0; k < VECTORS; k++)                                 \
            sum[k] = start == NULL ? (vector){0} : (vector)LOAD(start + k * LANES);               \
        for (ptrdiff_t p = 0; p < n; p++) {                                                       \
            const scalar *row = w + index[p] * w_row;                                             \
            const vector factor = x[p] - (vector){0};                                             \
            const scalar *next = w + index[p + SPARSE_AHEAD < n ? p + SPARSE_AHEAD : p] * w_row;  \
            _Pragma("GCC unroll 8") for (int k = 0; k < VECTORS; k++) {                           \
                if (k * LANES * sizeof(scalar) % 64 == 0) __builtin_prefetch(next + k * LANES);   \
                sum[k] += factor * LOAD(row + k * LANES);                                         \
            }                                                                                     \
        }                                                                                         \
        _Pragma("GCC unroll 8") for (int k = 0; k < VECTORS; k++)                                 \
            *(unaligned *)(z + k * LANES) = sum[k];                                               \
    }                                                                                             \
    static ONE_COPY void JOIN(OF_DTYPE(scatter_block_of_), VECTORS)(                              \
        ptrdiff_t n, const scalar *x, const int32_t *index, const scalar *dz, scalar *g,          \
        ptrdiff_t g_row)                                                                          \
    {                                                                                             \
        vector row[VECTORS];                                                                      \
        _Pragma("GCC unroll 8") for (int k = 0; k < VECTORS; k++) row[k] = LOAD(dz + k * LANES);  \
        for (ptrdiff_t p = 0; p < n; p++) {                                                       \
            scalar *sum = g + index[p] * g_row;                                                   \
            const vector factor = x[p] - (vector){0};                                             \
            scalar *next = g + index[p + SPARSE_AHEAD < n ? p + SPARSE_AHEAD : p] * g_row;        \
            _Pragma("GCC unroll 8") for (int k = 0; k < VECTORS; k++) {                           \
                if (k * LANES * sizeof(scalar) % 64 == 0) __builtin_prefetch(next + k * LANES, 1);\
                *(unaligned *)(sum + k * LANES) = LOAD(sum + k * LANES) + factor * row[k];        \
            }                                                                                     \
        }                                                                                         \
    }

ADD_BLOCK(8)
ADD_BLOCK(4)
ADD_BLOCK(1)
#undef ADD_BLOCK

/* z (columns,) = start (columns,), or 0 if it is NULL, + the sum of x[p] w[index[p], :]. */
static ONE_COPY void OF_DTYPE(add_indexed_rows)(
    ptrdiff_t columns, ptrdiff_t n, const scalar *x, const int32_t *index, const scalar *w,
    ptrdiff_t w_row, const scalar *start, scalar *z)
{
    ptrdiff_t j = 0;
#define FROM_J n, x, index, w + j, w_row, start == NULL ? start : start + j, z + j
    for (; columns - j >= 8 * LANES; j += 8 * LANES) OF_DTYPE(add_block_of_8)(FROM_J);
    if (columns - j >= 4 * LANES) OF_DTYPE(add_block_of_4)(FROM_J), j += 4 * LANES;
    for (; columns - j >= LANES; j += LANES) OF_DTYPE(add_block_of_1)(FROM_J);
#undef FROM_J
    if (j < columns) {
        const lane_mask mask = first_lanes(columns - j);
        vector sum = start == NULL ? (vector){0} : load_some(start + j, mask);
        for (ptrdiff_t p = 0; p < n; p++)
            sum += (x[p] - (vector){0}) * load_some(w + index[p] * w_row + j, mask);
        store_some(z + j, mask, sum);
    }
}

/* g[index[p], :] += x[p] dz (columns,) for each stored element. */
static ONE_COPY void OF_DTYPE(scatter_rows)(
    ptrdiff_t columns, ptrdiff_t n, const scalar *x, const int32_t *index, const scalar *dz,
    scalar *g, ptrdiff_t g_row)
{
    ptrdiff_t j = 0;
#define FROM_J n, x, index, dz + j, g + j, g_row
    for (; columns - j >= 8 * LANES; j += 8 * LANES) OF_DTYPE(scatter_block_of_8)(FROM_J);
    if (columns - j >= 4 * LANES) OF_DTYPE(scatter_block_of_4)(FROM_J), j += 4 * LANES;
    for (; columns - j >= LANES; j += LANES) OF_DTYPE(scatter_block_of_1)(FROM_J);
#undef FROM_J
    if (j < columns) {
        const lane_mask mask = first_lanes(columns - j);
        const vector row = load_some(dz + j, mask);
        for (ptrdiff_t p = 0; p < n; p++) {
            scalar *sum = g + index[p] * g_row + j;
            store_some(sum, mask, load_some(sum, mask) + (x[p] - (vector){0}) * row);
        }
    }
}
