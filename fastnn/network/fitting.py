"""How a network is trained: the public door to the fit loop, which checks what it is given."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks
from fastnn._core import background
from fastnn.callbacks import Callback
from fastnn.layers import BatchNorm, Dropout
from fastnn.losses import CustomLoss, Loss, SoftmaxCrossEntropy
from fastnn.network.passes import Passes
from fastnn.network.second_derivatives import SecondDerivatives
from fastnn.optimizers import OPTIMIZERS, Optimizer, OptimizerState
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.optimizers.lbfgs import LBFGS
from fastnn.optimizers.levenberg_marquardt import LevenbergMarquardt
from fastnn.training import DivergenceError, History, checkpoints, defaults, loop, validation
from fastnn.training.checkpoints import Checkpoints
from fastnn.training.data import hold_out, refuse_batches_of_one, training_data
from fastnn.training.progress import in_terminal
from fastnn.training.rates import depends_on_epochs
from fastnn.training.validation import Metric

Array = NDArray[Any]

MASKS = 0  # the stream of the seed that dropout's masks come from


class Fitting(SecondDerivatives):
    """The methods of `Network` that train it."""

    _optimizer_state: OptimizerState
    _passes: Passes
    _training: dict[int, object]
    _describe: Callable[[], tuple[dict[str, Any], dict[str, Array]]]

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        loss: Loss | CustomLoss = SoftmaxCrossEntropy(),  # noqa: B008
        optimizer: Optimizer | FullBatchOptimizer | None = None,
        epochs: int | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        sample_weight: Any = None,
        class_weight: "Mapping[int, float] | str | None" = None,
        validation_data: tuple[Any, Any] | tuple[Any, Any, Any] | float | None = None,
        metrics: Sequence[str | Metric] = (),
        callbacks: Sequence[Callback] = (),
        progress: bool | None = None,
        n_threads: int | None = None,
        checkpoint: "str | os.PathLike[str] | None" = None,
        checkpoint_every: int | str = 1,
        resume: bool = False,
    ) -> History:
        """Train on minibatches, from where the parameters are.

        Parameters
        ----------
        X : array_like (n, in_features), or iterable of pairs (X, y)
            A data frame's column names become `feature_names`, if there are none yet; otherwise
            they must be the same, in the same order.
            A `numpy.memmap` may be larger than memory: its rows are gathered and converted to the
            network's dtype while others train, to the same bits. Of an iterable, which must start
            anew in each epoch, the rows are taken one after the other, `batch_size` an update
            whatever the sizes of its own batches; the next ones are made in a thread.
        y : array_like
            What the loss takes: class indices (n,), targets (n, out_features), or targets (n,) for
            one output. None beside an iterable.
        loss : Loss, or an object with `value_and_grad(y_pred, y) -> (float, ndarray)`
            The latter trains step by step, at Python's speed.
        optimizer : SGD, Adam, AdamW, RMSprop, LBFGS or LevenbergMarquardt, optional
            By default `AdamW(CosineDecay(0.02), weight_decay=0.1)`, which trains with every loss of
            fastnn; beside an iterable `AdamW(0.002, weight_decay=0.1)`. A further `fit` with the
            same kind continues its momentum. The last two take one step an epoch, with all samples,
            start afresh in each `fit`, and end before `epochs` when they have converged; they
            refuse Dropout, BatchNorm and iterables, and LBFGS checkpoints.
        epochs : int, optional
            Passes over the data; 0 is none. By default as many as make 5,000 updates, at least 20;
            beside an iterable 20, and with LBFGS and LevenbergMarquardt at most 200.
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
            `sample_weight`. None beside an iterable.
        class_weight : {class: weight} or "balanced", optional
            A further factor by each sample's class index, where the loss takes labels or is
            `BinaryCrossEntropy` of one output; of a class that is not named 1. "balanced" is
            n / (k · number of samples of the class), which makes all k classes count alike. With
            label smoothing, PyTorch's `weight=` weighs each smoothed class by its own weight.
        validation_data : (X, y) or (X, y, sample_weight), or float, optional
            Held-out samples, measured after each epoch; or the share of samples to hold out,
            between 0 and 1, drawn from the seed, of each class alike if the loss takes labels.
            Class weights do not apply to them. X may be a memmap of any dtype that is larger than
            memory; of a share the rows are held in memory.
        metrics : sequence of {"accuracy", "rmse", "r2"} or of functions, optional
            Measured on the held-out samples after each epoch, beside the loss and its own figure: a
            function of the outputs (n, out_features) and of y, which returns a number. In the
            History, "val_" stands before the name.
        callbacks : sequence of Callback, optional
            Such as `EarlyStopping()`; called in order, before and after each epoch.
        progress : bool, optional
            Show a progress bar on standard error; by default if that is a terminal.
        n_threads : int, optional
            By default one a processor; the results do not depend on it, bit for bit.
        checkpoint : str or PathLike, optional
            A file that keeps the fit as it is under way, replaced at once or not at all; `load`
            reads the network from it, with the parameters of the last epoch in it, also where
            `EarlyStopping` goes back to better ones when training ends.
        checkpoint_every : int or str, optional
            After how many epochs, or how much time, as in "30s", "10min" or "2h", it is written;
            also when training ends.
        resume : bool, optional
            Go on from the checkpoint, if the file exists, to the very bits that an uninterrupted
            fit on the same instruction set ends with. The data, the network's layers and the other
            arguments must be those of then, but for the number of threads, and of epochs where no
            schedule depends on it, as CosineDecay and OneCycle do; what a callback remembers, it
            says in its `state`. Other numbers in X and y are noticed, but not in a memmap, an
            iterable or `validation_data`, of which the shape is compared.

        Returns
        -------
        History
            Of all epochs, also those before the checkpoint.

        Raises
        ------
        DivergenceError
            If the loss or a parameter becomes NaN or infinite; the parameters of the last finite
            epoch remain, with what callbacks have written since.
        RuntimeError
            If another thread is training this network.
        ValueError, TypeError
            If an argument does not fit, or the checkpoint is of another fit.
        ModelFileError
            If the checkpoint is truncated or foreign.
        OSError
            If the checkpoint cannot be written; the last one stays.

        Notes
        -----
        Ctrl-C raises KeyboardInterrupt within a fraction of a second, between two updates; the
        parameters stay usable.
        """
        self._refuse_while_training()
        if optimizer is None:
            streams = y is None and not isinstance(X, np.ndarray)
            optimizer = defaults.steady_optimizer() if streams else defaults.optimizer()
        self._demand_optimizer(optimizer, checkpoint)
        if epochs is not None:
            epochs = _checks.integer(epochs, "epochs", at_least=0)
            _checks.demand_memory(2 * epochs, epochs, "epochs")  # for the History
        batch_size = _checks.integer(batch_size, "batch_size", at_least=1)
        data = training_data(
            self, X, y, sample_weight, class_weight, loss, optimizer, epochs, validation_data
        )
        has_own_order = data.n_samples is None  # an iterable
        shuffle = _checks.boolean(shuffle, "shuffle") and not has_own_order
        keeper = Checkpoints.at(checkpoint, checkpoint_every, resume)
        seed = _checks.seed(seed)
        entropy = np.random.SeedSequence(keeper.seed(seed) if keeper else seed).entropy
        data, held_out = hold_out(self, data, validation_data, loss, entropy)
        measured = validation.check_metrics(metrics, loss, held_out is not None)
        if held_out is not None:
            held_out.take_metrics(measured, self.out_features)
        batch_size = self._batch_size_for(data.n_samples, batch_size, optimizer)
        if epochs is None:
            epochs = defaults.epochs(data.n_samples, batch_size, optimizer)
        callbacks = _checks.sequence_of(callbacks, "callbacks", Callback)
        progress = _checks.boolean(in_terminal() if progress is None else progress, "progress")
        threads = _checks.thread_count(n_threads)
        if keeper:
            updates = -(-(data.n_samples or 0) // batch_size)  # of an epoch
            epochs_matter = depends_on_epochs(optimizer.learning_rate, updates, epochs)
            keeper.demand_settings(
                {
                    "network": self._describe()[0]["layers"],
                    "dtype": str(self.dtype),
                    **data.fingerprint(self.in_features),
                    "loss": checkpoints.describe(loss),
                    "optimizer": repr(optimizer),
                    "epochs": epochs if epochs_matter else None,
                    "batch_size": batch_size,
                    "shuffle": shuffle,
                    "seed": entropy,
                    "validation_data": None if held_out is None else list(held_out.x.shape),
                    "metrics": {name: checkpoints.describe(m) for name, m in measured.items()},
                    "callbacks": [checkpoints.describe(callback) for callback in callbacks],
                }
            )
            keeper.demand_epochs(epochs)
        claim = object()

        def train() -> History:
            # in one step, as another thread may call `fit` at the same moment
            if self._training.setdefault(os.getpid(), claim) is not claim:
                self._refuse_while_training()
            self._demand_finite_params()
            self._passes.begin_fit()
            before = self._optimizer_state
            parts = [(layer.n_params, layer.trainable) for layer in self._layers if layer.n_params]
            self._optimizer_state = state = before.continued_for(optimizer, parts, self.dtype)
            try:
                self._keep_names(X)
                return loop.fit(
                    self,
                    self._model,
                    data.x,
                    data.target,
                    data.weights,
                    loss,
                    optimizer,
                    state,
                    epochs=epochs,
                    batch_size=batch_size,
                    rng=np.random.default_rng(entropy) if shuffle else None,
                    mask_key=self._mask_key(entropy),
                    validation=held_out,
                    callbacks=callbacks,
                    progress=progress,
                    n_threads=threads,
                    checkpoints=keeper,
                )
            except BaseException as error:
                if not self._optimizer_state.step and not isinstance(error, DivergenceError):
                    self._optimizer_state = before  # there was no update, and nothing is forgotten
                raise

        def release() -> None:
            if self._training.get(os.getpid()) is claim:
                self._passes.end_fit()
                self._training.pop(os.getpid(), None)

        return background.ending(release, train)

    def partial_fit(self, X: Any, y: Any, **settings: Any) -> History:
        """Train one pass over a chunk of the data, from where parameters and optimizer are.

        Parameters
        ----------
        X : array_like (n, in_features)
        y : array_like
            What the loss takes.
        **settings
            Those of `fit`, but `epochs`. The optimizer is by default
            `AdamW(0.002, weight_decay=0.1)`, whose rate is the same in each call.

        Returns
        -------
        History
            Of the one epoch.

        Raises
        ------
        ValueError, TypeError, DivergenceError
            As `fit`.
        """
        if "epochs" in settings:
            given = settings["epochs"]
            raise TypeError(
                f"epochs is {given!r} in partial_fit, which trains one and takes the other "
                f"settings of fit; for more there is fit(X, y, epochs={given!r})"
            )
        given = {"optimizer": defaults.steady_optimizer(), "progress": False, **settings}
        return self.fit(X, y, epochs=1, **given)

    def _demand_finite_params(self) -> None:
        params = self._model.params
        if not (params.flags.writeable and _checks.all_finite(params)):
            raise ValueError(
                "params are read-only, or hold NaN or infinity; they cannot be trained"
            )

    def _demand_optimizer(self, optimizer: Any, checkpoint: Any) -> None:
        """See that it is one, and of those with all samples that the loss stays the same."""
        if type(optimizer) not in (*OPTIMIZERS, LBFGS, LevenbergMarquardt):
            raise TypeError(f"optimizer is {optimizer!r}; SGD(…), Adam(…) or another is wanted")
        if not isinstance(optimizer, FullBatchOptimizer):
            return
        for layer in self._layers:
            if isinstance(layer, Dropout | BatchNorm):
                raise ValueError(
                    f"optimizer is {optimizer!r}, whose loss must be the same in each pass, and "
                    f"the network has {layer!r}; SGD(…), Adam(…) or another is wanted"
                )
        if checkpoint is not None and isinstance(optimizer, LBFGS):
            raise ValueError(
                f"checkpoint is {checkpoint!r} and optimizer {optimizer!r}, whose state SciPy does "
                f"not give away; None is wanted"
            )

    def _batch_size_for(self, n: int | None, batch_size: int, optimizer: Any) -> int:
        """Return how many of n samples go into an update, of an iterable of batches as given."""
        if n is None:
            return batch_size
        refuse_batches_of_one(self, n, min(batch_size, n), batch_size)
        return n if isinstance(optimizer, FullBatchOptimizer) else min(batch_size, n)

    def _refuse_while_training(self) -> None:
        if os.getpid() in self._training:
            raise RuntimeError("this network is being trained by another call of fit")

    def _mask_key(self, entropy: Any) -> int:
        """Draw the key of a fit's dropout masks; its own stream leaves the epochs' orders alone."""
        if not self._model.plan.has_dropout:
            return 0
        stream = np.random.SeedSequence(entropy, spawn_key=(MASKS,))
        return int(stream.generate_state(1, np.uint64)[0])
