"""The classes of custom layers: by their names in a model file, and layers made from a file."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastnn._core.arrays import Array
from fastnn.files.model_file import ModelFileError
from fastnn.layers.base import Layer
from fastnn.layers.custom import CustomLayer


def classes_by_name(layers: Sequence[Layer]) -> dict[str, type[CustomLayer]]:
    """Return the classes of the custom layers by their names in a model file.

    Raises
    ------
    ValueError
        If two classes have the same name.
    """
    found: dict[str, type[CustomLayer]] = {}
    for i, layer in enumerate(layers):
        if isinstance(layer, CustomLayer):
            other = found.setdefault(layer.name, type(layer))
            if other is not type(layer):
                raise ValueError(
                    f"layers[{i}] has the name {layer.name!r}, as a layer of another class has; "
                    f"a different name of each class is wanted"
                )
    return found


def check_classes(value: Any) -> dict[str, type[CustomLayer]]:
    """Return the checked argument `custom_layers` of `load`."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"custom_layers is {value!r}; a mapping from names to classes is wanted")
    for name, cls in value.items():
        if not (isinstance(cls, type) and issubclass(cls, CustomLayer)):
            raise TypeError(
                f"custom_layers[{name!r}] is {cls!r}; a subclass of CustomLayer is wanted"
            )
    return dict(value)


def build(
    description: dict[str, Any],
    arrays: dict[str, Array],
    classes: Mapping[str, type[CustomLayer]],
    place: str,
) -> CustomLayer:
    """Return a new layer, made from the results of `description()` and `arrays()`.

    `place` is the layer's name in error messages.

    Raises
    ------
    ModelFileError
        If the class is not among `classes`.
    ValueError, TypeError, KeyError
        If the description is invalid, or does not fit the class.
    """
    name = description["name"]
    if not isinstance(name, str):
        raise TypeError(f"{place} has the name {name!r}; a text is wanted")
    if name not in classes:
        raise ModelFileError(
            f"{place} is the custom layer {name!r}, whose code is not in the file; pass its class: "
            f"fastnn.load(path, custom_layers={{{name!r}: …}})"
        )
    layer = classes[name].from_config(description["config"], arrays)
    found = layer.description()
    for key in ("in_features", "out_features", "shapes"):
        if found[key] != description[key]:
            raise ValueError(
                f"{place}: {classes[name].__name__} makes a layer whose {key} is {found[key]}; the "
                f"file has {description[key]}"
            )
    return layer
