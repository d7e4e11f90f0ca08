"""The second derivatives of a model, computed for some samples at a time."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _core
from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.losses import Loss

if TYPE_CHECKING:
    from fastnn._core import engine


class SecondDerivatives:
    """The methods of `Model` that differentiate a loss twice. All arguments are trusted."""

    plan: "engine.Plan"
    params: Array
    constants: Array
    parts: Callable[..., Iterator[slice]]

    def gram(
        self,
        x: "Array | SparseRows",
        target: Any,
        weights: Array | None,
        loss: Loss,
        n_threads: int | None,
        out: Array | None = None,
        roots: Array | None = None,
    ) -> Array:
        """Return the Gauss-Newton matrix of a loss, (n_params, n_params).

        With `roots` Q (n, k, n_out), it is Σ (QJ)ᵀ QJ, whatever the loss. The matrix is written to
        `out`, by default a new array. `target` may be None unless
        `loss.gram_takes_target`.
        """
        matrix = np.empty((self.params.size,) * 2, x.dtype) if out is None else out
        threads = _core.thread_count(n_threads)
        plan, formula = loss.under(self.plan)
        targets, labels = loss.engine_target(target)
        scale = 1 / loss.divisor(len(x), weights, target)
        parts = list(self.parts(len(x), self.params.size, 32))
        for part in parts:
            _core.engine.gram(
                plan,
                self.params,
                self.constants,
                x.dense(part) if isinstance(x, SparseRows) else x[part],
                *_rows(part, targets, labels, weights),
                formula,
                scale,
                matrix,
                part is not parts[0],
                part is parts[-1],
                threads,
                None if roots is None else roots[part],
            )
        return matrix

    def hvp(
        self,
        x: Array,
        target: Any,
        weights: Array | None,
        loss: Loss,
        direction: Array,
        n_threads: int | None,
    ) -> Array:
        """Return the product (n_params,) of a loss's Hessian and a direction."""
        return self.hessian_map(x, target, weights, loss, n_threads)(direction)

    def hessian_map(
        self, x: Array, target: Any, weights: Array | None, loss: Loss, n_threads: int | None
    ) -> Callable[[Array], Array]:
        """Return the function that multiplies a loss's Hessian by a direction (n_params,)."""
        threads = _core.thread_count(n_threads)
        plan, formula = loss.under(self.plan)
        targets, labels = loss.engine_target(target)
        scale = 1 / loss.divisor(len(x), weights, target)
        parts = [
            (x[part], *_rows(part, targets, labels, weights)) for part in self.parts(len(x), 12)
        ]

        def product(direction: Array) -> Array:
            total = np.empty_like(direction)
            for i, rows in enumerate(parts):
                _core.engine.hvp(
                    plan,
                    self.params,
                    self.constants,
                    *rows,
                    formula,
                    scale,
                    direction,
                    total,
                    i > 0,
                    threads,
                )
            return total

        return product


def _rows(
    part: slice, targets: Array | None, labels: Array | None, weights: Array | None
) -> tuple[Array | None, Array | None, Array | None]:
    return (
        None if targets is None else targets[part],
        None if labels is None else labels[part],
        None if weights is None else weights[part],
    )
