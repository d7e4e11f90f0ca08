"""The methods of a network that train it. They check their arguments and call the fit loop."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core import background
from fastnn._core._calls import Passes
from fastnn._core.arrays import Array
from fastnn.callbacks import Callback
from fastnn.layers import composition
from fastnn.losses import CustomLoss, Loss, SoftmaxCrossEntropy, is_built_in
from fastnn.network.base import NetworkBase
from fastnn.optimizers import Optimizer, OptimizerState
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.optimizers.groups import factors_of
from fastnn.optimizers.schedule import Schedule
from fastnn.training import DivergenceError, History, defaults, validation
from fastnn.training.alone import Alone
from fastnn.training.checkpoints import CheckpointFile
from fastnn.training.demands import batch_size_for, demand_dropout_factor, demand_optimizer
from fastnn.training.identity import identity_of
from fastnn.training.progress import is_watched
from fastnn.training.settings import FitSettings
from fastnn.training.standardization import Standardization
from fastnn.training.validation import Metric, ValidationData


class Fitting(NetworkBase):
    """The methods of `Network` that train it."""

    _optimizer_state: OptimizerState
    _passes: Passes
    _link: str | None
    _training: dict[int, object]
    _locks: "dict[int, threading.RLock]"
    _operations: list[Any]
    _describe: Callable[[], tuple[dict[str, Any], dict[str, Array]]]

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        loss: "Loss | CustomLoss" = SoftmaxCrossEntropy(),  # noqa: B008
        optimizer: "Optimizer | FullBatchOptimizer | None" = None,
        epochs: int | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        drop_last: bool = False,
        dropout_factor: "Schedule | None" = None,
        standardize: str | None = None,
        seed: int | None = None,
        sample_weight: Any = None,
        class_weight: "Mapping[int, float] | str | None" = None,
        validation_data: "ValidationData | None" = None,
        metrics: "Sequence[str | Metric]" = (),
        callbacks: "Sequence[Callback]" = (),
        progress: bool | None = None,
        n_threads: int | None = None,
        checkpoint: "str | os.PathLike[str] | None" = None,
        checkpoint_every: int | str = 1,
        resume: bool = False,
        comm: Any = None,
        deterministic: bool = False,
        sync_every: int = 1,
    ) -> History:
        """Train the network, starting at its present parameters.

        Parameters
        ----------
        X : array_like or sparse matrix (n, in_features), or iterable of pairs (X, y)
            The features. The column names of a data frame become `feature_names`; if there are some
            already, the data frame must have the same names in the same order. A `numpy.memmap`
            may be larger than memory: the next rows are read and converted while the current rows
            train. The results are the same, bit for bit. An iterable must start anew in each epoch.
            Its rows are used in their order, `batch_size` rows in an update, whatever the sizes of
            its own batches. A thread prepares the next rows.
        y : array_like
            The targets, as the loss takes them: class indices (n,), targets (n, out_features), or
            targets (n,) for one output. None if X is an iterable.
        loss : Loss, or an object with `value_and_grad(y_pred, y) -> (float, ndarray)`
            Python calls your own object in each update. An object with
            `residuals(y_pred, y) -> (ndarray (n, k), ndarray (n, k, out_features))` is a loss too:
            ½ Σ r² over the residuals r. The second array has their derivatives by `y_pred`.
        optimizer : an optimizer of fastnn, such as Adam, optional
            By default `AdamW(CosineDecay(0.02), weight_decay=0.1)`, which suits all losses of
            fastnn, or `AdamW(0.002, weight_decay=0.1)` if X is an iterable. The state of one fit,
            such as running means, continues in the next if the kind of optimizer is the same.
            LBFGS and LevenbergMarquardt take one step per epoch on all samples. They keep nothing
            from an earlier fit, and stop before `epochs` if they converge. They raise ValueError
            for networks with Dropout or BatchNorm and for iterables; LBFGS also for a checkpoint.
        epochs : int, optional
            The number of passes over the data, at least 0. The default is the number that makes
            5,000 updates, at least 20. It is 20 if X is an iterable, and 200 with LBFGS and
            LevenbergMarquardt.
        batch_size : int
            The number of samples in an update, at least 1. The last batch of an epoch may be
            smaller. A number above n means n. By default 32.
        shuffle : bool
            Whether each epoch has a new random order. By default True. The orders are successive
            results of `rng.permutation(n)` with `rng = numpy.random.default_rng(seed)`; dropout
            masks do not use this generator.
        drop_last : bool
            Whether to leave out the last batch of an epoch if it is smaller than the others. With
            `shuffle`, each epoch leaves out other samples. By default False. It must be False if X
            is an iterable.
        dropout_factor : Schedule, optional
            The factor of the probability of each Dropout, for each update. The product must stay
            below 1. By default the factor is 1.
        standardize : {"X", "y", "both"}, optional
            Which means and standard deviations to set from the training rows: those of Standardize,
            the first layer, of Unstandardize, the last layer, or both. Held-out samples do not
            count. `sample_weight` counts, unless the loss allows negative weights, and
            `class_weight` does not. A constant column gets the scale 1. An iterable is read once
            more, before the first epoch. A later fit with this argument sets them anew, which
            changes what the network computes. By default the layers keep their values.
        seed : int, optional
            The seed of all random numbers, at least 0. By default they differ in each fit.
        sample_weight : array_like (n,), optional
            Weights w of the samples, at least 0 and not all 0, unless the loss has
            `negative_weights`. By default all are 1. A mean loss is Σ w l / Σ w, over a batch and
            over an epoch; a summed loss is Σ w l. Your own loss must take an argument
            `sample_weight`. None if X is an iterable.
        class_weight : {class: weight} or "balanced", optional
            Further weights, by the class index of each sample; 1 for a class that is missing in the
            dict. The loss must take labels, or be `BinaryCrossEntropy` of one output. "balanced"
            means n / (k · number of samples of the class), so that all k classes have the same
            total weight. With label smoothing this is not PyTorch's `weight=`, which weighs each
            smoothed class by its own weight.
        validation_data : (X, y) or (X, y, sample_weight), or float, optional
            Held-out samples, on which the loss and the metrics are measured after each epoch. A
            float in (0, 1) is the share of the samples to hold out. They are drawn with the seed,
            the same share of each class if the loss takes labels. Class weights do not apply to
            held-out samples. X may be a memmap of any dtype and larger than memory; a share is
            copied into memory.
        metrics : sequence of {"accuracy", "rmse", "r2"} or of functions, optional
            Further metrics of the held-out samples. A function takes the outputs (n, out_features)
            and y, and returns a number. The name in the History begins with `val_`.
        callbacks : sequence of Callback, optional
            For instance `EarlyStopping()`, or others of `fastnn.callbacks`. They are called in this
            order, before and after each epoch.
        progress : bool, optional
            Whether to show a progress bar on standard error. By default only in a terminal or a
            notebook.
        n_threads : int, optional
            The number of threads, by default one for each physical core. The results are the same
            for any number, bit for bit, except those of LevenbergMarquardt.
        checkpoint : str or PathLike, optional
            A file that saves the state of this fit. It is always replaced completely or not at all.
            `load` reads the network from it, with the parameters after the last saved epoch, even
            if `EarlyStopping` restores better ones when training ends.
        checkpoint_every : int or str, optional
            The number of epochs between two checkpoints, or the time, for instance "30s", "10min"
            or "2h". By default 1. A checkpoint is also written when training ends.
        resume : bool, optional
            Whether to continue the fit in the checkpoint, if the file exists. By default False. The
            results equal those of an uninterrupted fit with the same build of fastnn and the same
            instruction set, bit for bit. The data, the layers of the network and the other
            arguments must be the same. Only `n_threads` may differ, and `epochs`, unless the
            learning rates depend on it as with CosineDecay and OneCycle. Your own callbacks must
            save their values by `state`. The values of X and y are compared with the checkpoint.
            Of a memmap, an iterable and `validation_data` only the shapes are compared.
        comm : mpi4py.MPI.Intracomm, optional
            The processes that train this network together, such as `MPI.COMM_WORLD`. Each calls
            `fit` with its own rows and otherwise the same arguments, and gets the network of one
            process with all rows, up to rounding. If X is an iterable of the own rows, each update
            takes `batch_size` / ranks of them, while they last. `docs/distributed.md` has the
            details.
        deterministic : bool, optional
            Whether the sums over the ranks of `comm` have an order that does not depend on the
            number of ranks, at most 8. By default False.
        sync_every : int, optional
            The number of updates that each rank of `comm` makes by the gradient of its own rows,
            before the parameters and the state of the optimizer are averaged over the ranks (local
            SGD). By default 1: each update adds up the gradients of all ranks.

        Returns
        -------
        History
            The metrics of all epochs, including those before the checkpoint.

        Raises
        ------
        DivergenceError
            If the loss or a parameter becomes NaN or infinite. The network then has the parameters
            after the last finite epoch, or the parameters that a callback wrote later.
        RuntimeError
            If another thread is training this network.
        ValueError, TypeError
            If an argument is invalid, or the checkpoint is of a different fit.
        ModelFileError
            If the checkpoint is truncated or damaged, or the file is no checkpoint.
        OSError
            If the checkpoint cannot be written. The last one remains.

        Notes
        -----
        If the last layer is Unstandardize, the network trains in standardised units: the loss
        compares (y - mean) / scale with the outputs of the layers before. So the learning rate,
        the tolerances of an optimizer and Huber's delta count in standard deviations of y. "loss"
        and "val_loss" in the History are in these units, and the metrics in the units of y. Your
        own loss gets standardised outputs and targets. Losses of classes and counts raise
        ValueError.

        Ctrl-C raises KeyboardInterrupt within a fraction of a second, between two updates. The
        network then has the parameters after the last update.

        Examples
        --------
        >>> net = fn.Network([fn.Linear(1, 1)], seed=0)
        >>> history = net.fit([[0], [1]], [1, 3], loss=fn.MeanSquaredError(), epochs=500, seed=0)
        >>> len(history["loss"]), history["loss"][-1] < 0.1
        (500, True)
        """
        team = Alone()
        if comm is not None:
            from fastnn.distributed.team import Team  # here, since one process has no need of it

            same = {"standardize": standardize, "seed": seed, "n_threads": n_threads}
            team = Team(comm, deterministic, sync_every, same)
        elif _checks.boolean(deterministic, "deterministic"):
            raise ValueError(
                "deterministic is True and comm None, where the order of sums is always the same; "
                "False is wanted, or a communicator of mpi4py such as MPI.COMM_SELF"
            )
        elif _checks.integer(sync_every, "sync_every", at_least=1) > 1:
            raise ValueError(
                f"sync_every is {sync_every} and comm None, where there is nothing to average; 1 "
                f"is wanted, or a communicator of mpi4py such as MPI.COMM_WORLD"
            )
        with team.together():
            self._refuse_while_training()
            if optimizer is None:
                streams = y is None and not isinstance(X, np.ndarray)
                optimizer = defaults.steady_optimizer() if streams else defaults.optimizer()
            demand_optimizer(self._layers, optimizer, checkpoint)
            if epochs is not None:
                epochs = _checks.integer(epochs, "epochs", at_least=0)
                _checks.demand_memory(2 * epochs, epochs, "epochs")  # for the History
            batch_size = _checks.integer(batch_size, "batch_size", at_least=1)
            standardization = Standardization(
                standardize, self._layers, self._model, self._operations, self._inputs, loss
            )
            inputs = standardization.inputs
            weights = (sample_weight, class_weight)
            data = team.training_data(
                inputs, X, y, weights, loss, optimizer, epochs, validation_data
            )
            has_own_order = data.n_samples is None  # an iterable
            drop_last = _checks.boolean(drop_last, "drop_last")
            if drop_last and has_own_order:
                raise ValueError(
                    "drop_last is True, and X is an iterable, whose batches may have any sizes; "
                    "False is wanted, or an array X"
                )
            shuffle = _checks.boolean(shuffle, "shuffle") and not has_own_order
            file = team.first(
                "the checkpoint",
                lambda: CheckpointFile.from_arguments(checkpoint, checkpoint_every, resume),
            )
            seed = _checks.seed(seed)
            given = file.seed(seed) if file else seed
            entropy: Any = team.first("the seed", lambda: np.random.SeedSequence(given).entropy)
            data, held_out = team.hold_out(inputs, data, validation_data, loss, entropy)
            measured = validation.check_metrics(metrics, loss, held_out is not None)
            if held_out is not None:
                held_out.take_metrics(measured, self.out_features)
            batch_size = batch_size_for(
                self._model, data.n_samples, batch_size, optimizer, drop_last
            )
            if epochs is None:
                epochs = defaults.epochs(data.n_samples, batch_size, optimizer)
            callbacks = _checks.sequence_of(callbacks, "callbacks", Callback)
            progress = _checks.boolean(is_watched() if progress is None else progress, "progress")
            threads = _checks.thread_count(n_threads)
            demand_dropout_factor(self._model, dropout_factor, has_own_order)
            factors = factors_of(optimizer, self._layers)
            settings = FitSettings(
                loss,
                optimizer,
                epochs,
                batch_size,
                shuffle,
                entropy,
                callbacks,
                progress,
                threads,
                drop_last,
                dropout_factor,
            )
            settings = team.settings(self, data, held_out, settings)
            checkpoints = None
            if file is not None:
                composition.demand_savable(self._layers)
                identity = identity_of(self, data, settings, held_out)
                identity["standardize"] = standardization.given
                checkpoints = team.checkpoints(file, identity, epochs, data, held_out)
                del file  # frees its arrays after they are restored
            saved = None if checkpoints is None else checkpoints.saved_layers(self)
            scaling = standardization.values(data, saved, team)
            claim = object()

            def train() -> History:
                # one atomic step, because another thread may call `fit` at the same moment
                with self._beginning():
                    if self._training.setdefault(os.getpid(), claim) is not claim:
                        self._refuse_while_training()
                self._demand_finite_params()
                self._passes.begin_fit()
                before = self._optimizer_state
                leaves = list(composition.leaves(self._layers))
                parts = [(layer.n_params, layer.trainable) for layer in leaves if layer.n_params]
                self._optimizer_state = state = before.continued_for(
                    optimizer, parts, self.dtype, factors
                )
                step, scaling_before = state.step, standardization.write(scaling)
                try:
                    self._inputs.keep_names(X)
                    self._link = loss.link if is_built_in(loss) else None
                    samples, others = standardization.in_training_units(data, held_out)
                    model = standardization.model
                    return team.fit(self, model, samples, settings, state, others, checkpoints)
                except BaseException as error:
                    if state.step == step and not isinstance(error, DivergenceError):
                        standardization.undo(scaling_before)  # no update has changed anything
                    if not self._optimizer_state.step and not isinstance(error, DivergenceError):
                        self._optimizer_state = before  # no update has changed anything
                    raise

            def release() -> None:
                if self._training.get(os.getpid()) is claim:
                    self._passes.end_fit()
                    self._training.pop(os.getpid(), None)

            return background.ending(release, train)

    def partial_fit(self, X: Any, y: Any, **settings: Any) -> History:
        """Train one epoch on a part of the data, continuing from earlier calls.

        Parameters
        ----------
        X : array_like or sparse matrix (n, in_features)
        y : array_like
            The targets, as the loss takes them.
        **settings
            Further arguments of `fit`, except `epochs`. By default the optimizer is
            `AdamW(0.002, weight_decay=0.1)`, whose learning rate is the same in each call.

        Returns
        -------
        History
            The metrics of the epoch.

        Raises
        ------
        ValueError, TypeError, DivergenceError
            As `fit`.
        """
        if "epochs" in settings:
            given = settings["epochs"]
            raise TypeError(
                f"epochs is {given!r} in partial_fit, which always trains one epoch; call "
                f"fit(X, y, epochs={given!r}) instead"
            )
        if settings.get("standardize") is not None:
            raise TypeError(
                f"standardize is {settings['standardize']!r} in partial_fit, which sees a part of "
                f"the data, and whose later calls need the same scaling; Standardize.from_data(X) "
                f"and Unstandardize.from_data(y) make layers from representative rows"
            )
        given = {"optimizer": defaults.steady_optimizer(), "progress": False, **settings}
        return self.fit(X, y, epochs=1, **given)

    def _demand_finite_params(self) -> None:
        params = self._model.params
        if not (params.flags.writeable and _checks.all_finite(params)):
            raise ValueError(
                "params are read-only, or hold NaN or infinity; they cannot be trained"
            )

    def _beginning(self) -> "threading.RLock":
        """Return the lock under which a fit or the first step of an optimizer begins.

        It is of this process: a thread that the process has not inherited may hold the other one.
        """
        return self._locks.setdefault(os.getpid(), threading.RLock())

    def _refuse_while_training(self) -> None:
        if self._training and os.getpid() in self._training:
            raise RuntimeError("this network is being trained by another call of fit")
