"""The passes through a network as statements in C: forward, tangents and cotangents.

A pass goes through the operations, and puts their results into the program's arrays or into the
workspace. The workspace of a pass ends at `Workspace.size`.
"""

from collections.abc import Callable, Sequence

from fastnn.c_code.layers import Branches, Node
from fastnn.c_code.operations import Lines, Operation, Place, added, copied

Step = Callable[[Operation, Place, Place], Lines]


class Workspace:
    """The free and taken parts of an array that a program works in."""

    def __init__(self) -> None:
        self.size = 0
        self._taken: list[tuple[int, int]] = []  # begin and end, ascending

    def take(self, n: int) -> Place:
        """Return the first place of n free numbers, which is taken from now on."""
        begin = 0
        for start, end in self._taken:
            if begin + n <= start:
                break
            begin = end
        self._taken = sorted([*self._taken, (begin, begin + n)])
        self.size = max(self.size, begin + n)
        return Place("work", begin)

    def free(self, place: Place) -> None:
        """Free a place."""
        self._taken = [taken for taken in self._taken if taken[0] != place.offset]


def ahead(
    nodes: Sequence[Node], n: int, x: Place, y: Place, workspace: Workspace, step: Step
) -> Lines:
    """Return the step of each operation from the first to the last; x has n numbers."""
    return _through(nodes, n, x, y, workspace, step, _branches_ahead, False)


def back(
    nodes: Sequence[Node], n: int, dy: Place, dx: Place, workspace: Workspace, step: Step
) -> Lines:
    """Return the step of each operation from the last to the first; dx has n numbers."""
    return _through(nodes, n, dy, dx, workspace, step, _branches_back, True)


def _through(
    nodes: Sequence[Node],
    n: int,
    source: Place,
    target: Place,
    workspace: Workspace,
    step: Step,
    step_of_branches: "Callable[[Branches, Place, Place, Workspace, Step], Lines]",
    reverse: bool,
) -> Lines:
    if not nodes:
        return copied(source, target, n)
    lines: Lines = []
    place, is_own = source, False
    order = list(reversed(nodes)) if reverse else list(nodes)
    for node in order:
        is_last = node is order[-1]
        width = node.n_in if reverse else node.n_out
        if is_last:
            result = target
        elif node.in_place and is_own:
            result = place
        else:
            result = workspace.take(width)
        if isinstance(node, Branches):
            lines += step_of_branches(node, place, result, workspace, step)
        else:
            lines += step(node, place, result)
        if is_own and result != place:
            workspace.free(place)
        place, is_own = result, not is_last
    return lines


def _branches_ahead(node: Branches, x: Place, y: Place, workspace: Workspace, step: Step) -> Lines:
    lines: Lines = []
    for i, (branch, width) in enumerate(zip(node.branches, node.widths, strict=True)):
        if node.joined:
            lines += ahead(branch, node.n_in, x, y, workspace, step)
            y = y.after(width)
        elif i == 0:
            lines += ahead(branch, node.n_in, x, y, workspace, step)
        else:
            lines += _added(ahead, branch, node.n_in, x, y, width, workspace, step)
    return lines


def _branches_back(node: Branches, dy: Place, dx: Place, workspace: Workspace, step: Step) -> Lines:
    """Go through the branches from the last to the first, since the engine adds in this order."""
    lines: Lines = []
    dy = dy.after(sum(node.widths) if node.joined else 0)
    for i, (branch, width) in enumerate(zip(node.branches[::-1], node.widths[::-1], strict=True)):
        dy = dy.after(-width if node.joined else 0)
        if i == 0:
            lines += back(branch, node.n_in, dy, dx, workspace, step)
        else:
            lines += _added(back, branch, node.n_in, dy, dx, node.n_in, workspace, step)
    return lines


def _added(
    way: "Callable[[Sequence[Node], int, Place, Place, Workspace, Step], Lines]",
    branch: Sequence[Node],
    n: int,
    source: Place,
    target: Place,
    width: int,
    workspace: Workspace,
    step: Step,
) -> Lines:
    """Return the addition of a branch's result to the target."""
    if not branch:
        return added(source, target, width)
    part = workspace.take(width)
    lines = way(branch, n, source, part, workspace, step)
    workspace.free(part)
    return [*lines, *added(part, target, width)]
