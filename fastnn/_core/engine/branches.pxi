# Blocks of branches in the passes: a residual block is the sum of the identity and a branch.
#
# a) Forward, only JOIN computes: it adds the outputs of the branches in their order, or copies them
#    side by side. An empty branch has the block's input as its output.
# b) Backward, the branches run from the last to the first. JOIN copies its cotangent to a slot, and
#    hands the last branch its part. At the BRANCH before, the cotangent of the block's input is
#    complete for one branch. It is added to a total, and the next branch gets its part of the
#    slot. FORK adds the total. The part of an empty branch is added at once, so that a residual
#    block needs no total.
# c) Slots are memory of the backward pass. Blocks inside a block have slots of their own; blocks
#    one after the other share them.
# d) Jacobians do the same with blocks of rows. The block of JOIN stays where it is, since no
#    operation of a branch writes there. A total is at the offset FORK.kept.
# e) If only the gradient by the parameters is wanted, an operation whose input depends on no
#    parameter does not compute the cotangent of its input. Its memory is then not used.

cdef void put_rows(
    const real *source, Py_ssize_t source_row, bint add, real *out, Py_ssize_t out_row,
    Py_ssize_t rows, Py_ssize_t width,
) noexcept nogil:
    """Overwrite some columns of `out`, or with `add` add to them; `..._row` is a row's length."""
    cdef Py_ssize_t i, j
    if source_row == width and out_row == width:
        width *= rows
        rows = 1
    for i in range(rows):
        if add:
            for j in range(width):
                out[j] += source[j]
        else:
            memcpy(out, source, width * sizeof(real))
        source += source_row
        out += out_row


cdef void join_forward(
    Plan plan, const Operation *join, const real *x, const real *activations, real *y,
    Py_ssize_t rows,
) noexcept nogil:
    """Overwrite y (rows, n_out) with the sum of the branches, or with the branches side by side."""
    cdef const Operation *end = &plan.operations[join.fork]
    cdef const real *first = NULL
    cdef const real *part
    cdef Py_ssize_t i
    while end.next_end:
        end = &plan.operations[end.next_end]
        part = input_of(end, x, activations, rows)
        if join.concatenates or (first == NULL and end.kind == JOIN):
            put_rows(part, end.n_in, False, y + end.column, join.n_out, rows, end.n_in)
        elif first == NULL:
            first = part
        else:
            for i in range(rows * join.n_out):
                y[i] = first[i] + part[i]
            first = y


cdef void border_backward(
    Plan plan, const Operation *border, real *cotangent, real *slots, Py_ssize_t rows,
) noexcept nogil:
    """Turn the cotangent of what follows a FORK, BRANCH or JOIN into that of what precedes it."""
    cdef Py_ssize_t n_in = plan.operations[border.fork].n_in
    cdef Py_ssize_t n_out = plan.operations[border.join].n_out
    cdef real *joined = slots + border.held * rows
    cdef real *total = joined + n_out * rows
    if border.kind == FORK:
        if border.has_total:
            put_rows(total, n_in, True, cotangent, n_in, rows, n_in)
        return
    if border.kind == JOIN:
        memcpy(joined, cotangent, rows * n_out * sizeof(real))
        if not border.concatenates:
            return
    elif border.is_empty:
        put_rows(joined + border.column, n_out, True, cotangent, n_in, rows, n_in)
        return
    else:
        put_rows(cotangent, n_in, border.has_total, total, n_in, rows, n_in)
    put_rows(joined + border.column, n_out, False, cotangent, border.n_in, rows, border.n_in)


cdef void join_tangent(
    Plan plan, const Operation *join, const real *x_tangent, const real *tangents, real *y,
    Py_ssize_t rows,
) noexcept nogil:
    """Overwrite the tangents y (rows, n_out), unless those of all branches are zero."""
    cdef const Operation *end = &plan.operations[join.fork]
    cdef const real *tangent
    cdef bint is_zero = True
    while end.next_end:
        end = &plan.operations[end.next_end]
        if x_tangent == NULL and not end.params_below:
            continue
        if is_zero:
            memset(y, 0, rows * join.n_out * sizeof(real))
            is_zero = False
        tangent = input_of(end, x_tangent, tangents, rows)
        put_rows(tangent, end.n_in, True, y + end.column, join.n_out, rows, end.n_in)


cdef Block sum_of_blocks(
    Block a, Block b, Py_ssize_t b_column, Py_ssize_t b_width, real *out, Py_ssize_t samples,
    Py_ssize_t r, Py_ssize_t width,
) noexcept nogil:
    """Return a (r, width) plus some columns of b (r, b_width); `out` may be the memory of a."""
    cdef Py_ssize_t stride = 0 if a.stride == 0 and b.stride == 0 else r * width
    cdef const real *a_row
    cdef const real *b_row
    cdef real *row
    cdef Py_ssize_t s, k, j
    for s in range((samples if stride else 1) - 1, -1, -1):
        for k in range(r):
            a_row = <const real *>a.rows + s * a.stride + k * width
            b_row = <const real *>b.rows + s * b.stride + k * b_width + b_column
            row = out + s * stride + k * width
            for j in range(width):
                row[j] = a_row[j] + b_row[j]
    return block_of(out, stride)


cdef Block columns_of_block(
    Block block, Py_ssize_t column, Py_ssize_t block_width, real *out, Py_ssize_t samples,
    Py_ssize_t r, Py_ssize_t width,
) noexcept nogil:
    """Return some columns of a block (r, block_width), copied to `out`."""
    cdef Py_ssize_t stride = r * width if block.stride else 0
    cdef Py_ssize_t s
    for s in range(samples if stride else 1):
        put_rows(<const real *>block.rows + s * block.stride + column, block_width, False,
                 out + s * stride, width, r, width)
    return block_of(out, stride)


cdef Block border_pull(
    Plan plan, const Operation *border, Block block, Block *at_borders, real *blocks, real *dx,
    Py_ssize_t samples, Py_ssize_t r, bint input_wanted,
) noexcept nogil:
    """Return the block below a FORK, BRANCH or JOIN, as `border_backward` does for one cotangent.

    `blocks` and `dx` are those of `pull_back`. `input_wanted` is False if the cotangents of the
    block's input are not used, which are then not computed.
    """
    cdef const Operation *fork = &plan.operations[border.fork]
    cdef Py_ssize_t n_out = plan.operations[border.join].n_out
    cdef real *total = blocks + fork.kept * samples * r
    cdef real *below = blocks + border.input * samples * r if border.input >= 0 else dx
    cdef real *at_fork = blocks + fork.input * samples * r if fork.input >= 0 else dx
    cdef Block joined
    if border.kind == FORK:
        if border.has_total and input_wanted:
            return sum_of_blocks(block, at_borders[border.fork], <Py_ssize_t>0, fork.n_in, at_fork,
                                 samples, r, fork.n_in)
        return block
    if border.kind == JOIN:
        at_borders[border.join] = block
    joined = at_borders[border.join]
    if border.is_empty and not input_wanted:
        return joined
    if border.kind == BRANCH and border.is_empty:
        return sum_of_blocks(block, joined, border.column, n_out, at_fork, samples, r, fork.n_in)
    if border.kind == BRANCH and input_wanted:
        if border.has_total:
            at_borders[border.fork] = sum_of_blocks(
                at_borders[border.fork], block, <Py_ssize_t>0, fork.n_in, total, samples, r,
                fork.n_in)
        else:
            at_borders[border.fork] = columns_of_block(
                block, <Py_ssize_t>0, fork.n_in, total, samples, r, fork.n_in)
    if not border.concatenates:
        return joined
    return columns_of_block(joined, border.column, n_out, below, samples, r, border.n_in)


cdef Block border_push(
    Plan plan, Py_ssize_t number, Block block, Block *at_borders, real *blocks,
    Py_ssize_t samples, Py_ssize_t r,
) noexcept nogil:
    """Return the block of tangents above a FORK, BRANCH or JOIN."""
    cdef const Operation *border = &plan.operations[number]
    cdef const Operation *end = &plan.operations[border.fork]
    cdef real *out
    cdef Block part
    cdef bint shared = True
    cdef bint add = False
    cdef Py_ssize_t stride, s, k
    at_borders[number] = block
    if border.kind == FORK:
        return block
    if border.kind == BRANCH:
        return at_borders[border.fork]
    while end.next_end:
        shared = shared and at_borders[end.next_end].stride == 0
        end = &plan.operations[end.next_end]
    stride = 0 if shared else r * border.n_out
    out = blocks + border.output * samples * r
    end = &plan.operations[border.fork]
    while end.next_end:
        part = at_borders[end.next_end]
        end = &plan.operations[end.next_end]
        for s in range(1 if shared else samples):
            if part.rows != NULL:
                put_rows(<const real *>part.rows + s * part.stride, end.n_in, add,
                         out + s * stride + end.column, border.n_out, r, end.n_in)
                continue
            if not add:  # the identity
                for k in range(r):
                    memset(out + s * stride + k * border.n_out + end.column, 0,
                           end.n_in * sizeof(real))
            for k in range(r):
                out[s * stride + k * border.n_out + end.column + k] += 1
        add = not border.concatenates
    return block_of(out, stride)
