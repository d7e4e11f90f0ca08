"""Second derivatives of a loss by a network's parameters: Hessian and Gauss-Newton matrix.

All of them are exact. The second derivative of a piecewise linear activation is 0, also at a kink.
"""

from typing import Any

import numpy as np

from fastnn import _checks, _core
from fastnn._core.arrays import Array
from fastnn.losses import HalfSquaredError, Loss, is_built_in
from fastnn.network.base import NetworkBase


class SecondDerivatives(NetworkBase):
    """The methods of `Network` that differentiate a loss twice.

    `n_threads` is by default one for each physical core. It does not change any bit of a result.
    """

    def gram(
        self,
        X: Any,
        y: Any = None,
        loss: Loss = HalfSquaredError("sum"),  # noqa: B008
        *,
        sample_weight: Any = None,
        n_threads: int | None = None,
    ) -> tuple[Array, Array | None]:
        """Return the Gauss-Newton matrix of a loss and its gradient, without forming J.

        Parameters
        ----------
        X : array_like (n, in_features)
        y : array_like, optional
            The targets, as the loss takes them. Without y no gradient is computed;
            `NegativeLogLikelihood`, `Huber`, `LogCosh` and losses with `ignore_nan` need y.
        loss : Loss
            By default the sum of ½ Σ (ŷ - y)². The results are then JᵀJ and Jᵀr with r = ŷ - y.
        sample_weight : array_like (n,), optional
            The weights of the samples, at least 0 and not all 0. By default all are 1.
        n_threads : int, optional

        Returns
        -------
        (ndarray (n_params, n_params), ndarray (n_params,) or None)
            Σ Jᵀ H_L J over the samples, where J is the Jacobian of the outputs by the parameters
            and H_L the Hessian of a sample's loss by the outputs: the identity for ½ Σ (ŷ - y)²,
            softmax's Jacobian diag(S) - S Sᵀ for cross-entropy. The second result is the gradient
            Σ Jᵀ ∇L. Both are divided by n, or by the sum of the weights, if the loss is a mean.

        Raises
        ------
        MemoryError
            If a matrix of n_params² does not fit into memory.
        TypeError
            If the loss has no Hessian: a loss of your own, or a piecewise linear loss.
        ValueError, TypeError
            If an argument is invalid, or its shape does not fit.

        Notes
        -----
        It needs memory for the result and some megabytes for each thread, whatever the number of
        samples.

        Examples
        --------
        >>> net = fn.Network([fn.Linear(1, 1)], seed=0)
        >>> net.gram([[1.0], [3.0]])[0]  # Σ [x, 1]ᵀ [x, 1]
        array([[10.,  4.],
               [ 4.,  2.]], dtype=float32)
        """
        _demand_hessian(loss)
        self._demand_square_matrix()
        target = None
        if y is None:
            given = self._inputs.sample_matrix(X, "X")
            if loss.gram_takes_target:
                raise ValueError(f"y is None; the Hessian of {type(loss).__name__} needs y")
            loss.check_width(self.out_features)
            weights = self._inputs.weights(loss, sample_weight, len(given), "sample_weight")
            x = _checks.converted(given, "X", self.dtype)
            self._inputs.demand_probabilities(loss, x)
        else:
            x, target, weights = self._inputs.batch(X, y, loss, sample_weight)
        if weights is not None and weights.min() < 0:
            raise ValueError(
                f"sample_weight holds {weights.min()}; the Gauss-Newton matrix is a sum of "
                f"squares, so numbers of at least 0 are wanted"
            )
        threads = _checks.thread_count(n_threads)
        matrix = self._model.gram(x, target, weights, loss, threads)
        if y is None:
            return matrix, None
        return matrix, self._model.loss_and_grad(x, target, weights, loss, threads)[1]

    def hvp(
        self,
        X: Any,
        y: Any,
        loss: Loss,
        v: Any,
        *,
        sample_weight: Any = None,
        n_threads: int | None = None,
    ) -> Array:
        """Return the Hessian of a loss (for the parameters) times a vector, without forming it.

        Parameters
        ----------
        X : array_like (n, in_features)
        y : array_like
            The targets, as the loss takes them: (n, out_features), or class indices (n,).
        loss : Loss
        v : array_like (n_params,)
        sample_weight : array_like (n,), optional
        n_threads : int, optional

        Returns
        -------
        ndarray (n_params,)

        Raises
        ------
        TypeError
            If the loss has no Hessian: a loss of your own, or a piecewise linear loss.
        ValueError, TypeError
            If an argument is invalid, or its shape does not fit.

        Notes
        -----
        The result is exact: the derivative of the gradient in the direction v, computed forward
        over reverse (Pearlmutter 1994). It costs about as much as two gradients.

        Examples
        --------
        >>> net = fn.Network([fn.Linear(1, 1)], seed=0)
        >>> net.hvp([[1.0], [3.0]], [[0.0], [0.0]], fn.HalfSquaredError("sum"), [1.0, 0.0])
        array([10.,  4.], dtype=float32)
        """
        ready = self._calls.hvp(X, y, loss, v, sample_weight, n_threads)
        if ready is not None:
            return ready
        _demand_hessian(loss)
        direction = _checks.shaped_array(v, "v", self.dtype, self._model.params.shape)
        x, target, weights = self._inputs.batch(X, y, loss, sample_weight)
        threads = _checks.thread_count(n_threads)
        return self._model.hvp(x, target, weights, loss, direction, threads)

    def hessian(
        self, X: Any, y: Any, loss: Loss, *, sample_weight: Any = None, n_threads: int | None = None
    ) -> Array:
        """Return the Hessian of a loss with respect to the parameters, for small networks.

        Each column takes an `hvp`. Time and memory grow with n_params².

        Parameters
        ----------
        X : array_like (n, in_features)
        y : array_like
            The targets, as the loss takes them: (n, out_features), or class indices (n,).
        loss : Loss
        sample_weight : array_like (n,), optional
        n_threads : int, optional

        Returns
        -------
        ndarray (n_params, n_params)
            The Hessian, exactly symmetric.

        Raises
        ------
        MemoryError
            If a matrix of n_params² does not fit into memory.
        ValueError, TypeError
            As `hvp`.

        Examples
        --------
        >>> net = fn.Network([fn.Linear(1, 1)], seed=0)
        >>> net.hessian([[1.0], [3.0]], [[0.0], [0.0]], fn.HalfSquaredError("sum"))
        array([[10.,  4.],
               [ 4.,  2.]], dtype=float32)
        """
        _demand_hessian(loss)
        self._demand_square_matrix()
        x, target, weights = self._inputs.batch(X, y, loss, sample_weight)
        threads = _checks.thread_count(n_threads)
        direction = np.zeros_like(self._model.params)
        matrix = np.empty((direction.size,) * 2, self.dtype)
        times_hessian = self._model.hessian_map(x, target, weights, loss, threads)
        for i in range(len(matrix)):
            direction[i] = 1
            matrix[i] = times_hessian(direction)
            direction[i] = 0
        for i in range(len(matrix)):  # the two halves differ by rounding
            matrix[i + 1 :, i] = matrix[i, i + 1 :]
        return matrix

    def _demand_square_matrix(self) -> None:
        n = self._model.params.size
        n_bytes = n * self._model.params.nbytes
        _core.demand_memory(n_bytes, f"a matrix of {n:,} x {n:,} for the parameters")


def _demand_hessian(loss: Any) -> None:
    if not is_built_in(loss):
        raise TypeError(
            f"loss is {loss!r}, whose Hessian is not known; a loss of fastnn such as "
            f"SoftmaxCrossEntropy() is wanted"
        )
    if not loss.has_hessian:
        raise TypeError(
            f"loss is {loss!r}, which is piecewise linear and has no Hessian; a smooth loss such "
            f"as Huber() is wanted"
        )
