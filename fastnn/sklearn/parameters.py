"""The network of an estimator, and `coefs_` and `intercepts_`, the lists of its parameters."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fastnn._core.arrays import Array
from fastnn.network import Network
from fastnn.sklearn import networks
from fastnn.sklearn.networks import FittedNetwork


class FittedParameters(BaseEstimator):
    """The part of an estimator that holds the fitted network.

    `coefs_` and `intercepts_` are plain lists of views into the network. A user may assign other
    arrays or lists, also with other shapes, and also before a fit. They are copied into the network
    when it is used next.
    """

    coefs_: list[Array]
    intercepts_: list[Array]

    @property
    def _fitted(self) -> FittedNetwork:
        """The network, after copying what was assigned to `coefs_` and `intercepts_`."""
        own = self.__dict__
        if "_fitted" not in own:
            self._adopt(self._network_of_coefs())
        fitted: FittedNetwork = own["_fitted"]
        if not fitted.has(self.coefs_, self.intercepts_):
            changed = fitted.with_values(self.coefs_, self.intercepts_)
            self._show(changed)
            if changed is not fitted:  # the optimizer and the covariance have the old shapes
                own.pop("_optimizer", None)
                own.pop("_covariance", None)
                self._best = changed.snapshot()
            return changed
        return fitted

    def _show(self, fitted: FittedNetwork) -> None:
        """Set the network, and the attributes that describe it."""
        self.__dict__["_fitted"] = fitted
        self.coefs_, self.intercepts_ = list(fitted.coefs), list(fitted.intercepts)
        self.n_features_in_ = fitted.network.in_features
        self.n_outputs_ = fitted.network.out_features

    def _network_of_coefs(self) -> Network:
        """Return a network of the parameters that were set before any fit."""
        check_is_fitted(self)
        coefs, intercepts = self.coefs_, self.intercepts_
        dtype = self._parameter_dtype()
        coefs = networks.parameter_arrays("coefs_", coefs, 2, len(coefs), dtype)
        if not coefs:
            raise ValueError("coefs_ is empty; expected an array for each linear layer")
        intercepts = networks.parameter_arrays("intercepts_", intercepts, 1, len(coefs), dtype)
        if self.network is not None:
            raise ValueError(
                "coefs_ is set before a fit, but the parameter `network` defines the layers"
            )
        widths = [len(coefs[0]), *(weight.shape[1] for weight in coefs)]
        values = iter(zip(coefs, intercepts, strict=True))
        return networks.perceptron(
            widths, self.activation, self.dropout, dtype, lambda *_: next(values)
        )

    def _parameter_dtype(self) -> "np.dtype[Any]":
        """Return the dtype of `coefs_`: float32 or float64."""
        arrays = [np.asarray(array) for array in [*self.coefs_, *self.intercepts_]]
        single = all(array.dtype == np.float32 for array in arrays)
        return np.dtype(np.float32 if single else np.float64)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        if "_fitted" in state:  # the two lists are views into it
            state["_fitted"] = self._fitted
            for name in ("coefs_", "intercepts_"):
                state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_fitted" in self.__dict__:
            self._show(self.__dict__["_fitted"])

    def __sklearn_is_fitted__(self) -> bool:
        # a fit or a user sets these; a failed fit may leave other attributes
        return "_fitted" in self.__dict__ or {"coefs_", "intercepts_"} <= self.__dict__.keys()
