"""Train, run and differentiate multi-layer perceptrons on a CPU.

>>> import fastnn as fn
>>> net = fn.Network([fn.Linear(2, 8), fn.ReLU(), fn.Linear(8, 2)], seed=0)
>>> history = net.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], epochs=500, seed=0)
>>> int(net.predict([[0, 1]]).argmax())
1
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from fastnn import callbacks, initializers, jacobians, metrics, optimizers
from fastnn._version import __version__
from fastnn.callbacks import Callback, EarlyStopping
from fastnn.files.model_file import ModelFileError
from fastnn.layers import (
    ELU,
    GELU,
    SELU,
    Abs,
    BatchNorm,
    CategoricalEmbedding,
    CustomLayer,
    Dropout,
    HardTanh,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    Mish,
    Parallel,
    Parametric,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    ReLU,
    Residual,
    Scale,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Standardize,
    Tanh,
    Unstandardize,
)
from fastnn.losses import (
    BinaryCrossEntropy,
    HalfSquaredError,
    Huber,
    LogCosh,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    NegativeLogLikelihood,
    Pinball,
    Poisson,
    SoftmaxCrossEntropy,
)
from fastnn.network import GaussianPosterior, Network, load
from fastnn.optimizers import LBFGS, SGD, Adam, AdamW, Group, LevenbergMarquardt, Lion, RMSprop
from fastnn.runtime import build_info, get_num_threads, set_num_threads
from fastnn.training import DivergenceError, History

if TYPE_CHECKING:
    from fastnn import casadi, datasets, plots, schedules, sklearn, tabular  # noqa: F401
    from fastnn.exchange.jax_function import jax_function
    from fastnn.exchange.keras_models import from_keras
    from fastnn.exchange.onnx_import import import_onnx
    from fastnn.exchange.torch_function import torch_function
    from fastnn.exchange.torch_modules import from_torch, to_torch
    from fastnn.explanation import explain
    from fastnn.gradient_check import check_gradient
    from fastnn.many import jacobian_many, predict_ensemble, predict_many, stack_params
    from fastnn.numerical import numerical_hessian, numerical_jacobian
    from fastnn.parallel import fit_many

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
    "CategoricalEmbedding",
    "CustomLayer",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "GaussianPosterior",
    "Group",
    "HalfSquaredError",
    "HardTanh",
    "History",
    "Huber",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LevenbergMarquardt",
    "Linear",
    "Lion",
    "LogCosh",
    "LogSoftmax",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Mish",
    "ModelFileError",
    "NegativeLogLikelihood",
    "Network",
    "Parallel",
    "Parametric",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "Pinball",
    "Poisson",
    "RMSprop",
    "ReLU",
    "Residual",
    "Scale",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Standardize",
    "Tanh",
    "Unstandardize",
    "__version__",
    "build_info",
    "callbacks",
    "check_gradient",
    "datasets",
    "explain",
    "fit_many",
    "from_keras",
    "from_torch",
    "get_num_threads",
    "import_onnx",
    "initializers",
    "jacobian_many",
    "jacobians",
    "jax_function",
    "load",
    "metrics",
    "numerical_hessian",
    "numerical_jacobian",
    "plots",
    "predict_ensemble",
    "predict_many",
    "schedules",
    "set_num_threads",
    "stack_params",
    "to_torch",
    "torch_function",
]

# Pickles of version 0.1 name these modules.
sys.modules["fastnn.lbfgs"] = sys.modules["fastnn.levenberg_marquardt"] = optimizers

# Imported at first use, so that `import fastnn` stays fast.
_LATER = {
    "check_gradient": "fastnn.gradient_check",
    "explain": "fastnn.explanation",
    "fit_many": "fastnn.parallel",
    "from_keras": "fastnn.exchange.keras_models",
    "from_torch": "fastnn.exchange.torch_modules",
    "import_onnx": "fastnn.exchange.onnx_import",
    "jacobian_many": "fastnn.many",
    "jax_function": "fastnn.exchange.jax_function",
    "numerical_hessian": "fastnn.numerical",
    "numerical_jacobian": "fastnn.numerical",
    "predict_ensemble": "fastnn.many",
    "predict_many": "fastnn.many",
    "stack_params": "fastnn.many",
    "to_torch": "fastnn.exchange.torch_modules",
    "torch_function": "fastnn.exchange.torch_function",
}
_LATER_MODULES = ("casadi", "datasets", "plots", "schedules", "sklearn", "tabular")


def __getattr__(name: str) -> Any:
    if name in _LATER_MODULES:
        return importlib.import_module(f"fastnn.{name}")
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    import importlib.util

    # These are not in `__all__`: a star import would replace their libraries, or fail without them
    needs = {"casadi": "casadi", "sklearn": "sklearn", "tabular": "sklearn"}
    found = [name for name, library in needs.items() if importlib.util.find_spec(library)]
    return sorted([*__all__, *found])
