"""The base class of the two estimators: fitting, predictions, importance and files."""

import time
from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from fastnn._core.arrays import Array
from fastnn.network import Network
from fastnn.tabular import importance, members, model_files
from fastnn.tabular.encoder import TableEncoder
from fastnn.tabular.members import Member, Table
from fastnn.tabular.objective import Objective
from fastnn.tabular.recipe import PRESETS, Shape
from fastnn.tabular.report import Report


class TabularEstimator(BaseEstimator, ABC):
    """The base class of TabularClassifier and TabularRegressor.

    A subclass defines what depends on the kind of targets.
    """

    preset: str
    metric: str
    categorical: Any
    numeric: Any
    drop: Any
    epochs: int | None
    random_state: Any
    verbose: bool
    n_jobs: int | None

    encoder_: TableEncoder
    networks_: list[Network]
    report_: Report

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "preset": [StrOptions(set(PRESETS))],
        "categorical": ["array-like", None],
        "numeric": ["array-like", None],
        "drop": ["array-like"],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "verbose": ["boolean"],
        "n_jobs": [Integral, None],
    }

    def _set_arguments(self, given: dict[str, Any]) -> None:
        """Set an attribute for each argument in `given`, the `locals()` of `__init__`."""
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    # ------------------------------------------------------------------ fitting

    @abstractmethod
    def _read_targets(self, y: Any, n_rows: int) -> Array:
        """Return class indices or numbers (n,) for the targets, after checking them."""

    @abstractmethod
    def _objective(self) -> Objective:
        """Return the loss and the metric."""

    @abstractmethod
    def _shape(self, encoder: TableEncoder, n_columns: int, target: Array) -> Shape:
        """Return the network's inputs and outputs."""

    @abstractmethod
    def _strata(self, target: Array) -> "Array | None":
        """Return the classes by which the rows are split in proportion, or None."""

    @abstractmethod
    def _weights(self, sample_weight: "Array | None", target: Array) -> "Array | None":
        """Return the weights of the rows times the weights of their classes, or None for 1."""

    @abstractmethod
    def _finish(self, outputs: Array) -> Array:
        """Return a network's outputs in the form that the metric takes."""

    @abstractmethod
    def _after_fit(self, outputs: Array, held_out: Table) -> Array:
        """Set the attributes that depend on the held-out rows; return the rows' predictions.

        Parameters
        ----------
        outputs : ndarray (n, n_outputs)
            For each held-out row, the outputs of the network that was not trained on it.
        held_out : Table
            The held-out rows.
        """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Read the table, train, and keep the epoch that is best on held-out rows.

        Parameters
        ----------
        X : data frame, Arrow table, or array_like (n_samples, n_features)
            Columns may hold numbers, texts, categories, booleans, dates and gaps.
        y : array_like (n_samples,)
            The targets, without gaps.
        sample_weight : array_like (n_samples,), optional
            Weights of the rows, at least 0. Rows of weight 0 only count for how the columns are
            read and scaled. By default all weights are 1.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a column, the targets or a parameter cannot be used. The message names it.
        KeyboardInterrupt
            If Ctrl-C is pressed before each network has completed an epoch, or if no row is held
            out. Otherwise Ctrl-C ends training with a warning, and keeps the best epoch so far.
        """
        start = time.perf_counter()
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        recipe = PRESETS[self.preset]
        encoder = TableEncoder(
            max_one_hot=recipe.max_one_hot,
            categorical=self.categorical,
            numeric=self.numeric,
            drop=self.drop,
        )
        x = encoder.fit(X).encode(X)
        target = self._read_targets(y, len(x))
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, x, dtype=np.float64, ensure_non_negative=True
            )
        table = Table(x, target, self._weights(sample_weight, target))
        kept = None if table.weight is None else np.flatnonzero(table.weight)
        if kept is not None and len(kept) < len(x):
            if not len(kept):
                raise ValueError("sample_weight times class_weight is 0 for all rows")
            table = table.part(kept)
            self._demand_targets(table.target)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        shape = self._shape(encoder, x.shape[1], table.target)
        objective = self._objective()
        trained = members.train(
            table,
            self._strata(table.target),
            recipe,
            shape,
            objective,
            self._finish,
            rng,
            self._n_threads(),
            recipe.epochs_for(len(table.x)) if self.epochs is None else int(self.epochs),
            bool(self.verbose),
        )
        self.encoder_ = encoder
        self.networks_ = [member.network for member in trained]
        self.n_features_in_ = encoder.n_features_in_
        if hasattr(encoder, "feature_names_in_"):
            self.feature_names_in_ = encoder.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self._use_held_out(table, trained, kept, len(x))
        seconds = time.perf_counter() - start
        self.report_ = Report.of(encoder.columns_, trained, objective, len(x), seconds)
        return self

    def _demand_targets(self, target: Array) -> None:
        """Raise ValueError if the targets of the rows with a weight above 0 cannot be learnt."""

    def _use_held_out(
        self, table: Table, trained: list[Member], kept: Array | None, n: int
    ) -> None:
        """Set the attributes that depend on the held-out rows.

        `kept` has the indices of the rows of X that are in the table, or is None if all of the n
        rows are.
        """
        rows = np.concatenate([member.held_out for member in trained])
        held_out = table.part(rows)
        outputs, start = [], 0
        for member in trained:
            part = held_out.x[start : start + len(member.held_out)]
            outputs.append(member.network.predict(part, n_threads=self._n_threads()))
            start += len(part)
        seen = held_out.x[: importance.MOST_ROWS]
        seen = seen if len(seen) else table.x[: importance.MOST_ROWS]
        self.feature_importances_ = self._importance(seen)
        predicted = self._after_fit(np.concatenate(outputs), held_out)
        self.__dict__.pop("oof_prediction_", None)
        if len(trained) > 1:
            self.oof_prediction_ = np.full((n, *predicted.shape[1:]), np.nan)
            self.oof_prediction_[rows if kept is None else kept[rows]] = predicted

    # ------------------------------------------------------------------ predicting

    def _outputs(self, X: Any) -> list[Array]:
        """Return each network's outputs (n, n_outputs) for rows of a table."""
        if "networks_" not in self.__dict__:
            check_is_fitted(self)
        x = self.encoder_.encode(X)
        return [network.predict(x) for network in self.networks_]

    def _n_threads(self) -> int | None:
        return None if self.n_jobs is None else int(joblib.effective_n_jobs(self.n_jobs))

    def gradient_importance(self, X: Any) -> Array:
        """Return how much each column matters in these rows, from exact derivatives.

        Parameters
        ----------
        X : data frame or array_like (n_samples, n_features)

        Returns
        -------
        ndarray (n_features,)
            For each column the mean over the rows of √ Σ (σ_j ∂f_o/∂x_j)². The sum is over the
            outputs f_o and the encoded columns x_j of this column; σ_j is the standard deviation of
            x_j. For a column of codes, x_j are the components of its embedding. The numbers of
            several networks are averaged, and those of all columns sum to 1.
        """
        check_is_fitted(self)
        return self._importance(self.encoder_.encode(X))

    def _importance(self, x: Array) -> Array:
        columns = [list(column.outputs) for column in self.encoder_.columns_]
        return importance.gradient_importance(self.networks_, x, columns)

    @property
    def network_(self) -> Network:
        """The first network of `networks_`; the presets "default" and "fast" have only one."""
        check_is_fitted(self)
        return self.networks_[0]

    # ------------------------------------------------------------------ files

    def save(self, path: Any) -> None:
        """Write the fitted estimator to a file that `fastnn.tabular.load` reads.

        Parameters
        ----------
        path : str or PathLike
            An existing file is replaced completely or not at all. The file is in the safetensors
            format, without pickle and without code.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        TypeError
            If a parameter is an object that the file cannot hold, such as a RandomState.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self)
        model_files.save(path, self)
