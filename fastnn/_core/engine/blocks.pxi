# Blocks of Jacobian rows or columns, and the memory for a chunk of samples with their blocks.

cdef struct Block:     # a matrix (r, width) for each sample
    const void *rows   # NULL for the identity
    Py_ssize_t stride  # from sample to sample; 0 if all samples share one matrix


cdef inline Block block_of(const real *rows, Py_ssize_t stride) noexcept nogil:
    cdef Block block
    block.rows = rows
    block.stride = stride
    return block


cdef inline Block identity() noexcept nogil:
    cdef Block block
    block.rows = NULL
    block.stride = 0
    return block


cdef Py_ssize_t chunk_width(Plan plan, Py_ssize_t r) noexcept nogil:
    """Return the elements per sample: activations, a block for each of them, and slopes."""
    return (r + 1) * plan.row_width + plan.max_width


cdef Py_ssize_t chunk_samples(
    Plan plan, Py_ssize_t r, Py_ssize_t n, Py_ssize_t itemsize,
) noexcept nogil:
    """Return how many of n samples to take at a time, so that their memory stays in cache."""
    cdef Py_ssize_t most = max(600_000 // (itemsize * chunk_width(plan, r)), 8)
    cdef Py_ssize_t chunks = max(1, (n + most - 1) // most)
    return (n + chunks - 1) // chunks


cdef Py_ssize_t blocks_bytes(
    Plan plan, Py_ssize_t samples, Py_ssize_t r, Py_ssize_t itemsize, int n_threads,
) noexcept nogil:
    """Return the bytes of workspace that `carved` divides."""
    return (gemm_workspace(n_threads) + 2 * plan.n_operations * sizeof(Block) + 64
            + (samples * chunk_width(plan, r) + plan.max_width) * itemsize)


cdef struct Chunk:      # the parts of a workspace for some samples, with blocks of r rows
    char *scratch       # of the products
    void *activations   # (samples * row_width,)
    void *blocks        # (r * samples * row_width,)
    void *slopes        # (samples * max_width,), and one row of max_width more
    Block *at_linear    # (n_operations,)
    Block *at_borders   # (n_operations,)
    char *end


cdef Chunk carved(
    Plan plan, char *workspace, Py_ssize_t samples, Py_ssize_t r, Py_ssize_t itemsize,
    int n_threads,
) noexcept nogil:
    """Divide a workspace of `blocks_bytes`."""
    cdef Chunk chunk
    chunk.scratch = workspace
    chunk.activations = workspace + gemm_workspace(n_threads)
    chunk.blocks = <char *>chunk.activations + samples * plan.row_width * itemsize
    chunk.slopes = <char *>chunk.blocks + r * samples * plan.row_width * itemsize
    chunk.at_linear = <Block *>aligned(
        <char *>chunk.slopes + (samples + 1) * plan.max_width * itemsize)
    chunk.at_borders = chunk.at_linear + plan.n_operations
    chunk.end = <char *>(chunk.at_borders + plan.n_operations)
    return chunk
