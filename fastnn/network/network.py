"""The network: a list of layers whose parameters are one flat vector.

The constructor compiles the layers to a Plan for the engine. Parameters, gradients and constants
are three flat arrays; the layers hold views into them.
"""

import copy
import os
import threading
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from fastnn import _checks, _core
from fastnn._core._calls import Passes
from fastnn._core.arrays import Array
from fastnn.batch import InputChecks
from fastnn.files import model_file
from fastnn.layers import CustomLayer, Layer, Standardize, composition
from fastnn.layers.custom_classes import classes_by_name
from fastnn.model import TrainingMode
from fastnn.network.derivatives import Derivatives
from fastnn.network.display import Display
from fastnn.network.exporting import Exporting
from fastnn.network.fitting import Fitting
from fastnn.network.initialization import Initialization
from fastnn.network.inspection import Inspection
from fastnn.network.second_derivatives import SecondDerivatives
from fastnn.network.stepping import Stepping
from fastnn.network.uncertainty import Uncertainty, link_from
from fastnn.optimizers import OptimizerState, StateView
from fastnn.segments import compiled

# The attributes that a copy or pickle does not store: `_from_description` makes them anew.
NOT_STORED = set(
    "_layers _model _calls _optimizer_state _rng _passes _training _locks _steps _class_labels "
    "_inputs target_name".split()
)


class Network(
    Derivatives,
    SecondDerivatives,
    Uncertainty,
    Initialization,
    Fitting,
    Inspection,
    Display,
    Stepping,
    Exporting,
):
    """A multi-layer perceptron: layers applied one after the other.

    Parameters
    ----------
    layers : sequence of Layer
        Each layer belongs to this network from now on. At least one layer must have a width, such
        as a Linear or Standardize.
    dtype : {"float32", "float64"}
        The dtype of parameters, inputs and outputs; by default float32.
    seed : int, optional
        The seed of the initial weights. They are drawn layer by layer from
        `numpy.random.default_rng(seed)` in float64, so both dtypes start with the same weights. By
        default they differ in each network.

    Raises
    ------
    ValueError, TypeError
        If widths do not fit or a layer already belongs to a network.

    Examples
    --------
    >>> net = fn.Network([fn.Linear(2, 8), fn.ReLU(), fn.Linear(8, 3)], seed=0)
    >>> net.n_params, net.predict([[0.5, -1.0]]).shape
    (51, (1, 3))
    """

    def __init__(
        self,
        layers: "list[Layer] | tuple[Layer, ...]",
        dtype: "DTypeLike" = "float32",
        seed: int | None = None,
    ) -> None:
        if not isinstance(layers, list | tuple):
            raise TypeError(f"layers is {layers!r}; a list of layers is wanted")
        self._layers = tuple(layers)
        dtype = _checks.floating_dtype(dtype)
        rng = np.random.default_rng(_checks.seed(seed))
        widths = composition.input_widths(self._layers)
        self._operations = composition.operations(self._layers, widths[0])
        self._model = model = compiled(self._operations, dtype)
        self._calls = model.calls
        composition.bind(self._layers, model.params, model.grads, model.constants, rng)
        self._optimizer_state = OptimizerState()
        self._rng = rng  # from now on for the masks of `forward(training=True)`
        self._passes = Passes()
        # The running fit, by process id: a forked child may train while its parent does.
        self._training: dict[int, object] = {}
        self._locks: dict[int, threading.RLock] = {}
        self._class_labels: list[Any] | None = None
        first = self._layers[0]
        names = first.feature_names if isinstance(first, Standardize) else None
        self._inputs = InputChecks(model, names)
        self.target_name: str | None = None

    # ------------------------------------------------------------------ attributes

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, in order."""
        return self._layers

    @property
    def params(self) -> Array:
        """All parameters, (n_params,), writable; assigning copies into it.

        For each layer with parameters: the weight row by row, then the bias. The arrays of the
        layers are views into it.
        """
        return self._model.params

    @params.setter
    def params(self, value: Any) -> None:
        self.params[...] = _checks.shaped_array(value, "params", self.dtype, self.params.shape)

    @property
    def grads(self) -> Array:
        """The gradient of the last `backward` or `fit`, (n_params,), in the order of `params`.

        Raises RuntimeError if another thread's `fit` has overwritten the gradient of this thread's
        `backward`.
        """
        self._passes.read()
        return self._model.grads

    @grads.setter
    def grads(self, value: Any) -> None:
        self._model.grads[...] = _checks.shaped_array(value, "grads", self.dtype, self.params.shape)

    @property
    def n_params(self) -> int:
        """The number of parameters."""
        return self.params.size

    @property
    def optimizer_state(self) -> StateView:
        """The state of the last optimizer; the next `fit` or `step` continues it."""
        return self._optimizer_state.view()

    @property
    def class_labels(self) -> list[Any] | None:
        """The names of the classes in the order of the outputs; saved with the model."""
        return copy.copy(self._class_labels)

    @class_labels.setter
    def class_labels(self, value: Any) -> None:
        n = max(self.out_features, 2)  # one output distinguishes two classes
        self._class_labels = _checks.names(value, "class_labels", n, (str, int, float, bool))

    @property
    def feature_names(self) -> list[str] | None:
        """The names of the input features, (in_features,), or None; saved with the model.

        If there are no names yet, `fit` takes the column names of a data frame of pandas or Polars.
        Every later data frame must have the same columns in the same order. Arrays have no names
        and are always accepted. Assigning None deletes the names.
        """
        return copy.copy(self._inputs.feature_names)

    @feature_names.setter
    def feature_names(self, value: Any) -> None:
        self._inputs.feature_names = _checks.names(value, "feature_names", self.in_features, (str,))

    def summary(self) -> str:
        """Return a table of the layers with their output widths and numbers of parameters."""
        return composition.summary(self.layers, self.in_features, f"total, {self.dtype}")

    def __repr__(self) -> str:
        layers = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"Network([\n{layers}], dtype={str(self.dtype)!r})"

    # ------------------------------------------------------------------ passes

    def forward(self, X: Any, training: bool = False) -> Array:
        """Return the outputs, and keep the activations for `backward`.

        Parameters
        ----------
        X : array_like (n, in_features) or (in_features,)
        training : bool
            Whether to compute as `fit` does: Dropout drops random elements, and BatchNorm uses the
            statistics of the batch and updates the running statistics. By default False.

        Returns
        -------
        ndarray (n, out_features) or (out_features,)
            Raw outputs, in the network's dtype. All activations stay in memory until the thread
            calls `forward` again or ends; `predict` keeps none.

        Raises
        ------
        ValueError, TypeError
            If X has another shape, or holds anything but finite real numbers; or if X is one
            sample, and a BatchNorm in training needs several.
        MemoryError
            If the activations do not fit into memory.
        """
        training = _checks.boolean(training, "training")
        begin = self._begin_training if training else None
        ready = self._calls.forward(X, begin, self._passes)
        if ready is not None:
            return ready
        moment = self._passes.now()
        given, single = self._inputs.samples(X)
        row_bytes = (self._model.plan.row_width + self.in_features) * self.dtype.itemsize
        _core.demand_memory(len(given) * row_bytes, "X with all activations")
        x = _checks.converted(given, "X", self.dtype, single)
        if np.may_share_memory(x, given):
            x = x.copy()  # the caller may change X before `backward`
        place = None if begin is None else begin(len(x))
        activations, outputs = self._model.forward(x, None, place)
        self._passes.keep((x[0] if single else x, activations, training, moment))
        return outputs[0].copy() if single else outputs.copy()

    __call__ = forward

    def _begin_training(self, n_samples: int) -> TrainingMode:
        """Return the `training` of `Model.forward` for the next samples."""
        self._refuse_while_training()
        if n_samples == 1 and self._model.plan.has_batch_norm:
            raise ValueError("X is one sample; BatchNorm in training needs two or more")
        return self._rng.bit_generator.random_raw(), 0, 0, 1.0

    def backward(self, dY: Any) -> Array:
        """Return the derivative by the input, for a cotangent of the last `forward`'s outputs.

        `grads` is overwritten with the gradient by the parameters, summed over the samples.

        Parameters
        ----------
        dY : array_like of the outputs' shape
            The derivative of some scalar by each output.

        Returns
        -------
        ndarray of the input's shape
            The derivative of that scalar by the input.

        Raises
        ------
        RuntimeError
            If this thread has not called `forward` since the construction or the last `fit`. If
            another thread is in `fit` or `backward` of this network. If, when this thread called
            `forward`, another thread had not yet read the gradient of its `backward` from `grads`.
        ValueError, TypeError
            If dY has another shape, or holds anything but finite real numbers.

        Notes
        -----
        Do not change the parameters between `forward` and `backward`: the result would mix old
        activations with new weights. Each thread has its own activations, but all threads share
        `grads`. Threads that share a network should use `loss_and_grad` or `vjp`, which keep
        nothing, or copies of the network.
        """
        self._refuse_while_training()
        grads = self._model.grads
        ready = self._calls.backward(dY, grads, self._passes, False)
        if ready is not None:
            return ready
        shape = (*self._passes.kept()[0].shape[:-1], self.out_features)
        dy = _checks.shaped_array(dY, "dY", self.dtype, shape)
        dx = self._calls.backward(dy, grads, self._passes, True)
        assert dx is not None
        return dx

    def predict(self, X: Any, *, n_threads: int | None = None) -> Array:
        """Return the outputs for any number of samples; no activations are kept.

        Parameters
        ----------
        X : array_like or sparse matrix (n, in_features) or (in_features,)
            A `numpy.memmap` may be larger than memory.
        n_threads : int, optional
            By default one for each physical core. It does not change any bit of a result.

        Returns
        -------
        ndarray (n, out_features) or (out_features,)
            Raw outputs, in the network's dtype.

        Raises
        ------
        ValueError, TypeError
            If X has another shape, or holds anything but finite real numbers; or if X is a data
            frame whose columns are not `feature_names`.
        """
        ready = self._calls.predict(X, n_threads)
        if ready is not None:
            return ready
        threads = _checks.thread_count(n_threads)
        ready = self._model.predict_as_is(X, threads)
        if ready is not None:
            return ready
        if (
            isinstance(X, np.memmap)
            and X.dtype.kind in "biuf"
            and X.shape[1:] == (self.in_features,)
        ):
            return self._model.predict_by_blocks(X, threads)
        x: Any
        if _checks.is_sparse(X):
            x, single = self._inputs.sparse_samples(X)
        else:
            given, single = self._inputs.samples(X)
            size = len(given) * self.out_features * self.dtype.itemsize
            _core.demand_memory(size, "the outputs")
            x = _checks.converted(given, "X", self.dtype, single)
        outputs = self._model.predict(x, threads)
        return outputs[0] if single else outputs

    # ------------------------------------------------------------------ saving

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write the model to a safetensors file, completely or not at all.

        The file holds the arrays under the names that `torch.nn.Sequential` gives them ("0.weight",
        "0.bias", …), and in its metadata the layers, dtype, class labels and feature names.

        Raises
        ------
        OSError
            If the file cannot be written. An earlier file is not changed then.
        """
        composition.demand_savable(self._layers)
        model_file.write(_checks.file_path(path), *self._describe())

    def _describe(self) -> tuple[dict[str, Any], dict[str, Array]]:
        description = {
            "dtype": str(self.dtype),
            "layers": composition.describe(self.layers),
            "class_labels": self.class_labels,
            "feature_names": self.feature_names,
            "target_name": None if self.target_name is None else str(self.target_name),
            "link": self._link,
        }
        return description, composition.arrays_of(self.layers)

    @classmethod
    def _from_description(
        cls,
        description: dict[str, Any],
        arrays: dict[str, Array],
        custom_layers: dict[str, type[CustomLayer]] | None = None,  # in pickles of version 0.1.0
    ) -> Self:
        layers = composition.build(description["layers"], arrays, custom_layers or {})
        net = cls.__new__(cls)  # the constructor of a subclass may have other arguments
        Network.__init__(net, layers, dtype=description["dtype"])
        net.class_labels = description["class_labels"]
        net.feature_names = description["feature_names"]
        net.target_name = _checks.optional_text(description["target_name"], "target_name")
        net._link = link_from(description)
        return net

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for copies and pickles: a model file's description and other attributes.

        The state holds no objects of the compiled engine, so that later versions can read pickles.
        """
        description, arrays = self._describe()
        return {
            "description": description,
            "arrays": arrays,
            "custom_layers": classes_by_name(self._layers),
            "grads": self._model.grads,
            "optimizer_state": self._optimizer_state,
            "rng": self._rng.bit_generator.state,
            "own": {name: value for name, value in vars(self).items() if name not in NOT_STORED},
        }

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple):  # from an earlier version; the constructor has run already
            grads, optimizer_state, own = state
        else:
            classes = state.get("custom_layers", {})  # missing in an earlier version
            restored = type(self)._from_description(state["description"], state["arrays"], classes)
            vars(self).update(vars(restored))
            self._rng.bit_generator.state = state["rng"]
            grads, optimizer_state, own = (
                state[name] for name in ("grads", "optimizer_state", "own")
            )
        self._model.grads[...] = grads
        self._optimizer_state = copy.deepcopy(optimizer_state)
        vars(self).update(own)
