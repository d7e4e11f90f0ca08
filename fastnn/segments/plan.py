"""The plan of a network with layers written in Python: segments of operations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastnn import _core
from fastnn.layers.custom import CustomOperation

if TYPE_CHECKING:
    from fastnn._core import engine


def plan_of(operations: Sequence[Any]) -> "engine.Plan":
    """Return the engine's plan of compiled operations."""
    return _core.engine.Plan(list(operations))


@dataclass(frozen=True)
class Segment:
    """A part of a plan: compiled operations, or a custom layer.

    Attributes
    ----------
    plan : Plan or CustomOperation
    place : int
        The place of its first layer in the network.
    n_in, n_out : int
    params, constants : slice
        Its places in the flat arrays of the network.
    """

    plan: Any
    place: int
    n_in: int
    n_out: int
    params: slice
    constants: slice


class SegmentedPlan:
    """The plan of a network with custom layers; it has the attributes of the engine's `Plan`."""

    def __init__(self, operations: Sequence[Any]) -> None:
        self.segments: list[Segment] = []
        self.n_params = self.n_constants = self.row_width = 0
        self.has_dropout = self.has_batch_norm = False
        waiting: list[Any] = []
        for place, operation in enumerate(operations):
            if isinstance(operation, CustomOperation):
                self._add_compiled(waiting, place)
                waiting = []
                self._add(operation, place, *operation[1:3], operation.layer.n_params, 0)
                self.row_width += operation.out_features
            else:
                waiting.append(operation)
        self._add_compiled(waiting, len(operations))
        self.n_in, self.n_out = self.segments[0].n_in, self.segments[-1].n_out
        self.max_width = max(max(part.n_in, part.n_out) for part in self.segments)
        self.logits: SegmentedPlan | None = None
        if operations[-1][0] == "softmax":
            self.logits = SegmentedPlan(operations[:-1])

    def _add_compiled(self, operations: list[Any], end: int) -> None:
        if operations:
            plan = plan_of(operations)
            place = end - len(operations)
            self._add(plan, place, plan.n_in, plan.n_out, plan.n_params, plan.n_constants)
            self.row_width += plan.row_width
            self.has_dropout |= plan.has_dropout
            self.has_batch_norm |= plan.has_batch_norm

    def _add(
        self, plan: Any, place: int, n_in: int, n_out: int, n_params: int, n_constants: int
    ) -> None:
        params = slice(self.n_params, self.n_params + n_params)
        constants = slice(self.n_constants, self.n_constants + n_constants)
        self.segments.append(Segment(plan, place, n_in, n_out, params, constants))
        self.n_params, self.n_constants = params.stop, constants.stop
