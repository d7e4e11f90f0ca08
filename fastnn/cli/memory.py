"""What a model file remembers of the table that its estimator was trained on."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from fastnn.files import model_file

KEY = "table"


@dataclass(frozen=True)
class Memory:
    """The target's name, the columns of `--id`, and the gaps of `--na`.

    An estimator that was saved in Python has none of these: then the target is None.
    """

    target: str | None = None
    ids: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """Return the entry for the description in a model file."""
        return {KEY: dataclasses.asdict(self)}


def of(path: str) -> Memory:
    """Return the memory in a model file.

    Raises
    ------
    ModelFileError
        If it is damaged.
    OSError
        If the file cannot be read.
    """
    found = model_file.read(path)[0].get(KEY)
    if found is None:
        return Memory()
    try:
        memory = Memory(**found)
        texts = [memory.target, *memory.ids, *memory.gaps]
        if not (isinstance(memory.ids, list) and isinstance(memory.gaps, list)):
            raise TypeError("lists are wanted")
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("texts are wanted")
    except TypeError as error:
        raise model_file.ModelFileError(
            f"{path}: not a valid model: its entry {KEY!r} is damaged"
        ) from error
    return memory
