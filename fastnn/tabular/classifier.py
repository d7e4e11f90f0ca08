"""`TabularClassifier`."""

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight

from fastnn._core.arrays import Array
from fastnn.tabular import calibration
from fastnn.tabular.base import TabularEstimator
from fastnn.tabular.encoder import TableEncoder
from fastnn.tabular.members import Table
from fastnn.tabular.objective import OF_CLASSES, Objective, classification
from fastnn.tabular.recipe import Shape
from fastnn.tabular.targets import class_labels


class TabularClassifier(ClassifierMixin, TabularEstimator):
    """A network that classifies the rows of a table with columns of any kind.

    `fit(frame, y)` reads the columns (`TableEncoder`), holds out a fifth of the rows, trains with
    RealMLP's tuned defaults (Holzmüller et al. 2024) and keeps the epoch with the best metric.

    Parameters
    ----------
    preset : {"default", "fast", "best"}, default "default"
        "default" is RealMLP's recipe. "fast" is its simpler form, without embeddings of numbers,
        and has fewer epochs. "best" trains five networks of "default", each without one fold of the
        rows, and averages their probabilities. With fewer than 10 rows, it trains one network.
    metric : {"auto", "accuracy", "balanced_accuracy", "log_loss", "auc"}, default "auto"
        The metric that chooses the best epoch. "auto" is "accuracy". The labels are smoothed for
        the two accuracies only. "auc" is the area under the ROC curve. With three or more classes,
        it is the mean of the areas of each class against the rest.
    class_weight : dict, "balanced" or None, default None
        Factors that multiply the weights of the rows of each class; 1 for a class that the dict
        does not have. "balanced" gives all classes the same total weight.
    calibrate : "auto" or bool, default "auto"
        Whether the logits are divided by the temperature with the least log loss on the held-out
        rows. "auto" calibrates if 20 rows or more were held out; True needs one row. Predicted
        classes do not depend on it, except with "best".
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
    classes_ : ndarray (n_classes,)
        The classes, in ascending order.
    networks_ : list of Network
        The fitted networks, on encoded rows; their outputs are logits.
    network_ : Network
        The first network of `networks_`.
    encoder_ : TableEncoder
        Turns rows of a table into the networks' inputs.
    temperature_ : float
        The divisor of the logits; 1 without calibration.
    feature_importances_ : ndarray (n_features,)
        `gradient_importance` of at most 1,000 held-out rows, or of training rows if none were held
        out.
    oof_prediction_ : ndarray (n_samples, n_classes)
        The probabilities of each row from the network that was not trained on it; NaN for rows of
        weight 0. It exists only if "best" trained several networks.
    report_ : Report
        How the columns were read, the metric of each epoch, and the time.
    n_features_in_ : int
        Number of columns of X, also those without outputs.
    feature_names_in_ : ndarray of str
        Their names; not set if X had no names.

    Examples
    --------
    >>> from fastnn.tabular import TabularClassifier
    >>> X = [[i / 10, "red" if i % 3 else "blue"] for i in range(60)]
    >>> y = ["yes" if i > 30 else "no" for i in range(60)]
    >>> model = TabularClassifier(epochs=20, random_state=0).fit(X, y)
    >>> model.predict([[1.0, "red"], [5.0, "red"]])
    array(['no', 'yes'], dtype='<U3')
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **TabularEstimator._parameter_constraints,
        "metric": [StrOptions({"auto", *OF_CLASSES})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "calibrate": [StrOptions({"auto"}), "boolean"],
    }

    def __init__(
        self,
        preset: str = "default",
        *,
        metric: str = "auto",
        class_weight: Any = None,
        calibrate: Any = "auto",
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
        """Return the class of each row.

        Parameters
        ----------
        X : data frame or array_like (n_samples, n_features)
            The columns of the training table. Gaps and unseen categories are allowed.

        Returns
        -------
        ndarray (n_samples,)
        """
        outputs = self._outputs(X)
        if len(outputs) > 1:
            outputs = [calibration.probabilities(outputs, self.temperature_)]
        found: Array = self.classes_[outputs[0].argmax(axis=1)]
        return found

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : data frame or array_like (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_classes), float64
        """
        return calibration.probabilities(self._outputs(X), self.temperature_)

    def _read_targets(self, y: Any, n_rows: int) -> Array:
        self.classes_, labels = class_labels(y, n_rows)
        return labels

    def _demand_targets(self, target: Array) -> None:
        if len(np.unique(target)) < 2:
            raise ValueError("y has one class among the rows with a weight above 0; two are wanted")

    def _objective(self) -> Objective:
        return classification(self.metric)

    def _shape(self, encoder: TableEncoder, n_columns: int, target: Array) -> Shape:
        return Shape(
            encoder.n_numeric_,
            n_columns,
            tuple(encoder.cardinalities_),
            len(self.classes_),
            classes=True,
            standardized=False,
        )

    def _strata(self, target: Array) -> Array:
        return target

    def _weights(self, sample_weight: "Array | None", target: Array) -> "Array | None":
        if self.class_weight is None:
            return sample_weight
        indices = np.arange(len(self.classes_))
        given = self.class_weight
        if isinstance(given, dict):
            unknown = [label for label in given if label not in self.classes_]
            if unknown:
                raise ValueError(f"class_weight has {unknown[0]!r}, which is not a class of y")
            factors = np.array([given.get(label, 1.0) for label in self.classes_.tolist()], float)
            if not (np.isfinite(factors).all() and (factors >= 0).all()):
                raise ValueError(
                    f"class_weight is {given}; no weight may be negative, infinite or NaN"
                )
        else:
            factors = compute_class_weight(
                given, classes=indices, y=target, sample_weight=sample_weight
            )
        by_class = factors[target]
        return by_class if sample_weight is None else sample_weight * by_class

    def _finish(self, outputs: Array) -> Array:
        return outputs

    def _after_fit(self, outputs: Array, held_out: Table) -> Array:
        fewest = calibration.FEWEST_ROWS if self.calibrate == "auto" else 1
        self.temperature_ = 1.0
        if self.calibrate and len(outputs) >= fewest:
            self.temperature_ = calibration.temperature(outputs, held_out.target, held_out.weight)
        return calibration.probabilities([outputs], self.temperature_)
