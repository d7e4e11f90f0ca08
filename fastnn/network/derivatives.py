"""A network's first derivatives: gradients, Jacobians, and products with them.

All of them are exact: the compiled engine applies the chain rule. At a kink of an activation the
derivative is the slope of the negative side, unless the docstring of the layer says otherwise.
"""

import math
from typing import Any

import numpy as np

from fastnn import _checks, _core
from fastnn._core.arrays import Array
from fastnn.jacobians import Jacobian
from fastnn.losses import CustomLoss, Loss
from fastnn.network.base import NetworkBase
from fastnn.network.jacobian_operator import NetworkJacobian


class Derivatives(NetworkBase):
    """The methods of `Network` that differentiate it once.

    `wrt` chooses the variable: "input", or "params", the parameters in the order of `net.params`.
    `n_threads` is by default one for each physical core. It does not change any bit of a result.
    """

    def loss_and_grad(
        self, X: Any, y: Any, loss: "Loss | CustomLoss", sample_weight: Any = None
    ) -> tuple[float, Array]:
        """Return a loss over all samples as one batch, and its gradient for the parameters.

        Parameters
        ----------
        X : array_like or sparse matrix (n, in_features)
        y : array_like
            The targets, as the loss takes them: (n, out_features), or class indices (n,).
        loss : Loss, or an object with `value_and_grad(y_pred, y)`
        sample_weight : array_like (n,), optional
            Weights of the samples, at least 0 and not all 0. By default all are 1.

        Returns
        -------
        (float, ndarray (n_params,))
            The gradient is a new array in the network's dtype; `grads` is not changed. The pair is
            what `scipy.optimize.minimize(jac=True)` expects. SciPy's SLSQP takes float64 only: pass
            it `gradient.astype(float)` if the network is float32.

        Examples
        --------
        >>> net = fn.Network([fn.Linear(2, 1)], seed=0)
        >>> net.params = [3.0, -1.0, 0.5]  # the two weights and the bias
        >>> net.loss_and_grad([[1.0, 2.0]], [[0.0]], fn.MeanSquaredError())
        (2.25, array([3., 6., 3.], dtype=float32))
        """
        ready = self._calls.loss_and_grad(X, y, loss, sample_weight)
        if ready is not None:
            return ready
        x, target, weights = self._inputs.batch_or_sparse(X, y, loss, sample_weight)
        return self._model.loss_and_grad(x, target, weights, loss, None)

    def jacobian(
        self, X: Any, wrt: str = "input", *, out: Any = None, n_threads: int | None = None
    ) -> Array:
        """Return the Jacobian of the outputs at each sample, with a row for each output.

        Parameters
        ----------
        X : array_like (n, in_features) or (in_features,)
        wrt : {"input", "params"}
        out : ndarray of the result's shape and the network's dtype, optional
            The result is written there. C-contiguous; must not overlap X or the parameters.
        n_threads : int, optional

        Returns
        -------
        ndarray (n, out_features, in_features) or (n, out_features, n_params)
            Without the first axis for one sample.

        Raises
        ------
        MemoryError
            If the result does not fit into memory.
        ValueError, TypeError
            If an argument is invalid, or its shape does not fit.

        Notes
        -----
        For the input, the engine goes forward or backward through the layers, whichever takes fewer
        multiplications. For the parameters it goes backward. The Jacobian of Softmax is applied as
        diag(S) - S Sᵀ, without a matrix product.

        Examples
        --------
        >>> net = fn.Network([fn.Linear(2, 2), fn.ReLU()], seed=0)
        >>> net.params = [3.0, -1.0, 5.0, 4.0, 0.0, -20.0]
        >>> net.jacobian([2.0, 1.0])  # the second unit is off
        array([[ 3., -1.],
               [ 0.,  0.]], dtype=float32)
        """
        ready = self._calls.jacobian(X, wrt, out, n_threads, False)
        if ready is not None:
            return ready[1]
        return self._jacobian(X, wrt, out, n_threads, with_outputs=False)[1]

    def value_and_jacobian(
        self, X: Any, wrt: str = "input", *, out: Any = None, n_threads: int | None = None
    ) -> tuple[Array, Array]:
        """Return the outputs and the `jacobian`, computed in one pass.

        Returns
        -------
        (ndarray of the outputs' shape, ndarray)
        """
        ready = self._calls.jacobian(X, wrt, out, n_threads, True)
        return ready or self._jacobian(X, wrt, out, n_threads, with_outputs=True)

    def jacobian_operator(self, x: Any, wrt: str = "input") -> Jacobian:
        """Return the Jacobian of the outputs at one sample, as a linear map.

        A product with a vector costs about as much as a pass through the network. Only `to_dense()`
        makes a matrix.

        Parameters
        ----------
        x : array_like (in_features,)
        wrt : {"input", "params"}
            With respect to the input, or to all parameters in the order of `params`.

        Returns
        -------
        fastnn.jacobians.Jacobian (out_features, in_features) or (out_features, n_params)
            It uses the present values of the parameters. `matvec(h)` is the derivative in direction
            h, and `rmatvec(c)` multiplies a cotangent c by the Jacobian.
            `scipy.sparse.linalg.aslinearoperator` accepts it. Its attribute `structure` is the same
            Jacobian made of the layers' Jacobians.

        Raises
        ------
        ValueError, TypeError
            If x has another shape or holds anything but finite real numbers, or `wrt` is invalid.
        """
        wrt = _checks.choice(wrt, "wrt", ("input", "params"))
        sample = self._calls.sample(x)
        if sample is None:
            self._inputs.demand_names(x)
            sample = _checks.shaped_array(x, "x", self.dtype, (self.in_features,))
        return NetworkJacobian(self._layers, self._model, sample, wrt)

    def jvp(
        self, X: Any, tangent: Any, wrt: str = "input", *, n_threads: int | None = None
    ) -> Array:
        """Return J h at each sample: the Jacobian times a tangent, without forming J.

        It is the derivative of the outputs along a direction of the input or the parameters.

        Parameters
        ----------
        X : array_like (n, in_features) or (in_features,)
        tangent : array_like
            h, in X's shape for the input, or (n_params,) for the parameters.
        wrt : {"input", "params"}
        n_threads : int, optional

        Returns
        -------
        ndarray (n, out_features) or (out_features,)

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, or its shape does not fit.

        Examples
        --------
        >>> net = fn.Network([fn.Linear(2, 2)], seed=0)
        >>> net.params = [3.0, -1.0, -5.0, 4.0, 0.0, 0.0]
        >>> net.jvp([2.0, 1.0], [1.0, 0.0])  # the first column of the Jacobian
        array([ 3., -5.], dtype=float32)
        """
        ready = self._calls.jvp(X, tangent, wrt, n_threads)
        if ready is not None:
            return ready
        by_params = _checks.choice(wrt, "wrt", ("input", "params")) == "params"
        given, single = self._inputs.samples(X)
        _core.demand_memory(len(given) * self.out_features * self.dtype.itemsize, "the product")
        shape = given.shape[1:] if single else given.shape
        shape = self._model.params.shape if by_params else shape
        h = _checks.shaped_array(tangent, "tangent", self.dtype, shape)
        h = h if by_params else h.reshape(given.shape)
        x = _checks.converted(given, "X", self.dtype, single)
        outputs = self._model.jvp(x, h, by_params, _checks.thread_count(n_threads))
        return outputs[0] if single else outputs

    def vjp(
        self, X: Any, cotangent: Any, wrt: str = "input", *, n_threads: int | None = None
    ) -> Array:
        """Return Jᵀ c at each sample: a cotangent times the Jacobian, without forming J.

        Parameters
        ----------
        X : array_like (n, in_features) or (in_features,)
        cotangent : array_like of the outputs' shape
            c, the derivative of some scalar by each output.
        wrt : {"input", "params"}
        n_threads : int, optional

        Returns
        -------
        ndarray
            In X's shape for the input. For the parameters (n_params,), summed over the samples.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, or its shape does not fit.

        Examples
        --------
        >>> net = fn.Network([fn.Linear(2, 2)], seed=0)
        >>> net.params = [3.0, -1.0, -5.0, 4.0, 0.0, 0.0]
        >>> net.vjp([2.0, 1.0], [1.0, 0.0])  # the first row of the Jacobian
        array([ 3., -1.], dtype=float32)
        """
        ready = self._calls.vjp(X, cotangent, wrt, n_threads)
        if ready is not None:
            return ready
        by_params = _checks.choice(wrt, "wrt", ("input", "params")) == "params"
        given, single = self._inputs.samples(X)
        n_out = self._model.plan.n_out
        shape = (n_out,) if single else (len(given), n_out)
        c = _checks.shaped_array(cotangent, "cotangent", self.dtype, shape).reshape(-1, n_out)
        x = _checks.converted(given, "X", self.dtype, single)
        product = self._model.vjp(x, c, by_params, _checks.thread_count(n_threads))
        return product[0] if single and not by_params else product

    def sample_grads(
        self, X: Any, y: Any, loss: "Loss | CustomLoss", *, n_threads: int | None = None
    ) -> Array:
        """Return the gradient of each sample's loss with respect to the parameters.

        The loss's reduction is ignored: the rows add up to the gradient of the summed loss.

        Parameters
        ----------
        X : array_like (n, in_features)
        y : array_like
            The targets, as the loss takes them: (n, out_features), or class indices (n,).
        loss : Loss, or an object with `value_and_grad(y_pred, y)`
            Your own object is called once for each sample.
        n_threads : int, optional

        Returns
        -------
        ndarray (n, n_params)

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, or its shape does not fit.

        Examples
        --------
        >>> net = fn.Network([fn.Linear(1, 1)], seed=0)
        >>> net.params = [2.0, 0.0]
        >>> net.sample_grads([[1.0], [3.0]], [[0.0], [0.0]], fn.HalfSquaredError())
        array([[ 2.,  2.],
               [18.,  6.]], dtype=float32)
        """
        ready = self._calls.sample_grads(X, y, loss, n_threads)
        if ready is not None:
            return ready
        given = self._inputs.sample_matrix(X, "X")
        n_bytes = len(given) * self._model.params.nbytes
        _core.demand_memory(n_bytes, "the gradients")
        x, target, _ = self._inputs.batch(given, y, loss)
        return self._model.sample_grads(x, target, loss, _checks.thread_count(n_threads))

    def _jacobian(
        self, X: Any, wrt: str, out: Any, n_threads: int | None, with_outputs: bool
    ) -> tuple[Any, Array]:
        by_params = _checks.choice(wrt, "wrt", ("input", "params")) == "params"
        given, single = self._inputs.samples(X)
        threads = _checks.thread_count(n_threads)
        columns = self._model.params.size if by_params else self.in_features
        shape = (len(given), self.out_features, columns)
        matrix = None
        if out is None:
            _core.demand_memory(math.prod(shape) * self.dtype.itemsize, "the Jacobian")
        else:
            wanted = shape[1:] if single else shape
            inputs = {"X": given, "the parameters": self._model.params}
            matrix = _checks.output_array(out, "out", self.dtype, wanted, inputs).reshape(shape)
        x = _checks.converted(given, "X", self.dtype, single)
        outputs = np.empty((len(x), self.out_features), x.dtype) if with_outputs else None
        jacobian = self._model.jacobian(x, by_params, threads, matrix, outputs)
        if single:
            outputs, jacobian = None if outputs is None else outputs[0], jacobian[0]
        return outputs, jacobian if out is None else out
