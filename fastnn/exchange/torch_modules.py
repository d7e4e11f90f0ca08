"""Networks from and to modules of PyTorch."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.layers import LAYERS, Layer, Parallel, Residual, composition
from fastnn.network import Network


@dataclass(frozen=True)
class Counterpart:
    """A module of PyTorch that computes what a layer does.

    Attributes
    ----------
    kind : str
        The kind of the layer.
    names : dict
        The name of each argument of the layer in the module.
    fixed : dict
        Arguments of the module that the layer lacks, each with the values for which module and
        layer agree; `to_torch` uses the first value.
    """

    kind: str
    names: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, tuple[Any, ...]] = field(default_factory=dict)


_LAST_AXIS = {"dim": (-1, 1)}

# By the name in `torch.nn`.
COUNTERPARTS = {
    "Linear": Counterpart("linear", {"in_features": "in_features", "out_features": "out_features"}),
    "Identity": Counterpart("identity"),
    "ReLU": Counterpart("relu"),
    "LeakyReLU": Counterpart("leaky_relu", {"negative_slope": "negative_slope"}),
    "ELU": Counterpart("elu", {"alpha": "alpha"}),
    "SELU": Counterpart("selu"),
    "Sigmoid": Counterpart("sigmoid"),
    "Tanh": Counterpart("tanh"),
    # above the threshold PyTorch returns x; the difference at 60 is below float64's precision
    "Softplus": Counterpart("softplus", fixed={"beta": (1,), "threshold": (60, 20)}),
    "GELU": Counterpart("gelu", fixed={"approximate": ("none",)}),
    "SiLU": Counterpart("silu"),
    "Mish": Counterpart("mish"),
    "Hardtanh": Counterpart("hard_tanh", fixed={"min_val": (-1,), "max_val": (1,)}),
    "Softmax": Counterpart("softmax", fixed=_LAST_AXIS),
    "LogSoftmax": Counterpart("log_softmax", fixed=_LAST_AXIS),
    "Dropout": Counterpart("dropout", {"p": "p"}),
    "LayerNorm": Counterpart("layer_norm", {"features": "normalized_shape", "eps": "eps"}),
    "BatchNorm1d": Counterpart(
        "batch_norm",
        {"features": "num_features", "eps": "eps", "momentum": "momentum"},
        {"track_running_stats": (True,)},
    ),
}
MODULES = {counterpart.kind: name for name, counterpart in COUNTERPARTS.items()}
# The layers whose modules are in `torch_layers`, beside the blocks.
OWN = ("standardize", "unstandardize", "abs", "scale", "parametric")


def from_torch(module: Any) -> Network:
    """Return a network that computes and trains like a module of PyTorch.

    Parameters
    ----------
    module : torch.nn.Sequential
        It may consist of Linear, ReLU, LeakyReLU, ELU, SELU, Sigmoid, Tanh, Softplus, GELU, SiLU,
        Mish, Hardtanh, Identity, Dropout, Softmax, LogSoftmax, LayerNorm, BatchNorm1d, Flatten,
        modules that `to_torch` makes, and other Sequentials. A sample is a vector: if the input has
        more axes, Flatten must be the first module.

    Returns
    -------
    Network
        It has copies of the parameters, in float64 if one has this dtype, else in float32. A layer
        whose parameters do not all require a gradient is frozen.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    TypeError
        If a module is not one of these. The message names its place.
    ValueError
        If a module has an argument that fastnn's layer lacks, such as approximate="tanh" of GELU.
        If it has a hook or a replaced `forward`, or no values, as on the device "meta". If a
        parameter is in several places.
    """
    torch = _checks.optional_package("torch", "from_torch", "torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module is {module!r}; a torch.nn.Sequential is wanted")
    tensors = [*module.parameters(), *module.buffers()]
    is_double = any(tensor.dtype == torch.float64 for tensor in tensors)
    parameters = [id(own) for inner in _modules(module) for own in inner.parameters(recurse=False)]
    if len(set(parameters)) != len(parameters):
        raise ValueError(
            "module has a parameter in several places; each layer has its own in fastnn"
        )
    return Network(_layers_of(module, "module", True), "float64" if is_double else "float32")


def to_torch(net: Network) -> Any:
    """Return a `torch.nn.Sequential` that computes and trains like a network.

    Parameters
    ----------
    net : Network
        A network without embeddings and without `CustomLayer`.

    Returns
    -------
    torch.nn.Sequential
        It has copies of the parameters, in the network's dtype. It is in evaluation mode; `train()`
        switches Dropout and BatchNorm to training. The names in `state_dict()` are those of a model
        file. The parameters of frozen layers do not require a gradient.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    TypeError
        If PyTorch has no counterpart of a layer.
    """
    torch = _checks.optional_package("torch", "to_torch", "torch")
    if not isinstance(net, Network):
        raise TypeError(f"net is {net!r}; a Network is wanted")
    # modules draw initial values, and are made on the user's default device
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        module = _sequential(net.layers, torch).to(getattr(torch, str(net.dtype)))
    arrays = composition.arrays_of(net.layers)
    state = {name: torch.tensor(array, device="cpu") for name, array in arrays.items()}
    _, unexpected = module.load_state_dict(state, strict=False)  # BatchNorm1d also counts batches
    assert not unexpected
    return module.eval()


def _layers_of(module: Any, place: str, at_start: bool = False) -> list[Layer]:
    """Return the layers of a module; Sequentials are replaced by their modules.

    With `at_start`, no module comes before: Flatten is possible.
    """
    from torch import nn

    from fastnn.exchange import torch_layers

    if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
        raise ValueError(f"{place} is {module!r} with a hook or its own forward; neither is wanted")
    if type(module) is nn.Sequential:
        layers: list[Layer] = []
        for name, inner in module._modules.items():  # with repeated modules
            layers += _layers_of(inner, f"{place}[{name}]", at_start and not layers)
        return layers
    if type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
        if not at_start:  # the modules before could have computed along another axis
            raise ValueError(f"{place} is {module!r}, which fastnn takes as the first module only")
        return []
    if type(module) is torch_layers.Residual:
        return [Residual(_layers_of(module.layers, f"{place}.layers"))]
    if type(module) is torch_layers.Parallel:
        branches = [
            _layers_of(branch, f"{place}.branches[{i}]") for i, branch in enumerate(module.branches)
        ]
        return [Parallel(branches, module.combine)]
    kind = _kind_of(module)
    if kind is None:
        raise TypeError(f"{place} is {module!r}, which is no layer of fastnn")
    try:
        layer = _leaf(module, kind)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place} is {module!r}: {error}") from error
    layer.trainable = all(parameter.requires_grad for parameter in module.parameters())
    return [layer]


def _modules(module: Any) -> "Iterator[Any]":
    """Yield a module and those inside, repeated ones each time."""
    yield module
    for inner in module._modules.values():
        yield from _modules(inner)


def _kind_of(module: Any) -> str | None:
    """Return the kind of the layer that a module without modules inside computes."""
    from torch import nn

    from fastnn.exchange import torch_layers

    name = type(module).__name__
    if type(module) is getattr(nn, name, None):
        return COUNTERPARTS[name].kind if name in COUNTERPARTS else None
    own = type(module) is getattr(torch_layers, name, None) and name.lower() in OWN
    return name.lower() if own else None


def _leaf(module: Any, kind: str) -> Layer:
    """Return the layer of a module."""
    arrays = {
        name: _array_of(tensor)
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers()]
        if name != "num_batches_tracked"
    }
    if kind in ("scale", "standardize", "unstandardize"):
        config: dict[str, Any] = {}
        if kind == "scale":
            config = {"features": len(arrays["weight"]), "bias": "bias" in arrays}
        return LAYERS[kind].from_config(config, arrays)
    if kind == "parametric":
        inner = _kind_of(module.activation)
        if inner is None:
            raise ValueError(f"the activation {module.activation!r} is no layer of fastnn")
        config = {"features": len(arrays["alpha"])}
        config["activation"] = _leaf(module.activation, inner).description()
        return LAYERS[kind].from_config(config, arrays)
    if kind == "abs":
        return LAYERS[kind].from_config({}, {})
    counterpart = COUNTERPARTS[type(module).__name__]
    for name, values in counterpart.fixed.items():
        found = getattr(module, name)
        if not isinstance(found, bool | int | float | str) or found not in values:
            raise ValueError(f"{name} is {getattr(module, name)!r}; {values[-1]!r} is wanted")
    config = {ours: getattr(module, theirs) for ours, theirs in counterpart.names.items()}
    if kind == "linear":
        config["bias"] = "bias" in arrays
    if kind == "layer_norm":
        if len(config["features"]) != 1:
            raise ValueError(f"normalized_shape is {config['features']}; one axis is wanted")
        config["features"] = config["features"][0]
    if kind in ("layer_norm", "batch_norm"):
        if ("weight" in arrays) != ("bias" in arrays):
            raise ValueError("bias is None; fastnn's layer has a bias")
        if "weight" not in arrays:
            raise ValueError("weight is None; fastnn's layer has a weight")
    if kind == "batch_norm" and not {"running_mean", "running_var"} <= arrays.keys():
        raise ValueError("running_mean or running_var is None; running statistics are wanted")
    return LAYERS[kind].from_config(config, arrays)


def _array_of(tensor: Any) -> Array:
    """Return a copy of a tensor as an array; half precision becomes float32."""
    if tensor.device.type == "meta" or str(tensor.layout) != "torch.strided":
        raise ValueError(
            f"a tensor is on {tensor.device} in the layout {tensor.layout}; values in the layout "
            f"torch.strided are wanted"
        )
    if not tensor.is_floating_point():
        raise ValueError(f"a tensor has dtype {tensor.dtype}; real numbers are wanted")
    tensor = tensor.detach().cpu()
    tensor = tensor if tensor.element_size() >= 4 else tensor.float()
    return np.array(tensor.numpy())


def _sequential(layers: "tuple[Layer, ...]", torch: Any) -> Any:
    return torch.nn.Sequential(*(_module_of(layer, torch) for layer in layers))


def _module_of(layer: Any, torch: Any) -> Any:
    """Return the module of a layer, with initial values of its parameters."""
    from fastnn.exchange import torch_layers

    kind = layer.kind
    if kind == "residual":
        return torch_layers.Residual(_sequential(layer.layers, torch))
    if kind == "parallel":
        branches = [_sequential(branch, torch) for branch in layer.branches]
        return torch_layers.Parallel(branches, layer.combine)
    if kind in MODULES:
        counterpart = COUNTERPARTS[MODULES[kind]]
        config = layer.config()
        arguments = {theirs: config[ours] for ours, theirs in counterpart.names.items()}
        arguments |= {name: values[0] for name, values in counterpart.fixed.items()}
        if kind == "linear":
            arguments["bias"] = layer.bias is not None
        module = getattr(torch.nn, MODULES[kind])(**arguments)
    elif kind == "parametric":
        inner = _module_of(layer.activation, torch)
        module = torch_layers.Parametric(layer.in_features, inner)
    elif kind == "scale":
        module = torch_layers.Scale(layer.in_features, layer.bias is not None)
    elif kind == "abs":
        module = torch_layers.Abs()
    elif kind in ("standardize", "unstandardize"):
        module = getattr(torch_layers, kind.capitalize())(layer.in_features)
    else:
        raise TypeError(f"{layer!r} has no counterpart in PyTorch")
    return module.requires_grad_(layer.trainable)
