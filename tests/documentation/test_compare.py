"""The page docs/compare.md: each figure stands on the page that it is taken from."""

import re

import pytest
from pages import ROOT, anchors

DOCS = ROOT / "docs"
TEXT = (DOCS / "compare.md").read_text(encoding="utf-8")
FIGURE = re.compile(r"(?<![\w.,-])(?:\d[\d.]*x\b|\d[\d,.-]*\d(?![\w-])|\d(?![\w-]|[.,]\d))")
# names of processors and types that contain a number
NAMES = re.compile(r"\(Zen \d\)|float\d\d|\]\([^)]*\)")


def figures(text):
    return set(FIGURE.findall(NAMES.sub("", text)))


def pieces():
    """Yield the text and the source pages of each paragraph, bullet and row of a table.

    The sources are the links in the paragraph or bullet. A table has those of the text above it.
    """
    sources = []
    for block in re.split(r"\n\n|\n(?=- )", TEXT):
        if block.startswith("|"):
            yield from ((row, sources) for row in block.splitlines()[2:])
            continue
        sources = [DOCS / name for name in re.findall(r"\]\((\w+\.md)", block)]
        yield block, sources


PIECES = [piece for piece in pieces() if figures(piece[0])]


def test_the_page_has_figures():
    assert sum(len(figures(text)) for text, _ in PIECES) > 70


@pytest.mark.parametrize(("text", "sources"), PIECES, ids=[text[:40] for text, _ in PIECES])
def test_each_figure_stands_on_its_source(text, sources):
    """The figures of a row of a table stand in one row of the source."""
    assert sources
    pages = [source.read_text(encoding="utf-8") for source in sources]
    places = [line for page in pages for line in page.splitlines()] if text[0] == "|" else pages
    wanted = figures(text)
    found = [figures(place) for place in places]
    assert any(wanted <= numbers for numbers in found), wanted - set().union(*found)


def test_the_label_of_a_row_stands_beside_its_figures():
    lines = (DOCS / "benchmarks.md").read_text(encoding="utf-8").splitlines()
    lines += (DOCS / "estimators.md").read_text(encoding="utf-8").splitlines()
    for row, _ in PIECES:
        if row[0] == "|":
            label = row.split("|")[1]
            assert any(
                line.startswith(f"|{label}|") and figures(row) <= figures(line) for line in lines
            ), row


def test_how_often_trees_win():
    rows = re.findall(r"^\| \w+ \| (0\.\d+) \| (0\.\d+) \| (0\.\d+) \|$", TEXT, re.M)
    errors = [[float(error) for error in row] for row in rows]
    words = {4: "four", 6: "six", 10: "ten"}
    catboost = words[sum(cat < own for own, cat, _ in errors)]
    lightgbm = words[sum(light < own for own, _, light in errors)]
    said = (
        f"CatBoost has the lower error on {catboost} of the {words[len(errors)]} tables, "
        f"and LightGBM on {lightgbm}."
    )
    assert said in " ".join(TEXT.split())


def test_links_lead_somewhere():
    for name, anchor in re.findall(r"\]\((\w+\.md)(?:#([\w-]+))?\)", TEXT):
        assert (DOCS / name).is_file(), name
        assert not anchor or anchor in anchors(DOCS / name), anchor
