"""A network as the engine sees it: its plan and its arrays, and every computation on them.

All arguments are trusted: arrays are finite, C-contiguous, of the network's dtype and of the right
shape; other arrays can crash the interpreter. `fastnn.batch` and the methods of `Network` check
what a user passes, and `Model.calls` checks it for few samples. The methods `predict`,
`loss_and_grad` and `gram` also take sparse rows.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from fastnn import _checks, _core, sparse_model
from fastnn._checks import SparseRows
from fastnn._core._calls import Calls
from fastnn._core.arrays import Array
from fastnn.losses import CustomLoss, Loss, custom, is_built_in
from fastnn.model.second_derivatives import SecondDerivatives

if TYPE_CHECKING:
    from fastnn._core import engine


def model_of(network: Any) -> "Model":
    """Return the model of a `Network`, for other modules of the package.

    Its methods check nothing: other arrays than those described above can crash the interpreter.
    """
    found: Model = network._model
    return found


# Of a batch in training mode: the key of the dropout masks, the epoch, the position of the batch in
# the epoch, and the factor of the probabilities of dropout.
TrainingMode = tuple[int, int, int, float]


class Snapshot(NamedTuple):
    """Copies of a model's parameters and of its constants, which training changes too."""

    params: Array
    constants: Array


@dataclass(frozen=True)
class Model(SecondDerivatives):
    """A plan, and the flat arrays that belong to it.

    `n_threads` of a method is None for the default. The default is looked up in each call, because
    a forked process has lost its threads.

    Attributes
    ----------
    plan : Plan
    params, grads : ndarray (n_params,)
    constants : ndarray (n_constants,)
        What the layers hold beside parameters, such as means, scales and running statistics.
    """

    plan: "engine.Plan"
    params: Array
    grads: Array
    constants: Array

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The dtype of all arrays."""
        return self.params.dtype

    @classmethod
    def compile(cls, operations: Sequence[Any], dtype: "np.dtype[Any]") -> Self:
        """Return a model of these operations: parameters and gradients are 0, constants unset."""
        plan = _core.engine.Plan(list(operations))
        params, grads = (_core.aligned_zeros((plan.n_params,), dtype) for _ in range(2))
        return cls(plan, params, grads, np.empty(plan.n_constants, dtype))

    @cached_property
    def handle(self) -> "engine.Handle":
        """The plan and arrays, for calls of the engine that take many networks."""
        return _core.engine.Handle(self.plan, self.params, self.constants)

    @cached_property
    def calls(self) -> Calls:
        """The computations on few samples, which take what a user passes and check it."""
        return Calls(_core.engine, self.plan, self.params, self.constants)

    def with_operations(self, operations: Sequence[Any]) -> "Model":
        """Return a model of other operations on the same arrays."""
        return dataclasses.replace(self, plan=_core.engine.Plan(list(operations)))

    def snapshot(self) -> Snapshot:
        """Return copies of the parameters and the constants."""
        return Snapshot(self.params.copy(), self.constants.copy())

    def restore(self, snapshot: tuple[Array, Array]) -> None:
        """Write the parameters and constants of a snapshot back into the arrays."""
        self.params[...], self.constants[...] = snapshot

    def is_finite(self) -> bool:
        """Whether no parameter and no constant is NaN or infinite."""
        return all(_core.engine.all_finite(array) for array in (self.params, self.constants))

    def parts(self, n_samples: int, work: int, at_least: int = 256) -> Iterator[slice]:
        """Yield the samples in slices, one for each call of the engine.

        A call takes about 10**9 floating point operations, so that Ctrl-C is noticed in between,
        and `at_least` that many samples, so that a call is worth its cost. `work` is the cost of a
        sample, as a multiple of its forward pass.
        """
        flops = (2 * self.plan.n_params + 100 * self.plan.row_width) * max(work, 1)
        rows = max(10**9 // flops, at_least)
        for first in range(0, n_samples, rows):
            yield slice(first, first + rows)

    # ------------------------------------------------------------------ outputs

    def predict(self, x: "Array | SparseRows", n_threads: int | None) -> Array:
        """Return the outputs (n, n_out), computed one block of rows at a time."""
        if isinstance(x, SparseRows):
            return sparse_model.predict(self, x, _core.thread_count(n_threads))
        return self._outputs(x, n_threads)[0]

    def predict_by_blocks(self, x: Array, n_threads: int | None) -> Array:
        """Return the outputs of a matrix of another dtype, which is converted block by block.

        Raises
        ------
        ValueError
            If x is not finite in the network's dtype.
        """
        out: Array = np.empty((len(x), self.plan.n_out), self.params.dtype)
        start = 0
        for block in _checks.row_blocks(x, "X", self.params.dtype):
            out[start : start + len(block)] = self.predict(block, n_threads)
            start += len(block)
        return out

    def predict_as_is(self, X: Any, n_threads: int | None) -> Array | None:
        """Return the outputs if X is a finite array that the engine can read, else None."""
        readable = (
            type(X) is np.ndarray
            and X.ndim == 2
            and len(X)
            and X.dtype == self.params.dtype
            and X.flags.c_contiguous
            and X.flags.aligned
            and X.shape[1] == self.plan.n_in
        )
        if not readable:
            return None
        out, finite = self._outputs(X, n_threads)
        return out if finite else None

    def _outputs(self, x: Array, n_threads: int | None) -> tuple[Array, bool]:
        """Return the outputs and whether x is finite; a separate check would cost more."""
        out: Array = np.empty((len(x), self.plan.n_out), x.dtype)
        threads = _core.thread_count(n_threads)
        finite = True
        for part in self.parts(len(x), 1):
            finite &= _core.engine.predict(
                self.plan, self.params, self.constants, x[part], out[part], threads
            )
        return out, finite

    def forward(
        self, x: Array, n_threads: int | None, training: TrainingMode | None = None
    ) -> tuple[Array, Array]:
        """Return the outputs of all operations as one flat array, and a view of the last ones.

        The view is the network's outputs (n, n_out).

        `training` is None in evaluation mode. Training mode moves the running statistics.
        """
        activations = np.empty(len(x) * self.plan.row_width, x.dtype)
        threads = _core.thread_count(n_threads)
        _core.engine.forward(
            self.plan, self.params, self.constants, x, activations, threads, training
        )
        outputs = activations[len(activations) - len(x) * self.plan.n_out :]
        return activations, outputs.reshape(-1, self.plan.n_out)

    # ------------------------------------------------------------------ first derivatives

    def backward(
        self,
        x: Array,
        activations: Array,
        dy: Array,
        grads: Array,
        n_threads: int | None,
        training: bool = False,
    ) -> Array:
        """Overwrite `grads` (n_params,), and return the cotangent of the input (n, n_in)."""
        dx = np.empty_like(x)
        threads = _core.thread_count(n_threads)
        _core.engine.backward(
            self.plan, self.params, self.constants, x, activations, dy, grads, dx, threads, training
        )
        return dx

    def loss_and_grad(
        self,
        x: "Array | SparseRows",
        target: Any,
        weights: Array | None,
        loss: Loss | CustomLoss,
        n_threads: int | None,
        grads: Array | None = None,
    ) -> tuple[float, Array]:
        """Return the loss of a batch in evaluation mode, and its gradient.

        The gradient (n_params,) is written to `grads`, by default a new array.
        """
        grads = np.empty_like(self.params) if grads is None else grads
        threads = _core.thread_count(n_threads)
        if isinstance(x, SparseRows):
            value = sparse_model.loss_and_grad(self, x, target, weights, loss, threads, grads)
            return value, grads
        if not is_built_in(loss):
            activations, outputs = self.forward(x, threads)
            value, dy = custom.value_and_grad(loss, outputs, target, weights)
            self.backward(x, activations, dy, grads, threads)
            return value, grads
        plan, formula = loss.under(self.plan)
        targets, labels = loss.engine_target(target)
        value = _core.engine.loss_and_grad(
            plan, self.params, self.constants, x, targets, labels, weights, formula, grads, threads
        )
        return value, grads

    def sample_grads(
        self, x: Array, target: Any, loss: Loss | CustomLoss, n_threads: int | None
    ) -> Array:
        """Return the gradient of each sample's loss, (n, n_params)."""
        grads = np.empty((len(x), self.params.size), x.dtype)
        threads = _core.thread_count(n_threads)
        if is_built_in(loss):
            plan, formula = loss.under(self.plan)
            model = dataclasses.replace(self, plan=plan)
            outputs = model.predict(x, threads)
            summed = dataclasses.replace(loss, reduction="sum")
            dy = summed.evaluate(outputs, target, formula=formula)[1]
        else:
            model, outputs = self, self.predict(x, threads)
            dy = np.empty_like(outputs)
            for i in range(len(x)):
                one = slice(i, i + 1)
                dy[one] = custom.value_and_grad(loss, outputs[one], target[one])[1]
        for part in self.parts(len(x), 6):
            model.sample_vjp(x[part], dy[part], grads[part], threads)
        return grads

    def sample_vjp(self, x: Array, cotangent: Array, grads: Array, n_threads: int) -> None:
        """Overwrite `grads` (n, n_params) with each sample's cotangent times its Jacobian."""
        _core.engine.sample_vjp(
            self.plan, self.params, self.constants, x, cotangent, grads, n_threads
        )

    def jacobian(
        self,
        x: Array,
        by_params: bool,
        n_threads: int | None,
        out: Array | None = None,
        outputs: Array | None = None,
    ) -> Array:
        """Return the Jacobian of each sample, (n, n_out, n_in) or (n, n_out, n_params).

        It is written to `out`, by default a new array. The outputs are written to `outputs`
        (n, n_out), if given.
        """
        n_out = self.plan.n_out
        if out is None:
            columns = self.params.size if by_params else self.plan.n_in
            out = np.empty((len(x), n_out, columns), x.dtype)
        threads = _core.thread_count(n_threads)
        for part in self.parts(len(x), 6 * n_out, max(256 // n_out, 1)):
            _core.engine.jacobian(
                self.plan,
                self.params,
                self.constants,
                x[part],
                by_params,
                None if outputs is None else outputs[part],
                out[part],
                threads,
            )
        return out

    def jvp(self, x: Array, tangent: Array, by_params: bool, n_threads: int | None) -> Array:
        """Return J h of each sample, (n, n_out), for a tangent (n, n_in) or (n_params,)."""
        outputs: Array = np.empty((len(x), self.plan.n_out), x.dtype)
        threads = _core.thread_count(n_threads)
        for part in self.parts(len(x), 6):
            _core.engine.jvp(
                self.plan,
                self.params,
                self.constants,
                x[part],
                None if by_params else tangent[part],
                tangent if by_params else None,
                outputs[part],
                threads,
            )
        return outputs

    def vjp(
        self, x: "Array | SparseRows", cotangent: Array, by_params: bool, n_threads: int | None
    ) -> Array:
        """Return Jᵀ c for a cotangent (n, n_out): (n, n_in), or (n_params,) summed over samples.

        With respect to the parameters, x may be sparse.
        """
        if isinstance(x, SparseRows):
            return sparse_model.params_vjp(self, x, cotangent, _core.thread_count(n_threads))
        grads = np.zeros_like(self.params)
        dx = np.empty_like(x)
        threads = _core.thread_count(n_threads)
        for part in self.parts(len(x), 6):
            _core.engine.vjp(
                self.plan,
                self.params,
                self.constants,
                x[part],
                cotangent[part],
                grads if by_params else None,
                None if by_params else dx[part],
                threads,
            )
        return grads if by_params else dx
