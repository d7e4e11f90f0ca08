"""The text in C of softmax and of the normalization of rows.

A function that ends in `_times`, `_push` or `_pull` applies a Jacobian to a tangent or a cotangent
d. One that ends in `_curve` adds the second derivative, dx_tangent += (d/dx J(x)' dy) x_tangent,
for the tangent x_tangent of x and the cotangent dy of the output. Results may overwrite d.
"""

ROWS = """
static T @maximum(const T *x, int n)
{
    T top = x[0];
    for (int j = 1; j < n; ++j) {
        top = x[j] > top ? x[j] : top;
    }
    return top;
}

/* Return e^(x - top), with the rounding of the difference corrected. */
static T @exp_below(T x, T top)
{
    const T difference = x - top;
    const T back = difference - x;
    const T error = (x - (difference - back)) - (top + back);
    return @exp_of_difference(difference, error > R(-1) ? error : R(-1));
}

/* Add x to a sum, and in float also to the rounding error of the sum. */
static void @accumulate(T x, T *sum, T *error)
{
    const T total = *sum + x;
    const T back = total - *sum;
    if (sizeof(T) == 4) {
        *error += (*sum - (total - back)) + (x - back);
    }
    *sum = total;
}

static void @softmax(const T *x, int n, T *y)
{
    const T top = @maximum(x, n);
    T sum = R(0);
    T error = R(0);
    for (int j = 0; j < n; ++j) {
        y[j] = @exp_below(x[j], top);
    }
    for (int j = 0; j < n; ++j) {
        @accumulate(y[j], &sum, &error);
    }
    for (int j = 0; j < n; ++j) {
        y[j] /= sum + error;
    }
}

/* Return the sum of e^(x - top), and in float its rounding error. */
static T @sum_below(const T *x, T top, int n, T *error)
{
    T sum = R(0);
    *error = R(0);
    for (int j = 0; j < n; ++j) {
        @accumulate(@exp_below(x[j], top), &sum, error);
    }
    return sum;
}

/* Return ln of the sum of e^(x - top), and the sum; the summand 1 of the maximum is added last.
   The rounding of the sum is corrected. */
static T @log_of_sum(const T *x, T top, int n, T *total)
{
    T rest;
    T sum;
    T error;
    T own;
    T error_after;
    int t = 0;
    while (t < n - 1 && x[t] != top) {
        ++t;
    }
    rest = @sum_below(x, top, t, &error);
    @accumulate(@sum_below(x + t + 1, top, n - t - 1, &error_after), &rest, &error);
    error += error_after;
    own = @exp_below(x[t], top);
    sum = rest;
    @accumulate(own, &sum, &error);
    *total = sum + error;
    error = sizeof(T) == 4 ? (sum - *total) + error : rest - (*total - own);
    return @log(*total) + error / *total;
}

static void @log_softmax(const T *x, int n, T *y)
{
    const T top = @maximum(x, n);
    T total;
    const T log_total = @log_of_sum(x, top, n, &total);
    for (int j = 0; j < n; ++j) {
        y[j] = (x[j] - top) - log_total;
    }
}

/* The same, and S. */
static void @log_softmax_and_S(const T *x, int n, T *y, T *S)
{
    const T top = @maximum(x, n);
    T total;
    const T log_total = @log_of_sum(x, top, n, &total);
    for (int j = 0; j < n; ++j) {
        S[j] = @exp_below(x[j], top) / total;
        y[j] = (x[j] - top) - log_total;
    }
}

/* Return the index of the S above 1/2, or -1. */
static int @dominant(const T *S, int n)
{
    int place = -1;
    for (int j = 0; j < n; ++j) {
        place = S[j] > R(0.5) ? j : place;
    }
    return place;
}

/* Return the mean of d weighted by S, minus `shift`: the d of a dominant S, or 0. */
static T @weighted_mean(const T *S, const T *d, int n, T *shift)
{
    const int t = @dominant(S, n);
    T sum = R(0);
    T error = R(0);
    *shift = t >= 0 ? d[t] : R(0);
    for (int j = 0; j < n; ++j) {
        @accumulate(S[j] * (d[j] - *shift), &sum, &error);
    }
    return sum + error;
}

static void @softmax_times(const T *S, const T *d, int n, T *out)
{
    T shift;
    const T mean = @weighted_mean(S, d, n, &shift);
    for (int j = 0; j < n; ++j) {
        out[j] = S[j] * ((d[j] - shift) - mean);
    }
}

static void @softmax_curve(const T *S, const T *x_tangent, const T *dy, int n, T *dx_tangent)
{
    T x_shift;
    T y_shift;
    const T x_mean = @weighted_mean(S, x_tangent, n, &x_shift);
    const T y_mean = @weighted_mean(S, dy, n, &y_shift);
    T covariance = R(0);
    for (int j = 0; j < n; ++j) {
        covariance += S[j] * ((x_tangent[j] - x_shift) - x_mean) * ((dy[j] - y_shift) - y_mean);
    }
    for (int j = 0; j < n; ++j) {
        dx_tangent[j] += S[j] * (
            ((x_tangent[j] - x_shift) - x_mean) * ((dy[j] - y_shift) - y_mean) - covariance);
    }
}

static void @log_softmax_push(const T *S, const T *d, int n, T *out)
{
    T shift;
    const T mean = @weighted_mean(S, d, n, &shift);
    for (int j = 0; j < n; ++j) {
        out[j] = (d[j] - shift) - mean;
    }
}

/* Return the sum of a without the t-th, and in float its rounding error. */
static T @sum_beside(const T *a, int t, int n, T *error)
{
    T sum = R(0);
    T after = R(0);
    *error = R(0);
    for (int j = 0; j < t; ++j) {
        @accumulate(a[j], &sum, error);
    }
    for (int j = t + 1; j < n; ++j) {
        @accumulate(a[j], &after, error);
    }
    @accumulate(after, &sum, error);
    return sum;
}

/* Return (a + a_error) b - (c + c_error); in float the roundings are corrected. */
static T @difference(T a, T a_error, T b, T c, T c_error)
{
    const U upper = N(0xfffff000u | 0xfffffffff8000000u);
    T product = a * b;
    const T a_upper = @from_bits(@bits(a) & upper);
    const T b_upper = @from_bits(@bits(b) & upper);
    T error = a_error * b - c_error;
    error += ((a_upper * b_upper - product) + a_upper * (b - b_upper))
        + (a - a_upper) * b_upper + (a - a_upper) * (b - b_upper);
    @accumulate(-c, &product, &error);
    return sizeof(T) == 4 ? product + error : product;
}

static void @log_softmax_pull(const T *S, const T *d, int n, T *out)
{
    const int t = @dominant(S, n);
    T error;
    const T rest = @sum_beside(d, t, n, &error);
    T total = rest;
    T total_error = error;
    T own = R(0);
    if (t >= 0) {
        @accumulate(d[t], &total, &total_error);
    }
    total += total_error;
    if (t >= 0) {
        T beside_error;
        const T beside = @sum_beside(S, t, n, &beside_error);
        own = @difference(beside, beside_error, total, rest, error);
    }
    for (int j = 0; j < n; ++j) {
        out[j] = j == t ? own : d[j] - S[j] * total;
    }
}

/* The mean weighted by S of the rows of a weight, element (k, j) of which is at k a + j b, minus
   the row of a dominant S. */
static void @mean_of_rows(const T *S, const T *weight, int a, int b, int n_in, int n, T *mean)
{
    const int t = @dominant(S, n);
    for (int j = 0; j < n_in; ++j) {
        const T shift = t >= 0 ? weight[t * a + j * b] : R(0);
        mean[j] = R(0);
        for (int k = 0; k < n; ++k) {
            mean[j] += S[k] * (weight[k * a + j * b] - shift);
        }
    }
}

/* The row k of the Jacobian of log-softmax times the weight. */
static void @row_below(
    const T *S, const T *weight, int a, int b, int n_in, int n, const T *mean, int k, T *row)
{
    const int t = @dominant(S, n);
    for (int j = 0; j < n_in; ++j) {
        const T shift = t >= 0 ? weight[t * a + j * b] : R(0);
        row[j] = (weight[k * a + j * b] - shift) - mean[j];
    }
}

static void @log_softmax_curve(const T *S, const T *x_tangent, const T *dy, int n, T *dx_tangent)
{
    T shift;
    const T mean = @weighted_mean(S, x_tangent, n, &shift);
    T total = R(0);
    for (int j = 0; j < n; ++j) {
        total += dy[j];
    }
    for (int j = 0; j < n; ++j) {
        dx_tangent[j] -= S[j] * ((x_tangent[j] - shift) - mean) * total;
    }
}

/* The sums of a and of a b. */
static void @row_sums(const T *a, const T *b, int n, T *total, T *inner)
{
    T sums[16] = {R(0)};
    T products[16] = {R(0)};
    for (int first = 0; first < n; first += 16) {
        const int count = n - first < 16 ? n - first : 16;
        for (int k = 0; k < count; ++k) {
            sums[k] += a[first + k];
            products[k] += a[first + k] * b[first + k];
        }
    }
    for (int half = 8; half > 0; half /= 2) {
        for (int k = 0; k < half; ++k) {
            sums[k] += sums[k + half];
            products[k] += products[k + half];
        }
    }
    *total = sums[0];
    *inner = products[0];
}

/* Normalise a row, and return 1 / sqrt(variance + eps). */
static T @normalize_row(const T *x, T eps, int n, T *y)
{
    T mean;
    T square;
    T inverse;
    @row_sums(x, x, n, &mean, &square);
    mean /= (T)n;
    for (int j = 0; j < n; ++j) {
        y[j] = x[j] - mean;
    }
    @row_sums(y, y, n, &mean, &square);
    mean /= (T)n;
    while (mean * mean > R(0.5) * square / (T)n) {
        for (int j = 0; j < n; ++j) {
            y[j] -= mean;
        }
        @row_sums(y, y, n, &mean, &square);
        mean /= (T)n;
    }
    inverse = R(1) / N(sqrtf | sqrt)(square / (T)n - mean * mean + eps);
    for (int j = 0; j < n; ++j) {
        y[j] = (y[j] - mean) * inverse;
    }
    return inverse;
}

/* y = (x - mean) / sqrt(variance + eps); return the inverse of the divisor. */
static T @normalize(const T *x, T eps, int n, T *y)
{
    const T shrink = R(8.271806125530277e-25 | 2.409919865102884e-181);
    const T least = R(1.17549435e-38 | 2.2250738585072014e-308);
    T top = R(0);
    for (int j = 0; j < n; ++j) {
        top = @abs(x[j]) > top ? @abs(x[j]) : top;
    }
    if (top < R(1e18 | 1e150)) {
        return @normalize_row(x, eps, n, y);
    }
    for (int j = 0; j < n; ++j) {  /* their squares would overflow */
        y[j] = shrink * x[j];
    }
    eps = shrink * shrink * eps;
    return shrink * @normalize_row(y, eps > least ? eps : least, n, y);
}

static void @normalize_times(const T *y, T inverse, const T *d, int n, T *out)
{
    T mean;
    T projection;
    @row_sums(d, y, n, &mean, &projection);
    mean /= (T)n;
    projection /= (T)n;
    for (int j = 0; j < n; ++j) {
        out[j] = inverse * (d[j] - mean - projection * y[j]);
    }
}

static void @normalize_curve(
    const T *y, T inverse, const T *x_tangent, const T *dy, int n, T *dx_tangent)
{
    T x_mean;
    T along;
    T mean;
    T projection;
    T with_tangent = R(0);
    @row_sums(x_tangent, y, n, &x_mean, &along);
    @row_sums(dy, y, n, &mean, &projection);
    x_mean /= (T)n;
    along /= (T)n;
    mean /= (T)n;
    projection /= (T)n;
    for (int j = 0; j < n; ++j) {
        with_tangent += dy[j] * (x_tangent[j] - x_mean - along * y[j]);
    }
    with_tangent /= (T)n;
    for (int j = 0; j < n; ++j) {
        dx_tangent[j] -= inverse * inverse * (along * (dy[j] - mean - projection * y[j])
            + projection * (x_tangent[j] - x_mean - along * y[j]) + with_tangent * y[j]);
    }
}
"""
