"""Networks from model files."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastnn.files import model_file
from fastnn.files.model_file import ModelFileError
from fastnn.layers import CustomLayer
from fastnn.layers.custom_classes import check_classes
from fastnn.network.network import Network
from fastnn.training.checkpoints import without_fit

if TYPE_CHECKING:
    CustomClasses = Mapping[str, type[CustomLayer]]


def load(
    path: "str | os.PathLike[str]", *, custom_layers: "CustomClasses | None" = None
) -> Network:
    """Return the network in a file of `Network.save` or a checkpoint of `Network.fit`.

    Parameters
    ----------
    path : str or PathLike
    custom_layers : mapping of str to class, optional
        The class of each `CustomLayer` in the file, by its name there. A file contains no code.

    Raises
    ------
    ModelFileError
        If the file is truncated, has another format, or holds no valid network. If it has a custom
        layer that `custom_layers` lacks.
    TypeError
        If `custom_layers` is not a mapping to subclasses of CustomLayer.
    OSError
        If the file cannot be read.
    """
    classes = check_classes(custom_layers)
    description, arrays = without_fit(*model_file.read(path))
    try:
        return Network._from_description(description, arrays, classes)
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelFileError(f"{os.fspath(path)}: not a valid network: {error!r}") from error
