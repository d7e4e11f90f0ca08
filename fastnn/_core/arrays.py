"""The type of an array in annotations."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
