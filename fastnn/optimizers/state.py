"""The state of an optimizer: arrays that each update changes, and counts of updates."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn._core.arrays import Array
from fastnn.optimizers.groups import Factors

# The parameters that are trained, as runs of neighbours (n_segments,): the first index, the number
# of parameters, how many updates they missed because they were frozen, and the factors of their
# learning rate and weight decay. The engine has a struct of this layout.
Segments = NDArray[np.void]
SEGMENT = np.dtype(
    [
        ("first", np.int64),
        ("size", np.int64),
        ("missed", np.int64),
        ("rate_factor", np.float64),
        ("decay_factor", np.float64),
    ]
)


class StateView(NamedTuple):
    """The state of an optimizer, for reading.

    Attributes
    ----------
    kind : str
        The optimizer's kind, such as "sgd" or "adam"; "" before the first fit.
    step : int
        Number of updates so far.
    arrays : dict of str to ndarray (n_params,)
        Read-only views by PyTorch's names, such as "exp_avg". Entries are in the order of
        `net.params`.
    """

    kind: str
    step: int
    arrays: dict[str, Array]


@dataclass
class OptimizerState:
    """The state of an optimizer: arrays that each update changes, and counts of updates.

    Attributes
    ----------
    kind : str
        The kind of the optimizer; "" before the first fit.
    names : tuple of str
        The names of the arrays, as in PyTorch.
    arrays : ndarray (n_states, n_params)
    step : int
        Number of updates so far.
    parts : list of (int, bool)
        For each layer with parameters, their number and whether they are trained.
    missed : list of int
        For each of these layers, the number of updates in which it was frozen.
    factors : list of list of (int, float, float)
        For each of these layers, runs of parameters: their number, and the factors of the learning
        rate and the weight decay. Empty if all factors are 1.
    schedule : str
        The schedule of the last single step; "" after a fit.
    schedule_step : int
        The number of single steps since that schedule began.
    """

    kind: str = ""
    names: tuple[str, ...] = ()
    arrays: Array = field(default_factory=lambda: np.empty((0, 0)))
    step: int = 0
    parts: list[tuple[int, bool]] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    schedule: str = ""
    schedule_step: int = 0
    factors: Factors = ()

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.arrays = np.require(self.arrays, requirements="W")  # joblib may map a read-only file

    def continued_for(
        self,
        optimizer: Any,
        parts: list[tuple[int, bool]],
        dtype: np.dtype[Any],
        factors: Factors = (),
    ) -> "OptimizerState":
        """Return this state, or a new one for `parts` if the optimizer is another kind."""
        kind, names = optimizer.kind, optimizer.state_names
        if (self.kind, self.names) == (kind, names) and len(self.parts) == len(parts):
            self.parts, self.factors = parts, factors
            return self
        n_params = sum(size for size, _ in parts)
        zeros = _core.aligned_zeros((len(names), n_params), dtype)
        missed = [0] * len(parts)
        return OptimizerState(kind, names, zeros, 0, parts, missed, factors=factors)

    def segments(self) -> Segments:
        """Return the trained parameters; equal neighbours form one segment."""
        segments: list[list[Any]] = []
        first, end = 0, -1  # the start of a run, and the end of the last segment
        factors = self.factors or [[(size, 1.0, 1.0)] for size, _ in self.parts]
        for (_, trained), missed, runs in zip(self.parts, self.missed, factors, strict=True):
            for size, *own in runs:
                if trained and end == first and segments[-1][2:] == [missed, *own]:
                    segments[-1][1] += size
                elif trained:
                    segments.append([first, size, missed, *own])
                first += size
                end = first if trained else end
        return np.array([tuple(segment) for segment in segments], SEGMENT)

    def advance(self, step: int) -> None:
        """Count the updates up to `step`; frozen parts have missed them."""
        missed = [
            count + (0 if trained else step - self.step)
            for count, (_, trained) in zip(self.missed, self.parts, strict=True)
        ]
        self.missed, self.step = missed, step  # one statement: Ctrl-C cannot separate them
        self.schedule, self.schedule_step = "", 0

    def forget(self) -> None:
        """Reset the state to its values before the first update."""
        self.arrays[...] = 0
        self.step = 0
        self.missed = [0] * len(self.parts)
        self.schedule, self.schedule_step = "", 0

    def view(self) -> StateView:
        """Return the state for reading."""
        views = dict(zip(self.names, self.arrays.view(), strict=True))
        for array in views.values():
            array.flags.writeable = False
        return StateView(self.kind, self.step, views)

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "kind": self.kind,
            "names": list(self.names),
            "step": self.step,
            "missed": list(self.missed),
            "arrays": self.arrays,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` of the same optimizer returned; it must be valid."""
        self.step, self.missed = state["step"], list(state["missed"])
        self.arrays[...] = state["arrays"]
