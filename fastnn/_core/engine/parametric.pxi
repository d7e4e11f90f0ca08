# Activations as functions that are called, and parametric activations, y = (1 - α) x + α f(x), with
# one α for each column.
#
# a) The code of all activations is large. It is inlined in the first three functions only, so that
#    it exists once.
# b) A parametric activation keeps two values for each output: its slope (1 - α) + α f'(x), and
#    f(x) - x, the derivative by α. So its Jacobian by the input is applied as that of an
#    activation, and its gradient by α is that of the weight of a SCALE whose input is f(x) - x.

cdef void activate(
    int kind, real number, const real *x, real *y, real *kept, Py_ssize_t n,
) noexcept nogil:
    """Call `activation_forward`."""
    activation_forward(kind, number, x, y, kept, n)


cdef void times_activation_slope(
    int kind, real number, const real *x, const real *kept, const real *dy, real *dx, Py_ssize_t n,
) noexcept nogil:
    """Call `activation_backward`; a parametric activation keeps its slope, as Tanh does."""
    activation_backward(TANH if is_parametric(kind) else kind, number, x, kept, dy, dx, n)


cdef void add_curvature(
    int kind, real number, const real *x, const real *tangent, const real *dy, real *dx_tangent,
    Py_ssize_t n,
) noexcept nogil:
    """Call `add_activation_curvature`."""
    add_activation_curvature(kind, number, x, tangent, dy, dx_tangent, n)


cdef void values_and_slopes(
    const Operation *operation, const real *x, real *y, real *slopes, Py_ssize_t n,
) noexcept nogil:
    """Overwrite y with f(x), and `slopes` with f'(x), of a parametric activation."""
    cdef int kind = operation.kind - PARAMETRIC
    cdef real number = <real>operation.alpha
    cdef Py_ssize_t i
    activate(kind, number, x, y, slopes, n)
    if not keeps_slope(kind):
        for i in range(n):
            slopes[i] = 1
        times_activation_slope(kind, number, x, slopes, slopes, slopes, n)


cdef void parametric_forward(
    const Operation *operation, const real *alpha, const real *x, real *y, real *kept,
    Py_ssize_t rows,
) noexcept nogil:
    """Overwrite y, and `kept` with the slopes, then f(x) - x, unless it is NULL."""
    cdef Py_ssize_t n = operation.n_out
    cdef real *differences
    cdef Py_ssize_t i, j
    if kept == NULL:
        activate(operation.kind - PARAMETRIC, <real>operation.alpha, x, y, kept, rows * n)
    else:
        differences = kept + rows * n
        values_and_slopes(operation, x, y, kept, rows * n)
        for i in range(rows * n):
            differences[i] = y[i] - x[i]
    for i in range(rows):
        for j in range(n):
            y[j] = (<real>1 - alpha[j]) * x[j] + alpha[j] * y[j]
        x += n
        y += n
        if kept != NULL:
            for j in range(n):
                kept[j] = (<real>1 - alpha[j]) + alpha[j] * kept[j]
            kept += n


cdef void parametric_tangent(
    const Operation *operation, const real *direction, const real *x_tangent,
    const real *activations, real *y_tangent, Py_ssize_t rows,
) noexcept nogil:
    """ẏ = slope ẋ + α̇ (f(x) - x); overwrites ẏ. The direction or ẋ may be NULL, which means 0."""
    cdef Py_ssize_t n = operation.n_out
    cdef const real *kept = activations + operation.kept * rows
    if x_tangent == NULL:
        memset(y_tangent, 0, rows * n * sizeof(real))
    else:
        times_activation_slope(operation.kind, <real>0, kept, kept, x_tangent, y_tangent, rows * n)
    if direction != NULL:
        scale_rows(direction + operation.weight, kept + rows * n, True, y_tangent, rows, n)


cdef void parametric_backward_tangent(
    const Operation *operation, const real *alpha, const real *direction, const real *x,
    const real *x_tangent, const real *kept, real *dy, real *dy_tangent, real *out,
    real *f_slopes, real *curvatures, Py_ssize_t rows,
) noexcept nogil:
    """Add to `out` (n,) the tangent of the gradient by α; turn dy and dẏ into dx and dẋ.

    dẋ = slope dẏ + (α f''(x) ẋ + α̇ (f'(x) - 1)) dy, and α gets Σ (f(x) - x) dẏ + (f'(x) - 1) ẋ dy.
    If `x_tangent` is NULL, which means 0, the input depends on no parameter, and dx and dẋ are not
    computed. `f_slopes` and `curvatures` (rows * n) are overwritten.
    """
    cdef Py_ssize_t n = operation.n_out
    cdef const real *slopes = kept
    cdef const real *differences = kept + rows * n
    cdef real change
    cdef Py_ssize_t _row, j
    add_products(differences, dy_tangent, out, rows, n)
    if x_tangent == NULL:
        return
    values_and_slopes(operation, x, curvatures, f_slopes, rows * n)
    memset(curvatures, 0, rows * n * sizeof(real))
    add_curvature(operation.kind - PARAMETRIC, <real>operation.alpha, x, x_tangent, dy, curvatures,
                  rows * n)
    for _row in range(rows):
        for j in range(n):
            change = (f_slopes[j] - <real>1) * dy[j]
            out[j] += change * x_tangent[j]
            dy_tangent[j] = (
                slopes[j] * dy_tangent[j] + alpha[j] * curvatures[j] + direction[j] * change)
            dy[j] = slopes[j] * dy[j]
        f_slopes += n
        curvatures += n
        slopes += n
        x_tangent += n
        dy_tangent += n
        dy += n
