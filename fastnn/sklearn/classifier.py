"""MLPClassifier."""

import copy
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from fastnn.layers import LogSoftmax, Sigmoid, Softmax
from fastnn.losses import BinaryCrossEntropy, SoftmaxCrossEntropy
from fastnn.network import Network
from fastnn.sklearn.base import BaseMLP, _stochastic
from fastnn.sklearn.objectives import Objective, classification
from fastnn.sklearn.splitting import split
from fastnn.sklearn.warning import one_column

Array = NDArray[Any]


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multi-layer perceptron that classifies, in place of scikit-learn's of that name.

    Parameters are those of `sklearn.neural_network.MLPClassifier`, with its defaults, and more.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
    activation : str, Layer, or a sequence of them, one for each hidden layer
        "identity", "logistic", "tanh" and "relu", or one of fastnn's further activations by its
        name ("gelu", "silu", "elu", "leaky_relu", …) or as a layer.
    solver : {"adam", "sgd", "lbfgs", "lm"}
        Adam or gradient descent on minibatches, SciPy's L-BFGS-B, or Levenberg-Marquardt,
        which solves a system of all parameters in each iteration: for small networks.
    alpha : float
        Of the penalty α/2 Σ w² over the weights, biases apart, divided by a batch's samples (or
        their weight) as its loss is.
    batch_size : int or "auto"
        Of minibatches; "auto" is 200, or all samples where they are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}
        Of "sgd": `learning_rate_init` throughout; that over (samples seen + 1) ** `power_t`, set
        after each epoch; or divided by 5 each time that the stopping rule would end training, until
        it is at most 1e-6.
    learning_rate_init, power_t : float
    max_iter : int
        Epochs, or iterations of "lbfgs" and "lm", after which a ConvergenceWarning is given.
    shuffle : bool
        Whether each epoch's order of the samples is drawn.
    random_state : int, RandomState or None
        Of initial values, held-out samples and epochs' orders, drawn as scikit-learn draws them.
    tol : float
        "adam" and "sgd" end when the loss (or with `early_stopping` the validation score) has been
        better than the best by less than this for more than `n_iter_no_change` epochs in a row;
        "lbfgs" and "lm" when no entry of the gradient exceeds it.
    verbose : bool
        Whether to print what each iteration measured.
    warm_start : bool
        Whether `fit` begins with what the last one found, for which what makes the network
        (`hidden_layer_sizes`, `activation`, `dropout`, `network`) must be the same.
    momentum, nesterovs_momentum : float, bool
        Of "sgd".
    early_stopping : bool
        Whether "adam" and "sgd" score held-out samples after each epoch, end by their score, and
        restore the parameters of the best; "lbfgs" and "lm" pass it over, as scikit-learn does.
    validation_fraction : float
        Share of the samples that is then held out, of each of two classes alike. Of more
        classes it is drawn by chance, as scikit-learn does.
    beta_1, beta_2, epsilon : float
        Of "adam": the decay rates of its running means, and what is added to the root of the second
        before its correction for the start.
    n_iter_no_change : int or inf
    max_fun : int
        Evaluations that "lbfgs" may make.
    loss : "log_loss", SoftmaxCrossEntropy or BinaryCrossEntropy
        By default the cross-entropy that fits y, of several labels the sum over them.
    class_weight : dict, "balanced" or None
        Factors of the weights of each class's samples; "balanced" makes all classes weigh alike.
    dropout : float
        Share of each hidden layer's values that "adam" and "sgd" leave out in each update.
    network : list of Layer, or callable (n_features, n_outputs) -> list of Layer, optional
        The layers themselves, in place of `hidden_layer_sizes` and `activation`: logits, one output
        for two classes, else one for each class or label. Copies
        are trained; values that they have are where training begins, others are drawn by their own
        rules.
    callbacks : list of Callback, optional
        Called around a fit of "adam" or "sgd" and around each of its epochs, with the network and
        the figures "loss" and "val_accuracy".
    n_jobs : int, optional
        Threads; -1 is one a processor. By default as many as are useful and the process may use.
        Results do not depend on it.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray (fan_in, fan_out) and (fan_out,)
        Views into the network: what is written there counts. Arrays that are assigned, of other
        shapes too, are copied into the network when it is next used.
    n_iter_, t_ : int
        Iterations of the last fit, and samples seen by "adam" and "sgd" since the first.
    loss_ : float
        The loss of the last iteration, with the penalty; that of an epoch is taken before each of
        its updates.
    loss_curve_ : list of float
        Of each iteration, but for "lbfgs".
    best_loss_ : float or None
    validation_scores_, best_validation_score_ : list of float, float; None where none were taken
    out_activation_ : str
    n_layers_, n_outputs_, n_features_in_ : int
    feature_names_in_ : ndarray of str, where X had names
    classes_ : ndarray (n_classes,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), SoftmaxCrossEntropy, BinaryCrossEntropy],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.class_weight = class_weight
        self.dropout = dropout
        self.network = network
        self.callbacks = callbacks
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @available_if(_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> "MLPClassifier":
        """Go through the data once more, continuing the optimizer.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)
        y : array_like (n_samples,), or a label indicator (n_samples, n_classes)
        sample_weight : array_like (n_samples,), optional
        classes : array_like (n_classes,)
            All classes that may come; needed in the first call alone.

        Returns
        -------
        self
        """
        if _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples,), or a label indicator (n_samples, n_classes)
        """
        return self._labels(self._outputs(X, activated=False))

    def predict_proba(self, X: Any) -> Array:
        """Predict the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_classes)
            Strictly between 0 and 1, so that logarithms are finite: the least is the dtype's
            smallest normal number. Of two classes both are computed from the logit, so that the
            smaller keeps its digits.
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
        """Predict the logarithm of `predict_proba`, which is finite.

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
        """Return whether the network has one output for two classes, or for a single one."""
        return self._fitted.network.out_features == 1

    def _labels(self, logits: Array) -> Array:
        binarizer = self._label_binarizer
        if self.out_activation_ == "softmax":
            return self.classes_.take(logits.argmax(axis=1), mode="clip")
        if binarizer.y_type_ == "binary":
            return self.classes_.take(logits[:, 0] > 0, mode="clip")
        return binarizer.inverse_transform((logits > 0).astype(np.intp))

    def _validate_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        dtype = (np.float64, np.float32) if reset else self._parameter_dtype()
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=dtype, reset=reset
        )
        y = one_column(y).copy()  # another thread may write into the user's own meanwhile
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(y, self.warm_start)
        return X, self._encode(y)

    def _check_classes(self, y: Any, all_wanted: bool) -> None:
        several = type_of_target(y).startswith("multilabel")
        counts = "one class of each sample", "several labels of a sample"
        if several != self._label_binarizer.y_type_.startswith("multilabel"):
            raise ValueError(f"y has {counts[several]}; the classes have {counts[not several]}")
        if several and y.shape[1] != len(self.classes_):
            raise ValueError(f"y has {y.shape[1]} labels; {len(self.classes_)} are wanted")
        found = unique_labels(y)
        unknown = np.setdiff1d(found, self.classes_)
        if all_wanted and (len(unknown) or len(found) != len(self.classes_)):
            raise ValueError(
                f"warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {found}"
            )
        if len(unknown):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' "
                f"has {found}."
            )

    def _encode(self, y: Any) -> Array:
        """Turn labels into class indices (n,), or a label indicator (n, n_classes)."""
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return self._label_binarizer.transform(y).astype(bool)
        return np.searchsorted(self.classes_, y)

    def _objective(self, y: Array) -> Objective:
        return classification(self.loss, self._label_binarizer.y_type_, y[:1].size)

    def _target(self, objective: Objective, y: Array, dtype: "np.dtype[Any]") -> Array:
        return objective.loss.check_target(y, (len(y), self._n_units(objective, y)), dtype, "y")

    def _n_units(self, objective: Objective, y: Array) -> int:
        if objective.loss.takes_labels:
            return max(len(self.classes_), 2)
        return y[:1].size

    def _balanced(self, sample_weight: "Array | None", y: Array) -> "Array | None":
        if self.class_weight is None:
            return sample_weight
        named = y if y.ndim == 2 else self.classes_[y]
        weight = compute_sample_weight(self.class_weight, named)
        if not (np.isfinite(weight).all() and (weight >= 0).all()):
            raise ValueError(
                f"class_weight is {self.class_weight}; no weight may be negative, infinite or NaN"
            )
        return weight if sample_weight is None else weight * sample_weight

    def _shaped_jacobian(self, jacobian: Array) -> Array:
        if self._label_binarizer.y_type_ == "binary" and jacobian.shape[1] == 1:
            return np.concatenate([-jacobian, jacobian], axis=1)
        return jacobian

    def to_network(self) -> Network:  # noqa: D102  (as in the base)
        network = super().to_network()
        labels = self.classes_.tolist()
        several = self._label_binarizer.y_type_.startswith("multilabel")
        named = all(isinstance(label, str | int | float) for label in labels)
        if named and not several and len(labels) == max(network.out_features, 2):
            network.class_labels = labels
        return network

    @classmethod
    def from_network(
        cls, network: Network, classes: Any = None, **parameters: Any
    ) -> "MLPClassifier":
        """Make a fitted estimator of a network that gives logits.

        Parameters
        ----------
        network : Network
            A copy is taken. Its outputs are logits: one for two classes, or one for each class. For
            several labels of a sample, one for each, say `loss=BinaryCrossEntropy()`: nothing in a
            network tells labels from classes.
        classes : array_like (n_classes,), optional
            In increasing order; by default the network's `class_labels`, or 0, 1, ….
        **parameters
            Of the estimator. Its `network` is copies of these layers, so that another `fit` begins
            with their values.

        Returns
        -------
        MLPClassifier

        Raises
        ------
        ValueError
            If the network ends in Softmax, Sigmoid or LogSoftmax, or `classes` do not fit.
        """
        model = cls(network=[copy.deepcopy(layer) for layer in network.layers], **parameters)
        n_classes = max(network.out_features, 2)
        if classes is None:
            classes = network.class_labels or np.arange(n_classes)
        labels = isinstance(model.loss, BinaryCrossEntropy) and network.out_features > 1
        model._label_binarizer = LabelBinarizer().fit(np.eye(n_classes) if labels else classes)
        model.classes_ = model._label_binarizer.classes_
        if not np.array_equal(model.classes_, np.asarray(classes)) or len(classes) != n_classes:
            raise ValueError(f"classes is {classes!r}; {n_classes} in increasing order are wanted")
        logistic = labels or network.out_features == 1
        model.out_activation_ = "logistic" if logistic else "softmax"
        return model._take(network)

    def _adopt(self, network: Network) -> None:
        if isinstance(network.layers[-1], Softmax | LogSoftmax | Sigmoid):
            raise ValueError(
                f"network ends in {network.layers[-1]!r}; a network that gives logits is wanted"
            )
        super()._adopt(network)

    def _split(self, y: Array, random_state: Any) -> tuple[Array, Array]:
        two = self._label_binarizer.y_type_ == "binary"  # of more classes scikit-learn splits none
        labels = y.astype(bool)[:, np.newaxis] if two else None
        return split(len(y), self.validation_fraction, labels, random_state)

    def _check_validation(
        self, objective: Objective, n_out: int, dtype: "np.dtype[Any]", X: Any, y: Any
    ) -> tuple[Array, Array]:
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, reset=False, dtype=dtype
        )
        y = (y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y).copy()
        self._check_classes(y, False)
        return self._dense(X), self._encode(y)

    @property
    def _score_name(self) -> str:
        return "accuracy"

    def _validation_score(self, outputs: Array, y: Array, sample_weight: "Array | None") -> float:
        """Return the share of samples whose class, or all of whose labels, are right."""
        if y.ndim == 2:
            right = ((outputs > 0.5) == y).all(axis=1)
        else:
            one = outputs.shape[1] == 1
            found = outputs[:, 0] > 0.5 if one else outputs.argmax(axis=1)
            right = np.minimum(found, len(self.classes_) - 1) == y  # there may be a single class
        return float(np.average(right, weights=sample_weight))
