"""Layers with the arrays of a state dict of PyTorch, which has names but no layers."""

from collections.abc import Mapping, Sequence

from fastnn._core.arrays import Array
from fastnn.layers import Layer, composition
from fastnn.layers.custom_classes import classes_by_name

BLOCKS = ("layers", "branches")  # the words in the names of fastnn's blocks

Owner = tuple[str, ...]  # the name of an array without its last word, such as ("0", "2")


def layers_with(layers: Sequence[Layer], arrays: Mapping[str, Array]) -> list[Layer]:
    """Return copies of some layers with the arrays of a state dict.

    The places in the names ("0.weight", "net.1.0.bias", …) tell the order of the layers that have
    arrays. Numbers of batches, which PyTorch counts, are left out.

    Raises
    ------
    ValueError
        If the names do not tell the order, or an array is missing, unknown, or of another shape.
    """
    wanted = _by_owner(composition.arrays_of(layers))
    given = {owner: own for owner, own in _by_owner(arrays).items() if own}
    order = list(wanted) if given.keys() == wanted.keys() else _in_order(list(given))
    if len(order) != len(wanted):
        raise ValueError(
            f"the file has arrays of {len(order)} layers; layers has {len(wanted)} with arrays"
        )
    renamed: dict[str, Array] = {}
    for owner, (place, own) in zip(order, wanted.items(), strict=True):
        shapes = [{n: a.shape for n, a in found.items()} for found in (given[owner], own)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{'.'.join(owner)} has the arrays {shapes[0]}; those of layers are {shapes[1]}"
            )
        renamed |= {".".join((*place, name)): array for name, array in given[owner].items()}
    return composition.build(composition.describe(layers), renamed, classes_by_name(layers))


def _by_owner(arrays: Mapping[str, Array]) -> dict[Owner, dict[str, Array]]:
    found: dict[Owner, dict[str, Array]] = {}
    for name, array in arrays.items():
        *owner, own_name = name.split(".")
        own = found.setdefault(tuple(owner), {})
        if own_name != "num_batches_tracked":
            own[own_name] = array
    return found


def _in_order(owners: list[Owner]) -> list[Owner]:
    """Return the owners by the numbers in their names; a word that all begin with is ignored."""
    first = 0
    while owners and all(len(o) > first + 1 and o[first] == owners[0][first] for o in owners):
        if owners[0][first].isdecimal():
            break
        first += 1

    def key(owner: Owner) -> list[tuple[int, str]]:
        words = owner[first:]
        if not words or not all(word.isdecimal() or word in BLOCKS for word in words):
            raise ValueError(
                f"the file has {'.'.join(owner)!r}, which does not tell the order of the layers; "
                f"numbers as in '0.weight' are wanted, which nn.Sequential gives"
            )
        return [(int(word), "") if word.isdecimal() else (0, word) for word in words]

    return sorted(sorted(owners), key=key)  # so that the error does not depend on the file
