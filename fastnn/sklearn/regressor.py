"""MLPRegressor."""

import copy
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import validate_data

from fastnn.losses import BinaryCrossEntropy, Loss, Pinball, Poisson
from fastnn.network import Network
from fastnn.sklearn.base import BaseMLP
from fastnn.sklearn.full_batch import PenalisedLoss
from fastnn.sklearn.objectives import REGRESSION, Objective, d2_pinball, n_units, regression
from fastnn.sklearn.splitting import split
from fastnn.sklearn.uncertainty import ParameterCovariance
from fastnn.sklearn.warning import one_column

Array = NDArray[Any]

NOT_OF_MEANS = Poisson, Pinball, BinaryCrossEntropy  # losses of logarithms, quantiles and logits


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron that predicts numbers, in place of scikit-learn's of that name.

    Parameters are those of `sklearn.neural_network.MLPRegressor`, with its defaults, and more.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "poisson"} or Loss
        "squared_error" is ½ Σ (ŷ - y)² over the outputs, of which "adam" and "sgd" report the mean
        over the outputs, as scikit-learn does; "poisson" is half the deviance for predictions e^z,
        the others are means over the outputs. Or a loss of fastnn, such as `Pinball((0.1, 0.9))`
        for quantiles, an output each. With `BinaryCrossEntropy()` targets are shares from 0 to 1,
        and so are predictions, whose logits the network computes; for classes there is
        MLPClassifier.
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
        Share of the samples that is then held out.
    beta_1, beta_2, epsilon : float
        Of "adam": the decay rates of its running means, and what is added to the root of the second
        before its correction for the start.
    n_iter_no_change : int or inf
    max_fun : int
        Evaluations that "lbfgs" may make.
    dropout : float
        Share of each hidden layer's values that "adam" and "sgd" leave out in each update.
    network : list of Layer, or callable (n_features, n_outputs) -> list of Layer, optional
        The layers themselves, in place of `hidden_layer_sizes` and `activation`: an output for each
        target. Copies
        are trained; values that they have are where training begins, others are drawn by their own
        rules.
    callbacks : list of Callback, optional
        Called around a fit of "adam" or "sgd" and around each of its epochs, with the network and
        the figures "loss" and "val_r2", or "val_d2" where `score` is D².
    store_covariance : bool
        Whether `fit` also estimates the covariance of the parameters, a matrix of n_params², which
        `predict(X, return_std=True)` needs. Not for counts, quantiles and logits.
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
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION)), Loss],
        "store_covariance": ["boolean"],
    }

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
        self.loss = loss
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
        self.dropout = dropout
        self.network = network
        self.callbacks = callbacks
        self.store_covariance = store_covariance
        self.n_jobs = n_jobs

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the target of each sample.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)
        return_std : bool
            Whether to return the prediction's standard deviation too, of noise and parameters
            together. It needs `store_covariance=True` when fitting, takes the network for linear
            in its parameters near those fitted, and the residuals for independent, Gaussian and of
            one variance (the delta method); far from the data it says too little, and so it does
            where too small an `alpha` let the network fit the noise. Of the test rows of four UCI
            sets, the prediction ± 1.645 standard deviations, nominally 90 %, covered 88 to 92 %
            with an `alpha` chosen by held-out error; with the default, 73 to 94 %.

        Returns
        -------
        ndarray (n_samples,) or (n_samples, n_outputs), or a pair of them

        Raises
        ------
        ValueError
            If standard deviations are wanted of an estimator fitted without `store_covariance`.
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
        """Return R², the share of the targets' variance that predictions explain.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)
        y : array_like (n_samples,) or (n_samples, n_outputs)
        sample_weight : array_like (n_samples,), optional

        Returns
        -------
        float
            With a `loss` of Pinball not R² but D², the mean over the quantiles of 1 less the loss
            over that of the targets' own quantile. Both are 1 at best, and 0 for constants.
        """
        if isinstance(self.loss, Pinball):
            predicted = self._final(self._outputs(X, activated=True))
            return d2_pinball(self.loss, y, predicted, sample_weight)
        return float(super().score(X, y, sample_weight))

    def _final(self, outputs: Array) -> Array:
        return np.exp(outputs) if self.out_activation_ == "exp" else outputs

    def _shaped(self, outputs: Array) -> Array:
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _validate_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        dtype = (np.float64, np.float32) if reset else self._parameter_dtype()
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=dtype,
            reset=reset,
        )
        return X, one_column(y)

    def _objective(self, y: Array) -> Objective:
        objective = regression(self.loss, y)
        if self.store_covariance and isinstance(objective.loss, NOT_OF_MEANS):
            raise ValueError(
                f"store_covariance=True takes outputs for means of Gaussian targets; those of "
                f"{objective.loss} are not"
            )
        return objective

    def _target(self, objective: Objective, y: Array, dtype: "np.dtype[Any]") -> Array:
        loss = objective.loss
        return loss.check_target(y, (len(y), n_units(loss, y)), dtype, "y")

    def _n_units(self, objective: Objective, y: Array) -> int:
        return n_units(objective.loss, y)

    def _finish(
        self, objective: Objective, x: Array, target: Array, sample_weight: "Array | None"
    ) -> None:
        self._covariance = None
        if self.store_covariance:
            function = PenalisedLoss(
                self._fitted.network,
                objective,
                x,
                target,
                sample_weight,
                self.alpha,
                self._n_threads(),
            )
            self._covariance = ParameterCovariance.of(function)

    def _shaped_jacobian(self, jacobian: Array) -> Array:
        return jacobian[:, 0] if jacobian.shape[1] == 1 else jacobian

    @classmethod
    def from_network(cls, network: Network, **parameters: Any) -> "MLPRegressor":
        """Make a fitted estimator of a network whose outputs are predictions.

        Parameters
        ----------
        network : Network
            A copy is taken. With the Poisson loss its outputs are logarithms of predictions, with
            BinaryCrossEntropy their logits.
        **parameters
            Of the estimator. Its `network` is copies of these layers, so that another `fit` begins
            with their values.

        Returns
        -------
        MLPRegressor
        """
        model = cls(network=[copy.deepcopy(layer) for layer in network.layers], **parameters)
        model.out_activation_ = regression(model.loss, np.zeros(1)).out_activation
        return model._take(network)

    def _split(self, y: Array, random_state: Any) -> tuple[Array, Array]:
        return split(len(y), self.validation_fraction, None, random_state)

    def _check_validation(
        self, objective: Objective, n_out: int, dtype: "np.dtype[Any]", X: Any, y: Any
    ) -> tuple[Array, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=dtype,
            reset=False,
        )
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        objective.loss.check_target(y, (len(y), n_out), dtype, "y_val")
        return self._dense(X), y

    def _validation_score(self, outputs: Array, y: Array, sample_weight: "Array | None") -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        if isinstance(self.loss, Pinball):
            return d2_pinball(self.loss, y, outputs, sample_weight)
        return float(r2_score(y, self._shaped(outputs), sample_weight=sample_weight))

    @property
    def _score_name(self) -> str:
        return "d2" if isinstance(self.loss, Pinball) else "r2"
