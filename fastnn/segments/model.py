"""A network with layers written in Python as one model."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from fastnn import _checks, _core
from fastnn._core.arrays import Array
from fastnn.layers import CustomLayer
from fastnn.layers.custom import CustomOperation
from fastnn.losses import CustomLoss, HalfSquaredError, Loss, MeanSquaredError, custom, is_built_in
from fastnn.model import Model, TrainingMode
from fastnn.segments.calls import SegmentedCalls
from fastnn.segments.custom_part import CustomPart
from fastnn.segments.plan import Segment, SegmentedPlan

# a loss and its gradient, of outputs (n, n_out), targets, and weights (n,) or None
Evaluate = Callable[[Array, Any, Array | None], tuple[float, Array]]

KEYS = 2**64  # the number of keys of dropout masks


def with_loss(model: Model, loss: Loss | CustomLoss) -> tuple[Model, Evaluate]:
    """Return the model whose outputs a loss takes, and a function of them and the targets.

    The function returns the loss and its gradient. The model lacks a last Softmax if the loss
    contains it.
    """
    if not is_built_in(loss):
        return model, functools.partial(custom.value_and_grad, loss)
    plan, formula = loss.under(model.plan)
    if plan is not model.plan:
        model = dataclasses.replace(model, plan=plan)
    return model, functools.partial(loss.evaluate, formula=formula)


@dataclass(frozen=True)
class SegmentedModel(Model):
    """A model whose plan is a `SegmentedPlan`.

    Attributes
    ----------
    plan : SegmentedPlan
    params, grads, constants : ndarray
        As in `Model`.
    trouble : list of str, or None
        None outside fits: a custom layer that returns NaN or infinity raises ValueError. In a fit
        it means divergence, so the message is appended to this list.
    """

    plan: Any
    trouble: list[str] | None = None

    def __post_init__(self) -> None:
        ordered = [(self._part(own), own.params) for own in self.plan.segments]
        object.__setattr__(self, "_ordered", ordered)

    def _part(self, own: Segment) -> Model | CustomPart:
        params = self.params[own.params]
        if isinstance(own.plan, CustomOperation):
            return CustomPart(own.plan.layer, own.place, params, self.trouble)
        return Model(own.plan, params, self.grads[own.params], self.constants[own.constants])

    @property
    def parts_in_order(self) -> list[tuple[Any, slice]]:
        """The parts, each with the place of its parameters in the flat array."""
        ordered: list[tuple[Any, slice]] = vars(self)["_ordered"]
        return ordered

    @property
    def custom_layers(self) -> tuple[CustomLayer, ...]:
        """The layers written in Python."""
        return tuple(part.layer for part, _ in self.parts_in_order if isinstance(part, CustomPart))

    @cached_property
    def calls(self) -> Any:
        """The calls on few samples."""
        return SegmentedCalls(self)

    @property
    def handle(self) -> Any:
        """Raise TypeError: the engine cannot compute many of these networks at once."""
        raise TypeError(
            f"the network has {self._named()}, which is written in Python; networks of fastnn's "
            f"own layers are wanted"
        )

    @classmethod
    def compile(cls, operations: Sequence[Any], dtype: np.dtype[Any]) -> Self:
        """Return a model of these operations: parameters and gradients are 0, constants unset."""
        plan = SegmentedPlan(operations)
        params, grads = (_core.aligned_zeros((plan.n_params,), dtype) for _ in range(2))
        return cls(plan, params, grads, np.empty(plan.n_constants, dtype))

    def with_operations(self, operations: Sequence[Any]) -> Model:
        """Return a model of other operations on the same arrays."""
        return dataclasses.replace(self, plan=SegmentedPlan(operations))

    # ------------------------------------------------------------------ outputs

    def _outputs(self, x: Array, n_threads: int | None) -> tuple[Array, bool]:
        out: Array = np.empty((len(x), self.plan.n_out), x.dtype)
        if not _checks.all_finite(x):
            return out, False
        threads = _core.thread_count(n_threads)
        for rows in self.parts(len(x), 1):
            y = x[rows]
            for part, _ in self.parts_in_order:
                ready = part.calls.predict(y) if isinstance(part, Model) else None
                y = part.predict(y, threads) if ready is None else ready
            out[rows] = y
        return out, True

    def forward(
        self, x: Array, n_threads: int | None, training: TrainingMode | None = None
    ) -> tuple[Any, Array]:
        """Return what `backward` needs, and the outputs (n, n_out).

        Each part has its own dropout masks: the place of the part is added to the key.
        """
        threads = _core.thread_count(n_threads)
        kept = []
        for i, (part, _) in enumerate(self.parts_in_order):
            own = None if training is None else ((training[0] + i) % KEYS, *training[1:])
            activations, y = part.forward(x, threads, own)
            kept.append((x, activations))
            x = y
        return kept, x

    # ------------------------------------------------------------------ first derivatives

    def backward(
        self,
        x: Array,
        activations: Any,
        dy: Array,
        grads: Array,
        n_threads: int | None,
        training: bool = False,
    ) -> Array:
        """Overwrite `grads` (n_params,), and return the cotangent of the input (n, n_in)."""
        threads = _core.thread_count(n_threads)
        for (part, place), (before, own) in self._backwards(activations):
            dy = part.backward(before, own, dy, grads[place], threads, training)
        return dy

    def _backwards(self, kept: Any) -> Iterator[Any]:
        return zip(reversed(self.parts_in_order), reversed(kept), strict=True)

    def loss_and_grad(  # type: ignore[override]  # the checks refuse sparse rows
        self,
        x: Array,
        target: Any,
        weights: Array | None,
        loss: Loss | CustomLoss,
        n_threads: int | None,
        grads: Array | None = None,
    ) -> tuple[float, Array]:
        """Return the loss of a batch in evaluation mode, and its gradient (n_params,)."""
        grads = np.empty_like(self.params) if grads is None else grads
        threads = _core.thread_count(n_threads)
        model, evaluate = with_loss(self, loss)
        if len(list(self.parts(len(x), 6))) < 2:
            activations, outputs = model.forward(x, threads)
            value, dy = evaluate(outputs, target, weights)
            model.backward(x, activations, dy, grads, threads)
        else:  # the activations of all samples might not fit into memory
            value, dy = evaluate(model.predict(x, threads), target, weights)
            grads[...] = model.vjp(x, dy, True, threads)
        return value, grads

    def vjp(  # type: ignore[override]  # the checks refuse sparse rows
        self, x: Array, cotangent: Array, by_params: bool, n_threads: int | None
    ) -> Array:
        """Return Jᵀ c for a cotangent (n, n_out): (n, n_in), or (n_params,) summed over samples."""
        grads, own = np.zeros_like(self.params), np.empty_like(self.params)
        dx = np.empty_like(x)
        for rows in self.parts(len(x), 6):
            activations, _ = self.forward(x[rows], n_threads)
            dx[rows] = self.backward(x[rows], activations, cotangent[rows], own, n_threads)
            grads += own
        return grads if by_params else dx

    def jvp(self, x: Array, tangent: Array, by_params: bool, n_threads: int | None) -> Array:
        """Return J h of each sample, (n, n_out), for a tangent (n, n_in) or (n_params,)."""
        out: Array = np.zeros((len(x), self.plan.n_out), x.dtype)
        threads = _core.thread_count(n_threads)
        for rows in self.parts(len(x), 6):
            y, moved = x[rows], None if by_params else tangent[rows]
            for part, place in self.parts_in_order:
                before = moved
                moved = None if before is None else part.jvp(y, before, False, threads)
                if by_params and place.start < place.stop:
                    own = part.jvp(y, tangent[place], True, threads)
                    moved = own if moved is None else moved + own
                y = part.predict(y, threads)
            if moved is not None:
                out[rows] = moved
        return out

    def sample_vjp(self, x: Array, cotangent: Array, grads: Array, n_threads: int) -> None:
        """Overwrite `grads` (n, n_params) with each sample's cotangent times its Jacobian.

        A custom layer with parameters is called once for each sample.
        """
        kept, _ = self.forward(x, n_threads)
        summed = np.empty_like(self.params)
        for (part, place), (before, activations) in self._backwards(kept):
            if place.start < place.stop:
                own = np.empty((len(x), place.stop - place.start), x.dtype)
                part.sample_vjp(before, cotangent, own, n_threads)
                grads[:, place] = own
            cotangent = part.backward(before, activations, cotangent, summed[place], n_threads)

    def jacobian(
        self,
        x: Array,
        by_params: bool,
        n_threads: int | None,
        out: Array | None = None,
        outputs: Array | None = None,
    ) -> Array:
        """Return the Jacobian of each sample, (n, n_out, n_in) or (n, n_out, n_params).

        Each sample is repeated for each output. The Jacobian with respect to the input is computed
        in forward mode if the network has fewer inputs than outputs and all custom layers have
        `jvp`. Then each sample is repeated for each input.
        """
        n_in, n_out = self.plan.n_in, self.plan.n_out
        columns = self.params.size if by_params else n_in
        if out is None:
            out = np.empty((len(x), n_out, columns), x.dtype)
        threads = _core.thread_count(n_threads)
        forward = not by_params and n_in < n_out and self._has_jvp()
        unit = np.eye(n_in if forward else n_out, dtype=x.dtype)
        for part in self.parts(len(x), 6 * len(unit), max(256 // len(unit), 1)):
            rows = x[part]
            if outputs is not None:
                outputs[part] = self.predict(rows, threads)
            repeated, units = np.repeat(rows, len(unit), axis=0), np.tile(unit, (len(rows), 1))
            if by_params:
                flat = out[part].reshape(len(repeated), columns)
                self.sample_vjp(repeated, units, flat, threads)
            elif forward:
                transposed = self.jvp(repeated, units, False, threads)
                out[part] = transposed.reshape(len(rows), n_in, n_out).swapaxes(1, 2)
            else:
                out[part] = self.vjp(repeated, units, False, threads).reshape(-1, n_out, n_in)
        return out

    def _has_jvp(self) -> bool:
        return all(part.has_jvp for part, _ in self.parts_in_order if isinstance(part, CustomPart))

    # ------------------------------------------------------------------ second derivatives

    def gram(  # type: ignore[override]  # the checks refuse sparse rows
        self,
        x: Array,
        target: Any,
        weights: Array | None,
        loss: Loss,
        n_threads: int | None,
        out: Array | None = None,
        roots: Array | None = None,
    ) -> Array:
        """Return the Gauss-Newton matrix of a squared error, (n_params, n_params).

        With `roots` Q (n, k, n_out), it is Σ (QJ)ᵀ QJ.

        Raises
        ------
        TypeError
            If the loss is not a squared error.
        """
        if type(loss) not in (HalfSquaredError, MeanSquaredError):
            raise TypeError(
                f"loss is {loss!r}; with {self._named()}, the Gauss-Newton matrix is computed for "
                f"HalfSquaredError or MeanSquaredError only"
            )
        factor = 1.0 if type(loss) is HalfSquaredError else 2 / self.plan.n_out
        factor /= loss.divisor(len(x), weights, target)
        counts: Array | None = None  # the factor of each element
        if loss.ignore_nan:
            counts = loss.element_weights(target)
        elif loss.output_weight is not None:
            counts = np.broadcast_to(loss.factors_of_outputs(), (len(x), self.plan.n_out))
        matrix = np.empty((self.params.size,) * 2, x.dtype) if out is None else out
        matrix[...] = 0
        for part in self.parts(len(x), 6 * self.plan.n_out, max(256 // self.plan.n_out, 1)):
            jacobian = self.jacobian(x[part], True, n_threads)
            if weights is not None:
                jacobian *= np.sqrt(weights[part])[:, np.newaxis, np.newaxis]
            if counts is not None:
                jacobian *= np.sqrt(counts[part])[:, :, np.newaxis]
            if roots is not None:
                jacobian = roots[part] @ jacobian
            flat = jacobian.reshape(-1, self.params.size)
            matrix += flat.T @ flat
        matrix *= factor
        return matrix

    def hessian_map(
        self, x: Array, target: Any, weights: Array | None, loss: Loss, n_threads: int | None
    ) -> Callable[[Array], Array]:
        """Raise TypeError: the second derivatives of a custom layer are not known."""
        raise TypeError(
            f"the network has {self._named()}, whose second derivatives are not known; jacobian, "
            f"vjp and loss_and_grad are available"
        )

    def _named(self) -> str:
        part = next(part for part, _ in self.parts_in_order if isinstance(part, CustomPart))
        return f"the custom layer layers[{part.place}], {part.layer!r}"
