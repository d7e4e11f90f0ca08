"""Checkpoints: a fit under way in a file, from which a later one goes on bit for bit.

The file is a model file, which `load` reads as one, with a further entry "fit" in its description
and arrays under "fit.": the settings that must be the same again, and the state of each part of the
fit. A part is anything with `state() -> dict` of arrays and of what JSON holds, and `restore` that
takes the same back: the trainer (place within the epoch, its order), the optimizer, the callbacks.
"""

import contextlib
import copy
import errno
import json
import os
import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks
from fastnn.files import model_file
from fastnn.files.atomic_file import check_destination
from fastnn.files.model_file import ModelFileError
from fastnn.training.checkpoint_schema import Facts, demand

Array = NDArray[Any]
State = dict[str, Any]

KEY = "fit"
OWN = ("optimizer", "trainer", "course")  # parts that no user's code can restore
INVALID = (KeyError, TypeError, ValueError, AttributeError, OverflowError)  # of a file's values


class Part(Protocol):
    """What a checkpoint keeps and gives back."""

    def state(self) -> State:
        """Return arrays, and what JSON holds, by names."""
        ...

    def restore(self, state: State) -> None:
        """Take back what `state` returned."""
        ...


def without_fit(description: State, arrays: Mapping[str, Array]) -> tuple[State, State]:
    """Return what a checkpoint holds as a plain model file."""
    description = {name: value for name, value in description.items() if name != KEY}
    return description, {n: a for n, a in arrays.items() if not n.startswith(f"{KEY}.")}


class Checkpoints:
    """The checkpoint file of one fit: when it is written, and what is in it.

    Parameters
    ----------
    path : str or PathLike
    epochs : int or None
        Write after each so many epochs.
    seconds : float or None
        Write when so much time has passed.
    """

    def __init__(
        self, path: "str | os.PathLike[str]", epochs: int | None, seconds: float | None
    ) -> None:
        self.path, self.epochs, self.seconds = os.fspath(path), epochs, seconds
        self.settings: State = {}
        self.parts: dict[str, Part] = {}
        self._saved: tuple[State, dict[str, Array]] | None = None
        self._last = time.monotonic()

    @classmethod
    def at(cls, path: Any, every: Any, resume: Any) -> "Checkpoints | None":
        """Check these arguments of `fit`; without a path there are no checkpoints.

        Raises
        ------
        ValueError, TypeError, OSError, ModelFileError
            If one is not what it should be, or the file cannot be written or gone on from.
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
        checkpoints = cls(path, epochs, seconds)
        if resume:
            checkpoints.read()
        return checkpoints

    # ------------------------------------------------------------------ reading

    def read(self) -> None:
        """Read the file if there is one.

        Raises
        ------
        ModelFileError
            If it is truncated, foreign, or no checkpoint.
        """
        if not os.path.exists(self.path):
            return
        description, arrays = model_file.read(self.path)
        if not isinstance(description.get(KEY), dict):
            raise ModelFileError(f"{self.path}: a model, but not a checkpoint of a fit")
        self._saved = description, arrays

    @property
    def resumes(self) -> bool:
        """Whether there is a file to go on from."""
        return self._saved is not None

    def seed(self, given: int | None) -> int | None:
        """Return the seed that the file was written with, if no other is given."""
        if given is None and self._saved is not None:
            settings = self._saved[0][KEY].get("settings")
            found = settings.get("seed") if isinstance(settings, dict) else None
            if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
                return found
        return given

    def demand_settings(self, settings: State) -> None:
        """Keep the settings of this fit, which must be those of the file.

        Raises
        ------
        ValueError
            If one differs; it is named.
        """
        self.settings = json.loads(json.dumps(settings))
        if self._saved is None:
            return
        saved = self._saved[0][KEY].get("settings")
        for name, value in self.settings.items():
            found = saved.get(name) if isinstance(saved, dict) else None
            if found != value:
                raise ValueError(
                    f"{self.path}: this checkpoint is of a fit with another {name}: {found!r} "
                    f"there, {value!r} here; give resume=False, or another path, to start afresh"
                )

    def demand_epochs(self, epochs: int) -> None:
        """See that so many are not less than the file's fit has trained.

        Raises
        ------
        ValueError
            If they are.
        """
        try:
            trainer = self._saved[0][KEY]["parts"]["trainer"] if self._saved else {}
            done, within = int(trainer.get("epoch", 0)), bool(trainer.get("position", 0))
        except INVALID:
            return  # `restore` will say so
        if epochs < done + within:
            raise ValueError(
                f"epochs is {epochs}, and {self.path} is of a fit that has trained {done}"
                f"{' and a part' if within else ''} already; {done + within} or more are wanted"
            )

    def restore(self, net: Any, facts: Facts) -> bool:
        """Bring the network and all parts to where they were; return whether there was a file.

        All that the file says is checked before anything changes. Then only what a user wrote, a
        callback or a schedule, can refuse it.

        Raises
        ------
        ModelFileError
            If the file does not hold what it should; network, optimizer and callbacks stay as they
            were, where a callback's `restore` can bring back its `state`.
        """
        if self._saved is None:
            return False
        description, arrays = self._saved
        self._saved = None
        try:
            saved = type(net)._from_description(*without_fit(description, arrays))
            if saved._describe()[0]["layers"] != net._describe()[0]["layers"]:
                raise ValueError("the network has other layers")
            if saved.dtype != net.dtype:
                raise ValueError(f"the network is of {saved.dtype}")
            states = _states(description[KEY]["parts"], arrays)
            demand(facts, saved._model, arrays.get(f"{KEY}.grads"), states)
            self._restore_users_own(states)
        except INVALID as error:
            raise ModelFileError(f"{self.path}: not a valid checkpoint: {error!r}") from error
        net._model.params[...], net._model.constants[...] = saved._model.params, facts.constants
        net._model.grads[...] = arrays[f"{KEY}.grads"]
        for name in OWN:
            self.parts[name].restore(states[name])
        return True

    def _restore_users_own(self, states: dict[str, State]) -> None:
        """Restore callbacks and what a schedule remembers, all or none."""
        own = {name: part for name, part in self.parts.items() if name not in OWN}
        before = {name: copy.deepcopy(part.state()) for name, part in own.items()}
        changed = []
        try:
            for name, part in own.items():
                changed.append(name)
                part.restore(states[name])
        except BaseException:
            for name in changed:
                with contextlib.suppress(Exception):
                    own[name].restore(before[name])
            raise

    # ------------------------------------------------------------------ writing

    def until(self, epoch: int, last: int) -> int:
        """Return the epoch that training may go on to without a stop for a checkpoint."""
        if self.epochs is None:
            return last
        return min(last, (epoch // self.epochs + 1) * self.epochs)

    def due(self, epoch: int | None) -> bool:
        """Whether it is time to write; `epoch` is None within one, else the number complete."""
        if self.seconds is not None:
            return time.monotonic() - self._last >= self.seconds
        return epoch is not None and epoch % (self.epochs or 1) == 0

    def write(self, net: Any) -> None:
        """Write the file, at once or not at all.

        Raises
        ------
        TypeError
            If a callback's state is not JSON or arrays.
        OSError
            If it cannot be written; the last checkpoint stays.
        """
        description, arrays = net._describe()
        arrays[f"{KEY}.grads"] = net._model.grads
        parts = {}
        for name, part in self.parts.items():
            state = part.state()
            parts[name] = {k: v for k, v in state.items() if not isinstance(v, np.ndarray)}
            _demand_json(parts[name], name)
            for key, value in state.items():
                if isinstance(value, np.ndarray):
                    arrays[f"{KEY}.{name}.{key}"] = value
        description[KEY] = {"settings": self.settings, "parts": parts}
        model_file.write(self.path, description, arrays)
        self._last = time.monotonic()


def digest(array: Array | None) -> str | None:
    """Return a hash of an array's bits, to tell it from another; None for one of objects."""
    import hashlib  # loads OpenSSL, which would be a tenth of the time of `import fastnn`

    if array is None or array.dtype.hasobject:
        return None
    return hashlib.sha256(np.ascontiguousarray(array).view(np.uint8).data).hexdigest()


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
        raise TypeError(f"{name}.state(): {error}; arrays and what JSON holds are wanted") from None
    if same.keys() != state.keys():
        raise TypeError(f"{name}.state() has keys {list(state)}; texts are wanted")


def describe(thing: Any) -> str:
    """Return a text for a loss, metric or callback: what it is with its numbers, if it says so."""
    if type(thing).__module__.partition(".")[0] == "fastnn" and hasattr(
        type(thing), "__dataclass_fields__"
    ):
        return repr(thing)
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"
