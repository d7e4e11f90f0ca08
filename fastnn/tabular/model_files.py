"""Model files of the estimators: one safetensors file, without pickle and without code."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.files import model_file

KEY = "tabular"


def flattened(value: Any, arrays: dict[str, Array], name: str) -> Any:
    """Return a value for JSON; add its arrays to `arrays`, with names that begin with `name`.

    Raises
    ------
    TypeError
        If neither JSON nor an array can hold the value.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "OUS":
            return {"texts": value.tolist(), "kind": value.dtype.kind}
        arrays[name] = value
        return {"array": name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            pairs = [
                [flattened(k, arrays, f"{name}.{i}.key"), flattened(v, arrays, f"{name}.{i}")]
                for i, (k, v) in enumerate(value.items())
            ]
            return {"pairs": pairs}
        return {
            "dict": {key: flattened(item, arrays, f"{name}.{key}") for key, item in value.items()}
        }
    if isinstance(value, tuple):
        return {"tuple": [flattened(v, arrays, f"{name}.{i}") for i, v in enumerate(value)]}
    if isinstance(value, list):
        return [flattened(item, arrays, f"{name}.{i}") for i, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name} is {value!r}, which a model file cannot hold")


def restored(value: Any, arrays: dict[str, Array]) -> Any:
    """Return the value that `flattened` turned into `value`."""
    if isinstance(value, list):
        return [restored(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "texts" in value:
        return np.array(value["texts"], dtype=object if value["kind"] == "O" else str)
    if "tuple" in value:
        return tuple(restored(item, arrays) for item in value["tuple"])
    if "pairs" in value:
        return {restored(k, arrays): restored(v, arrays) for k, v in value["pairs"]}
    return {key: restored(item, arrays) for key, item in value["dict"].items()}


def save(path: Any, estimator: Any, more: Mapping[str, Any] | None = None) -> None:
    """Write a fitted estimator to a file. `more` is added to the description in the file."""
    arrays: dict[str, Array] = {}
    state = dict(vars(estimator))
    encoder, networks, report = (state.pop(n) for n in ("encoder_", "networks_", "report_"))
    descriptions = []
    for i, network in enumerate(networks):
        described, own = network._describe()
        descriptions.append(described)
        arrays |= {f"network.{i}.{name}": array for name, array in own.items()}
    parts = {f.name: getattr(report, f.name) for f in fields(report) if f.name != "columns"}
    description = {
        "class": type(estimator).__name__,
        "networks": descriptions,
        "encoder": flattened(encoder.to_state(), arrays, "encoder"),
        "report": flattened(parts, arrays, "report"),
        "state": flattened(state, arrays, "state"),
    }
    model_file.write(path, {**(more or {}), KEY: description}, arrays)
