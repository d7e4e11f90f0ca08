"""The training of an estimator's networks, and the choice of the best epoch by held-out rows."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import datasets
from fastnn._core.arrays import Array
from fastnn.callbacks import EarlyStopping
from fastnn.network import Network
from fastnn.parallel import fit_many
from fastnn.tabular import recipe as recipes
from fastnn.tabular.objective import Objective
from fastnn.tabular.recipe import Recipe, Shape
from fastnn.training import History

Rows = NDArray[np.int64]
Finish = Callable[[Array], Array]


@dataclass
class Table:
    """An encoded table in memory.

    Attributes
    ----------
    x : ndarray (n, n_columns), float32
    target : ndarray (n,)
        Class indices, or numbers.
    weight : ndarray (n,) or None
        Weights of the rows; None means 1 for each row.
    """

    x: Array
    target: Array
    weight: Array | None

    def part(self, rows: Rows) -> "Table":
        """Return some rows; consecutive rows share memory with the table."""
        ascending = len(rows) and (rows[1:] > rows[:-1]).all()
        consecutive = ascending and rows[-1] - rows[0] + 1 == len(rows)
        which = slice(rows[0], rows[-1] + 1) if consecutive else rows
        weight = None if self.weight is None else self.weight[which]
        return Table(self.x[which], self.target[which], weight)

    def arrange(self, order: Rows) -> None:
        """Change the order of the rows in place; the memory needed is that of one column."""
        for column in self.x.T:
            column[...] = column[order]
        self.target = self.target[order]
        self.weight = None if self.weight is None else self.weight[order]


class BestEpoch(EarlyStopping):
    """Measure the metric on held-out rows after each epoch, and restore the best epoch at the end.

    Of several best epochs, the last one is restored.

    Attributes
    ----------
    values : list of float
        The metric after each epoch.
    """

    def __init__(
        self, held_out: Table, objective: Objective, finish: Finish, epochs: int, n_threads: Any
    ) -> None:
        mode = "max" if objective.larger_is_better else "min"
        # with a patience of all epochs, training never stops early
        super().__init__("held_out", patience=max(epochs, 1), mode=mode, ties="last")
        self.held_out, self.objective, self.finish = held_out, objective, finish
        self.n_threads = n_threads
        self.values: list[float] = []

    def epoch_end(self, net: Any, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Measure the metric; return False."""
        outputs = self.finish(net.predict(self.held_out.x, n_threads=self.n_threads))
        value = self.objective.score(outputs, self.held_out.target, self.held_out.weight)
        self.values.append(value)
        return super().epoch_end(net, epoch, {**metrics, self.monitor: value})


@dataclass
class Member:
    """A trained network.

    Attributes
    ----------
    network : Network
    curve : dict of str to list of float
        A number for each epoch: "loss", and the metric on the held-out rows under its name.
    best_epoch : int
        The epoch whose parameters the network has, counted from 1.
    held_out : ndarray of int64
        The rows that were held out.
    """

    network: Network
    curve: dict[str, list[float]]
    best_epoch: int
    held_out: Rows


def train(
    table: Table,
    strata: "Array | None",
    recipe: Recipe,
    shape: Shape,
    objective: Objective,
    finish: Finish,
    rng: "np.random.Generator",
    n_threads: int | None,
    epochs: int,
    progress: bool,
) -> list[Member]:
    """Train one network, or one for each fold, and return them.

    Parameters
    ----------
    table : Table
        If one network is trained, the order of the rows is changed.
    strata : ndarray (n,) of int, or None
        Classes by which the rows are split in proportion.
    recipe : Recipe
    shape : Shape
    objective : Objective
    finish : function
        Turns a network's outputs into what `objective.score` takes.
    rng : numpy.random.Generator
        Source of the split, the initial values and the order of the rows.
    n_threads : int or None
    epochs : int
    progress : bool
        Whether to show a progress bar. For several networks none is shown.

    Returns
    -------
    list of Member

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C is pressed before each network has completed an epoch, or if no row is held out.
        Otherwise Ctrl-C ends training with a warning, and the best epochs are restored.
    """
    parts = _folds(table, strata, recipe, rng)
    seeds = [int(seed) for seed in rng.integers(2**31, size=2 * len(parts))]
    networks, optimizers, stops = [], [], []
    for i, (rows, held_out) in enumerate(parts):
        first_rows = rng.permutation(len(rows))[: recipes.INITIAL_ROWS]
        network = recipes.network_of(recipe, shape, table.x[rows[first_rows]], seeds[i])
        networks.append(network)
        optimizers.append(recipes.optimizer_of(recipe, shape, network))
        stop = BestEpoch(table.part(held_out), objective, finish, epochs, n_threads)
        stops.append([stop] if len(held_out) else [])
    settings: dict[str, Any] = {
        "loss": objective.loss,
        "epochs": epochs,
        "batch_size": recipes.BATCH_SIZE,
        "drop_last": True,
        "standardize": "y" if shape.standardized else None,
        "n_threads": n_threads,
    }
    if (schedule := recipes.dropout_schedule(recipe)) is not None:
        settings["dropout_factor"] = schedule
    histories: list[History]
    try:
        if len(parts) == 1:
            trained = table.part(parts[0][0])
            history = networks[0].fit(
                trained.x,
                trained.target,
                sample_weight=trained.weight,
                optimizer=optimizers[0],
                seed=seeds[1],
                callbacks=stops[0],
                progress=progress,
                **settings,
            )
            histories = [history]
        else:
            histories = fit_many(
                networks,
                table.x,
                table.target,
                sample_weight=table.weight,
                rows=[rows for rows, _ in parts],
                optimizer=optimizers,
                seed=seeds[len(parts) :],
                callbacks=stops,
                **settings,
            )
    except KeyboardInterrupt:
        if not all(own and own[0].values for own in stops):
            raise
        warnings.warn("Training interrupted by user.", stacklevel=2)
        histories = [History() for _ in networks]
        for network, own in zip(networks, stops, strict=True):
            own[0].fit_end(network)
    return [
        _member(network, history, own, objective, held_out)
        for network, history, own, (_, held_out) in zip(
            networks, histories, stops, parts, strict=True
        )
    ]


def _member(
    network: Network, history: History, stops: list[BestEpoch], objective: Objective, held_out: Rows
) -> Member:
    curve = {"loss": list(history.get("loss", []))}
    best = len(curve["loss"])
    for stop in stops:
        curve[objective.metric] = stop.values
        # if the metric is always NaN, no epoch is restored, and the last one counts
        best = len(stop.values) if np.isnan(stop.best) else stop.best_epoch + 1
    return Member(network, curve, best, held_out)


def _folds(
    table: Table, strata: "Array | None", recipe: Recipe, rng: "np.random.Generator"
) -> list[tuple[Rows, Rows]]:
    """Return the rows to train on and to hold out for each network.

    For one network, the table is reordered so that the held-out rows come last. Then neither part
    is a copy.
    """
    n = len(table.x)
    groups = np.zeros(n, np.int8) if strata is None else strata
    if recipe.folds == 1 or n < 2 * recipe.folds:
        rows, held_out = datasets.stratified_split(groups, recipes.HELD_OUT, rng)
        table.arrange(np.concatenate([rows, held_out]))
        return [(np.arange(len(rows)), np.arange(len(rows), n))]
    order = rng.permutation(n)
    order = order[np.argsort(groups[order], kind="stable")]  # rows of a class go to all folds
    folds = [np.sort(order[i :: recipe.folds]) for i in range(recipe.folds)]
    return [(np.setdiff1d(np.arange(n), fold), fold) for fold in folds]
