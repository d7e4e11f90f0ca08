"""What the two estimators share: parameters, fitting, and the fitted attributes."""

from abc import ABC
from numbers import Integral, Real
from typing import Any, ClassVar

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight

from fastnn import _checks, _core
from fastnn.callbacks import Callback
from fastnn.layers import Layer
from fastnn.network import Network
from fastnn.sklearn import networks
from fastnn.sklearn.frames import plain_array
from fastnn.sklearn.full_batch import PenalisedLoss, fit_lbfgs, fit_levenberg_marquardt
from fastnn.sklearn.inspection import Inspection
from fastnn.sklearn.networks import FittedNetwork
from fastnn.sklearn.objectives import Objective
from fastnn.sklearn.splitting import demand_weight
from fastnn.sklearn.stochastic_fit import StochasticFit

Array = NDArray[Any]

STOCHASTIC = ("sgd", "adam")


def _stochastic(estimator: Any) -> bool:
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(f"partial_fit needs solver 'sgd' or 'adam'; it is {estimator.solver}")
    return True


class BaseMLP(Inspection, StochasticFit, ABC):
    """What the estimators share; use one of its subclasses."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(networks.ACTIVATIONS)), list, tuple, Layer],
        "solver": [StrOptions({"lbfgs", "sgd", "adam", "lm"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "network": [list, tuple, callable, None],
        "callbacks": [list, tuple, None],
        "n_jobs": [Integral, None],
    }

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())  # the attributes themselves otherwise
        # Some formats give each attribute copies of its own, and copied layers are unequal.
        if "_made_by" in state and state["_made_by"] == self._architecture():
            state["_made_by"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if state.get("_made_by", ()) is None:
            self._made_by = self._architecture()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ------------------------------------------------------------------ fitting

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Fit the network.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)
            float32 is kept, all else becomes float64. A sparse matrix is made dense.
        y : array_like (n_samples,) or (n_samples, n_outputs)
        sample_weight : array_like (n_samples,), optional
        X_val, y_val, sample_weight_val : array_like, optional
            Held-out samples, scored after each epoch; with `early_stopping` in place of a share of
            the training data. For solvers "sgd" and "adam"; others refuse them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the data do not fit, or training diverged; or with `warm_start`, if parameters that
            make the network are not those of the last fit.
        """
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together; one of them is None")
        if X_val is None and sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val")
        validation = None if X_val is None else (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation=validation)

    @available_if(_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Go through the data once more, continuing the optimizer.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)
        y : array_like (n_samples,) or (n_samples, n_outputs)
        sample_weight : array_like (n_samples,), optional

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        incremental: bool = False,
        validation: Any = None,
    ) -> Any:
        hidden = networks.hidden_widths(self.hidden_layer_sizes)
        _checks.sequence_of(self.callbacks or (), "callbacks", Callback)
        self._demand_stochastic(
            dropout=self.dropout, callbacks=self.callbacks, X_val=validation is not None
        )
        first_pass = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        set_by_hand = None
        if not first_pass:
            if "_fitted" in self.__dict__:
                self._demand_architecture()
            else:
                set_by_hand = self._network_of_coefs()
                self.n_features_in_ = set_by_hand.in_features
        X, y = self._validate_data(X, y, incremental, first_pass)
        x = self._dense(X)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        sample_weight = self._balanced(sample_weight, y)
        if sample_weight is not None:
            sample_weight = _checks.real_array(sample_weight, "sample_weight", x.dtype)
            demand_weight(sample_weight)
        objective = self._objective(y)
        target = self._target(objective, y, x.dtype)
        if validation is not None:
            n_out = self._n_units(objective, y)
            try:
                validation = self._checked_validation(objective, n_out, x.dtype, *validation)
            except ValueError as error:
                raise ValueError(f"X_val, y_val or sample_weight_val: {error}") from error
        random_state = check_random_state(self.random_state)
        if first_pass:
            self._initialize(x, self._n_units(objective, y), hidden, objective, random_state)
        elif set_by_hand is not None:
            self._begin_with(set_by_hand, objective)
        network = self._fitted.network
        if x.shape[1] != network.in_features:
            raise ValueError(
                f"X has {x.shape[1]} features; the network takes {network.in_features}"
            )
        found = self._n_units(objective, y), objective.out_activation
        if found != (network.out_features, self.out_activation_):
            raise ValueError(
                f"y and loss ask for {found[0]} outputs and {found[1]!r} after them; the network "
                f"of the last fit has {network.out_features} and {self.out_activation_!r}"
            )
        if self.solver in STOCHASTIC:
            self._fit_stochastic(
                x, y, target, sample_weight, objective, random_state, incremental, validation
            )
        else:
            function = PenalisedLoss(
                network, objective, x, target, sample_weight, self.alpha, self._n_threads()
            )
            (fit_lbfgs if self.solver == "lbfgs" else fit_levenberg_marquardt)(self, function)
        if not _core.engine.all_finite(network.params):
            raise ValueError("training diverged: parameters are no longer finite")
        self._finish(objective, x, target, sample_weight)
        return self

    def _demand_stochastic(self, **given: Any) -> None:
        """Raise if anything is given that only "sgd" and "adam" heed."""
        for name, value in given.items():
            if value and self.solver not in STOCHASTIC:
                raise ValueError(
                    f"{name} is for solvers 'sgd' and 'adam'; solver is {self.solver!r}"
                )

    def _architecture(self) -> dict[str, Any]:
        """Return the parameters that a network is made by."""
        if self.network is not None:
            return {"network": self.network}
        hidden = networks.hidden_widths(self.hidden_layer_sizes)
        return {
            "hidden_layer_sizes": hidden,
            "activation": self.activation,
            "dropout": self.dropout,
        }

    def _demand_architecture(self) -> None:
        """Raise if the network that training is to go on with was made by other parameters."""
        now = self._architecture()
        for name in now | self._made_by:
            if now.get(name) != self._made_by.get(name):
                raise ValueError(
                    f"{name} is {now.get(name)}; the network of the last fit, with which "
                    f"warm_start and partial_fit go on, was made by {self._made_by.get(name)}"
                )

    def _checked_validation(
        self,
        objective: Objective,
        n_out: int,
        dtype: "np.dtype[Any]",
        X: Any,
        y: Any,
        sample_weight: Any,
    ) -> tuple[Array, Array, "Array | None"]:
        """Check held-out samples, for a network of so many outputs."""
        X, y = self._check_validation(objective, n_out, dtype, X, y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
            demand_weight(sample_weight)
        return X, y, sample_weight

    def _finish(
        self, objective: Objective, x: Array, target: Array, sample_weight: "Array | None"
    ) -> None:
        """Do what remains when the network is fitted."""

    def _balanced(self, sample_weight: "Array | None", y: Array) -> "Array | None":
        """Return the weights with those of the classes in them."""
        return sample_weight

    def _dense(self, X: Any) -> Array:
        X = X.toarray() if hasattr(X, "toarray") else X
        return np.require(X, X.dtype.newbyteorder("="), ["C", "A"])

    def _n_threads(self) -> int | None:
        return None if self.n_jobs is None else int(joblib.effective_n_jobs(self.n_jobs))

    def _init_coef(self, fan_in: int, fan_out: int, dtype: "np.dtype[Any]") -> tuple[Array, Array]:
        """Draw the initial values of the next layer, whose number is that of `coefs_` so far.

        A subclass may override it, as in scikit-learn; `_random_state` is then what to draw from.

        Returns
        -------
        (ndarray (fan_in, fan_out), ndarray (fan_out,))
        """
        bound = networks.glorot_bound(self.activation, len(self.coefs_), fan_in, fan_out)
        draw = self._random_state.uniform
        weight, bias = draw(-bound, bound, (fan_in, fan_out)), draw(-bound, bound, fan_out)
        return weight.astype(dtype), bias.astype(dtype)

    def _initialize(
        self, x: Array, n_out: int, hidden: list[int], objective: Objective, random_state: Any
    ) -> None:
        n_in = x.shape[1]
        before = self.__dict__.copy()
        self.coefs_, self.intercepts_, self._random_state = [], [], random_state

        def draw(fan_in: int, fan_out: int) -> tuple[Array, Array]:
            weight, bias = self._init_coef(fan_in, fan_out, x.dtype)
            self.coefs_.append(weight)
            self.intercepts_.append(bias)
            return weight, bias

        try:
            if self.network is None:
                widths = [n_in, *hidden, n_out]
                network = networks.perceptron(widths, self.activation, self.dropout, x.dtype, draw)
            else:
                network = networks.custom(self.network, n_in, n_out, x.dtype, random_state)
            self._demand_stochastic(Dropout=network._model.plan.has_dropout)
            self.out_activation_ = objective.out_activation
            self._adopt(network)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        finally:
            self.__dict__.pop("_random_state", None)
        self._forget_progress()

    def _begin_with(self, network: Network, objective: Objective) -> None:
        """Have the network of values that were set by hand, with what else was set so."""
        self.out_activation_ = objective.out_activation
        self._adopt(network)
        given = self.__dict__.copy()
        self._forget_progress()
        self.__dict__.update(given)

    def _forget_progress(self) -> None:
        self.n_iter_ = 0
        self.t_ = 0
        self._best = self._fitted.snapshot()
        if self.solver in STOCHASTIC:
            self._begin_curves()

    def _adopt(self, network: Network) -> None:
        if "out_activation_" not in self.__dict__:
            raise ValueError("out_activation_ is not set; coefs_ that are set by hand need it")
        self._show(FittedNetwork(network, self.out_activation_))
        self._made_by = self._architecture()
        self.n_layers_ = len(self.coefs_) + 1

    # ------------------------------------------------------------------ predicting

    def _outputs(self, X: Any, activated: bool) -> Array:
        """The network's outputs, raw or after its out_activation_.

        An array of the fitted dtype and width is taken as it is, if it is finite and has no names
        to compare, and so is a frame of the fitted names and dtype; all else goes through
        scikit-learn's checks.
        """
        fitted = self._fitted
        model = fitted.activated if activated else fitted.raw
        array = X
        if "feature_names_in_" in self.__dict__:
            array = plain_array(X, self.feature_names_in_, model.params.dtype)
        if type(array) is np.ndarray and array.ndim == 2:
            ready = model.predict_ready(array)
            if ready is not None:
                return ready
            ready = model.predict_as_is(array, self._n_threads())
            if ready is not None:
                return ready
        x = self._checked(X)
        return fitted.at(model, x.dtype).predict(x, self._n_threads())
