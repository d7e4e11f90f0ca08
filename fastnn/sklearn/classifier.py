"""The classifier."""

import copy
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target

from fastnn._core.arrays import Array
from fastnn.layers import LogSoftmax, Sigmoid, Softmax
from fastnn.losses import BinaryCrossEntropy, SoftmaxCrossEntropy
from fastnn.network import Network
from fastnn.sklearn.base import BaseMLP, is_stochastic
from fastnn.sklearn.labels import balanced_weights, check_classes, encode, is_multilabel
from fastnn.sklearn.objectives import Objective, classification


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multi-layer perceptron that classifies; it replaces scikit-learn's MLPClassifier.

    It has the parameters of `sklearn.neural_network.MLPClassifier`, with the same defaults, and
    more.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Widths of the hidden layers.
    activation : str, Layer, or a sequence of them, one for each hidden layer
        One of scikit-learn's names, "identity", "logistic", "tanh" and "relu"; the name of another
        activation of fastnn, such as "gelu", "silu", "elu" or "leaky_relu"; or a layer.
    solver : {"adam", "sgd", "lbfgs", "lm"}
        Adam or gradient descent on minibatches, SciPy's L-BFGS-B, or Levenberg-Marquardt. "lm"
        solves a system of all parameters in each iteration, so it is for small networks.
    alpha : float
        Factor of the penalty α/2 Σ w² over the weights without the biases. Like the loss, the
        penalty is divided by the number of samples in the batch, or by the sum of their weights.
    batch_size : int or "auto"
        Samples in a minibatch of "adam" and "sgd"; "auto" is 200, or all samples if there are
        fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}
        Schedule of the learning rate of "sgd". "constant" keeps `learning_rate_init`. "invscaling"
        sets it to `learning_rate_init` / (samples seen + 1) ** `power_t` after each epoch.
        "adaptive" divides it by 5 each time that the stopping rule would end training, and ends
        training when it is at most 1e-6.
    learning_rate_init : float
        Learning rate of "adam", and the first one of "sgd".
    power_t : float
        Exponent of "invscaling".
    max_iter : int
        Largest number of epochs, or of iterations of "lbfgs" and "lm". A ConvergenceWarning is
        issued if training ends there.
    shuffle : bool
        Whether to shuffle the samples before each epoch.
    random_state : int, RandomState or None
        Source of the initial parameters, the held-out samples and the order of the samples. The
        random numbers are the ones that scikit-learn draws.
    tol : float
        "adam" and "sgd" stop when the loss, or with `early_stopping` the validation score, has not
        improved on the best one by at least `tol` for more than `n_iter_no_change` epochs in a
        row. "lbfgs" and "lm" stop when no entry of the gradient exceeds `tol`.
    verbose : bool
        Whether to print the loss and the score of each iteration.
    warm_start : bool
        Whether `fit` starts from the parameters of the last fit. The parameters that define the
        network (`hidden_layer_sizes`, `activation`, `dropout`, `network`) must not have changed.
    momentum : float
        Momentum of "sgd", from 0 to 1.
    nesterovs_momentum : bool
        Whether the momentum of "sgd" is Nesterov's.
    early_stopping : bool
        Whether "adam" and "sgd" score held-out samples after each epoch, stop by the score, and
        restore the parameters with the best score. "lbfgs" and "lm" ignore it, as in scikit-learn.
    validation_fraction : float
        Share of the samples that `early_stopping` holds out. With two classes it is the share of
        each class; with more classes the samples are drawn from all, as in scikit-learn.
    beta_1, beta_2 : float
        Decay rates of the first and second moments of "adam".
    epsilon : float
        Added by "adam" to the root of the second moment, before the bias correction.
    n_iter_no_change : int or inf
        See `tol`.
    max_fun : int
        Largest number of evaluations of the loss by "lbfgs".
    loss : "log_loss", SoftmaxCrossEntropy or BinaryCrossEntropy
        By default the cross-entropy for the kind of y. For several labels it is summed over them.
    class_weight : dict, list of dict, "balanced" or None
        Factors that multiply the weights of the samples of each class. "balanced" gives all classes
        the same total weight.
    dropout : float
        Probability that a value of a hidden layer is set to 0 in an update of "adam" or "sgd".
    network : list of Layer, or callable (n_features, n_outputs) -> list of Layer, optional
        All layers, instead of `hidden_layer_sizes` and `activation`. The outputs are logits: one
        for two classes, otherwise one for each class or label. Copies of the layers are trained,
        from the values that the layers have. Layers without values draw them with their
        initializers.
    callbacks : list of Callback, optional
        Called by "adam" and "sgd" before and after a fit and each epoch, with the network and the
        metrics "loss" and "val_accuracy".
    n_jobs : int, optional
        Number of threads; -1 is one per processor. By default as many as are useful. Results do not
        depend on it.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray (fan_in, fan_out) and (fan_out,)
        Weights and biases of the linear layers, as views: writing to them changes the network.
        Assigned arrays, also of other shapes, are copied into the network when it is used next.
    n_iter_ : int
        Number of iterations of the last fit.
    t_ : int
        Number of samples that "adam" and "sgd" have seen in all fits.
    loss_ : float
        Loss of the last iteration, with the penalty. For "adam" and "sgd" it is the mean over the
        batches of the epoch, each before its update.
    loss_curve_ : list of float
        Loss of each iteration; "lbfgs" does not set it.
    best_loss_ : float or None
        Smallest loss of an epoch; None with `early_stopping`.
    validation_scores_ : list of float or None
        Score on the held-out samples after each epoch; None if no samples were held out.
    best_validation_score_ : float or None
        Best of these scores; None without `early_stopping`.
    out_activation_ : {"identity", "exp", "logistic", "softmax"}
        Function that turns the raw outputs into predictions or probabilities.
    n_layers_ : int
        Number of layers, with the input and the output.
    n_outputs_ : int
        Number of outputs of the network.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Names of the features; not set if X had no names.
    classes_ : ndarray (n_classes,)
        Class labels, in increasing order.

    Examples
    --------
    >>> from fastnn.sklearn import MLPClassifier
    >>> X, y = fn.datasets.load_digits()
    >>> MLPClassifier(random_state=0).fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), SoftmaxCrossEntropy, BinaryCrossEntropy],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }
    _y_is_numeric = False
    _score_name = "accuracy"  # callbacks see it as "val_accuracy"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        class_weight: Any = None,
        dropout: float = 0.0,
        network: Any = None,
        callbacks: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self._set_arguments(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @available_if(is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> "MLPClassifier":
        """Train for one epoch, with the optimizer of the last fit.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)
        y : array_like (n_samples,), or a label indicator (n_samples, n_classes)
        sample_weight : array_like (n_samples,), optional
        classes : array_like (n_classes,)
            All classes that any call may contain; needed only in the first call.

        Returns
        -------
        self
        """
        if _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """Return the class of each sample.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples,), or a label indicator (n_samples, n_classes)
        """
        return self._labels(self._outputs(X, activated=False))

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_classes)
            Strictly between 0 and 1, so that logarithms are finite; the smallest is the smallest
            normal number of the dtype. For two classes both are computed from the logit, so that
            the smaller one is accurate too.
        """
        if self._has_one_logit():
            logits = self._outputs(X, activated=False)
            probabilities = np.empty((len(logits), 2), logits.dtype)
            np.negative(logits[:, 0], out=probabilities[:, 0])
            probabilities[:, 1] = logits[:, 0]
            expit(probabilities, out=probabilities)
        else:
            probabilities = self._outputs(X, activated=True)
        limits = np.finfo(probabilities.dtype)
        np.maximum(probabilities, limits.tiny, out=probabilities)
        return np.minimum(probabilities, 1 - limits.epsneg, out=probabilities)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of `predict_proba`, which is finite.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_classes)
        """
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def _has_one_logit(self) -> bool:
        """Return whether the network has one output, for two classes or for a single one."""
        return self._fitted.network.out_features == 1

    def _labels(self, logits: Array) -> Array:
        binarizer = self._label_binarizer
        if self.out_activation_ == "softmax":
            return self.classes_.take(logits.argmax(axis=1), mode="clip")
        if binarizer.y_type_ == "binary":
            return self.classes_.take(logits[:, 0] > 0, mode="clip")
        return binarizer.inverse_transform((logits > 0).astype(np.intp))

    def _encode_targets(self, y: Any, incremental: bool) -> Array:
        """Learn the classes or compare with the known ones, and encode the labels."""
        y = y.copy()  # another thread may write to the user's own array meanwhile
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            check_classes(self._label_binarizer, self.classes_, y, all_present=self.warm_start)
        return encode(self._label_binarizer, self.classes_, y)

    def _encode_validation(
        self, objective: Objective, n_out: int, dtype: "np.dtype[Any]", y: Any
    ) -> Array:
        y = y.copy()
        check_classes(self._label_binarizer, self.classes_, y, all_present=False)
        return encode(self._label_binarizer, self.classes_, y)

    def _objective(self, y: Array) -> Objective:
        return classification(self.loss, self._label_binarizer.y_type_, y[:1].size)

    def _n_units(self, objective: Objective, y: Array) -> int:
        if objective.loss.takes_labels:
            return max(len(self.classes_), 2)
        return y[:1].size

    def _balanced(self, sample_weight: "Array | None", y: Array) -> "Array | None":
        if self.class_weight is None:
            return sample_weight
        weight = balanced_weights(self.class_weight, self.classes_, y)
        return weight if sample_weight is None else weight * sample_weight

    def _shaped_jacobian(self, jacobian: Array) -> Array:
        if self._label_binarizer.y_type_ == "binary" and jacobian.shape[1] == 1:
            return np.concatenate([-jacobian, jacobian], axis=1)
        return jacobian

    def to_network(self) -> Network:  # noqa: D102  (documented in the base)
        network = super().to_network()
        labels = self.classes_.tolist()
        named = all(isinstance(label, str | int | float) for label in labels)
        several = is_multilabel(self._label_binarizer)
        if named and not several and len(labels) == max(network.out_features, 2):
            network.class_labels = labels
        return network

    @classmethod
    def from_network(
        cls, network: Network, classes: Any = None, **parameters: Any
    ) -> "MLPClassifier":
        """Return a fitted classifier with a copy of a network that gives logits.

        Parameters
        ----------
        network : Network
            It is copied. Its outputs are logits: one for two classes, otherwise one for each class
            or label. If a sample may have several labels, pass `loss=BinaryCrossEntropy()`, since
            a network does not distinguish labels from classes.
        classes : array_like (n_classes,), optional
            Class labels in increasing order; by default the network's `class_labels`, or 0, 1, ….
        **parameters
            Parameters of the estimator, except `network`, which is set to copies of these layers.
            So another `fit` starts from their values.

        Returns
        -------
        MLPClassifier

        Raises
        ------
        ValueError
            If the network ends in Softmax, Sigmoid or LogSoftmax, or `classes` do not fit.
        """
        made = cls(network=[copy.deepcopy(layer) for layer in network.layers], **parameters)
        n_classes = max(network.out_features, 2)
        if classes is None:
            classes = network.class_labels or np.arange(n_classes)
        labels = isinstance(made.loss, BinaryCrossEntropy) and network.out_features > 1
        made._label_binarizer = LabelBinarizer().fit(np.eye(n_classes) if labels else classes)
        made.classes_ = made._label_binarizer.classes_
        if not np.array_equal(made.classes_, np.asarray(classes)) or len(classes) != n_classes:
            raise ValueError(f"classes is {classes!r}; expected {n_classes} in increasing order")
        logistic = labels or network.out_features == 1
        made.out_activation_ = "logistic" if logistic else "softmax"
        return made._take(network)

    def _adopt(self, network: Network) -> None:
        if isinstance(network.layers[-1], Softmax | LogSoftmax | Sigmoid):
            raise ValueError(
                f"network ends in {network.layers[-1]!r}; expected a network that gives logits"
            )
        super()._adopt(network)

    def _strata(self, y: Array) -> "Array | None":
        two_classes = self._label_binarizer.y_type_ == "binary"
        return y.astype(bool)[:, np.newaxis] if two_classes else None

    def _validation_score(self, outputs: Array, y: Array, sample_weight: "Array | None") -> float:
        """Return the share of samples whose class or whose labels are all predicted correctly."""
        if y.ndim == 2:
            correct = ((outputs > 0.5) == y).all(axis=1)
        else:
            one = outputs.shape[1] == 1
            predicted = outputs[:, 0] > 0.5 if one else outputs.argmax(axis=1)
            correct = np.minimum(predicted, len(self.classes_) - 1) == y  # there may be one class
        return float(np.average(correct, weights=sample_weight))
