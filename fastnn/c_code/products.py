"""The text in C of matrix products, and of the functions of columns in embeddings."""

PRODUCTS = """
/* y += W' x with the weight (n_in, n_out). */
static void @add_product(const T *x, const T *weight, int n_in, int n_out, T *y)
{
    for (int i = 0; i < n_in; ++i) {
        const T factor = x[i];
        for (int j = 0; j < n_out; ++j) {
            y[j] += factor * weight[i * n_out + j];
        }
    }
}

/* y = W x with the weight (n_out, n_in), for few outputs. Partial sums are parts of a vector. */
static void @dots(const T *x, const T *weight, int n_in, int n_out, T *y)
{
    for (int i = 0; i < n_out; ++i) {
        T sums[N(4 | 2)] = {R(0)};
        int j = 0;
        for (; j + N(4 | 2) <= n_in; j += N(4 | 2)) {
            for (int k = 0; k < N(4 | 2); ++k) {
                sums[k] += x[j + k] * weight[i * n_in + j + k];
            }
        }
        for (int k = 0; k < n_in - j; ++k) {
            sums[k] += x[j + k] * weight[i * n_in + j + k];
        }
        for (int half = N(2 | 1); half > 0; half /= 2) {
            for (int k = 0; k < half; ++k) {
                sums[k] += sums[k + half];
            }
        }
        y[i] = sums[0];
    }
}

/* dx = W dy with the weight (n_in, n_out). Each sum has the order of its products. Four sums
   side by side do not wait for each other. */
static void @pull_product(const T *dy, const T *weight, int n_in, int n_out, T *dx)
{
    for (int left = n_in; left > 0; left -= 4) {
        const int second = left > 1 ? n_out : 0;
        const int third = left > 2 ? 2 * n_out : 0;
        const int fourth = left > 3 ? 3 * n_out : 0;
        T sums[4] = {R(0)};
        for (int j = 0; j < n_out; ++j) {
            sums[0] += dy[j] * weight[j];
            sums[1] += dy[j] * weight[second + j];
            sums[2] += dy[j] * weight[third + j];
            sums[3] += dy[j] * weight[fourth + j];
        }
        for (int k = 0; k < 4 && k < left; ++k) {
            dx[k] = sums[k];
        }
        weight += 4 * n_out;
        dx += 4;
    }
}

/* z = factor d w for each of the frequencies w (columns, n) of a column's d. */
static void @expand(const T *d, const T *frequency, T factor, int columns, int n, T *z)
{
    for (int c = 0; c < columns; ++c) {
        const T own = factor * d[c];
        for (int f = 0; f < n; ++f) {
            z[c * n + f] = own * frequency[c * n + f];
        }
    }
}

/* The transpose of `expand`. */
static void @contract(const T *dz, const T *frequency, T factor, int columns, int n, T *d)
{
    for (int c = 0; c < columns; ++c) {
        @dots(dz + c * n, frequency + c * n, n, 1, d + c);
        d[c] *= factor;
    }
}

/* Return the bin of x; an edge belongs to the bin below it. `column` has the number of bins, and
   then the edges. */
static int @bin_of(const T *column, T x)
{
    int bin = 0;
    for (int t = 2; t <= (int)column[0]; ++t) {
        bin += column[t] < x;
    }
    return bin;
}

/* The place of each column's x in its bins. */
static void @encode(const T *x, const T *edges, int columns, int n, T *y)
{
    for (int c = 0; c < columns; ++c) {
        const T *column = edges + c * (n + 2);
        const int bin = @bin_of(column, x[c]);
        const T lower = column[bin + 1];
        for (int f = 0; f < n; ++f) {
            y[c * n + f] = f < bin ? R(1) : R(0);
        }
        y[c * n + bin] = (x[c] - lower) / (column[bin + 2] - lower);
    }
}

/* The place of each column's number with a slope, and the width of its bin. */
static void @encode_slope(const T *x, const T *edges, int columns, int n, T *place, T *width)
{
    for (int c = 0; c < columns; ++c) {
        const T *column = edges + c * (n + 2);
        const int bin = @bin_of(column, x[c]);
        place[c] = (T)(c * n + bin);
        width[c] = column[bin + 2] - column[bin + 1];
    }
}

/* y = the row of the table at a code, or zeros if the code is no category. */
static void @look_up(T code, const T *table, int categories, int n, T *y)
{
    long place = -1;
    if (R(-0.5) < code && code < R(4e7)) {
        place = (long)code;
        place += code - (T)place >= R(0.5);
    }
    for (int j = 0; j < n; ++j) {
        y[j] = place >= 0 && place < categories ? table[place * n + j]
            : (code == code ? R(0) : code);
    }
}
"""
