"""Training of many networks at once: ensembles, cross-validation folds, bootstrap samples, seeds.

Each network trains in a thread of its own. Threads suffice, because `fit` releases Python's lock.
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
from fastnn.executors import Job, fit_by, n_workers
from fastnn.network import Network
from fastnn.training import History

BY_ROW = {"sample_weight"}  # arguments of `fit` with one entry per row of X


def fit_many(
    networks: "Sequence[Network]",
    X: Any,
    y: Any,
    *,
    optimizer: Any = None,
    seed: Any = None,
    rows: "Sequence[Any] | None" = None,
    callbacks: "Sequence[Any]" = (),
    checkpoint: Any = None,
    n_threads: int | None = None,
    executor: Any = None,
    **arguments: Any,
) -> list[History]:
    """Train several networks at once. Each result equals that of `network.fit`, bit for bit.

    Parameters
    ----------
    networks : sequence of Network
        The networks, all different objects. Their layers and dtypes may differ.
    X, y : array_like
        The data of all networks, as for `fit`.
    optimizer : optimizer or sequence of optimizers, optional
        One for all networks, or one for each. By default the default of `fit`.
    seed : int or sequence of int, optional
        One seed for all networks, or one for each.
    rows : sequence of array_like of int or bool, optional
        For each network, the rows of X, y and `sample_weight` that it trains on, for instance the
        training part of a fold, or a bootstrap sample, in which rows may repeat. By default all.
    callbacks : sequence of Callback, or sequence of such sequences, optional
        Either callbacks, of which each network gets copies, or a sequence of callbacks for each
        network.
    checkpoint : sequence of str or PathLike, optional
        A file for each network.
    n_threads : int, optional
        The number of threads of all networks together, and the most networks that train at the
        same time. By default one for each physical core, or the number of workers of `executor`.
    executor : concurrent.futures.Executor or joblib.Parallel, optional
        Trains the networks in its workers, which may be other processes or machines: for instance
        a `ProcessPoolExecutor`, the `get_executor()` of a Dask client, or a `joblib.Parallel` of
        any backend. By default threads of this process do.
    **arguments
        Further arguments of `Network.fit`, for all networks. No progress is shown.

    Returns
    -------
    list of History
        One for each network.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid. Then no network is changed.
    Exception
        The exception that `fit` raised for a network, with a note that names the network. If there
        are several, the exception of the first network in the list. The networks that were training
        at that moment complete their fits. The networks that had not started are unchanged.

    Notes
    -----
    Ctrl-C stops all networks within a fraction of a second, each between two updates. If a callback
    or your own loss is running, it returns first. If the system allows no further thread, the
    networks train one after the other, with a RuntimeWarning.

    With `executor`, each worker gets the data once, with its share of the networks. It trains them
    one after the other, each on one thread. Callbacks then act on copies in the worker, and Ctrl-C
    does not stop the networks that are training.
    """
    networks = _distinct(networks)
    if "comm" in arguments:
        raise TypeError(
            "comm is an argument of fit, for one network in several processes; fit_many takes "
            "executor"
        )
    many = len(networks)
    if many > 1 and isinstance(X, Iterator):
        raise ValueError(
            f"X is {X!r}, whose batches {many} networks would share; an object whose iter() starts "
            f"anew is wanted, such as a list of batches or a class with __iter__"
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
    if executor is not None:
        workers = n_workers(executor, n_threads)
        threads = 1
    else:
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
                networks[i]._inputs.keep_names(X)  # `rows` lose the column names of a data frame
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

    if executor is not None:
        jobs = [
            Job(i, network, arguments_of(i), None if parts is None else parts[i])
            for i, network in enumerate(networks)
        ]
        data = (X, y) if parts is None else (X_array, _entries(y, np.arange(n)))
        histories, errors = fit_by(executor, jobs, data, workers)
        for i, error in errors.items():
            error.add_note(f"raised while networks[{i}] was trained")
        for i in histories:
            networks[i]._inputs.keep_names(X)
    else:
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
                raise ValueError(f"networks[{i}] is networks[{j}]; different objects are wanted")
    return list(networks)


def _for_each(value: Any, name: str, many: int) -> list[Any]:
    """Return a list of `many` values: one value repeated, or the entries of a sequence."""
    if not isinstance(value, list | tuple | range | np.ndarray):
        return [value] * many
    if len(value) != many:
        raise ValueError(
            f"{name} has {len(value)} entries; one for all, or one for each of {many} networks, is "
            f"wanted"
        )
    return list(value)


def _callbacks(value: Any, many: int) -> list[Any]:
    """Return a list of callbacks for each network; no callback belongs to two networks."""
    if not isinstance(value, list | tuple):
        raise TypeError(f"callbacks is {value!r}; a list is wanted")
    if value and all(isinstance(own, list | tuple) for own in value):
        lists = _for_each(value, "callbacks", many)
        callbacks = [callback for own in lists for callback in own]
        if len({id(callback) for callback in callbacks}) < len(callbacks):
            raise ValueError(
                "callbacks has one object twice; separate ones for each network are wanted"
            )
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
        raise ValueError(f"checkpoint is {value!r}; a different file for each network is wanted")
    return paths


def _demand_rows(value: Any, name: str, n: int) -> None:
    """Check that an argument has an entry for each row of X."""
    shape = np.shape(value)
    if shape[:1] != (n,):
        raise ValueError(
            f"{name} has shape {shape}; ({n}, …) is wanted, an entry for each row of X"
        )


def _entries(value: Any, rows: NDArray[np.int64]) -> Any:
    """Return the entries of some rows; a user's own loss may take other entries than numbers."""
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
