"""The interface of every build of the engine. All arrays of a call are float32, or all float64."""

from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]
_UpdateRule = dict[str, Any]
_Formula = dict[str, Any]

openmp: bool
flags: str
compiler: str

def max_threads() -> int: ...
def set_blocks(steps: int, n_bytes: int, /) -> None: ...
def blocks() -> tuple[int, int]: ...

@final
class Plan:
    n_operations: int
    n_in: int
    n_out: int
    n_params: int
    logits: Plan | None
    n_constants: int
    row_width: int
    max_width: int
    has_dropout: bool
    has_batch_norm: bool
    has_blocks: bool
    def __new__(cls, operations: list[tuple[Any, ...]]) -> Self: ...

@final
class Workspace:
    def __new__(cls, n_bytes: int) -> Self: ...

@final
class Trainer:
    step: int
    epoch: int
    position: int
    diverged: bool
    rates_left: int
    dropped: int
    rows: NDArray[np.int64]
    mask_key: int
    reported: float
    by_batches: bool
    losses: NDArray[np.float64]
    seconds: NDArray[np.float64]
    columns: dict[str, list[float]]
    converged: bool
    def __init__(
        self,
        plan: Plan,
        params: _Array,
        grads: _Array,
        constants: _Array,
        x: Any,
        targets: _Array | None,
        labels: NDArray[np.int64] | None,
        weights: _Array | None,
        formula: _Formula,
        optimizer: _UpdateRule,
        state: _Array,
        segments: NDArray[np.void],
        step: int,
        batch_size: int,
        n_epochs: int,
        bit_generator: np.random.BitGenerator | None,
        n_threads: int,
        mask_key: int = 0,
    ) -> None: ...
    @property
    def running_loss(self) -> float: ...
    def set_segments(self, segments: NDArray[np.void]) -> None: ...
    def set_rates(self, rates: float | NDArray[np.float64]) -> None: ...
    def take_order(self, order: NDArray[np.int64]) -> None: ...
    def run(self, until_epoch: int, seconds: float, n_threads: int) -> bool: ...
    def publish(self) -> None: ...
    def begin_batch(self, n_threads: int) -> _Array | None: ...
    def end_batch(self, returned: Any, weight: float, n_threads: int) -> bool: ...
    def feed(
        self, x: _Array, targets: _Array | None, labels: NDArray[np.int64] | None, last: bool
    ) -> None: ...
    def snapshot(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...
    def close(self) -> None: ...

@final
class Steps:
    def __init__(self, rule: _UpdateRule, params: _Array, state: _Array) -> None: ...
    def take(
        self,
        grads: Any,
        rate: float,
        weight_decay: float,
        segments: NDArray[np.void],
        counts: Any,
        missed: list[int],
        training: dict[int, object],
        n_threads: int,
    ) -> bool | None: ...

def predict(
    plan: Plan, params: _Array, constants: _Array, x: _Array, out: _Array, n_threads: int
) -> bool: ...
def forward(
    plan: Plan,
    params: _Array,
    constants: _Array,
    x: _Array,
    activations: _Array,
    n_threads: int,
    training: tuple[int, int, int, float] | None = None,
) -> None: ...
def backward(
    plan: Plan,
    params: _Array,
    constants: _Array,
    x: _Array,
    activations: _Array,
    dy: _Array,
    grads: _Array,
    dx: _Array,
    n_threads: int,
    training: bool = False,
) -> None: ...
def loss_and_grad(
    plan: Plan,
    params: _Array,
    constants: _Array,
    x: _Array,
    targets: _Array | None,
    labels: NDArray[np.int64] | None,
    weights: _Array | None,
    formula: _Formula,
    grads: _Array,
    n_threads: int,
    part: tuple[float, Any, NDArray[np.int64] | None, Any, int] | None = None,
) -> float: ...
def loss(
    formula: _Formula,
    y_pred: _Array,
    targets: _Array | None,
    labels: NDArray[np.int64] | None,
    weights: _Array | None,
    scale: float,
    dy: _Array,
) -> float: ...
def optimizer_step(
    rule: _UpdateRule,
    rate: float,
    params: _Array,
    grads: _Array,
    state: _Array,
    segments: NDArray[np.void],
    step: int,
) -> None: ...
def matmul(
    a: _Array, b: _Array, start: _Array | None, out: _Array, n_threads: int, repeats: int = 1
) -> None: ...
def elementary(name: str, x: _Array, out: _Array) -> None: ...
def all_finite(values: _Array) -> bool: ...
def draw_permutation(bit_generator: np.random.BitGenerator, order: NDArray[np.int64]) -> None: ...
def jacobian(
    plan: Plan,
    params: _Array,
    constants: _Array,
    x: _Array,
    by_params: bool,
    outputs: _Array | None,
    out: _Array,
    n_threads: int,
) -> None: ...
def sample_vjp(
    plan: Plan,
    params: _Array,
    constants: _Array,
    x: _Array,
    cotangent: _Array,
    out: _Array,
    n_threads: int,
) -> None: ...
def jvp(
    plan: Plan,
    params: _Array,
    constants: _Array,
    x: _Array,
    x_tangent: _Array | None,
    direction: _Array | None,
    out: _Array,
    n_threads: int,
) -> None: ...
def vjp(
    plan: Plan,
    params: _Array,
    constants: _Array,
    x: _Array,
    cotangent: _Array,
    grads: _Array | None,
    dx: _Array | None,
    n_threads: int,
) -> None: ...
def hvp(
    plan: Plan,
    params: _Array,
    constants: _Array,
    x: _Array,
    targets: _Array | None,
    labels: NDArray[np.int64] | None,
    weights: _Array | None,
    formula: _Formula,
    scale: float,
    direction: _Array,
    out: _Array,
    accumulate: bool,
    n_threads: int,
) -> None: ...
def gram(
    plan: Plan,
    params: _Array,
    constants: _Array,
    x: _Array,
    targets: _Array | None,
    labels: NDArray[np.int64] | None,
    weights: _Array | None,
    formula: _Formula,
    scale: float,
    out: _Array,
    accumulate: bool,
    complete: bool,
    n_threads: int,
    roots: _Array | None = None,
) -> None: ...

@final
class Handle:
    def __new__(cls, plan: Plan, params: _Array, constants: _Array) -> Self: ...

def many_networks_ready(
    networks: list[Any], params: Any, x: Any, jacobian: bool, by_params: bool
) -> _Array | None: ...
def fill_many_networks(
    plan: Plan,
    networks: list[Any],
    params: _Array | None,
    x: _Array,
    shared: bool,
    jacobian: bool,
    by_params: bool,
    out: _Array,
    n_threads: int,
) -> None: ...
def takes_elements(plan: Plan, n_elements: int, n_samples: int) -> bool: ...
def dense_of_sparse(
    x: Any, first: int, end: int, order: NDArray[np.int64] | None, out: _Array, n_threads: int
) -> None: ...
def transposed_weight(
    plan: Plan, params: _Array, n_elements: int, n_threads: int
) -> _Array | None: ...
def predict_sparse(
    plan: Plan,
    params: _Array,
    weight: _Array | None,
    constants: _Array,
    x: Any,
    start: int,
    out: _Array,
    n_threads: int,
) -> None: ...
def loss_and_grad_sparse(
    plan: Plan,
    params: _Array,
    constants: _Array,
    x: Any,
    targets: _Array | None,
    labels: NDArray[np.int64] | None,
    weights: _Array | None,
    formula: _Formula,
    grads: _Array,
    n_threads: int,
) -> float: ...
