/* The product over active units for HEIGHT rows and WIDTH vectors; see active.h. Without HAVE_MASKS
 * the last vector is read element by element, since B is not packed and may end there. */
static inline __attribute__((always_inline)) void SHAPED(active_sums_, HEIGHT, WIDTH)(
    ptrdiff_t count, const int32_t *index, const scalar *a_0, ptrdiff_t s, ptrdiff_t a_col,
    const scalar *b_0, ptrdiff_t b_row, ptrdiff_t last, const scalar *start, ptrdiff_t start_row,
    scalar *c, ptrdiff_t c_row, const int whole)
{
    const lane_mask mask = first_lanes(last);
#if WIDTH == 1
    ptrdiff_t t = 0;
    ROWS(START)
    ROWS(ZERO_NEXT)
    for (; t + 1 < count; t += 2) {
        const scalar *a = a_0 + index[t] * a_col;
        const ptrdiff_t d = (index[t + 1] - index[t]) * a_col;
        vector b0 = LOAD_SOME(b_0 + index[t] * b_row); KEEP_VECTOR(b0);
        vector b1 = LOAD_SOME(b_0 + index[t + 1] * b_row); KEEP_VECTOR(b1);
        POINTERS(AT_POINTER)
        ROWS(MULTIPLY)
        ROWS(MULTIPLY_NEXT)
    }
    if (t < count) {
        const scalar *a = a_0 + index[t] * a_col;
        vector b0 = LOAD_SOME(b_0 + index[t] * b_row); KEEP_VECTOR(b0);
        POINTERS(AT_POINTER)
        ROWS(MULTIPLY)
    }
    ROWS(ADD_NEXT)
#else
    ROWS(START)
    for (ptrdiff_t t = 0; t < count; t++) {
        const scalar *b = b_0 + index[t] * b_row;
        const scalar *a = a_0 + index[t] * a_col;
        vector b0 = LOAD(b); KEEP_VECTOR(b0);
#if WIDTH == 2
        vector b1 = LOAD_SOME(b + LANES); KEEP_VECTOR(b1);
#else
        vector b1 = LOAD(b + LANES); KEEP_VECTOR(b1);
        vector b2 = LOAD(b + 2 * LANES); KEEP_VECTOR(b2);
        vector b3 = LOAD_SOME(b + 3 * LANES); KEEP_VECTOR(b3);
#endif
        POINTERS(AT_POINTER)
        ROWS(MULTIPLY)
    }
#endif
    ROWS(STORE_ROW)
}
static void SHAPED(active_, HEIGHT, WIDTH)(
    ptrdiff_t count, const int32_t *index, const scalar *a_0, ptrdiff_t s, ptrdiff_t a_col,
    const scalar *b_0, ptrdiff_t b_row, ptrdiff_t last, const scalar *start, ptrdiff_t start_row,
    scalar *c, ptrdiff_t c_row)
{
    if (SLOW_MASKS && last == LANES)
        SHAPED(active_sums_, HEIGHT, WIDTH)(
            count, index, a_0, s, a_col, b_0, b_row, last, start, start_row, c, c_row, 1);
    else
        SHAPED(active_sums_, HEIGHT, WIDTH)(
            count, index, a_0, s, a_col, b_0, b_row, last, start, start_row, c, c_row, 0);
}
