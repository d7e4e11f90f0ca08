"""How a network is trained: the public door to the fit loop, which checks what it is given."""

import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks, _core, checkpoints, class_weights, streaming, training, validation
from fastnn.atomic_file import check_destination
from fastnn.callbacks import Callback
from fastnn.checkpoints import Checkpoints
from fastnn.full_batch import FullBatchOptimizer
from fastnn.layers import BatchNorm, Dropout
from fastnn.lbfgs import LBFGS
from fastnn.levenberg_marquardt import LevenbergMarquardt
from fastnn.losses import CustomLoss, Loss, SoftmaxCrossEntropy, check_target, is_built_in
from fastnn.optimizers import OPTIMIZERS, SGD, Optimizer, OptimizerState
from fastnn.rate_feed import depends_on_epochs
from fastnn.schedules import Schedule
from fastnn.second_derivatives import SecondDerivatives
from fastnn.streaming import Batches, MappedRows
from fastnn.training import DivergenceError, History
from fastnn.validation import Metric, Validation

Array = NDArray[Any]

# the streams of the seed, beside that of the epochs' orders
MASKS = 0  # of dropout
SPLIT = 1  # which chooses held-out samples


class Fitting(SecondDerivatives):
    """The methods of `Network` that train it."""

    _optimizer_state: OptimizerState
    _forward: tuple[Array, Array, bool, bool] | None
    _training_process: int
    _describe: Callable[[], tuple[dict[str, Any], dict[str, Array]]]

    def fit(
        self, X: Any, y: Any = None, *, loss: Loss | CustomLoss = SoftmaxCrossEntropy(),  # noqa: B008
        optimizer: Optimizer | FullBatchOptimizer = SGD(0.1, momentum=0.9),  # noqa: B008
        epochs: int = 20, batch_size: int = 32, shuffle: bool = True, seed: int | None = None,
        sample_weight: Any = None, class_weight: "Mapping[int, float] | str | None" = None,
        validation_data: tuple[Any, Any] | tuple[Any, Any, Any] | float | None = None,
        metrics: Sequence[str | Metric] = (), callbacks: Sequence[Callback] = (),
        progress: bool | None = None, n_threads: int | None = None,
        checkpoint: "str | os.PathLike[str] | None" = None, checkpoint_every: int | str = 1,
        resume: bool = False,
    ) -> History:  # fmt: skip
        """Train on minibatches, from where the parameters are.

        Parameters
        ----------
        X : array_like (n, in_features), or iterable of pairs (X, y)
            A `numpy.memmap` may be larger than memory: its rows are gathered and converted to the
            network's dtype while others train, to the same bits. Of an iterable, which must start
            anew in each epoch, the rows are taken one after the other, `batch_size` an update
            whatever the sizes of its own batches; the next ones are made in a thread.
        y : array_like
            What the loss takes: class indices (n,), targets (n, out_features), or targets (n,) for
            one output. None beside an iterable.
        loss : Loss, or an object with `value_and_grad(y_pred, y) -> (float, ndarray)`
            The latter trains step by step, at Python's speed.
        optimizer : SGD, Adam, AdamW, RMSprop, LBFGS or LevenbergMarquardt
            A further `fit` with the same kind continues its momentum. The last two take one step an
            epoch, with all samples, start afresh in each `fit`, and end before `epochs` when they
            have converged; they refuse Dropout, BatchNorm and iterables, and LBFGS checkpoints.
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
            `sample_weight`. None beside an iterable.
        class_weight : {class: weight} or "balanced", optional
            A further factor by each sample's class index, where the loss takes labels or is
            `BinaryCrossEntropy` of one output; of a class that is not named 1. "balanced" is
            n / (k · number of samples of the class), which makes all k classes count alike.
        validation_data : (X, y) or (X, y, sample_weight), or float, optional
            Held-out samples, measured after each epoch; or the share of samples to hold out,
            between 0 and 1, drawn from the seed, of each class alike if the loss takes labels.
            Class weights do not apply to them.
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
            epoch remain.
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
        params = self._model.params
        if not (params.flags.writeable and _core.engine.all_finite(params)):
            raise ValueError(
                "params are read-only, or hold NaN or infinity; they cannot be trained"
            )
        if type(optimizer) not in (*OPTIMIZERS, LBFGS, LevenbergMarquardt):
            raise TypeError(f"optimizer is {optimizer!r}; SGD(…), Adam(…) or another is wanted")
        full_batch = isinstance(optimizer, FullBatchOptimizer)
        weighted = sample_weight is not None or class_weight is not None
        streams = y is None and not isinstance(X, np.ndarray)
        mapped = (
            isinstance(X, np.memmap)
            and is_built_in(loss)
            and not full_batch
            and (X.dtype != self.dtype or isinstance(validation_data, Real))
        )  # of the right dtype, the engine reads the file's pages itself
        if (streams or mapped) and weighted:
            raise ValueError(
                "sample_weight and class_weight need X in memory, or a memmap of the network's "
                "dtype beside validation_data that is not a share"
            )
        if streams and isinstance(optimizer.learning_rate, Schedule):
            raise ValueError(
                f"optimizer has the schedule {optimizer.learning_rate!r}, which must know the "
                f"updates of an epoch; beside an iterable, a number is wanted"
            )
        if isinstance(optimizer, FullBatchOptimizer):
            self._demand_one_loss(optimizer, streams, checkpoint)
        x: Any
        weights: Array | None = None
        if streams:
            x, target = self._batches(X, loss, epochs, validation_data), np.empty(0)
            shuffle = False if shuffle is True else shuffle  # the iterable has its own order
        elif mapped:
            streaming.check_mapped(X, "X", self.dtype, self.in_features)
            x, target = X, check_target(loss, y, (len(X), self.out_features), self.dtype, "y")
        else:
            x = _checks.samples(X, "X", self.dtype, self.in_features)
            target = self._target(loss, x, y, "y")
            weights = self._weights(loss, x, sample_weight, "sample_weight")
        if class_weight is not None:
            by_class = class_weights.sample_weights(class_weight, loss, target, self.out_features)
            product = by_class if weights is None else weights * by_class
            name = "sample_weight times class_weight"
            weights = _checks.sample_weight(product, name, self.dtype, len(x))
        epochs = _checks.integer(epochs, "epochs", at_least=0)
        batch_size = _checks.integer(batch_size, "batch_size", at_least=1)
        if full_batch:
            batch_size = len(x)
        elif not streams:
            batch_size = min(batch_size, len(x))
        keeper = self._checkpoints(checkpoint, checkpoint_every, resume)
        seed = _checks.seed(seed)
        if keeper:
            seed = keeper.seed(seed)
        entropy = np.random.SeedSequence(seed).entropy
        rng = np.random.default_rng(entropy)
        shuffle = _checks.boolean(shuffle, "shuffle")
        held_out = None
        if isinstance(validation_data, tuple | list):
            name = "validation_data"
            X_held_out, y_held_out, w_held_out = _checks.held_out(validation_data, name)
            x_held_out = _checks.samples(X_held_out, f"{name}[0]", self.dtype, self.in_features)
            target_held_out = self._target(loss, x_held_out, y_held_out, f"{name}[1]")
            weights_held_out = self._weights(loss, x_held_out, w_held_out, f"{name}[2]")
            held_out = Validation(x_held_out, target_held_out, weights_held_out, loss)
        elif validation_data is not None:
            share = _checks.share(validation_data, "validation_data", "a pair (X, y)")
            # a stream of its own, so that the epochs' orders stay those of the samples that train
            own = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(SPLIT,)))
            rows, rows_held_out = validation.split(share, target, loss, own)
            x_held_out = np.require(x[rows_held_out], self.dtype, ["C", "A"])
            weights_held_out = None
            if sample_weight is not None:
                given = self._weights(loss, x, sample_weight, "sample_weight")
                assert given is not None
                weights_held_out = self._part(given, rows_held_out, "held out")
            held_out = Validation(x_held_out, target[rows_held_out], weights_held_out, loss)
            if mapped:
                x, mapped = MappedRows(x, target, self.dtype, rows), False
            else:
                x, target = x[rows], target[rows]
                weights = None if weights is None else self._part(weights, rows, "trained on")
            batch_size = min(batch_size, len(rows))
        if mapped:
            x = MappedRows(x, target, self.dtype, None)
        n_samples = len(x) if isinstance(x, np.ndarray) else x.n_samples
        measured = validation.check_metrics(metrics, loss, held_out is not None)
        if held_out is not None:
            held_out.take_metrics(measured, self.out_features)
        callbacks = _checks.sequence_of(callbacks, "callbacks", Callback)
        if progress is None:
            progress = training.in_terminal()
        progress = _checks.boolean(progress, "progress")
        threads = _checks.thread_count(n_threads)
        if keeper:
            keeper.demand_settings({
                "network": self._describe()[0]["layers"], "dtype": str(self.dtype),
                "data": ["batches" if streams else len(target), self.in_features],
                "targets": list(np.shape(target)),
                "X": None if streams or isinstance(X, np.memmap) else checkpoints.digest(x),
                "y": checkpoints.digest(target), "weights": checkpoints.digest(weights),
                "loss": checkpoints.describe(loss), "optimizer": repr(optimizer),
                "epochs": epochs if depends_on_epochs(
                    optimizer.learning_rate, -(-(n_samples or 0) // batch_size), epochs
                ) else None,
                "batch_size": batch_size, "shuffle": shuffle, "seed": entropy,
                "validation_data": None if held_out is None else list(held_out.x.shape),
                "metrics": {name: checkpoints.describe(m) for name, m in measured.items()},
                "callbacks": [checkpoints.describe(callback) for callback in callbacks],
            })  # fmt: skip
        self._refuse_while_training()
        if not streams:
            self._refuse_batches_of_one(n_samples, batch_size)
        self._training_process = os.getpid()
        before = self._optimizer_state
        try:
            self._forward = None  # its activations are about to be those of other parameters
            parts = [(layer.n_params, layer.trainable) for layer in self._layers if layer.n_params]
            self._optimizer_state = state = before.continued_for(optimizer, parts, self.dtype)
            return training.fit(
                self, self._model, x, target, weights, loss, optimizer, state, epochs=epochs,
                batch_size=batch_size, rng=rng if shuffle else None,
                mask_key=self._mask_key(entropy), validation=held_out, callbacks=callbacks,
                progress=progress, n_threads=threads, checkpoints=keeper,
            )  # fmt: skip
        except BaseException as error:
            if not self._optimizer_state.step and not isinstance(error, DivergenceError):
                self._optimizer_state = before  # there was no update, and nothing is forgotten
            raise
        finally:
            self._training_process = 0

    def _mask_key(self, entropy: Any) -> int:
        """Draw the key of a fit's dropout masks; its own stream leaves the epochs' orders alone."""
        if not self._model.plan.has_dropout:
            return 0
        stream = np.random.SeedSequence(entropy, spawn_key=(MASKS,))
        return int(stream.generate_state(1, np.uint64)[0])

    def _demand_one_loss(
        self, optimizer: FullBatchOptimizer, streams: bool, checkpoint: Any
    ) -> None:
        """See that such an optimizer has one loss, of all samples and the same in each pass."""
        if streams:
            raise ValueError(
                f"X is an iterable and optimizer {optimizer!r}, which takes all samples at once; "
                f"an array is wanted, or SGD(…), Adam(…) or another"
            )
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

    def _refuse_batches_of_one(self, n: int, batch_size: int) -> None:
        if self._model.plan.has_batch_norm and 1 in (batch_size, n % batch_size):
            raise ValueError(
                f"batch_size is {batch_size}, which leaves a batch of one of {n} samples; "
                f"BatchNorm needs two or more"
            )

    def _part(self, weights: Array, rows: NDArray[np.int64], what: str) -> Array:
        part = weights[rows]
        if not part.any():
            raise ValueError(f"sample_weight is 0 for all samples that are {what}")
        return part

    def _batches(self, X: Any, loss: Any, epochs: Any, validation_data: Any) -> Batches:
        if not hasattr(X, "__iter__") or isinstance(X, str):
            raise TypeError(f"y is None and X is {X!r}; an iterable of pairs (X, y) is wanted")
        if not is_built_in(loss):
            raise TypeError(
                f"loss is {loss!r}; with an iterable of batches a loss of fastnn is wanted"
            )
        if self._model.plan.has_batch_norm:
            raise ValueError(
                "X is an iterable, whose last batch may be of one sample; BatchNorm needs two"
            )
        if isinstance(validation_data, Real):
            raise ValueError("validation_data is a share; beside an iterable, (X, y) is wanted")
        if epochs != 1 and iter(X) is X:
            raise ValueError(
                f"X is {X!r}, which is exhausted after one epoch; an object whose iter() starts "
                f"anew is wanted, such as a list of batches or a class with __iter__"
            )

        def check(batch: Any, name: str) -> tuple[Any, Any]:
            given_x, given_y = _checks.pair(batch, name)
            x = _checks.samples(given_x, f"{name}[0]", self.dtype, self.in_features)
            shape = (len(x), self.out_features)
            return x, check_target(loss, given_y, shape, self.dtype, f"{name}[1]")

        return Batches(X, check)

    def _checkpoints(self, path: Any, every: Any, resume: Any) -> Checkpoints | None:
        epochs, seconds = _checks.epochs_or_time(every, "checkpoint_every")
        resume = _checks.boolean(resume, "resume")
        if path is None:
            if resume:
                raise ValueError("resume is True and checkpoint None; the path of a file is wanted")
            return None
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"checkpoint is {path!r}; the path of a file is wanted")
        check_destination(path)
        keeper = Checkpoints(path, epochs, seconds)
        if resume:
            keeper.read()
        return keeper

    def partial_fit(self, X: Any, y: Any, **settings: Any) -> History:
        """Train one pass over a chunk of the data, from where parameters and optimizer are.

        Parameters
        ----------
        X : array_like (n, in_features)
        y : array_like
            What the loss takes.
        **settings
            Those of `fit`, but `epochs`.

        Returns
        -------
        History
            Of the one epoch.

        Raises
        ------
        ValueError, TypeError, DivergenceError
            As `fit`.
        """
        return self.fit(X, y, epochs=1, **{"progress": False, **settings})

    def _refuse_while_training(self) -> None:
        if self._training_process == os.getpid():
            raise RuntimeError("this network is being trained by another call of fit")
