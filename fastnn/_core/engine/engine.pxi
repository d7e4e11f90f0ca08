# cython: language_level=3
# Everything that one build of the engine contains.

cimport cython
cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.pyport cimport PY_SSIZE_T_MAX
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF, PyObject
from cython.parallel cimport prange, threadid
from libc.float cimport FLT_MAX, FLT_MIN
from libc.math cimport isfinite
from libc.stdint cimport int8_t, int32_t, int64_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from fastnn._core.kernels.active cimport active_pays, product_of_active, times_active
from fastnn._core.kernels.activations cimport (
    AT_ONCE, NOT_AN_ACTIVATION, RELU, TANH, activation_backward, activation_forward,
    activation_kind, keeps_slope, lanes, vectors_of, whole_vectors)
from fastnn._core.kernels.batch_normalization cimport (
    Others, batch_normalize, batch_normalize_backward, running_normalize)
from fastnn._core.kernels.curvature cimport (
    add_activation_curvature, add_log_softmax_curvature, add_softmax_curvature, loss_curvature,
    loss_rank, loss_root, root_is_shared)
from fastnn._core.kernels.dense cimport (
    column_sums, dense_backward_input, dense_backward_params, dense_forward)
from fastnn._core.kernels.dots cimport dot
from fastnn._core.kernels.dropout cimport dropout_forward, hashed
from fastnn._core.kernels.dtypes cimport is_finite, real
from fastnn._core.kernels.elementary cimport (
    exp, expm1_of_negative, log, log1p_of_unit)
from fastnn._core.kernels.gemm cimport gemm, gemm_workspace
from fastnn._core.kernels.jacobians cimport (
    copy_blocks, diagonal_times, identity_block, linear_params_rows, log_softmax_times,
    push_log_softmax, softmax_times, times_diagonal, times_softmax, transpose_blocks)
from fastnn._core.kernels.loss_arguments cimport (
    Loss, Targets, loss_from, targets_from, total_weight)
from fastnn._core.kernels.losses cimport loss_and_cotangent
from fastnn._core.kernels.normalization cimport (
    add_normalize_curvature, add_products, add_rows, normalize_forward, normalize_times,
    scale_forward, scale_rows)
from fastnn._core.kernels.optimizers cimport (
    SGD, Clipping, Optimizer, Segment, clipping, optimizer_from, update)
from fastnn._core.kernels.outer cimport outer, weighted_sums
from fastnn._core.kernels.packing cimport VECTOR_BYTES, transpose
from fastnn._core.kernels.sampling cimport bitgen_t, gather_rows, permutation
from fastnn._core.kernels.softmax cimport (
    log_softmax_backward, log_softmax_forward, log_softmax_tangent, softmax_backward,
    softmax_forward)
from fastnn._core.kernels.sparse cimport (
    SparseRows, dense_rows, n_stored, number_of_row, sparse_backward_params, sparse_forward,
    sparse_forward_by_dots, transpose_matrix)
from fastnn._core.kernels.standardize cimport standardize_backward, standardize_forward
from fastnn._core.kernels.sums cimport sum_of_squares
from fastnn._core.kernels.system cimport allocate_lines, free_lines, now
from fastnn._core.kernels.threads cimport startable
from fastnn._core.kernels.tiles cimport MOST_A_BLOCK_BYTES, a_block_bytes, k_block
from fastnn._core.kernels.trigonometric cimport sine

import numpy as np

cdef extern from "Python.h":
    ctypedef struct PyThreadState:
        pass
    PyThreadState *PyEval_SaveThread() nogil
    void PyEval_RestoreThread(PyThreadState *thread) nogil

cdef extern from *:
    """
    /* Tracebacks name the functions of the engine without lines: the code that stores the number of
       a line is 2 % of the wheel. */
    #undef __PYX_MARK_ERR_POS
    #define __PYX_MARK_ERR_POS(file, line) \\
        { __pyx_filename = __pyx_f[0]; (void)__pyx_filename; (void)__pyx_lineno; \\
          (void)__pyx_clineno; }
    #ifdef _OPENMP
    #include <omp.h>
    #define HAVE_OPENMP 1
    #else
    static int omp_get_max_threads(void) { return 1; }
    #define HAVE_OPENMP 0
    /* For `prange`, Cython sets a variable that only OpenMP reads. */
    #pragma GCC diagnostic ignored "-Wunused-but-set-variable"
    #endif
    """
    bint HAVE_OPENMP
    int omp_get_max_threads()
    const char *FASTNN_FLAGS
    const char *__VERSION__

cnp.import_array()

openmp = HAVE_OPENMP
flags = FASTNN_FLAGS.decode()
compiler = __VERSION__.decode()


def max_threads():
    """Threads that OpenMP would use: the processors this process may run on, or OMP_NUM_THREADS."""
    return omp_get_max_threads()


def set_blocks(Py_ssize_t steps, Py_ssize_t n_bytes, /):
    """Set the steps of k, from 16 to 4,096, and the bytes of A in a block of a long product."""
    global k_block, a_block_bytes
    k_block = max(16, min(steps, <Py_ssize_t>4096))
    a_block_bytes = min(n_bytes, <Py_ssize_t>MOST_A_BLOCK_BYTES)


def blocks():
    """Return what `set_blocks` has set."""
    return k_block, a_block_bytes


include "workspace.pxi"
include "arrays.pxi"
include "plan.pxi"
include "operations.pxi"
include "blocks.pxi"
include "branches.pxi"
include "normalization.pxi"
include "parametric.pxi"
include "embeddings.pxi"
include "forward.pxi"
include "backward.pxi"
include "updates.pxi"
include "sparse.pxi"
include "sparse_training.pxi"
include "trainer.pxi"
include "training.pxi"
include "inference.pxi"
include "sparse_entry_points.pxi"
include "jacobian.pxi"
include "tangent.pxi"
include "gram.pxi"
include "derivative_entry_points.pxi"
include "second_derivative_entry_points.pxi"
include "entry_points.pxi"
include "many.pxi"
include "steps.pxi"
