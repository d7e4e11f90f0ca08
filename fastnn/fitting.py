"""How a network is trained: the public door to the fit loop, which checks what it is given."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks, _core, training
from fastnn.lbfgs import LBFGS
from fastnn.levenberg_marquardt import LevenbergMarquardt
from fastnn.losses import CustomLoss, Loss, SoftmaxCrossEntropy
from fastnn.optimizers import SGD, Adam, Optimizer, OptimizerState
from fastnn.second_derivatives import SecondDerivatives
from fastnn.training import FullBatchOptimizer, History, Validation

Array = NDArray[Any]


class Fitting(SecondDerivatives):
    """The methods of `Network` that train it."""

    _optimizer_state: OptimizerState
    _forward: tuple[Array, Array, bool] | None
    _training_process: int

    def fit(
        self, X: Any, y: Any, *, loss: Loss | CustomLoss = SoftmaxCrossEntropy(),  # noqa: B008
        optimizer: Optimizer | FullBatchOptimizer = SGD(0.1, momentum=0.9),  # noqa: B008
        epochs: int = 20, batch_size: int = 32, shuffle: bool = True, seed: int | None = None,
        validation_data: tuple[Any, Any] | None = None, progress: bool | None = None,
        n_threads: int | None = None,
    ) -> History:  # fmt: skip
        """Train on minibatches, from where the parameters are.

        Parameters
        ----------
        X : array_like (n, in_features)
        y : array_like
            What the loss takes: class indices (n,), targets (n, out_features), or targets (n,) for
            one output.
        loss : Loss, or an object with `value_and_grad(y_pred, y) -> (float, ndarray)`
            The latter trains step by step, at Python's speed.
        optimizer : SGD, Adam, LBFGS or LevenbergMarquardt
            A further `fit` with the same kind continues its momentum. The last two take one step an
            epoch, with all samples, start afresh in each `fit`, and end before `epochs` when they
            have converged.
        epochs : int
            Passes over the data; 0 is none.
        batch_size : int
            Samples an update; the last batch of an epoch may be short, and more than n means all.
        shuffle : bool
            Whether each epoch's order is `rng.permutation(n)`, drawn one after the other from one
            `rng = numpy.random.default_rng(seed)`.
        seed : int, optional
            By default fresh entropy.
        validation_data : (X, y), optional
            Held-out samples, measured after each epoch.
        progress : bool, optional
            Show a progress bar on standard error; by default if that is a terminal.
        n_threads : int, optional
            By default one a processor; the results do not depend on it, bit for bit.

        Returns
        -------
        History

        Raises
        ------
        DivergenceError
            If the loss or a parameter becomes NaN or infinite; the parameters of the last finite
            epoch remain.
        RuntimeError
            If another thread is training this network.
        ValueError, TypeError
            If an argument does not fit.

        Notes
        -----
        Ctrl-C raises KeyboardInterrupt within a fraction of a second, between two updates; the
        parameters stay usable.
        """
        params = self._model.params
        if not (params.flags.writeable and _core.engine.all_finite(params)):
            raise ValueError(
                "params are read-only, or hold NaN or infinity; they cannot be trained"
            )
        x = _checks.samples(X, "X", self.dtype, self.in_features)
        target = self._target(loss, x, y, "y")
        if type(optimizer) not in (SGD, Adam, LBFGS, LevenbergMarquardt):
            raise TypeError(
                f"optimizer is {optimizer!r}; SGD(…), Adam(…), LBFGS(…) or LevenbergMarquardt(…) "
                f"is wanted"
            )
        epochs = _checks.integer(epochs, "epochs", at_least=0)
        batch_size = min(_checks.integer(batch_size, "batch_size", at_least=1), len(x))
        if isinstance(optimizer, FullBatchOptimizer):
            batch_size = len(x)
        rng = np.random.default_rng(_checks.seed(seed))
        shuffle = _checks.boolean(shuffle, "shuffle")
        validation = None
        if validation_data is not None:
            name = "validation_data"
            X_held_out, y_held_out = _checks.pair(validation_data, name)
            held_out = _checks.samples(X_held_out, f"{name}[0]", self.dtype, self.in_features)
            target_held_out = self._target(loss, held_out, y_held_out, f"{name}[1]")
            validation = Validation(held_out, target_held_out, loss)
        if progress is None:
            progress = training.in_terminal()
        progress = _checks.boolean(progress, "progress")
        threads = _checks.thread_count(n_threads)
        self._refuse_while_training()
        self._training_process = os.getpid()
        try:
            self._forward = None  # its activations are about to be those of other parameters
            self._optimizer_state = self._optimizer_state.continued_for(optimizer, params)
            return training.fit(
                self._model, x, target, loss, optimizer, self._optimizer_state, epochs=epochs,
                batch_size=batch_size, rng=rng if shuffle else None, validation=validation,
                progress=progress, n_threads=threads,
            )  # fmt: skip
        finally:
            self._training_process = 0

    def _refuse_while_training(self) -> None:
        if self._training_process == os.getpid():
            raise RuntimeError("this network is being trained by another call of fit")
