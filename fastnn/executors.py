"""Training of many networks by the workers of an executor, in other processes or machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn.network import Network
from fastnn.training import History

# number of the network, the network, its history, and the error that its fit has raised
Result = tuple[int, Network, History | None, Exception | None]


@dataclass
class Job:
    """The fit of one network: its number, and the arguments of `fit` beside X and y."""

    number: int
    network: Network
    arguments: dict[str, Any]
    rows: Any = None


def n_workers(executor: Any, n_threads: int | None) -> int:
    """Return into how many parts the networks are divided, one for each worker.

    Raises
    ------
    TypeError
        If `executor` is none.
    ValueError
        If `n_threads` is None, and the executor does not tell how many workers it has.
    """
    if not (callable(getattr(executor, "submit", None)) or _is_joblib(executor)):
        raise TypeError(
            f"executor is {executor!r}; an object with the method submit is wanted, such as "
            f"ProcessPoolExecutor(), or a joblib.Parallel"
        )
    if n_threads is not None:
        return _checks.integer(n_threads, "n_threads", at_least=1)
    found: Any = None
    if _is_joblib(executor):
        import joblib

        with joblib.parallel_config(backend=executor._backend):
            found = joblib.effective_n_jobs(executor.n_jobs)
    else:
        found = getattr(executor, "_max_workers", None)  # of concurrent.futures and loky
    if not isinstance(found, int):
        raise ValueError(
            f"n_threads is None, and {executor!r} does not tell how many workers it has; their "
            f"number is wanted"
        )
    return found


def fit_by(
    executor: Any, jobs: Sequence[Job], data: tuple[Any, Any], parts: int
) -> tuple[dict[int, History], dict[int, BaseException]]:
    """Train the networks of all jobs; return the histories and errors by the networks' numbers.

    The data, X and y, are sent once for each part.
    """
    X, y = data
    by_part = [list(jobs[part::parts]) for part in range(min(parts, len(jobs)))]
    given = [(own, X, y, isinstance(X, np.memmap)) for own in by_part]
    if _is_joblib(executor):
        import joblib

        results = executor(joblib.delayed(_fit_all)(*arguments) for arguments in given)
    else:
        futures = [executor.submit(_fit_all, *arguments) for arguments in given]
        try:
            results = [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    histories: dict[int, History] = {}
    errors: dict[int, BaseException] = {}
    networks = {job.number: job.network for job in jobs}
    for i, trained, history, error in (one for part in results for one in part):
        _take_over(networks[i], trained)
        if error is not None:
            errors[i] = error
        if history is not None:
            histories[i] = history
    return histories, errors


def _fit_all(jobs: list[Job], X: Any, y: Any, is_mapped: bool) -> list[Result]:
    """Train the networks of some jobs, up to the first that raises an error."""
    if isinstance(X, np.memmap) and not is_mapped:  # joblib sends large arrays as files
        X = X.view(np.ndarray)
    results: list[Result] = []
    for job in jobs:
        own = (X, y) if job.rows is None else (X[job.rows], y[job.rows])
        try:
            history = job.network.fit(*own, **job.arguments)
        except Exception as error:
            results.append((job.number, job.network, None, error))
            break
        results.append((job.number, job.network, history, None))
    return results


def _take_over(network: Network, trained: Network) -> None:
    """Give a network what its copy in a worker has learnt."""
    if trained is network:  # the worker was a thread
        return
    state = trained.__getstate__()
    network._model.restore(trained._model.snapshot())
    network.__setstate__((state["grads"], state["optimizer_state"], state["own"]))
    network._link = trained._link
    network._inputs.feature_names = trained.feature_names


def _is_joblib(executor: Any) -> bool:
    return type(executor).__module__.partition(".")[0] == "joblib" and callable(executor)
