/* Transposes between rows and COLUMNS columns; see vector.h. */
static void JOIN(JOIN(OF_DTYPE(to_), COLUMNS), _columns)(
    ptrdiff_t rows, const scalar *b, ptrdiff_t stride, scalar *c)
{
    vector v[COLUMNS];
    for (ptrdiff_t left = rows; left > 0; left -= LANES, b += LANES, c += LANES * COLUMNS) {
        const lane_mask read = first_lanes(left < LANES ? left : LANES);
#pragma GCC unroll 4
        for (int j = 0; j < COLUMNS; j++) v[j] = load_some(b + j * stride, read);
        OF_DTYPE(interleave)(v, COLUMNS, JOIN(LOG_, COLUMNS));
#pragma GCC unroll 4
        for (int j = 0; j < COLUMNS; j++) {
            const ptrdiff_t lanes = left * COLUMNS - j * LANES;
            if (lanes > 0)
                store_some(c + j * LANES, first_lanes(lanes < LANES ? lanes : LANES), v[j]);
        }
    }
}

static void JOIN(JOIN(OF_DTYPE(from_), COLUMNS), _columns)(
    ptrdiff_t rows, const scalar *b, scalar *c, ptrdiff_t stride)
{
    vector v[COLUMNS];
    for (ptrdiff_t i = 0; i < rows; i += LANES, b += LANES * COLUMNS, c += LANES) {
        const lane_mask written = first_lanes(stride - i < LANES ? stride - i : LANES);
#pragma GCC unroll 4
        for (int j = 0; j < COLUMNS; j++) {
            const ptrdiff_t lanes = (rows - i) * COLUMNS - j * LANES;
            v[j] = (vector){0};
            if (lanes > 0)
                v[j] = load_some(b + j * LANES, first_lanes(lanes < LANES ? lanes : LANES));
        }
        OF_DTYPE(interleave)(v, COLUMNS, JOIN(LOG_, LANES));
#pragma GCC unroll 4
        for (int j = 0; j < COLUMNS; j++) store_some(c + j * stride, written, v[j]);
    }
}
