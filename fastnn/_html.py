"""Tables and small curves in HTML, for notebooks. They need no JavaScript and no other file.

Text and lines take the colour of the page, so that they are visible on a light and a dark page.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 360, 130  # of a curve, in pixels
LEFT, RIGHT, TOP, BOTTOM = 62, 346, 10, 106  # the edges of the axes
COLOURS = ("#1f77b4", "#ff7f0e")
MOST_POINTS = 300
LOGARITHMIC_RATIO = 50.0  # of the largest to the smallest value, from which the axis is logarithmic


def table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, n_texts: int = 1
) -> str:
    """Return a table. The first `n_texts` columns hold texts, the others hold numbers."""
    sides = ["left" if i < n_texts else "right" for i in range(len(header))]

    def line(kind: str, cells: Sequence[str]) -> str:
        return "".join(
            f'<{kind} style="text-align:{side}">{escape(cell)}</{kind}>'
            for side, cell in zip(sides, cells, strict=True)
        )

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return (
        f'<table><caption style="text-align:left;caption-side:top">{escape(caption)}</caption>'
        f"<thead><tr>{line('th', header)}</tr></thead><tbody>{body}</tbody></table>"
    )


def curves(columns: Mapping[str, Sequence[float]], x_label: str) -> str:
    """Return a picture of at most two columns as curves over 1, 2, …; "" if nothing is finite.

    The vertical axis is logarithmic if all values are positive and their sizes differ much.
    """
    finite = [v for column in columns.values() for v in column if math.isfinite(v)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    logarithmic = low > 0 and high / low > LOGARITHMIC_RATIO
    n = max(len(column) for column in columns.values())

    def height(value: float) -> float:
        if low == high:
            return (TOP + BOTTOM) / 2
        if logarithmic:
            share = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        else:  # halves, because the difference of two large numbers may overflow
            share = (value / 2 - low / 2) / (high / 2 - low / 2)
        return BOTTOM - share * (BOTTOM - TOP)

    def place(i: int) -> float:
        return LEFT + (RIGHT - LEFT) * (i / (n - 1) if n > 1 else 0.5)

    shapes = []
    for i, (name, column) in enumerate(list(columns.items())[: len(COLOURS)]):
        shapes += [_run(run, column, place, height, COLOURS[i]) for run in _finite_runs(column)]
        shapes.append(_text(RIGHT, TOP + 4 + 14 * i, name, "end", COLOURS[i]))
    shapes.append(
        f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="currentColor" '
        f'stroke-opacity="0.5"/>'
    )
    for value in sorted({low, high}):
        shapes.append(_text(LEFT - 5, height(value) + 4, f"{value:.3g}", "end"))
    for epoch in sorted({1, n}):
        shapes.append(_text(place(epoch - 1), BOTTOM + 15, str(epoch), "middle"))
    label = x_label + ("; the vertical axis is logarithmic" if logarithmic else "")
    shapes.append(_text((LEFT + RIGHT) / 2, BOTTOM + 15, label if n > 1 else "", "middle"))
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'style="max-width:100%">{"".join(shapes)}</svg>'
    )


def _finite_runs(column: Sequence[float]) -> list[list[int]]:
    """Return runs of finite values, as lists of indices; a long column is thinned out."""
    stride = -(-len(column) // MOST_POINTS)
    indices = sorted({*range(0, len(column), max(stride, 1)), len(column) - 1})
    runs: list[list[int]] = [[]]
    for i in indices:
        if i >= 0 and math.isfinite(column[i]):
            runs[-1].append(i)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _run(
    run: Sequence[int],
    column: Sequence[float],
    place: Callable[[int], float],
    height: Callable[[float], float],
    colour: str,
) -> str:
    """Return one unbroken part of a curve; a single value is a dot."""
    points = [f"{place(i):.1f},{height(column[i]):.1f}" for i in run]
    if len(points) == 1:
        x, y = points[0].split(",")
        return f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>'
    path = " ".join(points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "currentColor") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" font-family="sans-serif" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
