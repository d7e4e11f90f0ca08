"""A figure of how many times fastnn's result each library takes, one row for each case."""

from bench.names import LIBRARIES

COLOURS = dict(zip(LIBRARIES, (f"C{i}" for i in range(len(LIBRARIES))), strict=True))


def ratios(row):
    """Return the ratio of each library's result, and of the limit, to the first column's result."""
    subject, *_ = row["results"].values()
    found = {n: value / subject for n, value in row["results"].items() if n in LIBRARIES}
    return {**found, "limit": row["limit"] / subject} if "limit" in row else found


def draw(file, title, benches):
    """Draw the cases of benches that other libraries have, in the form of bench.saved.entries."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = [
        (f"{bench}: {case}", ratios(row))
        for bench, entry in benches.items()
        for case, row in entry["cases"].items()
        if row["results"].keys() & LIBRARIES.keys()
    ]
    # the same figure gives the same file, and letters stay text, which is small
    settings = {"svg.fonttype": "none", "svg.hashsalt": "fastnn", "font.size": 8}
    with rc_context(settings):
        figure = Figure(figsize=(7, 1 + 0.15 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        for name in [*LIBRARIES, "limit"]:
            points = [(found[name], i) for i, (_, found) in enumerate(shown) if name in found]
            if points:
                style = {"marker": "|", "color": "black"} if name == "limit" else {"marker": "o"}
                colour = COLOURS.get(name)
                style = {"color": colour, "markersize": 4, "linestyle": "", **style}
                axes.plot(*zip(*points, strict=True), label=LIBRARIES.get(name, name), **style)
        axes.axvline(1, color="grey", linewidth=1)
        axes.grid(axis="y", linewidth=0.3)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("times fastnn's result; more than 1 is slower")
        axes.set_yticks(range(len(shown)), [name for name, _ in shown])
        axes.set_ylim(max(1, len(shown)) - 0.5, -0.5)
        axes.set_title(title)
        if shown:
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        metadata = {"Date": None} if str(file).endswith(".svg") else None
        figure.savefig(file, metadata=metadata)
