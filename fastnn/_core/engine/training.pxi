# The steps of training: a chunk of rows, the end of an epoch, and divergence.

cdef void run_slice(
    Trainer t, Plan plan, real *params, Py_ssize_t until_epoch, double seconds,
) noexcept nogil:
    cdef double deadline = now() + seconds
    # the clock is read after about every million flops
    cdef double row_work = 6.0 * plan.n_params + 20.0 * plan.row_width + 50
    cdef double work = 0
    while (t.epoch < until_epoch and t.position < t.end and t.rates_left > 0
           and not t.diverged):
        if t.position == 0:
            t.epoch_loss = t.epoch_weight = 0
            t.epoch_start = now()
            if t.random != NULL:
                permutation(t.random, t.order, t.n_samples)
        work += row_work * train_chunk(t, plan, params)
        if t.position == t.n_samples - t.dropped and not t.diverged:
            end_epoch(t, plan.n_params, params)
        if work > 1e6:
            work = 0
            if now() > deadline:
                return


cdef Py_ssize_t train_chunk(Trainer t, Plan plan, real *params) noexcept nogil:
    """Advance by one chunk of a minibatch, with the update after its last; return its rows."""
    cdef Py_ssize_t within = t.position % t.batch_size
    cdef Py_ssize_t batch_rows = min(t.batch_size, t.n_samples - (t.position - within))
    cdef Py_ssize_t rows = min(t.chunk, batch_rows - within)
    cdef bint by_elements = t.first_layer.used
    cdef Py_ssize_t width = sparse_width(plan) if by_elements else plan.gradient_width()
    cdef Py_ssize_t input_width = plan.operations[0].n_out if by_elements else plan.n_in
    cdef real *activations = <real *>t.workspace
    cdef real *gathered_x = activations + width * t.chunk
    cdef real *gathered_values = gathered_x + input_width * t.chunk
    cdef real *gathered_weights = gathered_values + plan.n_out * t.chunk
    cdef int64_t *gathered_labels = <int64_t *>aligned(<char *>(gathered_weights + t.chunk))
    cdef const real *x = <const real *>t.x
    cdef SparseRows sparse = t.sparse
    cdef Targets targets = t.targets
    cdef Targets rows_of_batch
    cdef const int64_t *order = t.order + t.position
    cdef double scale = 1
    cdef double share = 1
    cdef double penalty = 0
    cdef Batch batch
    cdef const Batch *mode = no_batch()
    cdef Py_ssize_t i

    if within == 0:
        t.batch_loss = 0
        rows_of_batch = targets
        if not t.ordered:
            rows_of_batch = targets_from(
                targets, t.position - t.first, plan.n_out, sizeof(real))
        t.batch_weight = total_weight(
            &t.loss, <const real *>rows_of_batch.values, rows_of_batch.labels,
            <const real *>rows_of_batch.weights, order if t.ordered else NULL, batch_rows,
            plan.n_out)
    if t.loss.mean and t.batch_weight > 0:
        scale = 1 / t.batch_weight

    if sparse.data != NULL:
        sparse.order = order if t.ordered else NULL
        sparse.first = t.position
        if not by_elements:
            write_dense(&sparse, gathered_x, rows, plan.n_in, t.n_threads)
            x = gathered_x
    if not t.ordered:
        if sparse.data == NULL:
            x += (t.position - t.first) * plan.n_in
        targets = targets_from(targets, t.position - t.first, plan.n_out, sizeof(real))
    else:
        if sparse.data == NULL:
            gather_rows(x, order, gathered_x, rows, plan.n_in)
            x = gathered_x
        if targets.labels != NULL:
            for i in range(rows):
                gathered_labels[i] = targets.labels[order[i]]
            targets.labels = gathered_labels
        else:
            gather_rows(<const real *>targets.values, order, gathered_values, rows, plan.n_out)
            targets.values = gathered_values
        if targets.weights != NULL:
            gather_rows(<const real *>targets.weights, order, gathered_weights, rows, 1)
            targets.weights = gathered_weights

    if plan.has_dropout or plan.has_batch_norm:
        mode = &batch
        batch.key = batch_key(t.mask_key, t.epoch, t.position - within)
        batch.first = within
        batch.dropout_factor = t.next_numbers[DROPOUT_FACTOR]
        batch.running = t.constants
        batch.numbers = NULL
        batch.others = NULL
    if by_elements:
        if t.first_layer.learns:
            touch(&t.first_layer, &sparse, rows, <real *>t.grads, within == 0)
        t.batch_loss += sparse_chunk_gradient(
            plan, params, params, <const real *>t.constants, &sparse, targets, rows, &t.loss, scale,
            <real *>t.grads, <real *>t.grads, within > 0, t.frozen, activations, gathered_x,
            t.scratch, t.n_threads, mode)
    else:
        t.batch_loss += chunk_gradient(
            plan, params, <const real *>t.constants, x, targets, rows, &t.loss, scale,
            <real *>t.grads, within > 0, t.frozen, activations, t.scratch, t.n_threads, mode)
    t.position += rows
    if within + rows == batch_rows:
        t.batch_loss *= t.reported
        if t.weight_penalty > 0 and t.batch_weight > 0:
            penalty = scale * t.weight_penalty
            t.batch_loss += penalize_weights(
                plan, penalty, params, <real *>t.grads, 1 if by_elements else 0) / scale
        if isfinite(t.batch_loss):
            if t.by_batches and t.batch_weight > 0:
                share = batch_rows / t.batch_weight
            t.epoch_loss += share * t.batch_loss
            t.epoch_weight += share * t.batch_weight
            take_step(t, plan, penalty, params)
        else:
            diverge(t, plan.n_params, params)
    return rows


cdef bint forward_batch(
    Trainer t, Plan plan, const real *params, Py_ssize_t rows,
) noexcept nogil:
    """Gather the next rows and run them forward; return whether the outputs are finite."""
    cdef real *activations = <real *>t.workspace
    cdef real *x = activations + plan.gradient_width() * t.chunk
    cdef real *outputs = activations + (plan.row_width - plan.n_out) * rows
    cdef Batch batch
    cdef const Batch *mode = no_batch()
    if t.position == 0:
        t.epoch_loss = t.epoch_weight = 0
        t.epoch_start = now()
        if t.random != NULL:
            permutation(t.random, t.order, t.n_samples)
    if plan.has_dropout or plan.has_batch_norm:
        mode = &batch
        batch.key = batch_key(t.mask_key, t.epoch, t.position)
        batch.first = 0
        batch.dropout_factor = t.next_numbers[DROPOUT_FACTOR]
        batch.running = t.constants
        batch.numbers = NULL
        batch.others = NULL
    if t.sparse.data != NULL:
        t.sparse.order = t.order + t.position
        write_dense(&t.sparse, x, rows, plan.n_in, t.n_threads)
    else:
        gather_rows(<const real *>t.x, t.order + t.position, x, rows, plan.n_in)
    t.position += rows
    t.rows_of_batch = rows
    forward_pass(plan, params, <const real *>t.constants, x, activations, outputs, rows,
                 t.scratch, t.n_threads, mode, True)
    return is_finite(outputs, rows * plan.n_out)


cdef void backward_batch(
    Trainer t, Plan plan, real *params, const real *gradient, double value, double weight,
) noexcept nogil:
    """Go backward from a loss's value and gradient, and update the parameters."""
    cdef Py_ssize_t rows = t.rows_of_batch
    cdef real *activations = <real *>t.workspace
    cdef real *x = activations + plan.gradient_width() * t.chunk
    cdef real *cotangent = activations + plan.row_width * rows
    if not isfinite(value):
        diverge(t, plan.n_params, params)
        return
    memcpy(cotangent, gradient, rows * plan.n_out * sizeof(real))
    backward_pass(plan, params, <const real *>t.constants, x, activations, rows,
                  cotangent, cotangent + plan.max_width * rows, <real *>t.grads, False,
                  <real *>NULL, <const int8_t *>NULL, t.scratch, t.n_threads, &ALONE)
    take_step(t, plan, 0, params)
    t.epoch_loss += value * weight if t.loss.mean else value
    t.epoch_weight += weight
    if t.position == t.n_samples - t.dropped:
        end_epoch(t, plan.n_params, params)


cdef void take_step(Trainer t, Plan plan, double penalty, real *params) noexcept nogil:
    """Update the parameters with the next learning rate; `penalty` is of `update_touched`."""
    cdef double rate = t.next_numbers[LEARNING_RATE]
    t.optimizer.weight_decay = t.next_numbers[WEIGHT_DECAY]
    t.step += 1
    if t.first_layer.used and t.first_layer.learns:
        update_touched(
            &t.first_layer, &t.optimizer, rate, penalty, params, <const real *>t.grads,
            <real *>t.state, t.segments, t.n_segments, t.step, t.n_threads)
    else:
        update_params(
            &t.optimizer, rate, params, <const real *>t.grads, <real *>t.state,
            plan.n_params, t.segments, t.n_segments, t.step, t.n_threads)
    if not t.rate_holds:
        t.next_numbers += N_NUMBERS
        t.rates_left -= 1


cdef void end_epoch(Trainer t, Py_ssize_t n_params, real *params) noexcept nogil:
    if not (is_finite(params, n_params) and isfinite(t.epoch_loss)
            and is_finite(<real *>t.constants, t.running_bytes // <Py_ssize_t>sizeof(real))):
        diverge(t, n_params, params)
        return
    memcpy(t.last_good, params, n_params * sizeof(real))
    memcpy(t.last_good_running, t.constants, t.running_bytes)
    t.loss_of_epoch[t.epoch] = (
        t.epoch_loss / t.epoch_weight if t.loss.mean and t.epoch_weight > 0 else t.epoch_loss)
    t.seconds_of_epoch[t.epoch] = now() - t.epoch_start
    t.epoch += 1
    t.position = 0
    if t.is_fed:
        t.end = 0


cdef void diverge(Trainer t, Py_ssize_t n_params, real *params) noexcept nogil:
    t.diverged = True
    memcpy(params, t.last_good, n_params * sizeof(real))
    memcpy(t.constants, t.last_good_running, t.running_bytes)
