/* The sum of HEIGHT rows of B; see row.h. */
static void JOIN(JOIN(OF_DTYPE(add_), HEIGHT), _rows)(
    ptrdiff_t n, const scalar *a, ptrdiff_t a_col, const scalar *b, ptrdiff_t b_row,
    const scalar *start, scalar *c)
{
    ROWS(TAKE_FACTOR)
    for (; n >= LANES; n -= LANES, b += LANES, start += LANES, c += LANES) {
        vector sum = LOAD(start);
        ROWS(ADD_ROW)
        *(unaligned *)c = sum;
    }
    if (n > 0) {
        const lane_mask mask = first_lanes(n);
        vector sum = load_some(start, mask);
        ROWS(ADD_PART_OF_ROW)
        store_some(c, mask, sum);
    }
}
