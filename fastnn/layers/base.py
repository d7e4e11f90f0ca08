"""The base class of all layers: differentiable maps of the rows of a matrix."""

from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, _core, jacobians
from fastnn._core._calls import Calls, form_of
from fastnn._core.arrays import Array
from fastnn.jacobians import Jacobian

# The engine's description
# - of a layer: (kind, in_features, out_features, bias, hyper-parameter, momentum)
# - of a block: ("sum" or "concat", in_features, out_features, branches); a branch is a list of
#   descriptions
# - of an embedding: (kind, in_features, out_features, columns, sizes)
Operation = (
    tuple[str, int, int, bool, float, float]
    | tuple[str, int, int, list[Any]]
    | tuple[str, int, int, int, Any]
)

# The class of each layer, by its `kind`, which is its name in a model file.
LAYERS: dict[str, "type[Layer]"] = {}


class Layer:
    """A layer; use one of its subclasses.

    A layer can be called without a network. It belongs to at most one network. The compiled engine
    does the arithmetic; the class checks the arguments and describes the layer to the engine. The
    attributes cannot change after construction.
    """

    kind: ClassVar[str]  # the layer's name in a model file
    in_features: int | None = None  # None if the layer takes any width; see `width_after`
    out_features: int | None = None
    n_params: int = 0
    n_constants: int = 0  # how many numbers the layer holds that are not trained
    # the default initializer of a linear layer before this one; None: the next layer decides
    weight_init: str | None = "xavier_uniform"
    kinks: tuple[float, ...] = ()  # the inputs where the slope jumps

    _in_network = False
    _constants: Array = np.empty(0)
    _trainable = True

    @property
    def trainable(self) -> bool:
        """Whether `fit` changes the layer's parameters; by default True, and saved with a model.

        `fit` reads this attribute when it begins. It does not change the parameters of a frozen
        layer or their optimizer state, and its backpropagation ends at the first trainable layer.
        `loss_and_grad` and `backward` compute the gradients of frozen layers too.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: Any) -> None:
        self._trainable = _checks.boolean(value, "trainable")

    @property
    def in_network(self) -> bool:
        """Whether the layer belongs to a network."""
        return self._in_network

    def join_network(self) -> None:
        """Mark the layer as belonging to a network."""
        self._in_network = True

    def __init_subclass__(cls) -> None:
        if not cls.__module__.startswith("fastnn.layers."):
            raise TypeError(
                f"{cls.__name__}: Layer cannot be subclassed, because the engine knows fastnn's "
                f"layers only; subclass CustomLayer for a layer written in Python"
            )
        if "kind" in vars(cls):
            LAYERS[cls.kind] = cls

    def __call__(self, x: Any) -> Array:
        """Return the layer's output.

        Parameters
        ----------
        x : array_like (n, in_features) or (in_features,)
            A layer in a network converts x to the network's dtype. Any other layer keeps float32,
            and converts other dtypes to float64.

        Returns
        -------
        ndarray (n, out_features) or (out_features,)

        Raises
        ------
        ValueError, TypeError
            If x has another shape, or holds anything but finite real numbers.
        """
        calls = self._calls(x)
        ready = None if calls is None else calls.predict(x)
        if ready is not None:
            return ready
        plan, x, single = self._prepare(x)
        y: Array = np.empty((len(x), plan.n_out), x.dtype)
        _core.engine.predict(
            plan, self._flat_params(x.dtype), self._flat_constants(x.dtype), x, y, 1
        )
        return y[0] if single else y

    def vjp(self, x: Any, cotangent: Any) -> Array:
        """Return J(x)ᵀ cotangent for each row, where J(x) is the layer's Jacobian at x.

        Parameters
        ----------
        x : array_like (n, in_features) or (in_features,)
        cotangent : array_like (n, out_features) or (out_features,)
            The derivative of some scalar with respect to the layer's output.

        Returns
        -------
        ndarray of the shape of x
            The derivative of that scalar with respect to x.

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit, or an array holds anything but finite real numbers.
        """
        calls = self._calls(x)
        ready = None if calls is None else calls.vjp(x, cotangent, "input", None)
        if ready is not None:
            return ready
        plan, x, single = self._prepare(x)
        wanted = (plan.n_out,) if single else (len(x), plan.n_out)
        dy = _checks.shaped_array(cotangent, "cotangent", x.dtype, wanted).reshape(-1, plan.n_out)
        params = self._flat_params(x.dtype)
        constants = self._flat_constants(x.dtype)
        activations = np.empty(len(x) * plan.row_width, x.dtype)
        dx: Array = np.empty_like(x)
        _core.engine.forward(plan, params, constants, x, activations, 1)
        _core.engine.backward(
            plan, params, constants, x, activations, dy, np.empty_like(params), dx, 1
        )
        return dx[0] if single else dx

    def jacobian(self, x: Any, wrt: str = "input") -> Jacobian:
        """Return the layer's Jacobian at one sample, with its structure.

        Parameters
        ----------
        x : array_like (in_features,)
        wrt : {"input", "params"}
            Differentiate with respect to the input, or to the layer's parameters: the weight row
            by row, then the bias.

        Returns
        -------
        fastnn.jacobians.Jacobian (out_features, in_features) or (out_features, n_params)
            The Jacobian for the present parameters; `to_dense()` returns it as a matrix.

        Raises
        ------
        ValueError, TypeError
            If x has another shape or holds anything but finite real numbers, or `wrt` is invalid.
        """
        wrt = _checks.choice(wrt, "wrt", ("input", "params"))
        calls = self._calls(x)
        sample = None if calls is None else calls.sample(x)
        if sample is None:
            _, row, single = self._prepare(x)
            if not single:
                raise ValueError(f"x has shape {row.shape}; one sample ({row.shape[1]},) is wanted")
            sample = row[0]
        return self._by_input(sample) if wrt == "input" else self._by_params(sample)

    def dense_jacobian(self, x: Any) -> Array:
        """Return the layer's Jacobians with respect to its input at many samples, as matrices.

        Most of the entries are zeros, or for softmax follow from its output. `vjp` and `jacobian`
        are faster, because they do not form these matrices.

        Parameters
        ----------
        x : array_like (n, in_features) or (in_features,)

        Returns
        -------
        ndarray (n, out_features, in_features) or (out_features, in_features)

        Raises
        ------
        ValueError, TypeError
            If x has another shape, or holds anything but finite real numbers.
        """
        calls = self._calls(x)
        ready = None if calls is None else calls.jacobian(x, "input", None, None, False)
        if ready is not None:
            return ready[1]
        plan, x, single = self._prepare(x)
        matrices: Array = np.empty((len(x), plan.n_out, plan.n_in), x.dtype)
        params, constants = self._flat_params(x.dtype), self._flat_constants(x.dtype)
        _core.engine.jacobian(plan, params, constants, x, False, None, matrices, 1)
        return matrices[0] if single else matrices

    def _by_input(self, x: Array) -> Jacobian:
        """Return the Jacobian with respect to the input, at a checked sample and in its dtype."""
        raise NotImplementedError

    def _by_params(self, x: Array) -> Jacobian:
        """Return the Jacobian with respect to the parameters; most layers have no parameters."""
        return jacobians.Dense(np.empty((self.width_after(x.size), 0), x.dtype))

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the layer, for inputs of that width."""
        return (self.kind, in_features, self.out_features or in_features, False, 0.0, 0.0)

    def width_after(self, in_features: int) -> int:
        """Return the width of the output for inputs of this width."""
        return self.out_features or in_features

    def inner_layers(self) -> "list[tuple[str, tuple[Layer, ...]]]":
        """Return the name and the layers of each branch of a block; other layers have none."""
        return []

    def kinks_at(self, x: Array) -> tuple[Array, Array] | None:
        """Return the places of kinks (k, 1, 1), and the inputs (n, in_features) to compare to them.

        If each column has its own kinks, they are (k, 1, columns), and the inputs are (n, columns).
        None means that the layer has no kinks.
        """
        return (np.reshape(self.kinks, (-1, 1, 1)), x) if self.kinks else None

    def demand_dtype(self, dtype: np.dtype[Any]) -> None:
        """Raise ValueError if the layer's constants cannot be used in a network of this dtype."""

    def initial_constants(self) -> Array:
        """Return the layer's constants, (n_constants,), for a network to copy."""
        return self._constants

    def bind_constants(self, constants: Array) -> None:
        """Use this view of a network's array for the constants from now on."""
        self._constants = constants

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        return {}

    def arrays(self) -> dict[str, Array]:
        """Return the layer's arrays, by their names in a model file.

        The parameters come first, in their order in the flat array.
        """
        return {}

    def description(self) -> dict[str, Any]:
        """Return what a model file holds of the layer beside its arrays."""
        return {"kind": self.kind, **self.config()}

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> "Layer":
        """Return a new layer, made from the results of `config()` and `arrays()`."""
        if arrays:
            raise ValueError(f"{cls.__name__} has no arrays; the description has {sorted(arrays)}")
        return cls(**config)

    def summary_name(self) -> str:
        """Return the layer's name in the summary of a network."""
        return repr(self)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.config().items())
        return f"{type(self).__name__}({arguments})"

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__ and not name.startswith("_"):
            raise AttributeError(f"{name} of {self!r} cannot be changed; make another layer")
        self.__dict__.pop("_kept_calls", None)  # they hold the arrays
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:  # a copy belongs to no network
        state = {**self.__dict__, "_in_network": False}
        state.pop("_kept_calls", None)
        return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in state.items()}

    def _flat_params(self, dtype: np.dtype[Any]) -> Array:
        return np.empty(0, dtype)

    def _flat_constants(self, dtype: np.dtype[Any]) -> Array:
        return self._constants.astype(dtype, copy=False)

    def _read_only_constants(self) -> Array:
        view = self._constants.view()
        view.flags.writeable = False
        return view

    def _dtype(self) -> np.dtype[Any] | None:
        """Return the dtype of the layer's arrays if it belongs to a network, else None."""
        return None

    def _calls(self, x: Any) -> Calls | None:
        """Return the compiled calls for x, or None for an x that these cannot read."""
        form = form_of(x)
        kept: dict[tuple[int, bool], Calls] | None = self.__dict__.get("_kept_calls")
        if kept is not None and form in kept:
            return kept[form]
        width, is_float32 = form
        if not width or width != (self.in_features or width):
            return None
        dtype = self._dtype() or np.dtype(np.float32 if is_float32 else np.float64)
        params, constants = self._flat_params(dtype), self._flat_constants(dtype)
        plan = _core.engine.Plan([self.operation(width)])
        calls = Calls(_core.engine, plan, params, constants)
        own = (self.__dict__.get("_params"), self._constants)
        if all(not a.size or a is mine for a, mine in zip((params, constants), own, strict=True)):
            # the layer's own arrays, not copies in another dtype
            self.__dict__["_kept_calls"] = {**(kept or {}), form: calls}
        return calls

    def _prepare(self, x: Any) -> tuple[Any, Array, bool]:
        dtype = self._dtype()
        if dtype is None:
            is_float32 = getattr(x, "dtype", None) == np.float32
            dtype = np.dtype(np.float32 if is_float32 else np.float64)
        given = _checks.numeric_array(x, "x")
        width = self.in_features or (given.shape[-1] if given.ndim else 0)
        if width == 0:
            raise ValueError(f"x has shape {given.shape}; at least one feature is wanted")
        matrix, single = _checks.one_or_more_samples(given, "x", width)
        plan = _core.engine.Plan([self.operation(width)])
        return plan, _checks.converted(matrix, "x", dtype, single), single
