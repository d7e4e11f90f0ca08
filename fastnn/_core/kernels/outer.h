/* Many outer products c ⊗ a of short vectors: for each sample, or each sample in `index`, r vectors
 * c and one vector a.
 *
 * The result for one c is contiguous; element i * n + j is c[i] a[j]. If n is less than a vector,
 * a vector holds several i. Its factors are then permuted out of c and a by index vectors, which
 * repeat after at most n vectors. They are the same for all samples, and the permuted a is the same
 * for the r vectors c of a sample.
 */

#if OF_DTYPE(PERMUTED)
/* For rows of less than a vector. */
static void OF_DTYPE(outer_narrow)(
    ptrdiff_t samples, const int32_t *index, ptrdiff_t r, ptrdiff_t rows, ptrdiff_t n,
    const scalar *c, ptrdiff_t c_sample, ptrdiff_t c_row, const scalar *a, ptrdiff_t a_sample,
    scalar *out, ptrdiff_t out_sample, ptrdiff_t out_row)
{
    bits of_c[LANES], of_a[LANES];
    vector repeated[LANES] = {{0}};
    ptrdiff_t first[LANES] = {0};
    const ptrdiff_t size = rows * n;
    const ptrdiff_t period = size < n * LANES ? (size + LANES - 1) / LANES : n;
    for (ptrdiff_t t = 0, i = 0, j = 0; t < period; t++) {
        first[t] = i;
        for (ptrdiff_t lane = 0; lane < LANES; lane++) {
            of_c[t][lane] = i - first[t];
            of_a[t][lane] = j;
            if (++j == n) { j = 0; i++; }
        }
    }
    for (ptrdiff_t number = 0; number < samples; number++) {
        const ptrdiff_t s = index == NULL ? number : index[number];
        const vector short_a = load_some(a + s * a_sample, first_lanes(n));
        for (ptrdiff_t t = 0; t < period; t++) repeated[t] = OF_DTYPE(permute)(short_a, of_a[t]);
        for (ptrdiff_t k = 0; k < r; k++) {
            const scalar *from = c + s * c_sample + k * c_row;
            scalar *to = out + s * out_sample + k * out_row;
            ptrdiff_t e = 0, t = 0, row = 0;
            for (; row + first[t] + LANES <= rows; e += LANES) {
                const vector factors = LOAD(from + row + first[t]);
                *(unaligned *)(to + e) = repeated[t] * OF_DTYPE(permute)(factors, of_c[t]);
                if (++t == n) { t = 0; row += LANES; }
            }
            /* fewer than LANES elements are left in c, and perhaps in the row */
            for (; e < size; e += LANES) {
                const vector factors = load_some(
                    from + row + first[t], first_lanes(rows - row - first[t]));
                const vector v = repeated[t] * OF_DTYPE(permute)(factors, of_c[t]);
                if (size - e >= LANES) *(unaligned *)(to + e) = v;
                else store_some(to + e, first_lanes(size - e), v);
                if (++t == n) { t = 0; row += LANES; }
            }
        }
    }
}
#endif

static void OF_DTYPE(outer)(
    ptrdiff_t samples, const int32_t *index, ptrdiff_t r, ptrdiff_t rows, ptrdiff_t n,
    const scalar *c, ptrdiff_t c_sample, ptrdiff_t c_row, const scalar *a, ptrdiff_t a_sample,
    scalar *out, ptrdiff_t out_sample, ptrdiff_t out_row)
{
    const ptrdiff_t last = (n - 1) / LANES * LANES;
    const lane_mask mask = first_lanes(n - last);
#if OF_DTYPE(PERMUTED)
    if (n < OF_DTYPE(PERMUTED)) {
        OF_DTYPE(outer_narrow)(samples, index, r, rows, n, c, c_sample, c_row, a, a_sample,
                         out, out_sample, out_row);
        return;
    }
#endif
    for (ptrdiff_t number = 0; number < samples; number++) {
        const ptrdiff_t s = index == NULL ? number : index[number];
        const scalar *own = a + s * a_sample;
        const vector tail = load_some(own + last, mask);
        for (ptrdiff_t k = 0; k < r; k++) {
            const scalar *from = c + s * c_sample + k * c_row;
            scalar *to = out + s * out_sample + k * out_row;
            for (ptrdiff_t i = 0; i < rows; i++, to += n) {
                for (ptrdiff_t j = 0; j < last; j += LANES)
                    *(unaligned *)(to + j) = LOAD(own + j) * from[i];
                store_some(to + last, mask, tail * from[i]);
            }
        }
    }
}

/* sums[s] (n,) = the sum over k of column[s, k] block[s, k] (n,) */
static void OF_DTYPE(weighted_sums)(
    ptrdiff_t samples, const int32_t *index, ptrdiff_t r, ptrdiff_t n,
    const scalar *column, ptrdiff_t column_sample, ptrdiff_t column_row,
    const scalar *block, ptrdiff_t block_sample, scalar *sums)
{
    for (ptrdiff_t number = 0; number < samples; number++) {
        const ptrdiff_t s = index[number];
        const scalar *c = column + s * column_sample;
        const scalar *rows = block + s * block_sample;
        scalar *sum_of = sums + s * n;
        ptrdiff_t j = 0;
        for (; j + 4 * LANES <= n; j += 4 * LANES) {
            vector sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};
            for (ptrdiff_t k = 0; k < r; k++) {
                const unaligned *b = (const unaligned *)(rows + k * n + j);
                sum0 += c[k * column_row] * b[0];
                sum1 += c[k * column_row] * b[1];
                sum2 += c[k * column_row] * b[2];
                sum3 += c[k * column_row] * b[3];
            }
            unaligned *to = (unaligned *)(sum_of + j);
            to[0] = sum0, to[1] = sum1, to[2] = sum2, to[3] = sum3;
        }
        for (; j < n; j += LANES) {
            const lane_mask mask = first_lanes(n - j < LANES ? n - j : LANES);
            vector sum = {0};
            for (ptrdiff_t k = 0; k < r; k++)
                sum += c[k * column_row] * load_some(rows + k * n + j, mask);
            store_some(sum_of + j, mask, sum);
        }
    }
}
