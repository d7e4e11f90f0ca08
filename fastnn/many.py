"""Many networks of the same layers at once: outputs, Jacobians, parameters, and ensembles.

One call of the engine computes all networks. For small networks, such as the policies of
reinforcement learning, a loop over the networks would cost more than the arithmetic.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn import _checks, _core
from fastnn._core.arrays import Array
from fastnn.network import Network

Networks = Network | Sequence[Network]


def predict_many(
    networks: "Networks", X: Any, *, params: Any = None, n_threads: int | None = None
) -> Array:
    """Return the outputs of many networks, (M, n, out_features).

    Parameters
    ----------
    networks : sequence of Network, or Network
        M networks of the same layers: kinds, widths, hyper-parameters and dtype. Their parameters
        and constants, such as means and running statistics, may differ. Or one network, together
        with `params`.
    X : array_like (n, in_features) or (in_features,), or (M, n, in_features)
        Samples that all networks share; or with three axes, samples for each network. If each
        network has one sample, X is (M, 1, in_features).
    params : array_like (M, n_params), optional
        Parameters in the order of `Network.params`, in place of those of the one network, for
        instance the candidates of an evolution strategy. The network is not changed.
    n_threads : int, optional
        By default one for each physical core. It does not change any bit of a result.

    Returns
    -------
    ndarray (M, n, out_features) or (M, out_features)
        Without the axis n if X is one sample (in_features,). Each entry has the bits of that
        network's own `predict`.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, or the networks differ. The message names the first difference.
    MemoryError
        If the outputs do not fit into memory.

    Examples
    --------
    >>> nets = [fn.Network([fn.Linear(2, 1)], seed=seed) for seed in range(3)]
    >>> fn.predict_many(nets, np.ones((5, 2))).shape
    (3, 5, 1)
    """
    return _computed(networks, X, params, n_threads)


def jacobian_many(
    networks: "Networks",
    X: Any,
    wrt: str = "input",
    *,
    params: Any = None,
    n_threads: int | None = None,
) -> Array:
    """Return the Jacobians of many networks at each sample, (M, n, out_features, columns).

    Parameters
    ----------
    networks, X, params, n_threads
        As for `predict_many`.
    wrt : {"input", "params"}
        The columns are the inputs, or the parameters in the order of `Network.params`.

    Returns
    -------
    ndarray (M, n, out_features, in_features) or (M, n, out_features, n_params)
        Without the axis n if X is one sample (in_features,). Each entry has the bits of that
        network's own `jacobian`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `predict_many`; or if `wrt` is invalid.
    """
    return _computed(
        networks, X, params, n_threads, _checks.choice(wrt, "wrt", ("input", "params"))
    )


def stack_params(networks: "Sequence[Network]") -> Array:
    """Return a copy of the parameters of M networks of the same layers, (M, n_params).

    `predict_many(networks[0], X, params=...)` takes such an array.

    Raises
    ------
    ValueError, TypeError
        If there is no network, or the networks differ. The message names the first difference.
    """
    return np.stack([network.params for network in _same_layers(networks)])


def predict_ensemble(
    networks: "Networks", X: Any, *, params: Any = None, n_threads: int | None = None
) -> tuple[Array, Array]:
    """Return the mean and the standard deviation of the networks' outputs.

    The standard deviation is √(Σ (y - mean)² / M) over the M networks. It measures how much the
    networks disagree, and does not contain the noise of the targets. To average probabilities of
    classes, end the networks with Softmax; the mean of logits gives other probabilities. The
    means of the probabilities of a sample add up to 1.

    Parameters
    ----------
    networks, X, params, n_threads
        As for `predict_many`, for instance networks that `fit_many` has trained.

    Returns
    -------
    (ndarray (n, out_features), ndarray (n, out_features))
        Computed in float64 and rounded to the networks' dtype. Without the axis n if X is one
        sample (in_features,).

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `predict_many`.
    """
    outputs = predict_many(networks, X, params=params, n_threads=n_threads)
    mean = outputs.mean(axis=0, dtype=np.float64)
    deviation = outputs.std(axis=0, dtype=np.float64)
    return mean.astype(outputs.dtype), deviation.astype(outputs.dtype)


def _computed(
    networks: Any, X: Any, params: Any, n_threads: int | None, wrt: str | None = None
) -> Array:
    """Return the Jacobians with respect to `wrt`, or the outputs if it is None."""
    by_params = wrt == "params"
    group = networks if params is None else [networks]
    if type(group) is list and group and isinstance(group[0], Network) and n_threads is None:
        ready = _core.engine.many_networks_ready(group, params, X, wrt is not None, by_params)
        if ready is not None:
            return ready
    if params is None:
        members = _same_layers(networks)
        many, stacked = len(members), None
    else:
        if not isinstance(networks, Network):
            raise TypeError(
                f"params is given, and networks is a {type(networks).__name__}; one Network, whose "
                f"layers all rows of params share, is wanted"
            )
        members = [networks]
        stacked = _stacked(params, networks)
        many = len(stacked)
    threads = _checks.thread_count(n_threads)
    first = members[0]
    x, single = _samples(members, X, many)
    n = x.shape[-2]
    shape: tuple[int, ...] = (many, n, first.out_features)
    if wrt is not None:
        shape += (first.n_params if by_params else first.in_features,)
    _core.demand_memory(math.prod(shape) * first.dtype.itemsize, "the result")
    out = np.empty(shape, first.dtype)
    if out.size:
        _fill(members, stacked, x, wrt, out, threads)
    return out[:, 0] if single else out


def _fill(
    members: list[Network],
    params: Array | None,
    x: Array,
    wrt: str | None,
    out: Array,
    n_threads: int | None,
) -> None:
    """Overwrite `out`, in calls of the engine that are short, so that Ctrl-C is noticed between."""
    model, by_params = members[0]._model, wrt == "params"
    many, n = out.shape[:2]
    outputs = out.shape[2]
    work, at_least = (1, 256) if wrt is None else (6 * outputs, max(256 // outputs, 1))
    rows = next(model.parts(2**60, work, 1)).stop  # samples of one call
    shared = x.ndim == 2
    threads = _core.thread_count(n_threads) if many * n > rows // 100 else 1
    networks_per_call = rows // n
    if networks_per_call < min(threads, many) or n > max(rows, at_least):
        # each network has many samples, which the threads share
        for i in range(many):
            own = members[i if params is None else 0]._model
            own = own if params is None else replace(own, params=params[i])
            samples = x if shared else x[i]
            if wrt is None:
                out[i] = own.predict(samples, threads)
            else:
                own.jacobian(samples, by_params, threads, out[i])
        return
    for start in range(0, many, networks_per_call):
        part = slice(start, start + networks_per_call)
        networks = members[part] if params is None else members
        _core.engine.fill_many_networks(
            model.plan,
            networks,
            None if params is None else params[part],
            x if shared else x[part],
            shared,
            wrt is not None,
            by_params,
            out[part],
            min(threads, len(out[part])),
        )


def _samples(members: list[Network], X: Any, many: int) -> tuple[Array, bool]:
    """Return X as (n, n_in) or (M, n, n_in), and whether it is one sample."""
    first = members[0]
    for network in members[1:]:
        network._inputs.demand_names(X)
    given = X if isinstance(X, np.ndarray) and X.ndim < 3 else _checks.numeric_array(X, "X")
    if given.ndim != 3:
        given, single = first._inputs.samples(X)
        return _checks.converted(given, "X", first.dtype, single), single
    if given.shape[0] != many or given.shape[2] != first.in_features:
        raise ValueError(
            f"X has shape {given.shape}; ({many}, n, {first.in_features}) is wanted, samples for "
            f"each network, or (n, {first.in_features}), samples that all networks share"
        )
    return _checks.converted(given, "X", first.dtype), False


def _stacked(params: Any, network: Network) -> Array:
    given = _checks.numeric_array(params, "params")
    if given.ndim != 2 or given.shape[1] != network.n_params or not len(given):
        raise ValueError(
            f"params has shape {given.shape}; (M, {network.n_params}) is wanted, a row of "
            f"parameters for each network"
        )
    return _checks.converted(given, "params", network.dtype)


def _same_layers(networks: Any) -> list[Network]:
    """Return a list of at least one network, after checking that all have the same layers."""
    if isinstance(networks, Network) or not isinstance(networks, Sequence):
        raise TypeError(
            f"networks is a {type(networks).__name__}; a list of networks, or one network with "
            f"params (M, n_params), is wanted"
        )
    if not networks:
        raise ValueError("networks is empty; at least one network is wanted")
    for i, network in enumerate(networks):
        if not isinstance(network, Network):
            raise TypeError(f"networks[{i}] is a {type(network).__name__}; a Network is wanted")
        if network is not networks[0]:
            _demand_same(network, networks[0], i)
    return list(networks)


def _demand_same(network: Network, first: Network, i: int) -> None:
    if network.dtype != first.dtype:
        raise ValueError(
            f"networks[{i}] is of {network.dtype} and networks[0] of {first.dtype}; one dtype is "
            f"wanted"
        )
    for place, (own, wanted) in enumerate(
        zip(network._operations, first._operations, strict=False)
    ):
        if own != wanted:
            raise ValueError(
                f"networks[{i}] differs from networks[0] in layers[{place}]: "
                f"{_described(network, place)} and {_described(first, place)}; the same layers are "
                f"wanted"
            )
    if len(network.layers) != len(first.layers):
        raise ValueError(
            f"networks[{i}] has {len(network.layers)} layers and networks[0] has "
            f"{len(first.layers)}; the same layers are wanted"
        )


def _described(network: Network, place: int) -> str:
    n_in, n_out = network._operations[place][1:3]
    return f"{network.layers[place]!r} from {n_in} to {n_out} features"
