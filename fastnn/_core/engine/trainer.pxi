# The Trainer: whole epochs without Python.
#
# a) The Trainer advances by one chunk of rows (see Plan.chunk_rows) and can stop after any of them.
#    `run` returns to Python after a slice of time, for Ctrl-C, progress bars and other threads.
# b) Parameters change only in `update`, after a whole minibatch: whenever `run` returns, they are
#    the result of complete steps. Before that, a penalty on the weights (without the biases) is
#    added to the loss and the gradient of the batch.
# c) The learning rates, weight decays and dropout of the next updates are given. The engine has no
#    schedules; `run` returns when their array is used up.
# d) At the end of an epoch the parameters are checked and copied. If the loss or the parameters are
#    no longer finite, the copy of the last good epoch is restored, with its running statistics.

cdef tuple REAL_NUMBERS = (float, np.float64, np.float32)  # types that a double takes exactly


@cython.final
cdef class Trainer:
    """The state of one `fit`: arrays, position in the epoch, and running loss.

    Parameters
    ----------
    plan : Plan
    params, grads : ndarray (n_params,)
        Overwritten. All arrays are contiguous and, unless noted, of the network's dtype.
    constants : ndarray (n_constants,)
    x : ndarray (n, n_in), or rows of a CSR matrix (n, n_in) as `csr_rows` takes them
        No rows if `feed` provides them, in their own order.
    targets : ndarray (n, n_out), or None if the loss takes labels
    labels : ndarray (n,) of int64, or None if the loss takes targets
        With neither, the loss is written in Python: `begin_batch` and `end_batch` replace `run`.
    weights : ndarray (n,), not all 0; None means weight 1
    formula : dict
        As a loss's `formula()` returns it.
    optimizer : dict
        As an optimizer's `update_rule()` returns it. With "weight_penalty", a number α, the loss of
        a batch has the additional term α/2 Σ w² over all weights w, divided like the loss itself.
    state : ndarray (n_states, n_params)
        The optimizer's, overwritten.
    segments : ndarray (n_segments,) of the dtype of `fastnn.optimizers.state`
        The ranges of parameters that are trained: the first parameter, the number of parameters,
        how many of the updates counted in `step` happened while the range was frozen, and the
        factors of the learning rate and the weight decay.
    step : int
        The number of updates that `state` results from.
    batch_size, n_epochs : int
    bit_generator : numpy.random.BitGenerator, or None for the order of the rows
    n_threads : int
        The largest number of threads that `run` may use.
    mask_key : int
        The key of this fit's dropout masks.

    Attributes
    ----------
    columns : dict
        Further columns of the history; empty.
    converged : bool
        Always False: training ends after `n_epochs`.

    Notes
    -----
    `set_rates` must be called before `run`. With a sparse `x`, the arrays `params`, `grads` and
    `state` are up to date only after `publish`, `snapshot` or `close`, or if training diverged.
    """

    columns = {}
    converged = False

    cdef Plan plan
    cdef tuple arrays            # keep the memory of the pointers below alive
    cdef Workspace memory
    cdef bint is_float
    cdef void *params
    cdef void *grads
    cdef void *constants
    cdef Py_ssize_t running_bytes       # bytes of constants that training changes
    cdef public uint64_t mask_key       # of the dropout masks
    cdef const void *x                  # NULL if the rows are sparse
    cdef SparseRows sparse              # sparse rows; data is NULL otherwise
    cdef FirstLayer first_layer         # `used` for sparse rows with few elements
    cdef Workspace copy                 # of the parameters, for the first layer
    cdef Workspace lists
    cdef Targets targets
    cdef void *state
    cdef object segments_array          # keeps the memory of the next pointer alive
    cdef const Segment *segments
    cdef Py_ssize_t n_segments
    cdef const int8_t *frozen           # whether each operation is frozen; NULL if none is
    cdef Loss loss
    cdef Optimizer optimizer
    cdef double weight_penalty
    cdef public double reported         # factor of a batch's loss, without the penalty, in `losses`
    cdef public bint by_batches         # the loss of an epoch weights its batches by their rows
    cdef double[N_NUMBERS] constant_numbers
    cdef object rates                   # keeps the memory of the next pointer alive
    cdef const double *next_numbers     # of the next update: its learning rate, …
    cdef bint rate_holds                # the same numbers are used for all later updates
    cdef readonly Py_ssize_t rates_left
    cdef Py_ssize_t n_samples
    cdef public Py_ssize_t dropped      # samples at the end of an epoch that are not used
    cdef bint is_fed
    cdef Py_ssize_t first               # the number of the first sample in x
    cdef Py_ssize_t end                 # the number of the last sample in x, plus 1
    cdef Py_ssize_t batch_size
    cdef Py_ssize_t chunk
    cdef bitgen_t *random
    cdef bint ordered                   # rows are taken in `order`, else one after the other
    cdef int n_threads
    cdef int64_t *order
    cdef void *last_good
    cdef char *last_good_running
    cdef char *workspace
    cdef char *scratch
    cdef Py_ssize_t rows_of_batch       # of the batch that `begin_batch` has started
    cdef double batch_loss
    cdef double batch_weight            # sum of the samples' weights; without weights, their number
    cdef double epoch_loss
    cdef double epoch_weight
    cdef double epoch_start
    cdef readonly bint diverged         # loss or parameters were not finite; params are restored
    cdef readonly Py_ssize_t step
    cdef readonly Py_ssize_t epoch      # complete epochs
    cdef readonly Py_ssize_t position   # samples of the current epoch that were used
    cdef readonly object rows           # (n,) int64: the order, for a loss in Python; else None
    cdef readonly object losses         # (n_epochs,) float64, set for the complete epochs
    cdef readonly object seconds        # likewise
    cdef double *loss_of_epoch
    cdef double *seconds_of_epoch

    def __init__(
        self, Plan plan, params, grads, constants, x, targets, labels, weights, dict formula,
        dict optimizer, state, segments, Py_ssize_t step, Py_ssize_t batch_size,
        Py_ssize_t n_epochs, bit_generator, int n_threads, uint64_t mask_key=0, /,
    ):
        cdef Py_ssize_t itemsize = params.itemsize
        cdef Py_ssize_t params_bytes = plan.n_params * itemsize
        cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
        cdef Py_ssize_t input_width = plan.n_in
        cdef Py_ssize_t width = plan.gradient_width()
        frozen = plan.frozen_operations(segments)
        self.plan = plan
        self.losses = np.empty(n_epochs)
        self.seconds = np.empty(n_epochs)
        self.arrays = (params, grads, constants, x, targets, labels, weights, formula, state,
                       bit_generator, frozen, self.losses, self.seconds)
        self.is_float = itemsize == sizeof(float)
        self.params = cnp.PyArray_DATA(params)
        self.grads = cnp.PyArray_DATA(grads)
        self.constants = cnp.PyArray_DATA(constants)
        if isinstance(x, np.ndarray):
            self.x = cnp.PyArray_DATA(x)
        else:
            self.sparse = csr_rows(x)
        self.targets = targets_of(targets, labels, weights)
        self.state = cnp.PyArray_DATA(state)
        if frozen is not None:
            self.frozen = <const int8_t *>cnp.PyArray_DATA(frozen)
        self.loss_of_epoch = <double *>cnp.PyArray_DATA(self.losses)
        self.seconds_of_epoch = <double *>cnp.PyArray_DATA(self.seconds)
        self.loss = loss_of(formula)
        self.optimizer = optimizer_of(optimizer)
        self.weight_penalty = optimizer.get("weight_penalty", 0)
        self.mask_key = mask_key
        self.reported = 1
        self.by_batches = False
        self.step = step
        self.n_samples = x.shape[0]
        self.is_fed = self.n_samples == 0
        self.dropped = 0
        self.first, self.end = 0, self.n_samples
        self.batch_size = batch_size
        self.chunk = batch_size
        is_python = targets is None and labels is None
        if plan.has_batch_norm:
            self.running_bytes = plan.n_constants * itemsize
        elif not is_python:
            self.chunk = min(plan.chunk_rows(itemsize), batch_size)
        if (self.sparse.data != NULL and not is_python
                and takes_elements(plan, x.nnz, self.n_samples)):
            if not plan.has_batch_norm:
                self.chunk = min(sparse_chunk_rows(plan, itemsize), batch_size)
            self.copy = Workspace(params_bytes)
            self.first_layer = first_layer_of(plan, params, grads, state, frozen, self.copy)
            input_width, width = plan.operations[0].n_out, sparse_width(plan)
            self.params = self.first_layer.params
        self.set_segments(segments)
        self.random = NULL
        if bit_generator is not None:
            self.random = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
        self.ordered = bit_generator is not None
        self.diverged = False
        self.memory = Workspace(
            scratch_bytes + params_bytes + self.running_bytes + 4 * 64
            + self.n_samples * sizeof(int64_t)
            + self.chunk * (sizeof(int64_t) + itemsize * (
                input_width + plan.n_out + 1 + width)))
        self.scratch = self.memory.data
        self.last_good = aligned(self.scratch + scratch_bytes)
        self.last_good_running = <char *>self.last_good + params_bytes
        self.order = <int64_t *>aligned(self.last_good_running + self.running_bytes)
        self.workspace = aligned(<char *>(self.order + self.n_samples))
        self.keep_good(params)
        memcpy(self.last_good_running, self.constants, self.running_bytes)
        if is_python:
            self.rows = np.arange(self.n_samples)
            self.order = <int64_t *>cnp.PyArray_DATA(self.rows)
            self.ordered = True

    cdef void keep_good(self, cnp.ndarray params):
        """Copy parameters into `last_good`."""
        memcpy(self.last_good, address(params), self.arrays[0].nbytes)
        if self.first_layer.used:
            transpose_first(&self.first_layer, address(params), self.last_good, False)

    @property
    def running_loss(self):
        """The loss over the complete batches of this epoch; at its start that of the last epoch."""
        if self.position == 0 or self.epoch_weight == 0:
            return self.losses[self.epoch - 1] if self.epoch else float("nan")
        return self.epoch_loss / self.epoch_weight if self.loss.mean else self.epoch_loss

    def set_segments(self, segments, /):
        """Replace the segments; only their counts of missed updates may differ."""
        self.publish()
        self.segments_array = segments
        self.segments = <const Segment *>cnp.PyArray_DATA(segments)
        self.n_segments = segments.shape[0]
        if self.first_layer.used:
            self.lists = Workspace(lists_bytes(&self.first_layer, self.n_segments))
            use_lists(&self.first_layer, self.lists)

    def set_rates(self, rates, /):
        """Set the learning rate of all next updates, or an array (n, 3) of float64.

        Its columns are the learning rate, the weight decay of the optimizer, and the factor of the
        dropout probabilities. The last `rates_left` rows are not used yet; it must not be changed.
        """
        self.rates = rates
        self.rate_holds = isinstance(rates, float)
        if self.rate_holds:
            self.constant_numbers[LEARNING_RATE] = rates
            self.constant_numbers[WEIGHT_DECAY] = self.optimizer.weight_decay
            self.constant_numbers[DROPOUT_FACTOR] = 1
            self.next_numbers = self.constant_numbers
            self.rates_left = 1
        else:
            self.next_numbers = <const double *>cnp.PyArray_DATA(rates)
            self.rates_left = rates.shape[0]

    def take_order(self, cnp.ndarray order, /):
        """Copy the order (n,) of the rows in the next epochs, if there is no bit generator."""
        memcpy(self.order, address(order), self.n_samples * sizeof(int64_t))
        self.ordered = True

    def run(self, Py_ssize_t until_epoch, double seconds, int n_threads, /):
        """Train until `until_epoch` epochs are complete, or about `seconds` have passed.

        `n_threads` is at most the constructor's; it is smaller after a fork, which loses threads.

        Returns
        -------
        bool
            Whether the epochs are complete; False if the time or the learning rates are used up, or
            if training diverged.
        """
        self.n_threads = n_threads
        with nogil:
            if self.first_layer.used:
                collect(&self.first_layer, self.position % self.batch_size > 0, n_threads)
            if self.is_float:
                run_slice(self, self.plan, <float *>self.params, until_epoch, seconds)
            else:
                run_slice(self, self.plan, <double *>self.params, until_epoch, seconds)
        if self.diverged:
            self.publish()
        return self.epoch >= until_epoch

    def publish(self):
        """Write the parameters, the gradient and the optimizer's state to the arrays."""
        if self.first_layer.used:
            with nogil:
                publish(&self.first_layer, self.n_threads)

    def begin_batch(self, int n_threads, /):
        """Start the next update: return the outputs (rows, n_out) of its samples, a new array.

        The samples are `rows[position - len(outputs):position]`. If an output is not finite,
        training has diverged, and the result is None. Then or after `end_batch` this may be called
        again.
        """
        cdef cnp.npy_intp[2] shape
        cdef cnp.ndarray outputs
        cdef bint finite
        self.n_threads = n_threads
        shape[0] = min(self.batch_size, self.n_samples - self.position)
        shape[1] = self.plan.n_out
        with nogil:
            if self.is_float:
                finite = forward_batch(self, self.plan, <const float *>self.params, shape[0])
            else:
                finite = forward_batch(self, self.plan, <const double *>self.params, shape[0])
        if not finite:
            if self.is_float:
                diverge(self, self.plan.n_params, <float *>self.params)
            else:
                diverge(self, self.plan.n_params, <double *>self.params)
            return None
        outputs = cnp.PyArray_EMPTY(2, shape, cnp.NPY_FLOAT if self.is_float else cnp.NPY_DOUBLE, 0)
        memcpy(cnp.PyArray_DATA(outputs),
               self.workspace + shape[0] * (self.plan.row_width - self.plan.n_out)
               * cnp.PyArray_ITEMSIZE(outputs),
               cnp.PyArray_NBYTES(outputs))
        return outputs

    def end_batch(self, returned, double weight, int n_threads, /):
        """Update the parameters by what a loss has returned: a pair (value, gradient).

        `weight` is the sum of the samples' weights; without weights, their number.

        Returns
        -------
        bool
            Whether the pair was used. False if it is not a tuple of a float and a contiguous array
            of the outputs' shape and dtype; nothing is done then.
        """
        cdef cnp.ndarray gradient
        cdef double value
        cdef Py_ssize_t rows = self.rows_of_batch
        cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>self.arrays[0])
        if type(returned) is not tuple or len(returned) != 2:
            return False
        if type(returned[0]) not in REAL_NUMBERS or not cnp.PyArray_CheckExact(returned[1]):
            return False
        value = returned[0]
        gradient = returned[1]
        if (cnp.PyArray_TYPE(gradient) != kind
                or cnp.PyArray_NDIM(gradient) != 2 or cnp.PyArray_DIM(gradient, 0) != rows
                or cnp.PyArray_DIM(gradient, 1) != self.plan.n_out
                or not cnp.PyArray_ISCARRAY_RO(gradient)):
            return False
        self.n_threads = n_threads
        with nogil:
            if self.is_float:
                backward_batch(self, self.plan, <float *>self.params,
                               <const float *>cnp.PyArray_DATA(gradient), value, weight)
            else:
                backward_batch(self, self.plan, <double *>self.params,
                               <const double *>cnp.PyArray_DATA(gradient), value, weight)
        return True

    def feed(self, x, targets, labels, bint last, /):
        """Set the next samples of the epoch: whole minibatches, or with `last` the rest of it."""
        self.arrays = (*self.arrays[:3], x, targets, labels, *self.arrays[6:])
        self.x = cnp.PyArray_DATA(x)
        self.targets = targets_of(targets, labels, self.arrays[6])
        self.first, self.end = self.position, self.position + x.shape[0]
        self.n_samples = self.end if last else PY_SSIZE_T_MAX

    def snapshot(self):
        """Return the numbers and arrays from which `restore` continues with the same bits."""
        self.publish()
        state = {
            "step": self.step, "epoch": self.epoch, "position": self.position,
            "batch_loss": self.batch_loss, "batch_weight": self.batch_weight,
            "epoch_loss": self.epoch_loss, "epoch_weight": self.epoch_weight, "elapsed": 0.0,
            "losses": self.losses[:self.epoch].copy(), "seconds": self.seconds[:self.epoch].copy(),
        }
        if self.position:
            state["elapsed"] = now() - self.epoch_start
            state["last_good"] = np.empty_like(self.arrays[0])
            memcpy(cnp.PyArray_DATA(state["last_good"]), self.last_good, self.arrays[0].nbytes)
            if self.first_layer.used:
                transpose_first(
                    &self.first_layer, self.last_good, address(state["last_good"]), True)
            state["last_good_constants"] = self.arrays[2].copy()
            memcpy(cnp.PyArray_DATA(state["last_good_constants"]), self.last_good_running,
                   self.running_bytes)
            if self.random != NULL:
                state["order"] = np.empty(self.n_samples, np.int64)
                memcpy(cnp.PyArray_DATA(state["order"]), self.order, state["order"].nbytes)
        return state

    def restore(self, state, /):
        """Continue from a trusted snapshot; the caller restores the parameters."""
        self.step, self.epoch, self.position = state["step"], state["epoch"], state["position"]
        self.batch_loss, self.batch_weight = state["batch_loss"], state["batch_weight"]
        self.epoch_loss, self.epoch_weight = state["epoch_loss"], state["epoch_weight"]
        self.epoch_start = now() - state["elapsed"]
        self.losses[:self.epoch] = state["losses"]
        self.seconds[:self.epoch] = state["seconds"]
        self.keep_good(state.get("last_good", self.arrays[0]))
        good = state.get("last_good_constants", self.arrays[2])
        memcpy(self.last_good_running, cnp.PyArray_DATA(good), self.running_bytes)
        if "order" in state:
            memcpy(self.order, cnp.PyArray_DATA(state["order"]), self.n_samples * sizeof(int64_t))

    def close(self):
        """Call `publish`; there is no thread or file to release."""
        self.publish()
