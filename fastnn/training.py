"""The fit loop: epochs of a Plan over arrays, their history, and what happens between them.

The loop runs a trainer: the engine's, which goes from epoch to epoch in compiled code, or, for a
loss written in Python, one of the same face that takes a step at a time. A trainer works for a
slice of time and comes back, so that Ctrl-C, the progress bar and other threads get their turn.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn.losses import CustomLoss, Loss
from fastnn.optimizers import Optimizer, UpdateRule

Array = NDArray[Any]

SLICE_SECONDS = 0.1


class DivergenceError(ArithmeticError):
    """Training stopped because the loss or the parameters were no longer finite.

    The network's parameters are those after its last finite epoch, and its optimizer starts afresh.

    Attributes
    ----------
    epoch, step : int
        The epoch, from 0, and the minibatch in it, from 0, where it was noticed.
    history : History
        Of the epochs before.
    """

    def __init__(self, epoch: int, step: int, history: "History") -> None:
        super().__init__(
            f"the loss became NaN or infinite in epoch {epoch}, step {step} (both from 0); the "
            f"parameters of the last finite epoch remain. A smaller learning rate or standardised "
            f"features usually help"
        )
        self.epoch, self.step, self.history = epoch, step, history


class History(Mapping[str, list[float]]):
    """What `fit` measured: a mapping from names to lists of one number an epoch.

    "loss" is the training loss over the epoch, each sample's taken before the update of its batch;
    "seconds" the epoch's duration. With validation data, "val_loss" and "val_accuracy" or
    "val_rmse" are those after the epoch.
    """

    def __init__(self, columns: dict[str, list[float]]) -> None:
        self._columns = columns

    def __getitem__(self, name: str) -> list[float]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        epochs = len(self._columns["seconds"])
        last = ", ".join(f"{name}={c[-1]:.6g}" for name, c in self._columns.items() if c)
        return f"History({epochs} epochs; last: {last})"


@dataclass
class Model:
    """A network as training sees it: its plan and the arrays that go with it."""

    plan: Any
    params: Array
    grads: Array
    constants: Array

    def predict(self, x: Array, n_threads: int) -> Array:
        """Compute the outputs (n, n_out), a block of rows at a time."""
        out = np.empty((len(x), self.plan.n_out), x.dtype)
        _core.engine.predict(self.plan, self.params, self.constants, x, out, n_threads)
        return out


@dataclass
class OptimizerState:
    """What an optimizer remembers from one step to the next."""

    kind: str = ""
    arrays: Array = field(default_factory=lambda: np.empty((0, 0)))
    step: int = 0

    def continued_for(self, rule: UpdateRule, params: Array) -> "OptimizerState":
        """Return this state if it is that rule's, or a fresh one."""
        shape = (rule[1], params.size)
        if self.kind == rule[0] and self.arrays.shape == shape:
            return self
        return OptimizerState(rule[0], np.zeros(shape, params.dtype))

    def forget(self) -> None:
        """Start afresh, as at the first step."""
        self.arrays[...] = 0
        self.step = 0


@dataclass
class Validation:
    """Held-out samples and the figures that each epoch takes from them."""

    x: Array
    target: Any
    loss: Loss | CustomLoss

    def measure(self, model: Model, n_threads: int) -> dict[str, float]:
        """Return the loss, and the metric of a built-in loss, by their names in the History."""
        outputs = model.predict(self.x, n_threads)
        if not isinstance(self.loss, Loss):
            return {"val_loss": float(self.loss.value_and_grad(outputs, self.target)[0])}
        return {
            "val_loss": self.loss.evaluate(outputs, self.target)[0],
            f"val_{self.loss.metric_name}": self.loss.metric(outputs, self.target),
        }


class StepwiseTrainer:
    """The engine's Trainer for a loss written in Python: the same face and the same steps."""

    def __init__(
        self, model: Model, x: Array, y: Array, loss: CustomLoss, rule: UpdateRule,
        state: OptimizerState, batch_size: int, epochs: int, rng: np.random.Generator | None,
        n_threads: int,
    ) -> None:  # fmt: skip
        self.model, self.x, self.y, self.loss = model, x, y, loss
        self.rule, self.state, self.batch_size = rule, state, batch_size
        self.rng, self.n_threads = rng, n_threads
        self.mean = getattr(loss, "reduction", "mean") == "mean"
        self.step, self.epoch, self.position = state.step, 0, 0
        self.losses, self.seconds = np.empty(epochs), np.empty(epochs)
        self.order = np.arange(len(x))
        self.epoch_loss = 0.0
        self.diverged = False
        self.last_good = model.params.copy()

    @property
    def running_loss(self) -> float:
        """The loss over the samples seen so far in the current epoch."""
        if self.position == 0:
            return float(self.losses[self.epoch - 1]) if self.epoch else float("nan")
        return self.epoch_loss / self.position if self.mean else self.epoch_loss

    def run(self, until_epoch: int, seconds: float) -> bool:
        """Train until that many epochs are complete, or about that much time has passed."""
        deadline = time.monotonic() + seconds
        while self.epoch < until_epoch and not self.diverged:
            if self.position == 0:
                self.epoch_start, self.epoch_loss = time.monotonic(), 0.0
                if self.rng is not None:
                    self.order = self.rng.permutation(len(self.x))
            self._step(self.order[self.position : self.position + self.batch_size])
            if self.position == len(self.x) and not self.diverged:
                self._end_epoch()
            if time.monotonic() > deadline:
                break
        return self.epoch >= until_epoch

    def _step(self, rows: NDArray[np.int64]) -> None:
        model, x = self.model, self.x[rows]
        activations = np.empty(len(x) * model.plan.row_width, x.dtype)
        arguments = (model.plan, model.params, model.constants, x, activations)
        _core.engine.forward(*arguments, self.n_threads)
        outputs = activations[-len(x) * model.plan.n_out :].reshape(len(x), -1)
        self.position += len(x)
        if not np.isfinite(outputs).all():
            return self._diverge()
        value, gradient = checked_value_and_grad(self.loss, outputs, self.y[rows])
        if not np.isfinite(value):
            return self._diverge()
        _core.engine.backward(*arguments, gradient, model.grads, np.empty_like(x), self.n_threads)
        self.step += 1
        _core.engine.optimizer_step(
            self.rule, model.params, model.grads, self.state.arrays, self.step
        )
        self.epoch_loss += value * len(x) if self.mean else value

    def _end_epoch(self) -> None:
        if not np.isfinite(self.model.params).all():
            return self._diverge()
        self.last_good[...] = self.model.params
        self.losses[self.epoch] = self.epoch_loss / len(self.x) if self.mean else self.epoch_loss
        self.seconds[self.epoch] = time.monotonic() - self.epoch_start
        self.epoch += 1
        self.position = 0

    def _diverge(self) -> None:
        self.diverged = True
        self.model.params[...] = self.last_good


def checked_value_and_grad(loss: CustomLoss, outputs: Array, y: Any) -> tuple[float, Array]:
    """Call a custom loss, and raise ValueError if what it returns is not a value and gradient."""
    value, gradient = loss.value_and_grad(outputs, y)
    gradient = np.asarray(gradient)
    if np.ndim(value) or gradient.shape != outputs.shape:
        raise ValueError(
            f"loss.value_and_grad returned a value of shape {np.shape(value)} and a gradient of "
            f"shape {gradient.shape}; a number and {outputs.shape} are wanted"
        )
    return float(value), np.require(gradient, outputs.dtype, ["C", "A"])


def fit(
    model: Model, x: Array, target: Any, loss: Loss | CustomLoss, optimizer: Optimizer,
    state: OptimizerState, *, epochs: int, batch_size: int, rng: np.random.Generator | None,
    validation: Validation | None, progress: bool, n_threads: int,
) -> History:  # fmt: skip
    """Train `model` in place, and `state` with it; all arguments are checked already."""
    rule = optimizer.update_rule
    trainer: Any
    if isinstance(loss, Loss):
        trainer = _core.engine.Trainer(
            model.plan, model.params, model.grads, model.constants, x, *loss.split(target),
            loss.kind, loss.reduction == "mean", rule, state.arrays, state.step, batch_size,
            epochs, None if rng is None else rng.bit_generator, n_threads,
        )  # fmt: skip
    else:
        trainer = StepwiseTrainer(
            model, x, target, loss, rule, state, batch_size, epochs, rng, n_threads
        )
    columns: dict[str, list[float]] = {}
    show = progress_bar(epochs, len(x)) if progress else None
    try:
        while trainer.epoch < epochs:
            until_epoch = epochs if validation is None else trainer.epoch + 1
            while not trainer.run(until_epoch, SLICE_SECONDS):
                if trainer.diverged:
                    step = (trainer.position - 1) // batch_size
                    raise DivergenceError(trainer.epoch, step, history_of(trainer, columns))
                if show:
                    show(trainer, columns)
            if validation is not None:
                for name, value in validation.measure(model, n_threads).items():
                    columns.setdefault(name, []).append(value)
            if show:
                show(trainer, columns)
    finally:
        state.step = trainer.step
        if trainer.diverged:
            state.forget()
        if show:
            show(None, columns)
    return history_of(trainer, columns)


def history_of(trainer: Any, validation_columns: dict[str, list[float]]) -> History:
    """Gather what has been measured so far."""
    done = trainer.epoch
    return History({
        "loss": trainer.losses[:done].tolist(),
        **validation_columns,
        "seconds": trainer.seconds[:done].tolist(),
    })  # fmt: skip


def in_terminal() -> bool:
    """Whether there is a terminal to show a progress bar in."""
    return sys.stderr is not None and sys.stderr.isatty()


def progress_bar(epochs: int, n_samples: int) -> Callable[[Any, dict[str, list[float]]], None]:
    """Make a function that shows a trainer's progress in samples, or closes the bar for None."""
    from tqdm import tqdm

    bar = tqdm(total=epochs * n_samples, unit="sample", unit_scale=True)

    def show(trainer: Any, columns: dict[str, list[float]]) -> None:
        if trainer is None:
            bar.close()
            return
        latest = {"loss": trainer.running_loss} | {name: c[-1] for name, c in columns.items()}
        bar.set_description(f"epoch {min(trainer.epoch + 1, epochs)}/{epochs}", refresh=False)
        bar.set_postfix({name: f"{value:.4g}" for name, value in latest.items()}, refresh=False)
        bar.update(trainer.epoch * n_samples + trainer.position - bar.n)

    return show
