"""Training step by step, for a loss written in Python: the engine's Trainer with another inside."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn.losses import CustomLoss
from fastnn.model import Model
from fastnn.optimizers import OptimizerState, UpdateRule

Array = NDArray[Any]


class StepwiseTrainer:
    """Takes the same steps as the engine's Trainer, and shows the same face to the fit loop."""

    def __init__(
        self, model: Model, x: Array, y: Array, loss: CustomLoss, rule: UpdateRule,
        state: OptimizerState, batch_size: int, epochs: int, rng: "np.random.Generator | None",
    ) -> None:  # fmt: skip
        self.model, self.x, self.y, self.loss = model, x, y, loss
        self.rule, self.state, self.batch_size = rule, state, batch_size
        self.rng = rng
        self.mean = getattr(loss, "reduction", "mean") == "mean"
        self.step, self.epoch, self.position = state.step, 0, 0
        self.losses, self.seconds = np.empty(epochs), np.empty(epochs)
        self.order = np.arange(len(x))
        self.epoch_loss = 0.0
        self.diverged = False
        self.last_good = model.params.copy()

    @property
    def running_loss(self) -> float:
        """The loss over the batches complete in this epoch, or else that of the last epoch."""
        if self.position == 0:
            return float(self.losses[self.epoch - 1]) if self.epoch else float("nan")
        return self.epoch_loss / self.position if self.mean else self.epoch_loss

    def run(self, until_epoch: int, seconds: float, n_threads: int) -> bool:
        """Train until that many epochs are complete, or about that much time has passed."""
        deadline = time.monotonic() + seconds
        while self.epoch < until_epoch and not self.diverged:
            if self.position == 0:
                self.epoch_start, self.epoch_loss = time.monotonic(), 0.0
                if self.rng is not None:
                    self.order = self.rng.permutation(len(self.x))
            rows = self.order[self.position : self.position + self.batch_size]
            self._step(rows, n_threads)
            if self.position == len(self.x) and not self.diverged:
                self._end_epoch()
            if time.monotonic() > deadline:
                break
        return self.epoch >= until_epoch

    def snapshot(self) -> dict[str, Any]:
        """Return what `restore` needs to go on from here, bit for bit: numbers, and arrays."""
        state: dict[str, Any] = {
            "step": self.step, "epoch": self.epoch, "position": self.position,
            "epoch_loss": self.epoch_loss, "elapsed": 0.0,
            "losses": self.losses[: self.epoch].copy(),
            "seconds": self.seconds[: self.epoch].copy(),
        }  # fmt: skip
        if self.position:
            state["elapsed"] = time.monotonic() - self.epoch_start
            state |= {"last_good": self.last_good.copy(), "order": self.order.copy()}
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `snapshot` returned, with the parameters of then; trusted."""
        self.step, self.epoch, self.position = state["step"], state["epoch"], state["position"]
        self.epoch_loss, self.epoch_start = state["epoch_loss"], time.monotonic() - state["elapsed"]
        self.losses[: self.epoch], self.seconds[: self.epoch] = state["losses"], state["seconds"]
        self.last_good[...] = state.get("last_good", self.model.params)
        self.order = state.get("order", self.order)

    def _step(self, rows: NDArray[np.int64], n_threads: int) -> None:
        model, x = self.model, self.x[rows]
        self.position += len(x)
        activations, outputs = model.forward(x, n_threads)
        if not np.isfinite(outputs).all():
            return self._diverge()
        value, gradient = value_and_grad(self.loss, outputs, self.y[rows])
        if not np.isfinite(value):
            return self._diverge()
        model.backward(x, activations, gradient, model.grads, n_threads)
        self.step += 1
        _core.engine.optimizer_step(
            self.rule, model.params, model.grads, self.state.arrays, self.step
        )
        self.epoch_loss += value * len(x) if self.mean else value

    def _end_epoch(self) -> None:
        if not (np.isfinite(self.model.params).all() and np.isfinite(self.epoch_loss)):
            return self._diverge()
        self.last_good[...] = self.model.params
        self.losses[self.epoch] = self.epoch_loss / len(self.x) if self.mean else self.epoch_loss
        self.seconds[self.epoch] = time.monotonic() - self.epoch_start
        self.epoch += 1
        self.position = 0

    def _diverge(self) -> None:
        self.diverged = True
        self.model.params[...] = self.last_good


def value_and_grad(loss: CustomLoss, outputs: Array, y: Any) -> tuple[float, Array]:
    """Call a custom loss on a copy of the outputs, which it may overwrite.

    Raises
    ------
    ValueError, TypeError
        If what it returns is not a number and a real gradient of the outputs' shape.
    """
    returned = loss.value_and_grad(outputs.copy(), y)
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise TypeError(
            f"loss.value_and_grad returned {type(returned).__name__}; a pair (value, gradient) is "
            f"wanted"
        )
    value, gradient = np.asarray(returned[0]), np.asarray(returned[1])
    for name, array in (("value", value), ("gradient", gradient)):
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"loss.value_and_grad returned a {name} of dtype {array.dtype}; real numbers are "
                f"wanted"
            )
    if value.ndim or gradient.shape != outputs.shape:
        raise ValueError(
            f"loss.value_and_grad returned a value of shape {value.shape} and a gradient of shape "
            f"{gradient.shape}; () and {outputs.shape} are wanted"
        )
    with np.errstate(over="ignore"):
        return float(value), np.require(gradient, outputs.dtype, ["C", "A"])
