"""What the estimators show beyond scikit-learn's: derivatives, hidden layers, and the network."""

import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import assert_all_finite, check_is_fitted, validate_data

from fastnn import _core
from fastnn.model import Model
from fastnn.network import Network
from fastnn.sklearn.parameters import FittedParameters

Array = NDArray[Any]


class Inspection(FittedParameters):
    """The methods of both estimators that look into a fitted network."""

    out_activation_: str
    n_layers_: int

    def jacobian(self, X: Any) -> Array:
        """Differentiate the prediction by the features, exactly, at each sample.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_outputs, n_features)
            Of `predict` for a regressor, without the middle axis where it has one output; of
            `predict_proba` for a classifier, a row for each class (or label).
        """
        return self._shaped_jacobian(self._jacobian(self._checked(X)))

    def hidden_activations(self, X: Any, layer: int = -2) -> Array:
        """Compute the values of a hidden layer, after its activation.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)
        layer : int
            0 is the input, 1 the first hidden layer, and `n_layers_` - 1 or -1 the output after
            `out_activation_`; by default -2, the last hidden layer.

        Returns
        -------
        ndarray (n_samples, width)

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        x = self._checked(X)
        index = layer + self.n_layers_ if layer < 0 else layer
        if not 0 <= index < self.n_layers_:
            raise ValueError(f"layer is {layer}; one of {self.n_layers_} layers is wanted")
        if index == 0:
            return x.copy()
        if index == self.n_layers_ - 1:
            return self._activated(x)
        model = self._fitted.at(self._fitted.hidden(index), x.dtype)
        return model.predict(x, self._n_threads())

    def to_network(self) -> Network:
        """Return a copy of the fitted network.

        Returns
        -------
        Network
            Its outputs are raw: logits for a classifier, whose classes, if they are numbers or text
            and a sample has one of them, are its `class_labels`; logarithms for a regressor with
            the Poisson loss, logits with BinaryCrossEntropy, else predictions.
        """
        check_is_fitted(self)
        network = copy.deepcopy(self._fitted.network)
        names = getattr(self, "feature_names_in_", None)
        if names is not None:
            network.feature_names = [str(name) for name in names]
        return network

    def _take(self, network: Network) -> Self:
        """Become a fitted estimator of a copy of this network."""
        self.n_features_in_ = network.in_features
        if network.feature_names is not None:
            self.feature_names_in_ = np.array(network.feature_names, dtype=object)
        self._adopt(copy.deepcopy(network))
        self._forget_progress()
        return self

    def _checked(self, X: Any) -> Array:
        """Check samples, and have them in the dtype of a prediction: float32 or float64.

        It is scikit-learn's, that of a product of X and coefs_.
        """
        check_is_fitted(self)
        network = self._fitted.network
        x = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        if x.shape[1] != network.in_features:  # n_features_in_ may have been written
            raise ValueError(
                f"X has {x.shape[1]} features; the network takes {network.in_features}"
            )
        single = np.result_type(x.dtype, network.dtype) == np.float32
        dense = self._dense(x.astype(np.float32 if single else np.float64, copy=False))
        if x.dtype == np.longdouble:
            assert_all_finite(dense)
        return dense

    def _jacobian(self, x: Array) -> Array:
        model = self._fitted.at(self._fitted.activated, x.dtype)
        jacobian = engine_jacobian(model, x, False, self._n_threads())
        if self.out_activation_ == "exp":
            jacobian *= self._activated(x)[:, :, np.newaxis]
        return jacobian

    def _activated(self, x: Array) -> Array:
        """The outputs of checked samples, after out_activation_."""
        model = self._fitted.at(self._fitted.activated, x.dtype)
        outputs = model.predict(x, self._n_threads())
        return np.exp(outputs) if self.out_activation_ == "exp" else outputs

    def _shaped_jacobian(self, jacobian: Array) -> Array:
        raise NotImplementedError

    def _forget_progress(self) -> None:
        raise NotImplementedError

    def _n_threads(self) -> int | None:
        raise NotImplementedError

    def _dense(self, X: Any) -> Array:
        raise NotImplementedError


def engine_jacobian(model: Model, x: Array, by_params: bool, n_threads: int | None) -> Array:
    """Return a model's Jacobians (n, n_out, n_in) or (n, n_out, n_params)."""
    columns = model.params.size if by_params else model.plan.n_in
    jacobian: Array = np.empty((len(x), model.plan.n_out, columns), x.dtype)
    for part in model.parts(len(x), 6 * model.plan.n_out):
        _core.engine.jacobian(
            model.plan,
            model.params,
            model.constants,
            x[part],
            by_params,
            None,
            jacobian[part],
            _core.thread_count(n_threads),
        )
    return jacobian
