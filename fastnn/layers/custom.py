"""The base class of layers written in Python."""

import inspect
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.initializers import Initializer, zeros
from fastnn.layers import custom_calls
from fastnn.layers.base import Layer
from fastnn.layers.plain_values import as_json
from fastnn.layers.weighted import named_views

CUSTOM = "custom"  # the kind of all custom layers in a model file


class CustomOperation(NamedTuple):
    """The place of a custom layer among the operations of the engine."""

    kind: str
    in_features: int
    out_features: int
    bias: bool
    number: float
    momentum: float
    layer: "CustomLayer"


class CustomLayer(Layer):
    """The base class of layers written in Python.

    A subclass defines `forward` and `vjp`, and for forward-mode derivatives also `jvp`. Each row of
    a batch is a sample: row i of a result must depend on row i of x alone. The arrays that the
    methods get are read-only, of the network's dtype. The results are copied and converted to it.

    Parameters
    ----------
    in_features : int, optional
        The number of inputs; by default any number, and as many outputs.
    out_features : int, optional
        The number of outputs; by default as many as inputs.
    parameters : mapping of str to array_like or (initializer, shape), optional
        The initial value of each parameter, or a pair (initializer, shape). An initializer is a
        function `(rng, shape) -> array` that draws the value, such as those of
        `fastnn.initializers`. By default no parameters.

    Attributes
    ----------
    name : str
        The name in a model file; by default the name of the class.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, or the class lacks `forward` or `vjp`.

    Notes
    -----
    A model file holds the layer's name, widths, parameters and `config()`, and no code. So
    `fastnn.load` must be told the class: `load(path, custom_layers={name: class})`.

    The constructor of a subclass must call this constructor. By default `config()` returns the
    arguments that the subclass was called with.
    """

    name: ClassVar[str] = CUSTOM
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]
    _shapes: dict[str, tuple[int, ...]]

    def __init_subclass__(cls) -> None:
        if "name" not in vars(cls):
            cls.name = cls.__name__
        if not (isinstance(cls.name, str) and cls.name and cls.name.isprintable()):
            raise TypeError(f"{cls.__name__}.name is {cls.name!r}; a printable text is wanted")

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Return a new layer that remembers the arguments of its constructor."""
        layer = super().__new__(cls)
        layer._arguments = args, kwargs
        return layer

    def __init__(
        self,
        in_features: int | None = None,
        out_features: int | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        cls = type(self)
        for method in ("forward", "vjp"):
            if getattr(cls, method) is getattr(CustomLayer, method):
                raise TypeError(f"{cls.__name__} has no method {method}, which a layer needs")
        if in_features is None and out_features is not None:
            raise ValueError(
                f"out_features is {out_features!r} and in_features None; both are wanted, or none"
            )
        if in_features is not None:
            self.in_features = _checks.integer(in_features, "in_features", at_least=1)
            out_features = in_features if out_features is None else out_features
            self.out_features = _checks.integer(out_features, "out_features", at_least=1)
        self._initial = _initial_values({} if parameters is None else parameters)
        self._shapes = {name: shape for name, (_, shape) in self._initial.items()}
        self.n_params = sum(math.prod(shape) for shape in self._shapes.values())
        self._params: Array | None = None  # flat, in the order of `parameters`
        self._grads: Array | None = None

    # ------------------------------------------------------------------ written by the user

    def forward(self, x: Array, params: Mapping[str, Array]) -> Any:
        """Return the outputs of a batch.

        Parameters
        ----------
        x : ndarray (n, in_features)
        params : mapping of str to ndarray
            The parameters by their names.

        Returns
        -------
        array_like (n, out_features)
        """
        raise NotImplementedError

    def vjp(  # type: ignore[override]
        self, x: Array, params: Mapping[str, Array], cotangent: Array
    ) -> tuple[Any, Mapping[str, Any]]:
        """Return the cotangents of a batch's inputs and of the parameters.

        Parameters
        ----------
        x : ndarray (n, in_features)
        params : mapping of str to ndarray
        cotangent : ndarray (n, out_features)
            The derivative of some scalar by each output.

        Returns
        -------
        (array_like (n, in_features), mapping of str to array_like)
            The derivative of that scalar by x, and by each parameter in the parameter's shape,
            summed over the samples. The mapping is empty for a layer without parameters.
        """
        raise NotImplementedError

    def jvp(
        self,
        x: Array,
        params: Mapping[str, Array],
        x_tangent: Array,
        params_tangent: Mapping[str, Array],
    ) -> Any:
        """Return the derivative of the outputs along a direction; optional.

        Parameters
        ----------
        x : ndarray (n, in_features)
        params : mapping of str to ndarray
        x_tangent : ndarray (n, in_features)
            The direction of x; 0 for a direction of the parameters.
        params_tangent : mapping of str to ndarray
            The direction of each parameter; 0 for a direction of x.

        Returns
        -------
        array_like (n, out_features)
        """
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, as a model file stores them.

        Override it if JSON cannot hold the arguments that the layer was made with. Arrays are
        stored as lists.
        """
        args, kwargs = self._arguments
        signature = inspect.signature(type(self))
        given = signature.bind(*args, **kwargs).arguments
        kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
        config: dict[str, Any] = {}
        for name, value in given.items():
            if kinds[name] is inspect.Parameter.VAR_KEYWORD:
                config |= value
            elif kinds[name] in (
                inspect.Parameter.VAR_POSITIONAL,
                inspect.Parameter.POSITIONAL_ONLY,
            ):
                raise TypeError(
                    f"{type(self).__name__}: its constructor takes {name} by position only; define "
                    f"config(), which returns the arguments by their names"
                )
            else:
                config[name] = value
        return config

    # ------------------------------------------------------------------ values

    @property
    def parameters(self) -> dict[str, Array]:
        """The parameters by their names: writable views, in a network into `net.params`."""
        return self.split(self._values())

    @property
    def parameter_grads(self) -> dict[str, Array] | None:
        """The gradient by each parameter: views into `net.grads`. None outside a network."""
        return None if self._grads is None else self.split(self._grads)

    def split(self, flat: Array) -> dict[str, Array]:
        """Return views of a flat array (n_params,), in the shapes of the parameters."""
        return named_views(flat, self._shapes)

    def initial_values(self, rng: "np.random.Generator", default: "Initializer") -> Array:
        """Return the values that are set, or else new ones, as a flat array."""
        if self._params is not None:
            return self._params
        values = [np.empty(0)]
        for name, (initial, shape) in self._initial.items():
            value = initial
            if callable(initial):
                drawn = initial(rng, shape)
                what = f"parameters[{name!r}]: what its initializer returns"
                value = _checks.shaped_array(drawn, what, np.dtype(float), shape)
            values.append(value.ravel())
        return np.concatenate(values)

    def bind(self, params: Array, grads: Array) -> None:
        """Use these views of a network's arrays from now on."""
        self._params, self._grads = params, grads

    def arrays(self) -> dict[str, Array]:
        """Return the parameters."""
        return self.parameters

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__(), "_grads": None}
        if state.get("_params") is not None:
            state["_initial"] = {}  # not needed any more; pickle refuses local functions
        return state

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("in_features", "out_features", "n_params"):
            super().__setattr__(name, value)
        else:
            object.__setattr__(self, name, value)

    # ------------------------------------------------------------------ calls

    def operation(  # type: ignore[override]
        self, in_features: int
    ) -> CustomOperation:
        """Return the place of the layer among the engine's operations."""
        if not hasattr(self, "_shapes"):
            raise TypeError(f"{type(self).__name__}.__init__ must call super().__init__(…)")
        out_features = self.out_features or in_features
        return CustomOperation(CUSTOM, in_features, out_features, False, 0.0, 0.0, self)

    def __call__(self, x: Any) -> Array:
        """Return the layer's output (n, out_features) or (out_features,), as `Layer` does."""
        x, single = self._samples(x)
        y = custom_calls.forward(self, x, self._flat_params(x.dtype))
        return y[0] if single else y

    def dense_jacobian(self, x: Any) -> Array:
        """Return the layer's Jacobians with respect to its input, as `Layer.dense_jacobian`."""
        x, single = self._samples(x)
        params, grads = self._flat_params(x.dtype), np.empty(self.n_params, x.dtype)
        n_out = self.out_features or x.shape[1]
        cotangents = np.tile(np.eye(n_out, dtype=x.dtype), (len(x), 1))
        repeated = np.repeat(x, n_out, axis=0)
        rows = custom_calls.vjp(self, repeated, params, cotangents, grads)
        matrices = rows.reshape(len(x), n_out, x.shape[1])
        return matrices[0] if single else matrices

    def jacobian(self, x: Any, wrt: str = "input") -> jacobians.Jacobian:
        """Return the layer's Jacobian at one sample, a `fastnn.jacobians.Dense`.

        See `Layer.jacobian`. The columns for "params" are in the order of `parameters`.
        """
        wrt = _checks.choice(wrt, "wrt", ("input", "params"))
        row, single = self._samples(x)
        if not single:
            raise ValueError(f"x has shape {row.shape}; one sample ({row.shape[1]},) is wanted")
        if wrt == "input":
            return jacobians.Dense(self.dense_jacobian(row)[0])
        params = self._flat_params(row.dtype)
        cotangents = np.eye(self.out_features or row.shape[1], dtype=row.dtype)
        matrix = np.empty((len(cotangents), self.n_params), row.dtype)
        for i in range(len(matrix)):
            custom_calls.vjp(self, row, params, cotangents[i : i + 1], matrix[i])
        return jacobians.Dense(matrix)

    def _values(self) -> Array:
        if self._params is None:
            self._params = self.initial_values(np.random.default_rng(), zeros)
        return self._params

    def _flat_params(self, dtype: np.dtype[Any]) -> Array:
        return self._values().astype(dtype, copy=False)

    def _dtype(self) -> np.dtype[Any] | None:
        return self._params.dtype if self._in_network and self._params is not None else None

    def _samples(self, x: Any) -> tuple[Array, bool]:
        """Return x as a matrix in the dtype of the computation, and whether it is one sample."""
        given = _checks.numeric_array(x, "x")
        dtype = self._dtype() or np.dtype(np.float32 if given.dtype == np.float32 else np.float64)
        width = self.in_features or (given.shape[-1] if given.ndim else 0)
        if width == 0:
            raise ValueError(f"x has shape {given.shape}; at least one feature is wanted")
        self.operation(width)
        matrix, single = _checks.one_or_more_samples(given, "x", width)
        return _checks.converted(matrix, "x", dtype, single), single

    # ------------------------------------------------------------------ files

    def description(self) -> dict[str, Any]:
        """Return what a model file holds of the layer beside its parameters.

        It may hold objects that JSON cannot hold; `demand_savable` raises then.
        """
        try:
            config = as_json(self.config())
        except (TypeError, ValueError):
            config = self.config()
        return {
            "kind": CUSTOM,
            "name": self.name,
            "in_features": self.in_features,
            "out_features": self.out_features,
            "shapes": {name: list(shape) for name, shape in self._shapes.items()},
            "config": config,
        }

    def demand_savable(self) -> None:
        """Raise TypeError if JSON cannot hold the result of `config()`."""
        config = self.config()
        try:
            as_json(config)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{type(self).__name__}.config() returned {config!r}, which JSON cannot hold "
                f"({error}); define config(), which returns arguments that it can hold"
            ) from None

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return a new layer, made from the results of `config()` and `arrays()`."""
        layer = cls(**config)
        layer.operation(layer.in_features or 1)
        found = {name: array.shape for name, array in arrays.items()}
        if found != layer._shapes:
            raise ValueError(
                f"{cls.__name__} has parameters of shapes {layer._shapes}; the file has {found}"
            )
        values = [np.empty(0)]
        for name in layer._shapes:
            values.append(_checks.real_array(arrays[name], name, np.dtype(float)).ravel())
        layer._params = np.concatenate(values)
        return layer


CustomLayer.kind = CUSTOM  # not in LAYERS: each custom layer has a class of its own


def _initial_values(given: Any) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Return the initial value, or the function that draws it, and the shape of each parameter."""
    if not isinstance(given, Mapping):
        raise TypeError(f"parameters is {given!r}; a mapping from names to values is wanted")
    found: dict[str, tuple[Any, tuple[int, ...]]] = {}
    for name, value in given.items():
        if not (isinstance(name, str) and name.isidentifier()):
            raise ValueError(f"parameters has the name {name!r}; a Python identifier is wanted")
        what = f"parameters[{name!r}]"
        if isinstance(value, tuple) and len(value) == 2 and callable(value[0]):
            if not isinstance(value[1], tuple | list):
                raise TypeError(f"{what} has the shape {value[1]!r}; a tuple is wanted")
            shape = tuple(_checks.integer(n, f"{what}, its shape", at_least=1) for n in value[1])
            if math.prod(shape) >= 2**48 or len(shape) > 32:
                raise ValueError(f"{what} has the shape {shape}, which is too large")
            found[name] = value[0], shape
        else:
            array = _checks.real_array(value, what, np.dtype(float)).copy()
            if not array.size:
                raise ValueError(f"{what} is empty; at least one number is wanted")
            found[name] = array, array.shape
    return found
