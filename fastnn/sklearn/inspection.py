"""What the estimators add to scikit-learn's: derivatives, hidden layers, and the network."""

import copy
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import assert_all_finite, check_is_fitted, validate_data

from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.network import Network
from fastnn.sklearn.parameters import FittedParameters


class Inspection(FittedParameters):
    """The methods of both estimators that inspect a fitted network."""

    out_activation_: str
    n_layers_: int

    def jacobian(self, X: Any) -> Array:
        """Return the exact derivatives of the predictions with respect to the features.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_outputs, n_features)
            Derivatives of `predict` for a regressor, of shape (n_samples, n_features) if it has one
            output; derivatives of `predict_proba` for a classifier, one row for each class or
            label.
        """
        return self._shaped_jacobian(self._jacobian(self._checked(X)))

    def hidden_activations(self, X: Any, layer: int = -2) -> Array:
        """Return the values of a hidden layer, after its activation.

        Parameters
        ----------
        X : array_like or sparse matrix (n_samples, n_features)
        layer : int
            0 is the input, 1 the first hidden layer; `n_layers_` - 1, or -1, is the output after
            `out_activation_`. By default -2, the last hidden layer.

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
            raise ValueError(f"layer is {layer}; there are {self.n_layers_} layers")
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
            For a classifier its outputs are logits, and its `class_labels` are the classes, if each
            sample has one class and the classes are numbers or text. For a regressor its outputs
            are predictions; with the Poisson loss their logarithms, and with BinaryCrossEntropy
            their logits.
        """
        check_is_fitted(self)
        network = copy.deepcopy(self._fitted.network)
        names = getattr(self, "feature_names_in_", None)
        if names is not None:
            network.feature_names = [str(name) for name in names]
        return network

    def _take(self, network: Network) -> Self:
        """Take a copy of this network as the fitted one, and return the estimator."""
        self.n_features_in_ = network.in_features
        if network.feature_names is not None:
            self.feature_names_in_ = np.array(network.feature_names, dtype=object)
        self._adopt(copy.deepcopy(network))
        self._forget_progress()
        return self

    def _checked(self, X: Any, sparse: bool = False) -> Any:
        """Return samples after scikit-learn's checks, in the dtype of a prediction.

        They are dense, unless X and `sparse` allow sparse rows.

        The dtype is the one of the product of X and coefs_, as in scikit-learn: float32 or float64.
        """
        check_is_fitted(self)
        network = self._fitted.network
        x = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        if x.shape[1] != network.in_features:  # a user may have set n_features_in_
            raise ValueError(
                f"X has {x.shape[1]} features; the network takes {network.in_features}"
            )
        single = np.result_type(x.dtype, network.dtype) == np.float32
        converted = x.astype(np.float32 if single else np.float64, copy=False)
        ready = self._ready(converted) if sparse else self._dense(converted)
        if x.dtype == np.longdouble and isinstance(ready, np.ndarray):
            assert_all_finite(ready)
        return ready

    def _jacobian(self, x: Array) -> Array:
        model = self._fitted.at(self._fitted.activated, x.dtype)
        jacobian = model.jacobian(x, False, self._n_threads())
        if self.out_activation_ == "exp":
            jacobian *= self._activated(x)[:, :, np.newaxis]
        return jacobian

    def _activated(self, x: "Array | SparseRows") -> Array:
        """Return the outputs of checked samples, after out_activation_."""
        model = self._fitted.at(self._fitted.activated, x.dtype)
        outputs = model.predict(x, self._n_threads())
        return np.exp(outputs) if self.out_activation_ == "exp" else outputs
