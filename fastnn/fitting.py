"""How a network is trained: the public door to the fit loop, which checks what it is given."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks, _core, class_weights, training
from fastnn.full_batch import FullBatchOptimizer
from fastnn.layers import BatchNorm, Dropout
from fastnn.lbfgs import LBFGS
from fastnn.levenberg_marquardt import LevenbergMarquardt
from fastnn.losses import CustomLoss, Loss, SoftmaxCrossEntropy
from fastnn.optimizers import OPTIMIZERS, SGD, Optimizer, OptimizerState
from fastnn.second_derivatives import SecondDerivatives
from fastnn.training import History, Validation

Array = NDArray[Any]

MASKS = 0  # the seed's stream of the dropout masks


class Fitting(SecondDerivatives):
    """The methods of `Network` that train it."""

    _optimizer_state: OptimizerState
    _forward: tuple[Array, Array, bool, bool] | None
    _training_process: int

    def fit(
        self, X: Any, y: Any, *, loss: Loss | CustomLoss = SoftmaxCrossEntropy(),  # noqa: B008
        optimizer: Optimizer | FullBatchOptimizer = SGD(0.1, momentum=0.9),  # noqa: B008
        epochs: int = 20, batch_size: int = 32, shuffle: bool = True, seed: int | None = None,
        sample_weight: Any = None, class_weight: "Mapping[int, float] | str | None" = None,
        validation_data: tuple[Any, Any] | tuple[Any, Any, Any] | None = None,
        progress: bool | None = None, n_threads: int | None = None,
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
        optimizer : SGD, Adam, AdamW, RMSprop, LBFGS or LevenbergMarquardt
            A further `fit` with the same kind continues its momentum. The last two take one step an
            epoch, with all samples, start afresh in each `fit`, and end before `epochs` when they
            have converged.
        epochs : int
            Passes over the data; 0 is none.
        batch_size : int
            Samples an update; the last batch of an epoch may be short, and more than n means all.
        shuffle : bool
            Whether each epoch's order is `rng.permutation(n)`, drawn one after the other from one
            `rng = numpy.random.default_rng(seed)`. Dropout's masks come from a stream of their own.
        seed : int, optional
            By default fresh entropy.
        sample_weight : array_like (n,), optional
            At least 0, and not all 0; by default 1 each. A mean over samples is Σ w l / Σ w, of a
            batch and of an epoch; a sum is Σ w l. One of your own losses must take an argument
            `sample_weight`.
        class_weight : {class: weight} or "balanced", optional
            A further factor by each sample's class index, where the loss takes labels or is
            `BinaryCrossEntropy` of one output; of a class that is not named 1. "balanced" is
            n / (k · number of samples of the class), which makes all k classes count alike.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Held-out samples, measured after each epoch. Class weights do not apply to them.
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
        weights = self._weights(loss, x, sample_weight, "sample_weight")
        if class_weight is not None:
            by_class = class_weights.sample_weights(class_weight, loss, target, self.out_features)
            product = by_class if weights is None else weights * by_class
            name = "sample_weight times class_weight"
            weights = _checks.sample_weight(product, name, self.dtype, len(x))
        if type(optimizer) not in (*OPTIMIZERS, LBFGS, LevenbergMarquardt):
            raise TypeError(f"optimizer is {optimizer!r}; SGD(…), Adam(…) or another is wanted")
        epochs = _checks.integer(epochs, "epochs", at_least=0)
        batch_size = min(_checks.integer(batch_size, "batch_size", at_least=1), len(x))
        if isinstance(optimizer, FullBatchOptimizer):
            batch_size = len(x)
            self._refuse_training_mode(optimizer)
        rng = np.random.default_rng(_checks.seed(seed))
        shuffle = _checks.boolean(shuffle, "shuffle")
        validation = None
        if validation_data is not None:
            name = "validation_data"
            X_held_out, y_held_out, weight_held_out = _checks.held_out(validation_data, name)
            held_out = _checks.samples(X_held_out, f"{name}[0]", self.dtype, self.in_features)
            target_held_out = self._target(loss, held_out, y_held_out, f"{name}[1]")
            weights_held_out = self._weights(loss, held_out, weight_held_out, f"{name}[2]")
            validation = Validation(held_out, target_held_out, weights_held_out, loss)
        if progress is None:
            progress = training.in_terminal()
        progress = _checks.boolean(progress, "progress")
        threads = _checks.thread_count(n_threads)
        self._refuse_while_training()
        self._refuse_batches_of_one(len(x), batch_size)
        self._training_process = os.getpid()
        try:
            self._forward = None  # its activations are about to be those of other parameters
            parts = [(layer.n_params, layer.trainable) for layer in self._layers if layer.n_params]
            self._optimizer_state = self._optimizer_state.continued_for(
                optimizer, parts, self.dtype
            )
            return training.fit(
                self._model, x, target, weights, loss, optimizer, self._optimizer_state,
                epochs=epochs, batch_size=batch_size, rng=rng if shuffle else None,
                validation=validation, progress=progress, n_threads=threads,
                mask_key=self._mask_key(seed),
            )  # fmt: skip
        finally:
            self._training_process = 0

    def _mask_key(self, seed: int | None) -> int:
        """Draw the key of a fit's dropout masks; its own stream leaves the epochs' orders alone."""
        if not self._model.plan.has_dropout:
            return 0
        stream = np.random.SeedSequence(seed, spawn_key=(MASKS,))
        return int(stream.generate_state(1, np.uint64)[0])

    def _refuse_training_mode(self, optimizer: FullBatchOptimizer) -> None:
        for layer in self._layers:
            if isinstance(layer, Dropout | BatchNorm):
                raise ValueError(
                    f"optimizer is {optimizer!r}, which needs a loss that is the same each time it "
                    f"is computed, and the network has {layer!r}; SGD(…), Adam(…) or another of "
                    f"minibatches is wanted"
                )

    def _refuse_batches_of_one(self, n: int, batch_size: int) -> None:
        if self._model.plan.has_batch_norm and 1 in (batch_size, n % batch_size):
            raise ValueError(
                f"batch_size is {batch_size}, which leaves a batch of one of {n} samples; "
                f"BatchNorm needs two or more"
            )

    def _refuse_while_training(self) -> None:
        if self._training_process == os.getpid():
            raise RuntimeError("this network is being trained by another call of fit")
