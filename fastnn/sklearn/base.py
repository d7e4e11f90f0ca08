"""The base class of the two estimators: parameters, fitting, and predictions."""

import contextlib
from abc import ABC
from typing import Any, ClassVar

import joblib
import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.callbacks import Callback
from fastnn.model import model_of
from fastnn.network import Network
from fastnn.sklearn import networks
from fastnn.sklearn.arguments import Arguments
from fastnn.sklearn.frames import plain_array
from fastnn.sklearn.full_batch import fit_lbfgs, fit_levenberg_marquardt
from fastnn.sklearn.inspection import Inspection
from fastnn.sklearn.networks import FittedNetwork
from fastnn.sklearn.objectives import Objective, Problem
from fastnn.sklearn.splitting import demand_weight, split
from fastnn.sklearn.stochastic import begin_curves, fit_stochastic
from fastnn.sklearn.warning import one_column

STOCHASTIC = ("sgd", "adam")


def is_stochastic(estimator: Any) -> bool:
    """Return True if the solver trains in epochs, and raise AttributeError if not."""
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(f"partial_fit needs solver 'sgd' or 'adam'; it is {estimator.solver}")
    return True


class BaseMLP(Arguments, Inspection, ABC):
    """The base class of MLPClassifier and MLPRegressor.

    A subclass defines what depends on the kind of targets: `_encode_targets`, `_encode_validation`,
    `_objective`, `_n_units`, `_validation_score`, `_score_name` and `_shaped_jacobian`.
    """

    _y_is_numeric: ClassVar[bool]

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())  # a copy, since it may be the estimator's own dict
        # Some formats copy each attribute separately, and copied layers do not compare equal.
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
            float32 is kept; other dtypes are converted to float64. A sparse matrix becomes dense.
        y : array_like (n_samples,) or (n_samples, n_outputs)
        sample_weight : array_like (n_samples,), optional
        X_val, y_val, sample_weight_val : array_like, optional
            Held-out samples, scored after each epoch. With `early_stopping` they are used, and no
            training data are held out. Only for solvers "sgd" and "adam".

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the data do not fit the parameters or the network, if training diverged, or if
            `warm_start` is set and a parameter that defines the network has changed since the last
            fit. scikit-learn ignores such a change.
        """
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together; one of them is None")
        if X_val is None and sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val")
        validation = None if X_val is None else (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation=validation)

    @available_if(is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train for one epoch, with the optimizer of the last fit.

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
        n_out = self._n_units(objective, y)
        target = objective.loss.check_target(y, (len(y), n_out), x.dtype, "y")
        if validation is not None:
            try:
                validation = self._checked_validation(objective, n_out, x.dtype, *validation)
            except ValueError as error:
                raise ValueError(f"X_val, y_val or sample_weight_val: {error}") from error
        random_state = check_random_state(self.random_state)
        if first_pass:
            self._initialize(x, n_out, hidden, objective, random_state)
        elif set_by_hand is not None:
            self._begin_with(set_by_hand, objective)
        network = self._fitted.network
        if x.shape[1] != network.in_features:
            raise ValueError(
                f"X has {x.shape[1]} features; the network takes {network.in_features}"
            )
        needed = n_out, objective.out_activation
        if needed != (network.out_features, self.out_activation_):
            raise ValueError(
                f"y and loss need {needed[0]} outputs and out_activation_ {needed[1]!r}; the "
                f"network of the last fit has {network.out_features} and {self.out_activation_!r}"
            )
        n_threads = self._n_threads()
        problem = Problem(network, objective, x, target, sample_weight, self.alpha, n_threads)
        if self.solver in STOCHASTIC:
            with contextlib.ExitStack() as closing:
                for callback in self.callbacks or ():
                    closing.callback(callback.close)
                fit_stochastic(self, problem, y, random_state, incremental, validation)
        elif self.solver == "lbfgs":
            fit_lbfgs(self, problem)
        else:
            fit_levenberg_marquardt(self, problem)
        if not model_of(network).is_finite():
            raise ValueError("training diverged: parameters are no longer finite")
        self._finish(problem)
        return self

    def _validate_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """Return X after scikit-learn's checks, and the encoded targets."""
        dtype = (np.float64, np.float32) if reset else self._parameter_dtype()
        X, y = self._checked_pair(X, y, dtype, reset)
        return X, self._encode_targets(one_column(y), incremental)

    def _checked_pair(self, X: Any, y: Any, dtype: Any, reset: bool) -> tuple[Any, Array]:
        return validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=self._y_is_numeric,
            dtype=dtype,
            reset=reset,
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
        """Return held-out samples, encoded targets and weights, checked."""
        X, y = self._checked_pair(X, y, dtype, reset=False)
        X = self._dense(X)
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        y = self._encode_validation(objective, n_out, dtype, y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        demand_weight(sample_weight)
        return X, y, sample_weight

    def _split(self, y: Array, random_state: Any) -> tuple[Array, Array]:
        """Return the row numbers of the samples to train on and of those to hold out."""
        return split(len(y), self.validation_fraction, self._strata(y), random_state)

    def _strata(self, y: Array) -> "Array | None":
        """Return classes (n, 1) that the split keeps in proportion, or None."""
        return None

    def _demand_stochastic(self, **given: Any) -> None:
        """Raise ValueError if something is given that only "sgd" and "adam" use."""
        for name, value in given.items():
            if value and self.solver not in STOCHASTIC:
                raise ValueError(
                    f"{name} is for solvers 'sgd' and 'adam'; solver is {self.solver!r}"
                )

    def _architecture(self) -> dict[str, Any]:
        """Return the parameters that define the network."""
        if self.network is not None:
            return {"network": self.network}
        hidden = networks.hidden_widths(self.hidden_layer_sizes)
        return {
            "hidden_layer_sizes": hidden,
            "activation": self.activation,
            "dropout": self.dropout,
        }

    def _demand_architecture(self) -> None:
        """Raise ValueError if a parameter that defines the network has changed since the fit."""
        now = self._architecture()
        for name in now | self._made_by:
            if now.get(name) != self._made_by.get(name):
                raise ValueError(
                    f"{name} is {now.get(name)}; it was {self._made_by.get(name)} when the network "
                    f"was made, and must not change for warm_start and partial_fit"
                )

    def _finish(self, problem: Problem) -> None:
        """Do what remains after the network is fitted; nothing by default."""

    def _balanced(self, sample_weight: "Array | None", y: Array) -> "Array | None":
        """Return the sample weights, multiplied by the weights of the classes."""
        return sample_weight

    def _dense(self, X: Any) -> Array:
        X = X.toarray() if hasattr(X, "toarray") else X
        return np.require(X, X.dtype.newbyteorder("="), ["C", "A"])

    def _n_threads(self) -> int | None:
        return None if self.n_jobs is None else int(joblib.effective_n_jobs(self.n_jobs))

    def _init_coef(self, fan_in: int, fan_out: int, dtype: "np.dtype[Any]") -> tuple[Array, Array]:
        """Return initial weights and biases of the next layer, whose index is len(coefs_).

        A subclass may override it, as in scikit-learn, and draw from `_random_state`.

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
            self._demand_stochastic(Dropout=model_of(network).plan.has_dropout)
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
        """Adopt the network of parameters set by hand, and keep other attributes set by hand."""
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
            begin_curves(self)

    def _adopt(self, network: Network) -> None:
        if "out_activation_" not in self.__dict__:
            raise ValueError("out_activation_ is not set; it is needed when coefs_ are set by hand")
        self._show(FittedNetwork(network, self.out_activation_))
        self._made_by = self._architecture()
        self.n_layers_ = len(self.coefs_) + 1

    # ------------------------------------------------------------------ predicting

    def _outputs(self, X: Any, activated: bool) -> Array:
        """Return the network's outputs, raw or after out_activation_ (but never after "exp").

        scikit-learn's checks are skipped for a finite array of the fitted dtype and width, if there
        are no names to compare, and for a data frame of the fitted names and dtype.
        """
        fitted = self._fitted
        model = fitted.activated if activated else fitted.raw
        array = X
        if "feature_names_in_" in self.__dict__:
            array = plain_array(X, self.feature_names_in_, model.params.dtype)
        if type(array) is np.ndarray and array.ndim == 2:
            if array.dtype == model.dtype:
                ready = model.calls.predict(array)
                if ready is not None:
                    return ready
            ready = model.predict_as_is(array, self._n_threads())
            if ready is not None:
                return ready
        x = self._checked(X)
        return fitted.at(model, x.dtype).predict(x, self._n_threads())
