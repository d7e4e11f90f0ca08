"""MLPRegressor."""

import copy
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import column_or_1d, validate_data

from fastnn.losses import Loss
from fastnn.network import Network
from fastnn.sklearn.base import BaseMLP
from fastnn.sklearn.full_batch import PenalisedLoss
from fastnn.sklearn.objectives import REGRESSION, Objective, n_units, regression
from fastnn.sklearn.splitting import stratified_split
from fastnn.sklearn.uncertainty import ParameterCovariance

Array = NDArray[Any]


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron that predicts numbers."""

    _score_name = "r2"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION)), Loss],
        "store_covariance": ["boolean"],
    }

    def __init__(
        self, loss: Any = "squared_error", hidden_layer_sizes: Any = (100,),
        activation: Any = "relu", *, solver: str = "adam",
        alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: str = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200,
        shuffle: bool = True, random_state: Any = None, tol: float = 1e-4, verbose: bool = False,
        warm_start: bool = False, momentum: float = 0.9, nesterovs_momentum: bool = True,
        early_stopping: bool = False, validation_fraction: float = 0.1, beta_1: float = 0.9,
        beta_2: float = 0.999, epsilon: float = 1e-8, n_iter_no_change: int = 10,
        max_fun: int = 15000, network: Any = None, callbacks: Any = None,
        store_covariance: bool = False, n_jobs: int | None = None,
    ) -> None:  # fmt: skip
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
            one variance (the delta method); far from the data it says too little.

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
        return outputs, self._shaped(covariance.deviations(self._fitted.raw, x, self._n_threads()))

    def _final(self, outputs: Array) -> Array:
        return np.exp(outputs) if self.out_activation_ == "exp" else outputs

    def _shaped(self, outputs: Array) -> Array:
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _validate_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        dtype = (np.float64, np.float32) if reset else self._fitted.network.dtype
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=True,
            dtype=dtype, reset=reset,
        )  # fmt: skip
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _objective(self, y: Array, sample_weight: "Array | None") -> Objective:
        return regression(self.loss, y, sample_weight)

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
                self._fitted.network, objective, x, target, sample_weight, self.alpha,
                self._n_threads(),
            )  # fmt: skip
            self._covariance = ParameterCovariance.of(function)

    def _shaped_jacobian(self, jacobian: Array) -> Array:
        return jacobian[:, 0] if jacobian.shape[1] == 1 else jacobian

    @classmethod
    def from_network(cls, network: Network, **parameters: Any) -> "MLPRegressor":
        """Make a fitted estimator of a network whose outputs are predictions.

        Parameters
        ----------
        network : Network
            A copy is taken.
        **parameters
            Of the estimator. Its `network` is copies of these layers, so that another `fit` begins
            with their values.

        Returns
        -------
        MLPRegressor
        """
        model = cls(network=[copy.deepcopy(layer) for layer in network.layers], **parameters)
        model.out_activation_ = "identity"
        return model._take(network)

    def _split(self, y: Array, random_state: Any) -> tuple[Array, Array]:
        return stratified_split(len(y), self.validation_fraction, None, random_state)

    def _check_validation(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=True,
            dtype=self._fitted.network.dtype, reset=False,
        )  # fmt: skip
        return self._dense(X), y, sample_weight

    def _validation_score(self, outputs: Array, y: Array, sample_weight: "Array | None") -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        return float(r2_score(y, self._shaped(outputs), sample_weight=sample_weight))
