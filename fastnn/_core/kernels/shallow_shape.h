/* The product of HEIGHT steps; see shallow.h. */
static void JOIN(OF_DTYPE(shallow_), HEIGHT)(
    ptrdiff_t m, ptrdiff_t n, const scalar *a, ptrdiff_t a_row, ptrdiff_t a_col,
    const scalar *b, ptrdiff_t b_row, const scalar *start, scalar *c, int relu, const scalar *gate)
{
    const ptrdiff_t lanes = n < LANES ? n : LANES;
    const lane_mask part = first_lanes(lanes);
    ptrdiff_t j = 0;
    for (;;) {
        ROWS(TAKE_STEP)
        const vector first = start == NULL ? (vector){0} : load_some(start + j, part);
        const scalar *from = a;
        ptrdiff_t e = j;
        for (; e <= m * n - LANES; e += n, from += a_row) {
            vector sum = first;
            ROWS(ADD_STEP)
            if (relu) sum = ZERO_UNLESS(sum, sum);
            if (gate != NULL) { const vector open = LOAD(gate + e); sum = ZERO_UNLESS(open, sum); }
            *(unaligned *)(c + e) = sum;
        }
        for (; e < m * n; e += n, from += a_row) {
            vector sum = first;
            ROWS(ADD_STEP)
            if (relu) sum = ZERO_UNLESS(sum, sum);
            if (gate != NULL) sum = ZERO_UNLESS(load_some(gate + e, part), sum);
            store_some(c + e, part, sum);
        }
        if (j == n - lanes) return;
        j = j + LANES < n - lanes ? j + LANES : n - lanes;
    }
}
