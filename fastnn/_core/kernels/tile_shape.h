/* One tile of HEIGHT rows and WIDTH vectors; see tile.h. */
static inline __attribute__((always_inline)) void SHAPED(sums_, HEIGHT, WIDTH)(
    ptrdiff_t k, const scalar *a, ptrdiff_t s, ptrdiff_t a_col, const scalar *b, ptrdiff_t b_row,
    ptrdiff_t last, const scalar *start, ptrdiff_t start_row, scalar *c, ptrdiff_t c_row, int relu,
    const scalar *gate, const int whole)
{
    const lane_mask mask = first_lanes(last);
    POINTERS(DECLARE_POINTER)
    ROWS(START)
    for (; k > 0; k--, b += b_row) {
#if WIDTH == 1
        vector b0 = LOAD_LAST(b); KEEP_VECTOR(b0);
#elif WIDTH == 2
        __builtin_prefetch(b + 8 * b_row);
        __builtin_prefetch(b + 8 * b_row + LANES);
        vector b0 = LOAD(b); KEEP_VECTOR(b0);
        vector b1 = LOAD_LAST(b + LANES); KEEP_VECTOR(b1);
#else
        vector b0 = LOAD(b); KEEP_VECTOR(b0);
        vector b1 = LOAD(b + LANES); KEEP_VECTOR(b1);
        vector b2 = LOAD(b + 2 * LANES); KEEP_VECTOR(b2);
        vector b3 = LOAD_LAST(b + 3 * LANES); KEEP_VECTOR(b3);
#endif
        __builtin_prefetch(p0 + 8 * a_col);
        ROWS(MULTIPLY)
        POINTERS(STEP_POINTER)
    }
    if (relu) { ROWS(APPLY_RELU) }
    if (gate != NULL) { ROWS(APPLY_GATE) }
    ROWS(STORE_ROW)
}
static void SHAPED(tile_, HEIGHT, WIDTH)(
    ptrdiff_t k, const scalar *a, ptrdiff_t s, ptrdiff_t a_col, const scalar *b, ptrdiff_t b_row,
    ptrdiff_t last, const scalar *start, ptrdiff_t start_row, scalar *c, ptrdiff_t c_row, int relu,
    const scalar *gate)
{
    if (SLOW_MASKS && last == LANES)
        SHAPED(sums_, HEIGHT, WIDTH)(
            k, a, s, a_col, b, b_row, last, start, start_row, c, c_row, relu, gate, 1);
    else
        SHAPED(sums_, HEIGHT, WIDTH)(
            k, a, s, a_col, b, b_row, last, start, start_row, c, c_row, relu, gate, 0);
}
