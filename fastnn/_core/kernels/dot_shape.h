/* The dot products of HEIGHT rows and WIDTH columns; see dot.h. */
static void SHAPED(dot_, HEIGHT, WIDTH)(
    ptrdiff_t k, const scalar *a, ptrdiff_t s, const scalar *b, ptrdiff_t b_col, ptrdiff_t ahead,
    const scalar *start, ptrdiff_t start_row, scalar *c, ptrdiff_t c_row, int relu,
    const scalar *gate)
{
    const vector zero = {0};
    scalar sums[HEIGHT * WIDTH + 3];
    POINTERS(DECLARE_POINTER)
    COLUMNS(DECLARE_COLUMN)
    ROWS(ZERO)
    for (; k >= LANES; k -= LANES) {
        if (HEIGHT <= 4) { COLUMNS(FETCH_COLUMN) } /* with few rows, memory is the limit */
        COLUMNS(LOAD_COLUMN)
        ROWS(ADD_PRODUCTS)
        COLUMNS(STEP_COLUMN)
        POINTERS(STEP_ALONG_ROW)
    }
    if (k > 0) {
        const lane_mask mask = first_lanes(k);
        COLUMNS(LOAD_REST_OF_COLUMN)
        ROWS(ADD_REST)
    }
    const vector products[HEIGHT * WIDTH + 3] = {ROWS(LIST) zero, zero, zero};
#pragma GCC unroll 6
    for (int i = 0; i < HEIGHT * WIDTH; i += 4)
        OF_DTYPE(sums)(products[i], products[i + 1], products[i + 2], products[i + 3], sums + i);
    scalar *s_i = sums;
    for (int i = 0; i < HEIGHT; i++, s_i += WIDTH, start += start_row, c += c_row) {
#if WIDTH % 4 == 0
#pragma GCC unroll 2
        for (int j = 0; j < WIDTH; j += 4) {
            OF_DTYPE(four) v = FOUR(s_i + j) + FOUR(start + j);
            __typeof__(v <= v) open = ~(v <= (OF_DTYPE(four)){0});
            if (relu) v = (OF_DTYPE(four))((__typeof__(open))v & open);
            if (gate != NULL) {
                open = ~(FOUR(gate + i * c_row + j) <= (OF_DTYPE(four)){0});
                v = (OF_DTYPE(four))((__typeof__(open))v & open);
            }
            *(OF_DTYPE(four) *)(c + j) = v;
        }
#else
        for (int j = 0; j < WIDTH; j++) s_i[j] += start[j];
        if (relu) for (int j = 0; j < WIDTH; j++) s_i[j] = s_i[j] <= 0 ? 0 : s_i[j];
        if (gate != NULL)
            for (int j = 0; j < WIDTH; j++) s_i[j] = gate[i * c_row + j] <= 0 ? 0 : s_i[j];
        for (int j = 0; j < WIDTH; j++) c[j] = s_i[j];
#endif
    }
}
