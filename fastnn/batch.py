"""Checks of samples, targets and weights against one model, before any computation."""

from dataclasses import dataclass
from typing import Any

from fastnn import _checks
from fastnn._checks import SparseRows, frames
from fastnn._core.arrays import Array
from fastnn.losses import (
    CustomLoss,
    Loss,
    allows_negative_weights,
    check_target,
    demand_weights,
    is_built_in,
)
from fastnn.model import Model
from fastnn.segments import custom_layers


@dataclass
class InputChecks:
    """Checks what a user passes to a network, and remembers the names of its features.

    Methods raise ValueError or TypeError, with the argument's name, if an argument does not fit.

    Attributes
    ----------
    model : Model
    feature_names : list of str, or None
        The columns that a data frame must have; None accepts any.
    """

    model: Model
    feature_names: list[str] | None = None

    def demand_names(self, X: Any) -> None:
        """Check that a data frame has the columns `feature_names`, if there are any."""
        frames.demand_names(X, self.feature_names)

    def keep_names(self, X: Any) -> None:
        """Set `feature_names` to the columns of a data frame of the right width, if unset."""
        if self.feature_names is None:
            self.feature_names = frames.column_names(X)

    def samples(self, X: Any) -> tuple[Array, bool]:
        """Return X as a matrix that is not converted yet, and whether X is a single sample.

        The caller checks the shapes of its other arguments before `_checks.converted` makes a copy
        of X, which may be large.
        """
        self.demand_names(X)
        return _checks.one_or_more_samples(X, "X", self.model.plan.n_in)

    def sparse_samples(self, X: Any) -> tuple[SparseRows, bool]:
        """Return a sparse X as rows for the engine, and whether X is a single sample."""
        self._demand_compiled("X")
        rows, single = _checks.one_or_more_sparse(X, "X", self.model.plan.n_in)
        return rows.converted("X", self.model.dtype), single

    def _demand_compiled(self, name: str) -> None:
        """Raise TypeError for a sparse matrix if a layer is written in Python."""
        for layer in custom_layers(self.model):
            raise TypeError(
                f"{name} is sparse, and the network has the layer {layer!r}, which takes arrays; "
                f"pass {name}.toarray()"
            )

    def sample_matrix(self, X: Any, name: str) -> Array:
        """Return a matrix of at least one sample that is not converted yet."""
        self.demand_names(X)
        return _checks.sample_matrix(X, name, self.model.plan.n_in)

    def target(self, loss: Loss | CustomLoss, y: Any, n_samples: int, name: str) -> Any:
        """Return the targets of `n_samples` samples in the form that the loss takes."""
        shape = (n_samples, self.model.plan.n_out)
        return check_target(loss, y, shape, self.model.dtype, name)

    def weights(
        self, loss: Loss | CustomLoss, sample_weight: Any, n_samples: int, name: str
    ) -> Array | None:
        """Return the sample weights (n,), or None if there are none."""
        if sample_weight is None:
            return None
        demand_weights(loss)
        negative = allows_negative_weights(loss)
        return _checks.sample_weight(sample_weight, name, self.model.dtype, n_samples, negative)

    def demand_probabilities(self, loss: Loss | CustomLoss, x: "Array | SparseRows") -> None:
        """Check that the outputs of the first samples are probabilities, if the loss takes them."""
        if is_built_in(loss) and loss.takes_probabilities:
            loss.check_outputs(self.model.predict(x[:256], 1))

    def few(
        self, X: Any, y: Any, loss: Loss | CustomLoss, sample_weight: Any
    ) -> tuple[Array, Any, Array | None] | None:
        """Return what `batch` does if compiled code can check the arguments, else None."""
        return self.model.calls.batch(X, y, loss, sample_weight)

    def batch_or_sparse(
        self,
        X: Any,
        y: Any,
        loss: Loss | CustomLoss,
        sample_weight: Any = None,
        names: tuple[str, str, str] = ("X", "y", "sample_weight"),
    ) -> tuple["Array | SparseRows", Any, Array | None]:
        """Return what `batch` does, for an X that may also be sparse."""
        if not _checks.is_sparse(X):
            return self.batch(X, y, loss, sample_weight, names)
        self._demand_compiled(names[0])
        given = _checks.sparse_matrix(X, names[0], self.model.plan.n_in)
        target = self.target(loss, y, len(given), names[1])
        weights = self.weights(loss, sample_weight, len(given), names[2])
        x = given.converted(names[0], self.model.dtype)
        self.demand_probabilities(loss, x)
        return x, target, weights

    def batch(
        self,
        X: Any,
        y: Any,
        loss: Loss | CustomLoss,
        sample_weight: Any = None,
        names: tuple[str, str, str] = ("X", "y", "sample_weight"),
    ) -> tuple[Array, Any, Array | None]:
        """Return X (n, n_in), targets, and weights (n,) or None, as `Model` takes them.

        All shapes are checked first, and the numbers in X last.
        """
        ready = self.few(X, y, loss, sample_weight)
        if ready is not None:
            return ready
        given = self.sample_matrix(X, names[0])
        target = self.target(loss, y, len(given), names[1])
        weights = self.weights(loss, sample_weight, len(given), names[2])
        x = _checks.converted(given, names[0], self.model.dtype)
        self.demand_probabilities(loss, x)
        return x, target, weights
