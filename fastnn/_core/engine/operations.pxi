# Properties of operations, which follow from their kind.

cdef inline bint is_border(int kind) noexcept nogil:
    """Return whether an operation is a border of a branch and has no arithmetic of its own."""
    return kind >= FORK


cdef inline const real *input_of(
    const Operation *operation, const real *x, const real *activations, Py_ssize_t rows,
) noexcept nogil:
    """Return the input of an operation; `x` is that of the network."""
    return activations + operation.input * rows if operation.input >= 0 else x


cdef inline Py_ssize_t work_of(Plan plan, Py_ssize_t rows) noexcept:
    """Return about how many multiply-adds a pass of so many rows takes."""
    return rows * (plan.n_params + plan.row_width)


cdef inline bint has_params(int kind) noexcept nogil:
    """Return whether an operation has a weight (and perhaps a bias)."""
    return kind == DENSE or kind == SCALE or is_parametric(kind) or embeds(kind)


cdef inline bint is_parametric(int kind) noexcept nogil:
    """Return whether an operation mixes its input with an activation of it."""
    return PARAMETRIC < kind < DENSE


cdef inline bint embeds(int kind) noexcept nogil:
    """Return whether an operation of an embedding has parameters."""
    return kind == FREQUENCIES or kind == COLUMN_MAP or kind == LOOKUP


cdef inline bint is_embedding(int kind) noexcept nogil:
    """Return whether an operation is a part of an embedding."""
    return embeds(kind) or kind == COSINE or kind == ENCODE


cdef inline bint is_fixed_scaling(int kind) noexcept nogil:
    """Return whether an operation scales and shifts each column by constants."""
    return kind == STANDARDIZE or kind == UNSTANDARDIZE


cdef inline bint has_symmetric_jacobian(int kind) noexcept nogil:
    """Return whether `times_symmetric` applies the Jacobian, which is symmetric in evaluation mode.

    The Jacobian of softmax is symmetric too, but other functions apply it.
    """
    return (kind == SCALE or kind == NORMALIZE or kind == BATCH_NORMALIZE
            or kind == DROPOUT)


cdef inline bint differs_in_training(int kind) noexcept nogil:
    """Return whether training mode computes another function than evaluation mode."""
    return kind == BATCH_NORMALIZE or kind == DROPOUT


cdef Py_ssize_t kept_width(int kind, Py_ssize_t n) noexcept nogil:
    """Return how many values per row an operation keeps for its derivatives."""
    if kind == NORMALIZE:
        return 1
    if is_parametric(kind):
        return 2 * n
    return n if keeps_one_each(kind) else 0


cdef bint keeps_one_each(int kind) noexcept nogil:
    """Return whether an operation keeps one value per output: factor, slope or probability."""
    return (kind == BATCH_NORMALIZE or kind == DROPOUT or keeps_slope(kind)
            or kind == LOG_SOFTMAX)


cdef int operation_kind(str name) except -1:
    cdef str plain = name.removeprefix("parametric_")
    cdef int kind = activation_kind(plain)
    if kind != NOT_AN_ACTIVATION:
        return kind if plain == name else PARAMETRIC + kind
    return {"linear": DENSE, "standardize": STANDARDIZE, "unstandardize": UNSTANDARDIZE,
            "softmax": SOFTMAX, "log_softmax": LOG_SOFTMAX, "layer_norm": NORMALIZE,
            "batch_norm": BATCH_NORMALIZE, "scale": SCALE, "dropout": DROPOUT}[name]
