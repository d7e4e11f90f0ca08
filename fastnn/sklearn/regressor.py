"""The regressor."""

import copy
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import StrOptions

from fastnn._core.arrays import Array
from fastnn.losses import BinaryCrossEntropy, Loss, Pinball, Poisson
from fastnn.network import Network
from fastnn.sklearn.base import BaseMLP
from fastnn.sklearn.objectives import (
    REGRESSION,
    Objective,
    Problem,
    d2_pinball,
    n_units,
    regression,
)
from fastnn.sklearn.uncertainty import ParameterCovariance

NOT_OF_MEANS = Poisson, Pinball, BinaryCrossEntropy  # outputs: logarithms, quantiles, logits


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron that predicts numbers; it replaces scikit-learn's MLPRegressor.

    It has the parameters of `sklearn.neural_network.MLPRegressor`, with the same defaults, and
    more.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "poisson"} or Loss
        "squared_error" is ½ Σ (ŷ - y)² over the outputs. Like scikit-learn, "adam" and "sgd"
        follow this sum, but report the mean over the outputs. "poisson" is half the deviance, for
        predictions e^z of the network's outputs z. The other two are means over the outputs. Or a
        loss of fastnn: `Pinball((0.1, 0.9))` predicts quantiles, one output for each. With
        `BinaryCrossEntropy()` targets and predictions are between 0 and 1, and the network computes
        their logits; for classes use MLPClassifier.
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
        Share of the samples that `early_stopping` holds out.
    beta_1, beta_2 : float
        Decay rates of the first and second moments of "adam".
    epsilon : float
        Added by "adam" to the root of the second moment, before the bias correction.
    n_iter_no_change : int or inf
        See `tol`.
    max_fun : int
        Largest number of evaluations of the loss by "lbfgs".
    dropout : float
        Probability that a value of a hidden layer is set to 0 in an update of "adam" or "sgd".
    network : list of Layer, or callable (n_features, n_outputs) -> list of Layer, optional
        All layers, instead of `hidden_layer_sizes` and `activation`. There is one output for each
        target. Copies of the layers are trained, from the values that the layers have. Layers
        without values draw them with their initializers.
    callbacks : list of Callback, optional
        Called by "adam" and "sgd" before and after a fit and each epoch, with the network and the
        metrics "loss" and "val_r2", or "val_d2" if `score` returns D².
    store_covariance : bool
        Whether `fit` also estimates the covariance of the parameters, a matrix of n_params²
        entries. `predict(X, return_std=True)` needs it. Not for the losses Poisson, Pinball and
        BinaryCrossEntropy.
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
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION)), Loss],
        "store_covariance": ["boolean"],
    }
    _y_is_numeric = True

    def __init__(
        self,
        loss: Any = "squared_error",
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
        dropout: float = 0.0,
        network: Any = None,
        callbacks: Any = None,
        store_covariance: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self._set_arguments(locals())

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the predicted target of each sample.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)
        return_std : bool
            Whether to return also the standard deviation of each prediction, which includes the
            noise and the uncertainty of the parameters. The estimator must be fitted with
            `store_covariance=True`. See Notes.

        Returns
        -------
        ndarray (n_samples,) or (n_samples, n_outputs), or a pair of them

        Raises
        ------
        ValueError
            If `return_std` is set, and the estimator was fitted without `store_covariance`.

        Notes
        -----
        Standard deviations come from the delta method. It assumes that the network is linear in its
        parameters near the fitted ones, and that residuals are independent and Gaussian with one
        variance. The standard deviations are too small far from the data, and if `alpha` is so
        small that the network has fitted the noise. On the test rows of four UCI data sets, the
        intervals of ± 1.645 standard deviations, nominally 90 %, covered 88 to 92 % with an `alpha`
        chosen by held-out error, and 73 to 94 % with the default.
        """
        outputs = self._shaped(self._final(self._outputs(X, activated=True)))
        if not return_std:
            return outputs
        covariance = getattr(self, "_covariance", None)
        if covariance is None:
            raise ValueError("return_std=True needs a fit with store_covariance=True")
        x = self._checked(X)
        model = self._fitted.at(self._fitted.raw, x.dtype)
        return outputs, self._shaped(covariance.deviations(model, x, self._n_threads()))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R², the share of the variance of y that the predictions explain.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)
        y : array_like (n_samples,) or (n_samples, n_outputs)
        sample_weight : array_like (n_samples,), optional

        Returns
        -------
        float
            With the loss Pinball it is D² instead: 1 - (loss / loss of the quantile of y), averaged
            over the quantiles. Both are at most 1, and 0 for the best constant.
        """
        if isinstance(self.loss, Pinball):
            predicted = self._final(self._outputs(X, activated=True))
            return d2_pinball(self.loss, y, predicted, sample_weight)
        return float(super().score(X, y, sample_weight))

    def _final(self, outputs: Array) -> Array:
        return np.exp(outputs) if self.out_activation_ == "exp" else outputs

    def _shaped(self, outputs: Array) -> Array:
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _encode_targets(self, y: Array, incremental: bool) -> Array:
        return y

    def _encode_validation(
        self, objective: Objective, n_out: int, dtype: "np.dtype[Any]", y: Array
    ) -> Array:
        objective.loss.check_target(y, (len(y), n_out), dtype, "y_val")
        return y

    def _needs_dense(self) -> bool:
        return super()._needs_dense() or self.store_covariance

    def _objective(self, y: Array) -> Objective:
        objective = regression(self.loss, y)
        if self.store_covariance and isinstance(objective.loss, NOT_OF_MEANS):
            raise ValueError(
                f"store_covariance=True needs a loss whose outputs are means of Gaussian targets; "
                f"loss is {objective.loss}"
            )
        return objective

    def _n_units(self, objective: Objective, y: Array) -> int:
        return n_units(objective.loss, y)

    def _finish(self, problem: Problem) -> None:
        self._covariance = ParameterCovariance.of(problem) if self.store_covariance else None

    def _shaped_jacobian(self, jacobian: Array) -> Array:
        return jacobian[:, 0] if jacobian.shape[1] == 1 else jacobian

    @classmethod
    def from_network(cls, network: Network, **parameters: Any) -> "MLPRegressor":
        """Return a fitted regressor with a copy of a network whose outputs are predictions.

        Parameters
        ----------
        network : Network
            It is copied. With the Poisson loss its outputs are logarithms of predictions, and with
            BinaryCrossEntropy their logits.
        **parameters
            Parameters of the estimator, except `network`, which is set to copies of these layers.
            So another `fit` starts from their values.

        Returns
        -------
        MLPRegressor
        """
        made = cls(network=[copy.deepcopy(layer) for layer in network.layers], **parameters)
        made.out_activation_ = regression(made.loss, np.zeros(1)).out_activation
        return made._take(network)

    def _validation_score(self, outputs: Array, y: Array, sample_weight: "Array | None") -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        if isinstance(self.loss, Pinball):
            return d2_pinball(self.loss, y, outputs, sample_weight)
        return float(r2_score(y, self._shaped(outputs), sample_weight=sample_weight))

    @property
    def _score_name(self) -> str:
        """The name of the score; callbacks see it after "val_"."""
        return "d2" if isinstance(self.loss, Pinball) else "r2"
