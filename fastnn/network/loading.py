"""Read networks from model files and from state dicts of PyTorch."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastnn import _checks
from fastnn._checks.printing import printable
from fastnn.files import model_file
from fastnn.files.model_file import ModelFileError
from fastnn.layers import CustomLayer, Layer, composition
from fastnn.layers.custom_classes import check_classes
from fastnn.network.network import Network
from fastnn.training.checkpoints import without_fit

if TYPE_CHECKING:
    CustomClasses = Mapping[str, type[CustomLayer]]


def load(
    path: "str | os.PathLike[str]",
    *,
    layers: "Sequence[Layer] | None" = None,
    custom_layers: "CustomClasses | None" = None,
) -> Network:
    """Return the network in a file of `Network.save` or a checkpoint of `Network.fit`.

    With `layers`, the file is a state dict of PyTorch instead, which has arrays but no layers.

    Parameters
    ----------
    path : str or PathLike
    layers : list of Layer, optional
        The layers of the network for a file of `safetensors.torch.save_file`. The names of the
        arrays must contain numbers in the order of the layers, as `nn.Sequential` gives them. The
        network gets copies of the layers with these arrays, in float64 if an array has this dtype,
        else in float32.
    custom_layers : mapping of str to class, optional
        The class of each `CustomLayer` in a model file, by its name there. A file contains no code.

    Raises
    ------
    ModelFileError
        If the file is truncated, has another format, or holds no valid network. If it has a
        `CustomLayer` that `custom_layers` lacks. If the arrays do not fit `layers`.
    ValueError, TypeError
        If `path` is not a path. If `layers` and `custom_layers` are both given. If `layers` is not
        a list of layers that form a network, or `custom_layers` is not a mapping to subclasses of
        CustomLayer.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> net = fn.Network([fn.Linear(2, 1), fn.Tanh()], seed=0)
    >>> net.save("net.safetensors")
    >>> fn.load("net.safetensors")
    Network([
        Linear(2, 1),
        Tanh(),
    ], dtype='float32')
    """
    classes = check_classes(custom_layers)
    path = _checks.file_path(path)
    if layers is not None:
        if custom_layers is not None:
            raise ValueError("layers and custom_layers are given; layers has the classes already")
        return _from_state_dict(path, layers)
    description, arrays = without_fit(*model_file.read(path))
    try:
        return Network._from_description(description, arrays, classes)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelFileError(f"{path}: not a valid network: {error!r}") from error


def _from_state_dict(path: str, layers: "Sequence[Layer]") -> Network:
    """Return a network with copies of the layers, which get the arrays of a safetensors file."""
    from fastnn.network.state_dict import layers_with  # here, so that `import fastnn` stays fast

    if not isinstance(layers, list | tuple):
        raise TypeError(f"layers is {layers!r}; a list of layers is wanted")
    composition.input_widths(layers)
    arrays = model_file.read_arrays(path)
    for name, array in arrays.items():
        if array.dtype.kind != "f" and not name.endswith("num_batches_tracked"):
            raise ModelFileError(
                f"{path}: {printable(name)} has dtype {array.dtype}; real numbers are wanted"
            )
    is_double = any(array.dtype == np.float64 for array in arrays.values())
    try:
        made = layers_with(layers, arrays)
        return Network(made, "float64" if is_double else "float32")
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: {error}") from error
