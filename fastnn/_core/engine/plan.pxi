# A Plan is a network in the form that the engine runs: an array of C structs, one per operation.
#
# a) A struct has the operation's kind, its widths, and the offsets of its parameters. It has no
#    dtype: one Plan serves float32 and float64, and the passes take pointers to the arrays.
# b) A ReLU after a linear layer is a part of that operation: the product stores max(z, 0). z itself
#    is not kept, since max(z, 0) tells whether z was positive.
# c) A normalization with a weight and a bias is two operations: the normalization, and SCALE. A
#    parametric activation is one operation, whose kind is PARAMETRIC plus that of the activation.
# d) `Plan.add` defines the layout of the flat arrays. For each operation `params` has the weight,
#    then the bias; `constants` has the means, then the scales or variances. Layers use the same
#    layout: `fastnn.layers.composition.bind` asserts it.
# e) A block of branches is a part of the same list: FORK, then for each branch its operations and a
#    BRANCH, with a JOIN in place of the last BRANCH. Each operation has the offset of its input, so
#    a forward pass needs no copies: the first operation of every branch reads the block's input.
#    branches.pxi explains the other passes.
# f) An embedding of columns is up to three operations; see embeddings.pxi. The tables of LOOKUP are
#    described in the slots after the last operation.

cdef enum OperationKind:  # the kinds below 50 are activations
    PARAMETRIC = 50  # plus the kind of an activation f: y = (1 - α) x + α f(x)
    DENSE = 100
    STANDARDIZE
    UNSTANDARDIZE
    SOFTMAX
    LOG_SOFTMAX
    SCALE            # y = w x + b for each column
    NORMALIZE        # each row, by its own mean and deviation
    BATCH_NORMALIZE  # each column, by the statistics of the batch or by running statistics
    DROPOUT
    FREQUENCIES      # z = 2π w x + b for each frequency of each column
    COSINE
    ENCODE           # the piecewise-linear encoding of each column
    COLUMN_MAP       # a linear map for each column's features
    LOOKUP           # columns of codes become rows of tables
    FORK             # the input of a block; the kinds below compute nothing but JOIN's output
    BRANCH           # the end of a branch that is not the last
    JOIN             # the end of the last branch: the sum, or the branches side by side


cdef struct Operation:
    int kind
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t input     # offset of the input in the activations of one row; -1: the network's
    bint params_below    # the input depends on parameters
    Py_ssize_t weight    # offset in params; of α if parametric
    Py_ssize_t bias      # offset in params; -1 without a bias
    Py_ssize_t mean      # offset in constants: of a fixed scaling, or the running mean
    Py_ssize_t scale     # offset in constants: of a fixed scaling
    Py_ssize_t variance  # offset in constants: the running variance
    bint relu            # the output of a linear layer goes through ReLU
    double alpha         # negative slope of LeakyReLU, scale of ELU
    double eps           # added to the variance of a normalization
    double momentum      # of the running statistics
    double p             # probability that Dropout zeroes an element
    Py_ssize_t output    # offset of the output in the activations of one row
    Py_ssize_t kept      # offset of the values kept for derivatives, which precede the output
    # of an embedding:
    Py_ssize_t columns   # that are embedded; 0 for LOOKUP
    Py_ssize_t in_step   # numbers of a column in the input, and in the output
    Py_ssize_t out_step
    Py_ssize_t inputs    # of a column's linear map; for LOOKUP, the columns of codes
    Py_ssize_t outputs   # of a column's linear map
    Py_ssize_t others    # columns that are passed on
    Py_ssize_t n_own     # parameters of the operation
    # of LOOKUP: slots to its first table, which has the number of categories as n_in
    Py_ssize_t tables
    bint joined          # x stands before the other numbers of its column
    # of FORK, BRANCH and JOIN:
    Py_ssize_t fork      # the number of the FORK
    Py_ssize_t join      # the number of the JOIN
    Py_ssize_t next_end  # the number of the next BRANCH or JOIN
    Py_ssize_t column    # the first column of the branch in the joined output
    Py_ssize_t held      # offset of the joined cotangent in the slots of one row
    bint concatenates    # the branches stand side by side; otherwise they are added
    bint is_empty        # the branch is the identity
    bint has_total       # the total has the cotangents of later branches


@cython.final
cdef class Plan:
    """A network compiled to a list of operations.

    Parameters
    ----------
    operations : list of (kind, in_features, out_features, bias, number, momentum)
        What `Layer.operation` returns for each layer. `number` is the negative slope of LeakyReLU,
        alpha of ELU, eps of a normalization or the probability of Dropout. A block is
        (kind, in_features, out_features, branches), where a branch is such a list. An embedding is
        (kind, in_features, out_features, columns, sizes): the sizes are the features of a column,
        the outputs of its linear map, and whether x is joined to them; for categories, a flat list
        of the number of categories and the size of each column. The widths are trusted.
    """

    cdef Operation *operations
    cdef Py_ssize_t n_slots              # of `operations`
    cdef Py_ssize_t first_table          # the slot of the first table
    cdef readonly Plan logits            # without the last layer, if that is Softmax
    cdef readonly Py_ssize_t n_operations
    cdef readonly Py_ssize_t n_in
    cdef readonly Py_ssize_t n_out
    cdef readonly Py_ssize_t n_params
    cdef readonly Py_ssize_t n_constants
    cdef readonly Py_ssize_t row_width   # all activations of one sample
    cdef readonly Py_ssize_t max_width   # the widest input or output
    cdef Py_ssize_t widest_output
    cdef bint has_scales                 # whether operations other than DENSE have parameters
    cdef bint has_embeddings
    cdef readonly bint has_dropout
    cdef readonly bint has_batch_norm    # a batch then goes through the network in one chunk
    cdef readonly bint has_blocks        # whether there is a FORK
    cdef Py_ssize_t first_trainable      # the lowest operation that has parameters
    cdef Py_ssize_t slots_width          # elements per row that a backward pass holds in blocks
    cdef Py_ssize_t tip                  # `input` of the next operation
    cdef bint params_below_tip           # `params_below` of the next operation

    def __cinit__(self, list operations, /):
        cdef Py_ssize_t most = most_operations(operations)
        self.n_slots = self.first_table = most
        self.operations = <Operation *>calloc(most, sizeof(Operation))
        if self.operations == NULL:
            raise MemoryError
        self.first_trainable = most
        self.tip = -1
        self.add_all(operations, 0)
        self.n_in = self.operations[0].n_in
        self.n_out = self.operations[self.n_operations - 1].n_out
        if operations[len(operations) - 1][0] == "softmax":
            self.logits = Plan(
                operations[:len(operations) - 1]
                or [("identity", self.n_in, self.n_in, False, 0.0, 0.0)])

    def __dealloc__(self):
        free(self.operations)

    cdef object add_all(self, list operations, Py_ssize_t held):
        """Add the operations of some layers; blocks around them use the slots up to `held`."""
        cdef int code
        for operation in operations:
            if len(operation) == 4:
                kind, n_in, n_out, branches = operation
                self.add_block(kind, n_in, n_out, branches, held)
                continue
            if len(operation) == 5:
                kind, n_in, n_out, columns, sizes = operation
                if kind == "categorical_embedding":
                    self.add_lookup(n_in, n_out, sizes)
                else:
                    features, size, joined = sizes
                    self.add_columns(kind, n_in, n_out, columns, features, size, joined)
                continue
            kind, n_in, n_out, bias, number, momentum = operation
            code = operation_kind(kind)
            if code == RELU and self.n_operations and self.after_linear():
                self.operations[self.n_operations - 1].relu = True
                continue
            self.add(code, n_in, n_out, bias, number, momentum)
            if code == NORMALIZE or code == BATCH_NORMALIZE:
                self.add(SCALE, n_out, n_out, True, 0, 0)

    cdef object add_columns(
        self, str kind, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t columns,
        Py_ssize_t features, Py_ssize_t size, bint joined,
    ):
        """Add the operations of a periodic or piecewise-linear embedding."""
        cdef Py_ssize_t step = joined + features
        cdef Py_ssize_t width = columns * step + n_in - columns
        cdef Operation *operation
        if kind == "periodic_embedding":
            operation = self.add_embedding(FREQUENCIES, n_in, width, columns, 1, step, joined)
            self.give_params(operation, 1, features)
            self.add_embedding(COSINE, width, width, columns, step, step, joined)
        else:
            operation = self.add_embedding(ENCODE, n_in, width, columns, 1, step, False)
            operation.mean = self.n_constants
            self.n_constants += columns * (features + 2)
        operation = self.add_embedding(
            COLUMN_MAP, width, n_out, columns, step, joined + size, joined)
        self.give_params(operation, features, size)

    cdef object add_lookup(self, Py_ssize_t n_in, Py_ssize_t n_out, list sizes):
        """Add the operation of a categorical embedding."""
        cdef Operation *operation = self.add_embedding(LOOKUP, n_in, n_out, 0, 0, 0, False)
        cdef Operation *table
        cdef Py_ssize_t i
        operation.inputs = len(sizes) // 2
        operation.others = n_in - operation.inputs
        self.first_table -= operation.inputs
        table = &self.operations[self.first_table]
        operation.tables = table - operation
        for i in range(operation.inputs):
            table[i].n_in = sizes[2 * i]
            table[i].n_out = sizes[2 * i + 1]
            table[i].weight = self.n_params
            self.n_params += table[i].n_in * table[i].n_out
        operation.n_own = self.n_params - operation.weight

    cdef Operation *add_embedding(
        self, int kind, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t columns,
        Py_ssize_t in_step, Py_ssize_t out_step, bint joined,
    ):
        """Add one operation of an embedding."""
        cdef Operation *operation = &self.operations[self.n_operations]
        self.add(kind, n_in, n_out, False, 0, 0)
        self.has_embeddings = True
        operation.columns = columns
        operation.in_step = in_step
        operation.out_step = out_step
        operation.others = n_in - columns * in_step
        operation.joined = joined
        return operation

    cdef object give_params(self, Operation *operation, Py_ssize_t inputs, Py_ssize_t outputs):
        """Give each column of an embedding a weight (outputs, inputs) and a bias (outputs,)."""
        operation.inputs = inputs
        operation.outputs = outputs
        operation.bias = operation.weight + operation.columns * outputs * inputs
        operation.n_own = operation.columns * outputs * (inputs + 1)
        self.n_params += operation.n_own

    cdef object add_block(
        self, str kind, Py_ssize_t n_in, Py_ssize_t n_out, list branches, Py_ssize_t held,
    ):
        """Add the operations of a block of branches."""
        cdef Py_ssize_t fork = self.n_operations
        cdef Py_ssize_t start = self.tip
        cdef bint params_below = self.params_below_tip
        cdef bint params_in_block = params_below
        cdef bint concatenates = kind == "concat"
        cdef bint has_total = False
        cdef Py_ssize_t column = 0
        cdef Py_ssize_t previous = fork
        cdef Operation *end = self.add_end(FORK, n_in, n_in, fork, held)
        cdef Py_ssize_t e, first, join
        self.has_blocks = True
        self.slots_width = max(self.slots_width, held + n_in + n_out)
        for i, branch in enumerate(branches):
            self.tip = start
            self.params_below_tip = params_below
            first = self.n_operations
            self.add_all(branch, held + n_in + n_out)
            width = n_in if self.n_operations == first else (
                self.operations[self.n_operations - 1].n_out)
            params_in_block |= self.params_below_tip
            end = self.add_end(
                JOIN if i == len(branches) - 1 else BRANCH, width, n_out, fork, held)
            end.is_empty = self.n_operations == first + 1
            end.concatenates = concatenates
            end.column = column
            column += end.n_in if concatenates else 0
            self.operations[previous].next_end = self.n_operations - 1
            previous = self.n_operations - 1
        join = self.n_operations - 1
        for e in range(join, fork - 1, -1):
            end = &self.operations[e]
            if is_border(end.kind) and end.fork == fork:
                end.join = join
                end.has_total = has_total
                has_total |= end.kind == BRANCH and not end.is_empty
        if has_total:
            self.operations[fork].kept = self.row_width  # of a Jacobian's total
            self.row_width += n_in
        self.operations[join].output = self.tip = self.row_width
        self.row_width += n_out
        self.params_below_tip = params_in_block

    cdef Operation *add_end(
        self, int kind, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t fork, Py_ssize_t held,
    ):
        """Add a FORK, BRANCH or JOIN, whose output is not set yet."""
        cdef Operation *operation = &self.operations[self.n_operations]
        operation.kind = kind
        operation.n_in = n_in
        operation.n_out = n_out
        operation.input = operation.output = self.tip
        operation.params_below = self.params_below_tip
        operation.fork = fork
        operation.held = held
        self.max_width = max(self.max_width, n_in, n_out)
        self.widest_output = max(self.widest_output, n_out)
        self.n_operations += 1
        return operation

    cdef void add(
        self, int kind, Py_ssize_t n_in, Py_ssize_t n_out, bint bias, double number,
        double momentum,
    ):
        cdef Operation *operation = &self.operations[self.n_operations]
        operation.kind = kind
        operation.n_in = n_in
        operation.n_out = n_out
        operation.input = self.tip
        operation.params_below = self.params_below_tip
        operation.kept = self.row_width
        operation.bias = -1
        if has_params(kind):
            operation.weight = self.n_params
            if not embeds(kind):
                self.n_params += n_in * n_out if kind == DENSE else n_out
            if bias:
                operation.bias = self.n_params
                self.n_params += n_out
            operation.n_own = self.n_params - operation.weight  # an embedding sets it later
            self.first_trainable = min(self.first_trainable, self.n_operations)
            self.has_scales |= kind != DENSE
        elif is_fixed_scaling(kind) or kind == BATCH_NORMALIZE:
            operation.mean = self.n_constants
            operation.scale = operation.variance = self.n_constants + n_in
            self.n_constants += 2 * n_in
        if kind == NORMALIZE or kind == BATCH_NORMALIZE:
            operation.eps = number
            operation.momentum = momentum
        elif kind == DROPOUT:
            operation.p = number
        else:
            operation.alpha = number
        self.has_batch_norm |= kind == BATCH_NORMALIZE
        self.has_dropout |= kind == DROPOUT
        self.row_width += kept_width(kind, n_out)
        operation.output = self.tip = self.row_width
        self.params_below_tip |= has_params(kind)
        self.row_width += n_out
        self.max_width = max(self.max_width, n_in, n_out)
        self.widest_output = max(self.widest_output, n_out)
        self.n_operations += 1

    cdef bint after_linear(self):
        """Return whether the last operation so far is a linear layer without ReLU."""
        cdef Operation *last = &self.operations[self.n_operations - 1]
        return last.kind == DENSE and not last.relu

    cdef object frozen_operations(self, segments):
        """Return which operations have parameters that no segment of the Trainer holds, or None."""
        cdef Py_ssize_t i
        frozen = np.zeros(self.n_operations, np.int8)
        for i in range(self.n_operations):
            if has_params(self.operations[i].kind):
                place = self.operations[i].weight
                frozen[i] = True
                for first, size, *_ in segments.tolist():
                    if first <= place < first + size:
                        frozen[i] = False
        return frozen if frozen.any() else None

    cdef Py_ssize_t lowest_trained(self, const int8_t *frozen) noexcept nogil:
        """Return the lowest operation that is trained; n_operations if there is none."""
        cdef Py_ssize_t i = self.first_trainable
        if frozen != NULL:
            while i < self.n_operations and (frozen[i] or not has_params(self.operations[i].kind)):
                i += 1
        return i

    cdef Py_ssize_t gradient_width(self) noexcept nogil:
        """Return the elements per row in a gradient's workspace: activations and `spare_width`."""
        return self.row_width + self.spare_width()

    cdef Py_ssize_t spare_width(self) noexcept nogil:
        """Return the elements per row that a backward pass overwrites: two cotangents, slots."""
        return 2 * self.max_width + self.slots_width

    cdef Py_ssize_t chunk_rows(self, Py_ssize_t itemsize) noexcept nogil:
        """Return how many rows of a batch go through the network at a time.

        These are few enough for the activations to stay in about 1 MB of cache and for a pass to
        last a fraction of a second, and enough for efficient products. A larger batch accumulates
        its gradient over chunks, so that its memory is bounded. The number depends neither on the
        batch nor on the threads, so neither of them changes a bit of the result.
        """
        cdef Py_ssize_t row_bytes = itemsize * (self.gradient_width() + self.n_in)
        cdef Py_ssize_t cached = min(max(1_000_000 // row_bytes, 512), 4096)
        cdef Py_ssize_t affordable = <Py_ssize_t>(2e10 / (6 * self.n_params + 1))  # flops
        return max(min(cached, affordable), 16)

    cdef Py_ssize_t predict_rows(self, Py_ssize_t n, Py_ssize_t itemsize) noexcept nogil:
        """Return how many of n rows go through the network at a time in a prediction.

        Input and activations stay in the second-level cache. The blocks are of nearly equal size,
        since the products of a much smaller last block would take a slower form.
        """
        cdef Py_ssize_t row_bytes = itemsize * (self.row_width + self.n_in)
        cdef Py_ssize_t most = max(500_000 // row_bytes, 256)
        cdef Py_ssize_t blocks = max(1, (n + most - 1) // most)
        return (n + blocks - 1) // blocks


cdef Py_ssize_t most_operations(list operations) except -1:
    """Return an upper bound of the number of operations of some layers."""
    cdef Py_ssize_t count = 0
    for operation in operations:
        count += 3
        if len(operation) == 4:
            for branch in operation[3]:
                count += 1 + most_operations(branch)
        elif len(operation) == 5:
            count += len(operation[4])  # tables
    return count
