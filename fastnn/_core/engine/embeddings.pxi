# Embeddings of columns in the passes: periodic, piecewise-linear, and of categories.
#
# a) A periodic embedding is three operations, a piecewise-linear one two. FREQUENCIES turns each of
#    the first columns x into z = 2π w x + b for each frequency w, and COSINE takes the cosine.
#    ENCODE turns a column into its encoding by the edges of the bins. COLUMN_MAP then maps the
#    features of each column to its embedding, linearly.
# b) FREQUENCIES and COLUMN_MAP are linear in their input and in their parameters. So their second
#    derivatives need no functions of their own: `backward_tangent_pass` combines the first ones.
# c) All other columns are passed on, and so is x itself if it is joined to its embedding. `pass_on`
#    copies them.
# d) LOOKUP replaces the last columns, which have the codes of categories, by rows of tables. Its
#    output does not depend on the codes in a differentiable way: their derivative is 0.

cdef enum:
    SINES = 64  # at a time


cdef void pass_on(
    const Operation *operation, const real *source, real *out, Py_ssize_t rows, bint back,
) noexcept nogil:
    """Copy the joined columns and those that are not embedded to their places in `out`.

    With `back`, the source has the layout of the output, and `out` that of the input. A source that
    is NULL stands for zeros. `out` may be the source if input and output have one layout.
    """
    cdef Py_ssize_t step = operation.out_step if back else operation.in_step
    cdef Py_ssize_t out_step = operation.in_step if back else operation.out_step
    cdef Py_ssize_t width = operation.n_out if back else operation.n_in
    cdef Py_ssize_t out_width = operation.n_in if back else operation.n_out
    cdef Py_ssize_t i, c
    if source == out:
        return
    for i in range(rows):
        if operation.joined:
            for c in range(operation.columns):
                out[c * out_step] = source[c * step] if source != NULL else 0
        if source == NULL:
            memset(out + operation.columns * out_step, 0, operation.others * sizeof(real))
        else:
            memcpy(out + operation.columns * out_step, source + operation.columns * step,
                   operation.others * sizeof(real))
            source += width
        out += out_width


cdef void embed(
    const Operation *operation, const real *params, const real *x, bint with_bias, bint add,
    real *y, Py_ssize_t rows, char *scratch, int n_threads,
) noexcept nogil:
    """Write the embeddings to y, or `add` them; the columns that are passed on are not written.

    Without the bias, x is a tangent.
    """
    cdef const real *weight = params + operation.weight
    cdef const real *bias = params + operation.bias
    cdef const real *start
    cdef Py_ssize_t start_row = operation.n_out if add else 0
    cdef Py_ssize_t n = operation.outputs
    cdef Py_ssize_t i, c, f
    cdef real *out
    cdef real turn
    if operation.kind == LOOKUP:
        if not add:  # else x is a tangent of the codes, which adds 0
            look_up(operation, params, x, with_bias, y, rows)
        return
    y += operation.joined
    if operation.kind == COLUMN_MAP:
        x += operation.joined
        for c in range(operation.columns):
            start = NULL
            if add:
                start = y
            elif with_bias:
                start = bias + c * n
            product(rows, n, operation.inputs, x, operation.n_in, hidden(1),
                    weight + c * n * operation.inputs, hidden(1), operation.inputs,
                    start, start_row, y, operation.n_out, scratch, n_threads)
            x += operation.in_step
            y += operation.out_step
        return
    for i in range(rows):
        for c in range(operation.columns):
            out = y + c * operation.out_step
            if not add and with_bias:
                memcpy(out, bias + c * n, n * sizeof(real))
            elif not add:
                memset(out, 0, n * sizeof(real))
            turn = <real>6.283185307179586 * x[c]
            for f in range(n):
                out[f] += turn * weight[c * n + f]
        x += operation.n_in
        y += operation.n_out


cdef inline Py_ssize_t code_of(real x, Py_ssize_t categories) noexcept nogil:
    """Return the whole number nearest to x, or -1 if that is no category."""
    cdef Py_ssize_t code
    if not <real>-0.5 < x < <real>4e7:  # larger than any table, and safe to convert
        return -1
    code = <Py_ssize_t>x
    code += x - <real>code >= <real>0.5
    return code if code < categories else -1


cdef void look_up(
    const Operation *operation, const real *params, const real *x, bint with_bias, real *y,
    Py_ssize_t rows,
) noexcept nogil:
    """Write the rows of the tables at the codes x, or zeros if x is a tangent, without bias."""
    cdef const Operation *table
    cdef const real *row
    cdef real *out
    cdef real code
    cdef Py_ssize_t i, c, j, place
    for i in range(rows):
        out = y + operation.others
        for c in range(operation.inputs):
            table = operation + operation.tables + c
            code = x[operation.others + c] if with_bias else -1
            place = code_of(code, table.n_in)
            row = params + table.weight + place * table.n_out
            for j in range(table.n_out):
                out[j] = row[j] if place >= 0 else (0 if code == code else code)  # NaN remains
            out += table.n_out
        x += operation.n_in
        y += operation.n_out


cdef void pull_embedding(
    const Operation *operation, const real *params, const real *dy, bint add, real *dx,
    Py_ssize_t rows, char *scratch, int n_threads,
) noexcept nogil:
    """Overwrite dx with the cotangent of the input.

    With `add`, only the part through the parameters is added: other columns do not change.
    """
    cdef const real *weight = params + operation.weight
    cdef Py_ssize_t n = operation.outputs
    cdef Py_ssize_t i, c
    cdef real product_of_column
    cdef real zero = 0
    if not add:
        pass_on(operation, dy, dx, rows, hidden(1))
    if operation.kind == LOOKUP:
        for i in range(0 if add else rows):
            memset(dx + i * operation.n_in + operation.others, 0, operation.inputs * sizeof(real))
        return
    dy += operation.joined
    if operation.kind == COLUMN_MAP:
        dx += operation.joined
        for c in range(operation.columns):
            product(rows, operation.inputs, n, dy, operation.n_out, hidden(1),
                    weight + c * n * operation.inputs, operation.inputs, hidden(1),
                    dx if add else <real *>NULL, operation.n_in, dx, operation.n_in,
                    scratch, n_threads)
            dy += operation.out_step
            dx += operation.in_step
        return
    for i in range(rows):
        for c in range(operation.columns):
            dot(1, 1, n, weight + c * n, n, dy + c * operation.out_step, n, 0, &zero, 0,
                &product_of_column, 1, False, NULL)
            if not add and not operation.joined:
                dx[c] = 0
            dx[c] += <real>6.283185307179586 * product_of_column
        dy += operation.n_out
        dx += operation.n_in


cdef void add_embedding_gradient(
    const Operation *operation, const real *x, const real *dy, bint with_bias, real *grads,
    Py_ssize_t rows, char *scratch, int n_threads,
) noexcept nogil:
    """Add the gradient by the parameters, summed over the rows; without the bias, x is a tangent.

    The rows are added one after the other, whatever the number of threads.
    """
    cdef real *dweight = grads + operation.weight
    cdef real *dbias = grads + operation.bias
    cdef const real *dy_column
    cdef Py_ssize_t n = operation.outputs
    cdef Py_ssize_t i, c, f
    cdef real turn
    if operation.kind == LOOKUP:
        if with_bias:
            add_to_tables(operation, x, dy, grads, rows)
        return
    dy += operation.joined
    if operation.kind == COLUMN_MAP:
        for c in range(operation.columns):
            product(n, operation.inputs, rows, dy + c * operation.out_step, hidden(1),
                    operation.n_out, x + operation.joined + c * operation.in_step, operation.n_in,
                    hidden(1), dweight, operation.inputs, dweight, operation.inputs, scratch,
                    n_threads)
            dweight += n * operation.inputs
    for i in range(rows):
        for c in range(operation.columns):
            dy_column = dy + c * operation.out_step
            if operation.kind == FREQUENCIES:
                turn = <real>6.283185307179586 * x[c]
                for f in range(n):
                    dweight[c * n + f] += turn * dy_column[f]
            if with_bias:
                for f in range(n):
                    dbias[c * n + f] += dy_column[f]
        x += operation.n_in
        dy += operation.n_out


cdef void add_to_tables(
    const Operation *operation, const real *x, const real *dy, real *grads, Py_ssize_t rows,
) noexcept nogil:
    """Add each row's cotangents to the rows of the tables that it read."""
    cdef const Operation *table
    cdef const real *dy_column
    cdef real *row
    cdef Py_ssize_t i, c, j, place
    for i in range(rows):
        dy_column = dy + operation.others
        for c in range(operation.inputs):
            table = operation + operation.tables + c
            place = code_of(x[operation.others + c], table.n_in)
            row = grads + table.weight + place * table.n_out
            for j in range(table.n_out if place >= 0 else 0):
                row[j] += dy_column[j]
            dy_column += table.n_out
        x += operation.n_in
        dy += operation.n_out


cdef void embedding_backward_params(
    const Operation *operation, const real *x, const real *dy, real *grads, bint accumulate,
    Py_ssize_t rows, char *scratch, int n_threads,
) noexcept nogil:
    """The gradient by the parameters, overwritten or with `accumulate` added."""
    if not accumulate:
        memset(grads + operation.weight, 0, operation.n_own * sizeof(real))
    add_embedding_gradient(operation, x, dy, hidden(1), grads, rows, scratch, n_threads)


cdef void embedding_params_rows(
    const Operation *operation, const real *block, Py_ssize_t stride, const real *x,
    real *jacobian, Py_ssize_t samples, Py_ssize_t r, Py_ssize_t n_params, char *scratch,
) noexcept nogil:
    """Write the Jacobian's columns of the operation, in rows of `n_params`.

    Each row is the gradient of one sample for one cotangent.
    """
    cdef Py_ssize_t s, k
    for s in range(samples):
        for k in range(r):
            embedding_backward_params(
                operation, x + s * operation.n_in, block + s * stride + k * operation.n_out,
                jacobian, False, <Py_ssize_t>1, scratch, 1)
            jacobian += n_params


cdef void sines(const real *x, int quarters, real *y, Py_ssize_t n) noexcept nogil:
    """y = sin(x + quarters π/2); overwrites y. The code exists once, as this is called."""
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = sine(x[i], quarters)


cdef void cosine_pass(
    const Operation *operation, Py_ssize_t order, const real *z, const real *factor,
    const real *tangent, real *out, Py_ssize_t rows,
) noexcept nogil:
    """Overwrite `out` with cos z (order 0), or with -sin z times the factor (order 1).

    With order 2, -cos z times the factor and the tangent is added. The factor may be `out`. Joined
    and other columns are copied from z (order 0) or the factor (order 1), and order 2 leaves them.
    """
    cdef real[SINES] values
    cdef Py_ssize_t i, c, first, n, place, j
    if order < 2:
        pass_on(operation, factor if order else z, out, rows, hidden(0))
    for i in range(rows):
        for c in range(operation.columns):
            first = operation.joined
            while first < operation.in_step:
                n = min(<Py_ssize_t>SINES, operation.in_step - first)
                place = i * operation.n_in + c * operation.in_step + first
                sines(z + place, <int>(order + 1), values, n)
                if order == 0:
                    memcpy(out + place, values, n * sizeof(real))
                elif order == 1:
                    for j in range(n):
                        out[place + j] = values[j] * factor[place + j]
                else:
                    for j in range(n):
                        out[place + j] += values[j] * tangent[place + j] * factor[place + j]
                first += n


cdef inline Py_ssize_t bin_of(const real *column, real x) noexcept nogil:
    """Return the bin of x; an edge belongs to the bin below it, and NaN to the first one.

    `column` has the number of bins, and then the edges, which ascend.
    """
    cdef Py_ssize_t bins = <Py_ssize_t>column[0]
    cdef Py_ssize_t found = 0
    cdef Py_ssize_t t
    for t in range(2, bins + 1):
        found += column[t] < x
    return found


cdef void encode_forward(
    const Operation *operation, const real *constants, const real *x, real *y, Py_ssize_t rows,
) noexcept nogil:
    """Overwrite y: ones below the bin of x, its place in the bin, and zeros above."""
    cdef const real *column
    cdef Py_ssize_t i, c, f, t
    pass_on(operation, x, y, rows, hidden(0))
    for i in range(rows):
        column = constants + operation.mean
        for c in range(operation.columns):
            t = bin_of(column, x[c])
            for f in range(operation.out_step):
                y[c * operation.out_step + f] = 1 if f < t else 0
            y[c * operation.out_step + t] = (x[c] - column[t + 1]) / (column[t + 2] - column[t + 1])
            column += operation.out_step + 2
        x += operation.n_in
        y += operation.n_out


cdef Block times_encoding(
    const Operation *operation, const real *constants, const real *x, Py_ssize_t samples,
    Py_ssize_t r, Block block, bint back, real *out,
) noexcept nogil:
    """Return a block's r rows times the Jacobian of ENCODE at each sample.

    With `back` the rows are cotangents, otherwise tangents. `out` must not be the block's memory.
    """
    cdef Py_ssize_t width = operation.n_out if back else operation.n_in
    cdef Py_ssize_t out_width = operation.n_in if back else operation.n_out
    cdef const real *column
    cdef const real *row
    cdef real *result = out
    cdef Py_ssize_t s, k, c, t, place
    cdef real bin_width
    for s in range(samples):
        for k in range(r):
            row = <const real *>block.rows + s * block.stride + k * width
            if not back:
                memset(result, 0, out_width * sizeof(real))
            pass_on(operation, row, result, hidden(1), back)
            column = constants + operation.mean
            for c in range(operation.columns):
                t = bin_of(column, x[c])
                bin_width = column[t + 2] - column[t + 1]
                place = c * operation.out_step + t
                if back:
                    result[c] = row[place] / bin_width
                else:
                    result[place] = row[c] / bin_width
                column += operation.out_step + 2
            result += out_width
        x += operation.n_in
    return block_of(out, r * out_width)
