"""fastnn trains multi-layer perceptrons on the CPU, whole epochs in compiled code.

>>> import fastnn as fn
>>> net = fn.Network([fn.Linear(2, 8), fn.ReLU(), fn.Linear(8, 2)], seed=0)
>>> history = net.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], epochs=500, seed=0)
>>> int(net.predict([[0, 1]]).argmax())
1
"""

import importlib
from typing import TYPE_CHECKING, Any

from fastnn import _core, initializers, jacobians
from fastnn.callbacks import Callback, EarlyStopping
from fastnn.layers import (
    ELU,
    GELU,
    SELU,
    Abs,
    BatchNorm,
    Dropout,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Standardize,
    Tanh,
)
from fastnn.lbfgs import LBFGS
from fastnn.levenberg_marquardt import LevenbergMarquardt
from fastnn.losses import (
    BinaryCrossEntropy,
    HalfSquaredError,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    NegativeLogLikelihood,
    Pinball,
    Poisson,
    SoftmaxCrossEntropy,
)
from fastnn.model_file import ModelFileError
from fastnn.network import Network, load
from fastnn.optimizers import SGD, Adam, AdamW, RMSprop
from fastnn.threads import get_num_threads, set_num_threads
from fastnn.training import DivergenceError, History

if TYPE_CHECKING:
    from fastnn import schedules
    from fastnn.gradient_check import check_gradient
    from fastnn.many import fit_many
    from fastnn.numerical import numerical_hessian, numerical_jacobian

__version__ = "0.1.0"  # a literal: reading the metadata of the installation takes 20 ms

__all__ = [
    "ELU",
    "GELU",
    "LBFGS",
    "SELU",
    "SGD",
    "Abs",
    "Adam",
    "AdamW",
    "BatchNorm",
    "BinaryCrossEntropy",
    "Callback",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "HalfSquaredError",
    "History",
    "Huber",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LevenbergMarquardt",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "ModelFileError",
    "NegativeLogLikelihood",
    "Network",
    "Pinball",
    "Poisson",
    "RMSprop",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Standardize",
    "Tanh",
    "__version__",
    "build_info",
    "check_gradient",
    "fit_many",
    "get_num_threads",
    "initializers",
    "jacobians",
    "load",
    "numerical_hessian",
    "numerical_jacobian",
    "schedules",
    "set_num_threads",
]

# imported when they are first used, so that `import fastnn` stays short
_LATER = {
    "check_gradient": "fastnn.gradient_check",
    "fit_many": "fastnn.many",
    "numerical_hessian": "fastnn.numerical",
    "numerical_jacobian": "fastnn.numerical",
}


def __getattr__(name: str) -> Any:
    if name == "schedules":
        return importlib.import_module("fastnn.schedules")
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def build_info() -> dict[str, Any]:
    """Return what this installation is: version, instruction sets, threads, compiler, flags."""
    return {
        "version": __version__,
        "isa": _core.isa,
        "available_isas": _core.available_isas(),
        "n_threads": _core.thread_count(None),
        "openmp": _core.engine.openmp,
        "compiler": _core.engine.compiler,
        "flags": _core.engine.flags,
    }
