"""The pages of the documentation: length, indexes, links, files, version."""

import re

import pytest
from pages import GUIDE, PAGES, ROOT, anchors

import fastnn as fn


def test_the_readme_is_short():
    assert len(PAGES["README.md"].read_text(encoding="utf-8").splitlines()) <= 200


def test_the_indexes_list_every_page():
    for page, prefix in (("README.md", "docs/"), ("docs/index.md", "")):
        listed = re.findall(
            rf"^\| \[.*?\]\({prefix}(\w+\.md)\)", PAGES[page].read_text(encoding="utf-8"), re.M
        )
        assert sorted(listed) == [name for name in GUIDE if name != "index.md"]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = PAGES[page]
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES)
def test_the_items_of_a_list_begin_on_lines_of_their_own(page):
    text = PAGES[page].read_text(encoding="utf-8")
    assert not re.search(r"[.?!] [2-9]\. [A-Z]", text)


@pytest.mark.parametrize("page", ["docs/internals.md", "CONTRIBUTING.md"])
def test_the_files_that_a_page_names_exist(page):
    """A path is relative to the repository or the package; a bare name is a kernel's."""
    places = (ROOT, ROOT / "fastnn", ROOT / "fastnn" / "_core" / "kernels")
    named = set(
        re.findall(
            r"`([\w./-]+\.(?:py|pyx|pxd|pxi|h|pyi|toml|md)|[\w/]+/)`",
            PAGES[page].read_text(encoding="utf-8"),
        )
    )
    assert len(named) > 10
    missing = {name for name in named if not any((place / name).exists() for place in places)}
    assert not missing


def test_the_version_is_the_same_everywhere():
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)[
        1
    ] == (fn.__version__)
    releases = re.findall(r"^## \[(.*?)\]", PAGES["CHANGELOG.md"].read_text(encoding="utf-8"), re.M)
    assert releases[:2] == ["Unreleased", fn.__version__]
