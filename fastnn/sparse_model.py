"""What a Model computes for sparse rows.

The engine multiplies by the stored elements if the first layer is Linear and the matrix has few of
them. Otherwise the rows become dense, some at a time.
"""

import dataclasses
from typing import Any

import numpy as np

from fastnn import _core
from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.losses import CustomLoss, Loss, custom, is_built_in


def predict(model: Any, x: SparseRows, n_threads: int) -> Array:
    """Return the outputs (n, n_out) of a Model."""
    out: Array = np.empty((len(x), model.plan.n_out), x.dtype)
    if not _core.engine.takes_elements(model.plan, x.nnz, len(x)):
        for block in x.blocks():
            out[block] = model.predict(x.dense(block), n_threads)
        return out
    weight = _core.engine.transposed_weight(model.plan, model.params, x.nnz, n_threads)
    for part in model.parts(len(x), 1):
        _core.engine.predict_sparse(
            model.plan, model.params, weight, model.constants, x, part.start, out[part], n_threads
        )
    return out


def loss_and_grad(
    model: Any,
    x: SparseRows,
    target: Any,
    weights: Array | None,
    loss: Loss | CustomLoss,
    n_threads: int,
    grads: Array,
) -> float:
    """Return the loss of a batch in evaluation mode; overwrite `grads` (n_params,)."""
    if not is_built_in(loss):
        outputs = model.predict(x, n_threads)
        value, dy = custom.value_and_grad(loss, outputs, target, weights)
    else:
        plan, formula = loss.under(model.plan)
        model = dataclasses.replace(model, plan=plan)
        if _core.engine.takes_elements(plan, x.nnz, len(x)):
            return _core.engine.loss_and_grad_sparse(
                plan,
                model.params,
                model.constants,
                x,
                *loss.engine_target(target),
                weights,
                formula,
                grads,
                n_threads,
            )
        outputs = model.predict(x, n_threads)
        value, dy = loss.evaluate(outputs, target, weights, formula)
    grads[...] = params_vjp(model, x, dy, n_threads)
    return value


def params_vjp(model: Any, x: SparseRows, cotangent: Array, n_threads: int) -> Array:
    """Return Jᵀ c by the parameters, (n_params,), summed over the samples."""
    total: Array = np.zeros_like(model.params)
    for block in x.blocks():
        total += model.vjp(x.dense(block), cotangent[block], True, n_threads)
    return total
