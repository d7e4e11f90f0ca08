"""The face that every build of the engine has. Array is of float32 or float64, one dtype a call."""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
UpdateRule = tuple[str, int, float, float, float, float, float, bool]

openmp: bool
flags: str
compiler: str

def max_threads() -> int: ...

@final
class Plan:
    n_operations: int
    n_in: int
    n_out: int
    n_params: int
    n_constants: int
    row_width: int
    max_width: int
    def __init__(self, operations: list[tuple[str, int, int, bool, float]]) -> None: ...

@final
class Memory:
    def __init__(self, n_bytes: int) -> None: ...

@final
class Trainer:
    step: int
    epoch: int
    position: int
    losses: NDArray[np.float64]
    seconds: NDArray[np.float64]
    def __init__(
        self,
        plan: Plan,
        params: Array,
        grads: Array,
        constants: Array,
        x: Array,
        targets: Array | None,
        labels: NDArray[np.int64] | None,
        loss: str,
        mean: bool,
        optimizer: UpdateRule,
        state: Array,
        step: int,
        batch_size: int,
        n_epochs: int,
        bit_generator: np.random.BitGenerator | None,
        n_threads: int,
    ) -> None: ...
    @property
    def diverged(self) -> bool: ...
    @property
    def running_loss(self) -> float: ...
    def run(self, until_epoch: int, seconds: float) -> bool: ...

def predict(
    plan: Plan, params: Array, constants: Array, x: Array, out: Array, n_threads: int
) -> None: ...
def forward(
    plan: Plan, params: Array, constants: Array, x: Array, activations: Array, n_threads: int
) -> None: ...
def backward(
    plan: Plan,
    params: Array,
    constants: Array,
    x: Array,
    activations: Array,
    dy: Array,
    grads: Array,
    dx: Array,
    n_threads: int,
) -> None: ...
def loss_and_grad(
    plan: Plan,
    params: Array,
    constants: Array,
    x: Array,
    targets: Array | None,
    labels: NDArray[np.int64] | None,
    loss: str,
    mean: bool,
    grads: Array,
    n_threads: int,
) -> float: ...
def loss(
    kind: str,
    y_pred: Array,
    targets: Array | None,
    labels: NDArray[np.int64] | None,
    scale: float,
    dy: Array,
) -> float: ...
def optimizer_step(
    rule: UpdateRule, params: Array, grads: Array, state: Array, step: int
) -> None: ...
def matmul(a: Array, b: Array, start: Array | None, out: Array, n_threads: int) -> None: ...
def all_finite(values: Array) -> bool: ...
def draw_permutation(bit_generator: np.random.BitGenerator, order: NDArray[np.int64]) -> None: ...
