"""What an optimizer remembers from one step to the next."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn import _core

Array = NDArray[Any]

# Runs of parameters that are trained, (n_segments, 3): the first, how many, updates missed before.
Segments = NDArray[np.int64]


class StateView(NamedTuple):
    """What an optimizer remembers, to look at.

    Attributes
    ----------
    kind : str
        "sgd", "adam", "adamw" or "rmsprop"; "" before the first `fit`.
    step : int
        Updates so far.
    arrays : dict of str to ndarray (n_params,)
        By PyTorch's names, such as "exp_avg", each in the order of `net.params`; views that cannot
        be written to.
    """

    kind: str
    step: int
    arrays: dict[str, Array]


@dataclass
class OptimizerState:
    """What an optimizer remembers from one step to the next.

    Attributes
    ----------
    kind : str
        Of the optimizer that it belongs to; "" before the first.
    names : tuple of str
        What the arrays are.
    arrays : ndarray (n_states, n_params)
    step : int
        Updates so far.
    parts : list of (int, bool)
        The number of parameters of each layer that has some, and whether they are trained.
    missed : list of int
        For each of these layers, in how many of the updates it was frozen.
    """

    kind: str = ""
    names: tuple[str, ...] = ()
    arrays: Array = field(default_factory=lambda: np.empty((0, 0)))
    step: int = 0
    parts: list[tuple[int, bool]] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.arrays = np.require(self.arrays, requirements="W")  # joblib may map a file to read

    def continued_for(
        self, optimizer: Any, parts: list[tuple[int, bool]], dtype: np.dtype[Any]
    ) -> "OptimizerState":
        """Return this state if it is such an optimizer's, or a fresh one, to train the `parts`."""
        kind, names = optimizer.kind, optimizer.state_names
        if (self.kind, self.names) == (kind, names) and len(self.parts) == len(parts):
            self.parts = parts
            return self
        n_params = sum(size for size, _ in parts)
        zeros = _core.aligned_zeros((len(names), n_params), dtype)
        return OptimizerState(kind, names, zeros, 0, parts, [0] * len(parts))

    def segments(self) -> Segments:
        """Return what is trained, neighbours as one where their running means are of one age."""
        segments: list[list[int]] = []
        first, end = 0, -1  # of a part, and of the last segment
        for (size, trained), missed in zip(self.parts, self.missed, strict=True):
            if trained and end == first and segments[-1][2] == missed:
                segments[-1][1] += size
            elif trained:
                segments.append([first, size, missed])
            first += size
            end = first if trained else end
        return np.array(segments, np.int64).reshape(-1, 3)

    def advance(self, step: int) -> None:
        """Count the updates up to `step`, for all parts or against those that are frozen."""
        missed = [
            count + (0 if trained else step - self.step)
            for count, (_, trained) in zip(self.missed, self.parts, strict=True)
        ]
        self.missed, self.step = missed, step  # together, since Ctrl-C may fall in between

    def forget(self) -> None:
        """Start afresh, as at the first step."""
        self.arrays[...] = 0
        self.step = 0
        self.missed = [0] * len(self.parts)

    def view(self) -> StateView:
        """Return what there is to look at."""
        views = dict(zip(self.names, self.arrays.view(), strict=True))
        for array in views.values():
            array.flags.writeable = False
        return StateView(self.kind, self.step, views)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of it."""
        return {
            "kind": self.kind,
            "names": list(self.names),
            "step": self.step,
            "missed": list(self.missed),
            "arrays": self.arrays,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` of the same optimizer returned; it is checked already."""
        self.step, self.missed = state["step"], list(state["missed"])
        self.arrays[...] = state["arrays"]
