"""Many networks trained at once, a thread each: ensembles, folds, bootstrap samples, seeds.

`fit` runs without the interpreter's lock, so Python's threads are all that it takes.
"""

import copy
import os
import queue
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks
from fastnn._core.background import Crew
from fastnn.network import Network
from fastnn.training import History

BY_ROW = {"sample_weight"}  # arguments of `fit` that have an entry for each row of X


def fit_many(
    networks: Sequence[Network],
    X: Any,
    y: Any,
    *,
    optimizer: Any = None,
    seed: Any = None,
    rows: Sequence[Any] | None = None,
    callbacks: Sequence[Any] = (),
    checkpoint: Any = None,
    n_threads: int | None = None,
    **arguments: Any,
) -> list[History]:
    """Train several networks at once, each as `network.fit` alone would: to the same bits.

    Parameters
    ----------
    networks : sequence of Network
        Each once. They may differ in layers and dtype.
    X, y : array_like
        Data for all of them, as `fit` takes.
    optimizer : optimizer or sequence of optimizers, optional
        One for all, or one for each network; by default `fit`'s.
    seed : int or sequence of int, optional
        Of the epochs' orders, one for all or one for each network.
    rows : sequence of array_like of int or bool, optional
        For each network the rows of X, y and `sample_weight` that it trains on: the training part
        of a fold, or a bootstrap sample (rows may repeat). By default all.
    callbacks : sequence of Callback, or sequence of such sequences, optional
        Of each network a copy, or one's own for each network.
    checkpoint : sequence of str or PathLike, optional
        A file for each network.
    n_threads : int, optional
        Of all networks together, by default one a processor; as many networks train at a time.
    **arguments
        Of `Network.fit`, for all networks. No progress is shown.

    Returns
    -------
    list of History

    Raises
    ------
    Exception
        What `fit` raised for one network, with a note that says for which; if for several, that of
        the first of them. Networks that had begun are trained to their end by then, and the others
        are as they were.
    ValueError, TypeError
        If an argument does not fit; then nothing has been trained.

    Notes
    -----
    Ctrl-C stops all networks within a fraction of a second, each between two updates; a callback or
    a loss of your own is waited for. If the system lets no thread start, the networks are trained
    one after the other, with a RuntimeWarning.
    """
    networks = _distinct(networks)
    many = len(networks)
    if many > 1 and isinstance(X, Iterator):
        raise ValueError(
            f"X is {X!r}, of whose batches {many} networks would each get some; an object whose "
            f"iter() starts anew is wanted, such as a list of batches or a class with __iter__"
        )
    optimizers = _for_each(optimizer, "optimizer", many)
    seeds = _for_each(seed, "seed", many)
    callback_lists = _callbacks(callbacks, many)
    checkpoints = _checkpoints(checkpoint, many)
    parts: list[NDArray[np.int64]] | None = None
    if rows is not None:
        X_array = _checks.numeric_array(X, "X")
        n = len(X_array)
        for network in networks:
            network._inputs.demand_names(X)
        parts = _index_arrays(rows, many, n)
        _demand_rows(y, "y", n)
        for name in BY_ROW.intersection(arguments):
            if arguments[name] is not None:
                _demand_rows(arguments[name], name, n)
    threads = _checks.thread_count(n_threads)
    at_once = max(1, min(threads, many))
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for i in range(many):
        waiting.put(i)
    histories: dict[int, History] = {}
    errors: dict[int, BaseException] = {}

    def work() -> None:
        while not (errors or waiting.empty()):
            try:
                i = waiting.get_nowait()
            except queue.Empty:  # another thread was faster
                return
            try:
                histories[i] = networks[i].fit(*data_of(i), **arguments_of(i))
                networks[i]._inputs.keep_names(X)  # where its rows were taken out of a frame
            except BaseException as error:
                error.add_note(f"raised while networks[{i}] was trained")
                errors[i] = error

    def data_of(i: int) -> tuple[Any, Any]:
        return (X, y) if parts is None else (X_array[parts[i]], _entries(y, parts[i]))

    def arguments_of(i: int) -> dict[str, Any]:
        given = dict(
            arguments,
            seed=seeds[i],
            callbacks=callback_lists[i],
            checkpoint=checkpoints[i],
            n_threads=threads // at_once,
            progress=False,
        )
        if optimizers[i] is not None:
            given["optimizer"] = optimizers[i]
        if parts is not None:
            for name in BY_ROW.intersection(given):
                given[name] = None if given[name] is None else _entries(given[name], parts[i])
        return given

    Crew(work, at_once).run()
    if errors:
        raise errors[min(errors)]
    return [histories[i] for i in range(many)]


def _distinct(networks: Any) -> list[Network]:
    if not isinstance(networks, Sequence):
        raise TypeError(f"networks is a {type(networks).__name__}; a list of networks is wanted")
    for i, network in enumerate(networks):
        if not isinstance(network, Network):
            raise TypeError(f"networks[{i}] is a {type(network).__name__}; a Network is wanted")
        for j in range(i):
            if networks[j] is network:
                raise ValueError(f"networks[{i}] is networks[{j}]; each can be trained once")
    return list(networks)


def _for_each(value: Any, name: str, many: int) -> list[Any]:
    """Return a list of that many: of one value, or those of a sequence."""
    if not isinstance(value, list | tuple | range | np.ndarray):
        return [value] * many
    if len(value) != many:
        raise ValueError(
            f"{name} has {len(value)} entries; one for all, or one for each of {many} networks, is "
            f"wanted"
        )
    return list(value)


def _callbacks(value: Any, many: int) -> list[Any]:
    """Return a sequence of callbacks for each network, which share none."""
    if not isinstance(value, list | tuple):
        raise TypeError(f"callbacks is {value!r}; a list is wanted")
    if value and all(isinstance(own, list | tuple) for own in value):
        lists = _for_each(value, "callbacks", many)
        callbacks = [callback for own in lists for callback in own]
        if len({id(callback) for callback in callbacks}) < len(callbacks):
            raise ValueError("callbacks has one object twice; each network's own are wanted")
        return lists
    return [copy.deepcopy(value) for _ in range(many)]


def _checkpoints(value: Any, many: int) -> list[Any]:
    """Return a path for each network, all different, or None for each."""
    if value is None:
        return [None] * many
    if not isinstance(value, list | tuple):
        raise TypeError(
            f"checkpoint is {value!r}; a list of paths, one for each network, is wanted"
        )
    paths = _for_each(value, "checkpoint", many)
    for i, path in enumerate(paths):
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"checkpoint[{i}] is {path!r}; the path of a file is wanted")
    if len({os.path.realpath(path) for path in paths}) < many:
        raise ValueError(f"checkpoint is {value!r}; a file of its own for each network is wanted")
    return paths


def _demand_rows(value: Any, name: str, n: int) -> None:
    """See that an argument has an entry for each row of X, of which some are to be taken."""
    shape = np.shape(value)
    if shape[:1] != (n,):
        raise ValueError(
            f"{name} has shape {shape}; ({n}, …) is wanted, an entry for each row of X"
        )


def _entries(value: Any, rows: NDArray[np.int64]) -> Any:
    """Return the entries of some rows, of numbers or of what a loss of one's own takes."""
    try:
        return _checks.numeric_array(value, "y")[rows]
    except TypeError:
        return np.asarray(value)[rows]


def _index_arrays(rows: Any, many: int, n: int) -> list[NDArray[np.int64]]:
    if not isinstance(rows, list | tuple | np.ndarray):
        raise TypeError(
            f"rows is a {type(rows).__name__}; a list of index arrays, one for each network, is "
            f"wanted"
        )
    if len(rows) != many:
        raise ValueError(f"rows has {len(rows)} entries; one for each of {many} networks is wanted")
    return [_checks.row_indices(part, f"rows[{i}]", n) for i, part in enumerate(rows)]
