"""Values that JSON can hold."""

import json
from typing import Any

import numpy as np


def as_json(config: Any) -> Any:
    """Return a configuration as a file would return it: arrays and tuples become lists."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        raise TypeError(f"{type(value).__name__} is not stored")

    if not isinstance(config, dict) or not all(isinstance(name, str) for name in config):
        raise TypeError("a dict with names as keys is wanted")
    return json.loads(json.dumps(config, default=plain))
