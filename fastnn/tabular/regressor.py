"""`TabularRegressor`."""

import math
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.tabular import intervals
from fastnn.tabular.base import TabularEstimator
from fastnn.tabular.encoder import TableEncoder
from fastnn.tabular.members import Table
from fastnn.tabular.objective import METRIC_OF_LOSS, OF_NUMBERS, Objective, regression
from fastnn.tabular.recipe import Shape
from fastnn.tabular.targets import real_targets


class TabularRegressor(RegressorMixin, TabularEstimator):
    """A network that predicts a number for each row of a table with columns of any kind.

    `fit(frame, y)` reads the columns (`TableEncoder`), standardises the targets, holds out a fifth
    of the rows, trains with RealMLP's tuned defaults (Holzmüller et al. 2024) and keeps the epoch
    with the best metric. Predictions are clipped to the range of the training targets.

    Parameters
    ----------
    preset : {"default", "fast", "best"}, default "default"
        "default" is RealMLP's recipe. "fast" is its simpler form, without embeddings of numbers,
        and has fewer epochs. "best" trains five networks of "default", each without one fold of the
        rows, and averages their predictions. With fewer than 10 rows, it trains one network.
    loss : {"auto", "squared", "absolute", "quantile", "poisson"}, default "auto"
        The loss that is minimised. "squared" predicts means, "absolute" medians, "quantile" the
        quantile of the parameter `quantile`, and "poisson" means of counts, or of other targets
        that are not negative. "auto" is "absolute" with the metric "mae", and otherwise "squared".
    quantile : float, default 0.5
        The quantile for the loss and the metric, above 0 and below 1.
    metric : {"auto", "rmse", "mae", "r2", "pinball", "poisson_deviance"}, default "auto"
        The metric that chooses the best epoch. "auto" is the metric of the loss: "rmse", "mae",
        "pinball" or "poisson_deviance".
    categorical, numeric, drop : sequence of str or int, optional
        Columns that are read as categories, as numbers, or not at all; see `TableEncoder`. By
        default none are named, and the values of each column decide.
    epochs : int, optional
        Passes over the rows. By default 128 with "default" and "best", and 48 with "fast". With
        fewer than 2,560 rows, there are up to twice as many.
    random_state : int, RandomState or None, default None
        Source of the held-out rows, the initial values and the order of the rows. With an int, each
        fit gives the same results; with None, each fit differs.
    verbose : bool, default False
        Whether to show a progress bar. "best" never shows one.
    n_jobs : int, optional
        Number of threads of `fit`; -1 is one per processor. By default as many as are useful.
        Results do not depend on it.

    Attributes
    ----------
    networks_ : list of Network
        The fitted networks, on encoded rows; their outputs are in the units of y. With the loss
        "poisson", the outputs are logarithms of the predictions.
    network_ : Network
        The first network of `networks_`.
    encoder_ : TableEncoder
        Turns rows of a table into the networks' inputs.
    limits_ : (float, float)
        The smallest and the largest training target. Predictions are clipped to them.
    feature_importances_ : ndarray (n_features,)
        `gradient_importance` of at most 1,000 held-out rows, or of training rows if none were held
        out.
    oof_prediction_ : ndarray (n_samples,)
        The prediction of each row from the network that was not trained on it; NaN for rows of
        weight 0. It exists only if "best" trained several networks.
    report_ : Report
        How the columns were read, the metric of each epoch, and the time.
    n_features_in_ : int
        Number of columns of X, also those without outputs.
    feature_names_in_ : ndarray of str
        Their names; not set if X had no names.

    Examples
    --------
    >>> from fastnn.tabular import TabularRegressor
    >>> X = [[i / 10, "red" if i % 3 else "blue"] for i in range(60)]
    >>> y = [float(i) for i in range(60)]
    >>> model = TabularRegressor(epochs=50, random_state=0).fit(X, y)
    >>> low, high = model.predict([[1.0, "red"], [5.0, "red"]])
    >>> bool(low < 20 and high > 40)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **TabularEstimator._parameter_constraints,
        "loss": [StrOptions({"auto", *METRIC_OF_LOSS})],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "metric": [StrOptions({"auto", "pinball", *OF_NUMBERS})],
    }

    def __init__(
        self,
        preset: str = "default",
        *,
        loss: str = "auto",
        quantile: float = 0.5,
        metric: str = "auto",
        categorical: Any = None,
        numeric: Any = None,
        drop: Any = (),
        epochs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self._set_arguments(locals())

    def predict(self, X: Any) -> Array:
        """Return the predicted target of each row.

        Parameters
        ----------
        X : data frame or array_like (n_samples, n_features)
            The columns of the training table. Gaps and unseen categories are allowed.

        Returns
        -------
        ndarray (n_samples,), float64
        """
        parts = [self._finish(outputs) for outputs in self._outputs(X)]
        mean: Array = parts[0] if len(parts) == 1 else np.mean(parts, axis=0)
        return mean

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Array:
        """Return an interval for each row that contains its target with the given probability.

        Parameters
        ----------
        X : data frame or array_like (n_samples, n_features)
        coverage : float, default 0.9
            The probability, above 0 and below 1.

        Returns
        -------
        ndarray (n_samples, 2), float64
            The lower and the upper ends: the prediction plus quantiles of the errors on the
            held-out rows (split conformal prediction). All intervals have the same width. With the
            loss "poisson", negative ends become 0. The probability holds on average over rows from
            the distribution of the training rows.

        Raises
        ------
        ValueError
            If `coverage` is out of range, or too few rows were held out: 0.9 needs 19 rows.
        """
        check_is_fitted(self)
        coverage = _checks.number(coverage, "coverage", above=0, below=1)
        low, high = intervals.offsets(self._held_out_errors, coverage)
        predicted = self.predict(X)
        ends = np.column_stack([predicted + low, predicted + high])
        return np.maximum(ends, 0) if self.loss == "poisson" else ends

    def _read_targets(self, y: Any, n_rows: int) -> Array:
        target = real_targets(y, n_rows)
        if self.loss == "poisson" and target.min(initial=0) < 0:
            row = int(np.argmin(target))
            raise ValueError(
                f"y, row {row} is {target[row]:g}; the loss 'poisson' takes targets of at least 0"
            )
        if self.loss == "poisson" and not target.any():
            raise ValueError("y is 0 everywhere; the loss 'poisson' needs a target above 0")
        return target

    def _objective(self) -> Objective:
        return regression(self.loss, self.metric, float(self.quantile))

    def _shape(self, encoder: TableEncoder, n_columns: int, target: Array) -> Shape:
        self.limits_ = float(target.min()), float(target.max())
        return Shape(
            encoder.n_numeric_,
            n_columns,
            tuple(encoder.cardinalities_),
            1,
            classes=False,
            standardized=self.loss != "poisson",
            initial_output=math.log(target.mean()) if self.loss == "poisson" else 0.0,
        )

    def _strata(self, target: Array) -> None:
        return None

    def _weights(self, sample_weight: "Array | None", target: Array) -> "Array | None":
        return sample_weight

    def _finish(self, outputs: Array) -> Array:
        column = outputs[:, 0]
        if self.loss == "poisson":
            with np.errstate(over="ignore"):
                column = np.exp(column, dtype=np.float64)
        low, high = self.limits_  # the two functions are faster than np.clip for few rows
        clipped: Array = np.minimum(np.maximum(column, low, dtype=np.float64), high)
        return clipped

    def _after_fit(self, outputs: Array, held_out: Table) -> Array:
        predicted = self._finish(outputs)
        self._held_out_errors = intervals.sorted_errors(predicted, held_out.target)
        return predicted
