"""Checkpoints: a fit in progress in a file, from which a later fit continues bit for bit.

The file is a model file, so `load` reads the network from it. Its description has a further entry
"fit", and it has further arrays whose names begin with "fit.". They hold the identity of the fit,
which must be the same when the fit is resumed, and the state of each part. A part has `state`,
which returns arrays and values that JSON can hold, and `restore`, which restores them. The parts
are the trainer, the optimizer, the fit loop, the learning rates and the callbacks.
"""

import contextlib
import copy
import errno
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.files import model_file
from fastnn.files.atomic_file import check_destination
from fastnn.files.model_file import ModelFileError
from fastnn.layers import Layer
from fastnn.layers.custom_classes import classes_by_name
from fastnn.training.checkpoint_schema import Facts, demand

State = dict[str, Any]

KEY = "fit"
OWN = ("optimizer", "trainer", "course")  # parts whose `restore` is never a user's code
INVALID = (KeyError, TypeError, ValueError, AttributeError, OverflowError)  # of invalid values


class Part(Protocol):
    """What a checkpoint saves and restores."""

    def state(self) -> State:
        """Return arrays and values that JSON can hold, by their names."""
        ...

    def restore(self, state: State) -> None:
        """Restore what `state` returned."""
        ...


Parts = Mapping[str, Part]


def without_fit(description: State, arrays: Mapping[str, Array]) -> tuple[State, State]:
    """Return the contents of a checkpoint without the fit, as in a plain model file."""
    description = {name: value for name, value in description.items() if name != KEY}
    return description, {n: a for n, a in arrays.items() if not n.startswith(f"{KEY}.")}


@dataclass(frozen=True)
class CheckpointFile:
    """A file for checkpoints, and what it holds already.

    Attributes
    ----------
    path : str
    epochs : int or None
        Write each time that this many epochs are complete.
    seconds : float or None
        Write when this much time has passed since the last checkpoint.
    saved : (dict, dict) or None
        The description and the arrays of the fit to resume; None to start afresh.
    """

    path: str
    epochs: int | None
    seconds: float | None
    saved: tuple[State, dict[str, Array]] | None

    @classmethod
    def from_arguments(cls, path: Any, every: Any, resume: Any) -> "CheckpointFile | None":
        """Check the arguments of `fit` and read the file to resume; return None without a path.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid.
        OSError
            If the file cannot be read or written.
        ModelFileError
            If the file is truncated, damaged, or no checkpoint.
        """
        epochs, seconds = _checks.epochs_or_time(every, "checkpoint_every")
        resume = _checks.boolean(resume, "resume")
        if path is None:
            if resume:
                raise ValueError("resume is True and checkpoint None; the path of a file is wanted")
            return None
        text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
        if not isinstance(text, str):
            raise TypeError(f"checkpoint is {path!r}; the path of a file is wanted")
        if not text or "\0" in text:
            raise ValueError(f"checkpoint is {path!r}; the path of a file is wanted")
        if os.path.isdir(text):
            message = "checkpoint is a folder; the path of a file is wanted"
            raise IsADirectoryError(errno.EISDIR, message, text)
        check_destination(path)
        return cls(text, epochs, seconds, _read(text) if resume else None)

    def seed(self, given: int | None) -> int | None:
        """Return the given seed, or else the seed of the fit in the file."""
        if given is None and self.saved is not None:
            identity = self.saved[0][KEY].get("settings")
            found = identity.get("seed") if isinstance(identity, dict) else None
            if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
                return found
        return given


def _read(path: str) -> tuple[State, dict[str, Array]] | None:
    """Return the contents of a checkpoint, or None if there is no file."""
    if not os.path.exists(path):
        return None
    description, arrays = model_file.read(path)
    if not isinstance(description.get(KEY), dict):
        raise ModelFileError(f"{path}: a model, but not a checkpoint of a fit")
    return description, arrays


class Checkpoints:
    """Writes the checkpoints of one fit, and restores the fit that the file holds.

    Parameters
    ----------
    file : CheckpointFile
    identity : dict
        What must be equal in the fit that the file holds; JSON can hold it.
    epochs : int
        The epochs of this fit.

    Raises
    ------
    ValueError
        If the identity of the fit in the file differs, with the name of the first difference, or if
        that fit has trained more epochs already.
    """

    def __init__(self, file: CheckpointFile, identity: State, epochs: int) -> None:
        self._path, self._epochs, self._seconds = file.path, file.epochs, file.seconds
        self._saved = file.saved
        self._identity = json.loads(json.dumps(identity))
        self._last_time = time.monotonic()
        if self._saved is not None:
            self._demand_same_identity(self._saved[0][KEY].get("settings"))
            self._demand_enough_epochs(self._saved[0][KEY], epochs)

    def saved_layers(self, net: Any) -> Sequence[Layer] | None:
        """Return the layers in the file, or None without a fit to resume.

        None if the file is invalid too, which `restore` reports.
        """
        if self._saved is None:
            return None
        try:
            saved = type(net)._from_description(
                *without_fit(*self._saved), classes_by_name(net.layers)
            )
        except INVALID:
            return None
        layers: Sequence[Layer] = saved.layers
        return layers

    def _demand_same_identity(self, saved: Any) -> None:
        for name, value in self._identity.items():
            found = saved.get(name) if isinstance(saved, dict) else None
            if found != value:
                raise ValueError(
                    f"{self._path}: this checkpoint is of a fit with another {name}: {found!r} "
                    f"there, {value!r} here; give resume=False, or another path, to start afresh"
                )

    def _demand_enough_epochs(self, saved: Any, epochs: int) -> None:
        try:
            trainer = saved["parts"]["trainer"]
            done, within = int(trainer.get("epoch", 0)), bool(trainer.get("position", 0))
        except INVALID:
            return  # `restore` reports it
        if epochs < done + within:
            raise ValueError(
                f"epochs is {epochs}, and {self._path} is of a fit that has trained {done}"
                f"{' and a part' if within else ''} already; {done + within} or more are wanted"
            )

    def restore(self, net: Any, parts: Parts, facts: Facts) -> bool:
        """Restore the network and all parts, and return whether there was a fit to resume.

        The entire file is checked before anything changes. After that only a user's own callback or
        schedule can raise.

        Raises
        ------
        ModelFileError
            If the file's contents are invalid. Then the network and the optimizer are unchanged.
            The state of each callback from before the call is restored by its `restore`.
        """
        if self._saved is None:
            return False
        description, arrays = self._saved
        self._saved = None
        try:
            classes = classes_by_name(net.layers)
            saved = type(net)._from_description(*without_fit(description, arrays), classes)
            if saved._describe()[0]["layers"] != net._describe()[0]["layers"]:
                raise ValueError("the network has other layers")
            if saved.dtype != net.dtype:
                raise ValueError(f"the network is of {saved.dtype}")
            states = _states(description[KEY]["parts"], arrays)
            demand(facts, saved._model, arrays.get(f"{KEY}.grads"), states)
            _restore_all_or_none({n: p for n, p in parts.items() if n not in OWN}, states)
        except INVALID as error:
            raise ModelFileError(f"{self._path}: not a valid checkpoint: {error!r}") from error
        net._model.restore((saved._model.params, saved._model.constants))
        net._model.grads[...] = arrays[f"{KEY}.grads"]
        for name in OWN:
            parts[name].restore(states[name])
        return True

    def next_stop(self, epoch: int, last: int) -> int:
        """Return the epoch until which training needs no stop for a checkpoint, at most `last`."""
        if self._epochs is None:
            return last
        return min(last, (epoch // self._epochs + 1) * self._epochs)

    def due(self, epoch: int | None) -> bool:
        """Whether it is time to write; `epoch` counts complete epochs, or is None within one."""
        if self._seconds is not None:
            return time.monotonic() - self._last_time >= self._seconds
        return epoch is not None and epoch % (self._epochs or 1) == 0

    def write(self, net: Any, parts: Parts) -> None:
        """Replace the file with the present state in one step.

        Raises
        ------
        TypeError
            If the state of a callback is neither arrays nor values that JSON can hold.
        OSError
            If the file cannot be written. The last checkpoint is kept.
        """
        description, arrays = net._describe()
        arrays[f"{KEY}.grads"] = net._model.grads
        values = {}
        for name, part in parts.items():
            state = part.state()
            values[name] = {k: v for k, v in state.items() if not isinstance(v, np.ndarray)}
            _demand_json(values[name], name)
            for key, value in state.items():
                if isinstance(value, np.ndarray):
                    arrays[f"{KEY}.{name}.{key}"] = value
        description[KEY] = {"settings": self._identity, "parts": values}
        model_file.write(self._path, description, arrays)
        self._last_time = time.monotonic()


def _restore_all_or_none(parts: Parts, states: dict[str, State]) -> None:
    """Restore the parts; if one raises, restore the earlier state of each."""
    before = {name: copy.deepcopy(part.state()) for name, part in parts.items()}
    changed = []
    try:
        for name, part in parts.items():
            changed.append(name)
            part.restore(states[name])
    except BaseException:
        for name in changed:
            with contextlib.suppress(Exception):
                parts[name].restore(before[name])
        raise


def _states(parts: Any, arrays: Mapping[str, Array]) -> dict[str, State]:
    """Return the state of each part, its plain values and its arrays."""
    if not isinstance(parts, dict) or not all(isinstance(state, dict) for state in parts.values()):
        raise TypeError("parts are not objects")
    states = {name: dict(state) for name, state in parts.items()}
    by_length = sorted(states, key=len, reverse=True)  # "callbacks.10" before "callbacks.1"
    for name, array in arrays.items():
        if name.startswith(f"{KEY}.") and name != f"{KEY}.grads":
            rest = name.removeprefix(f"{KEY}.")
            part = next((part for part in by_length if rest.startswith(f"{part}.")), None)
            if part is None:
                raise ValueError(f"no part holds the array {name!r}")
            states[part][rest.removeprefix(f"{part}.")] = array
    return states


def _demand_json(state: State, name: str) -> None:
    try:
        same = json.loads(json.dumps(state))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name}.state(): {error}; arrays, or values that JSON can hold, are wanted"
        ) from None
    if same.keys() != state.keys():
        raise TypeError(f"{name}.state() has keys {list(state)}; strings are wanted")
