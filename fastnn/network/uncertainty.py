"""A network's probabilities of classes, and the uncertainty of its regressions."""

import copy
from typing import Any

import numpy as np

from fastnn import _checks, _core
from fastnn._core.arrays import Array
from fastnn.layers import Softmax
from fastnn.losses import CustomLoss, HalfSquaredError, Loss
from fastnn.losses.probabilities import LINKS, of_outputs
from fastnn.network.base import NetworkBase
from fastnn.network.posterior import GaussianPosterior, estimate


class Uncertainty(NetworkBase):
    """The methods of `Network` that return probabilities and the uncertainty of parameters."""

    _link: str | None = None  # of the loss of the last fit

    def predict_proba(
        self, X: Any, loss: Loss | CustomLoss | None = None, *, n_threads: int | None = None
    ) -> Array:
        """Return the probabilities of the classes.

        The loss knows how outputs become probabilities: `SoftmaxCrossEntropy` by the softmax,
        `BinaryCrossEntropy` by the sigmoid. For `NegativeLogLikelihood` the outputs are the
        probabilities.

        Parameters
        ----------
        X : array_like (n, in_features) or (in_features,)
        loss : Loss, or an object with `probabilities(outputs)`, optional
            By default the loss of the last `fit`, which is saved with the network. A network
            without a fit must end in `Softmax`.
        n_threads : int, optional

        Returns
        -------
        ndarray (n, n_classes) or (n_classes,)
            In the order of the class indices; each row sums to 1. `BinaryCrossEntropy` gives one
            output two columns, for the classes 0 and 1. With more outputs it gives (n,
            out_features), each the probability that its own target is 1.

        Raises
        ------
        ValueError
            If `loss` is None, the last fit had no loss of classes, and the last layer is not
            Softmax.
        TypeError
            If the loss has no probabilities, such as a loss for regression.
        ValueError, TypeError
            If X is invalid.
        """
        link = self._link
        if link is None and isinstance(self._layers[-1], Softmax):
            link = "identity"
        if loss is None and link is None:
            raise ValueError(
                "loss is None, and neither the last fit nor the last layer tells how outputs "
                "become probabilities; a loss such as SoftmaxCrossEntropy() is wanted"
            )
        if loss is not None and not callable(getattr(loss, "probabilities", None)):
            raise TypeError(
                f"loss is {loss!r}; a loss with probabilities(outputs), such as "
                f"SoftmaxCrossEntropy(), is wanted"
            )
        given, single = self._inputs.samples(X)
        x = _checks.converted(given, "X", self.dtype, single)
        outputs = self._model.predict(x, _checks.thread_count(n_threads))
        if loss is None:
            assert link is not None
            found = of_outputs(link, outputs)
        else:
            found = np.asarray(loss.probabilities(outputs))  # type: ignore[union-attr]
        return found[0] if single else found

    def posterior(
        self,
        X: Any,
        y: Any,
        *,
        prior_precision: float = 0.0,
        noise_variance: Any = None,
        sample_weight: Any = None,
        ignore_nan: bool = False,
        n_threads: int | None = None,
    ) -> GaussianPosterior:
        """Return a Gaussian approximation of the posterior distribution of the parameters.

        Its predictions have standard deviations. Call it after a fit of a squared error, with
        the data of this fit.

        Parameters
        ----------
        X : array_like (n, in_features)
        y : array_like (n, out_features), or (n,) for one output
            Real targets.
        prior_precision : float
            α, the precision of the Gaussian prior of each trainable parameter, at least 0. By
            default 0: the delta method. After `LevenbergMarquardt(bayesian=True)` it is the
            History's last "weight_precision".
        noise_variance : float or array_like (n_outputs,), optional
            σ², the variance of the noise of the targets, above 0: one for all outputs, or one for
            each. By default it is estimated for each output, from its residuals r and its share γ
            of the effective parameters: σ² = Σ r² / (N - γ) for N targets. After
            `LevenbergMarquardt(bayesian=True)` it is 1 / the last "noise_precision".
        sample_weight : array_like (n,), optional
            The weights of the samples, at least 0 and not all 0. A weight of 2 equals a sample that
            occurs twice. By default all are 1.
        ignore_nan : bool
            Whether targets that are NaN are missing; by default False.
        n_threads : int, optional

        Returns
        -------
        GaussianPosterior

        Raises
        ------
        ValueError
            If the noise cannot be estimated, because an output has no more targets than effective
            parameters.
        MemoryError
            If matrices of n_params² numbers do not fit into memory.
        ValueError, TypeError
            If an argument is invalid.

        Notes
        -----
        The network is linearised at its parameters. The covariance of the parameters is H⁻¹ with
        H = Σ w Jᵀ diag(1/σ²) J + α I (MacKay 1992; Bishop 2006, section 5.7.1). The method assumes
        that the parameters minimise the squared error, divided by the noise of each output, plus
        ½ α ΘᵀΘ. It ignores other minima, and what a network does far from its data. With α = 0,
        directions that the data do not determine have the variance 0. Frozen layers have no
        variance.
        """
        loss = HalfSquaredError("sum", ignore_nan=ignore_nan)
        alpha = _checks.number(prior_precision, "prior_precision", at_least=0)
        noise = None
        if noise_variance is not None:
            noise = _checks.real_array(noise_variance, "noise_variance", np.dtype(np.float64))
            if noise.shape not in ((), (self.out_features,)):
                raise ValueError(
                    f"noise_variance has shape {noise.shape}; a number or "
                    f"({self.out_features},) is wanted"
                )
            if not (noise > 0).all():
                raise ValueError(f"noise_variance is {noise_variance}; above 0 is wanted")
            noise = np.broadcast_to(noise, (self.out_features,)).copy()
        size = self._model.params.size
        _core.demand_memory(32 * size**2, f"matrices of {size:,} x {size:,} for the parameters")
        x, target, weights = self._inputs.batch(X, y, loss, sample_weight)
        loss.demand_observed(target, weights, "y")
        threads = _checks.thread_count(n_threads)
        trained = [np.full(layer.n_params, layer.trainable) for layer in self._layers]
        return estimate(
            copy.deepcopy(self),
            np.concatenate(trained),
            x,
            target,
            weights,
            loss,
            alpha,
            noise,
            threads,
        )


def link_from(description: dict[str, Any]) -> str | None:
    """Return the link in a model file; files of earlier versions have none."""
    link = description.get("link")
    return None if link is None else _checks.choice(link, "link", LINKS)
