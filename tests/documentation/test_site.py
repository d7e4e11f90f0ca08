"""The site: its reference names every public name, and its pages have no broken link or picture."""

import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pages import ROOT

import fastnn as fn

REFERENCE = ROOT / "docs" / "reference"
# The modules whose names are public, beside the package itself.
MODULES = [
    "callbacks", "casadi", "datasets", "initializers", "jacobians", "metrics", "plots", "schedules",
    "sklearn", "tabular",
]  # fmt: skip


def listed_names():
    """Return every name in a list of the reference, with its module."""
    found = []
    for page in sorted(REFERENCE.glob("*.rst")):
        module, in_list = None, False
        for line in page.read_text(encoding="utf-8").splitlines():
            if directive := re.match(r"\.\. (\w+)::(?: (\S+))?", line):
                in_list = directive[1] == "autosummary"
                module = directive[2] if directive[1] == "currentmodule" else module
            elif name := re.fullmatch(r"   (\w+)", line):
                found += [f"{module}.{name[1]}"] if in_list else []
            elif line and not line.startswith(" "):
                in_list = False
    return found


def public_names(module):
    """Return `__all__` without modules; without `__all__`, the functions of the module itself."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
    ]
    return {
        name
        for name in names
        if not inspect.ismodule(getattr(module, name)) and not name.startswith("__")
    }


@pytest.mark.parametrize("name", MODULES)
def test_the_reference_lists_the_names_of_a_module(name):
    try:
        module = importlib.import_module(f"fastnn.{name}")
    except ImportError as error:
        pytest.skip(str(error))
    listed = {
        full.removeprefix(f"fastnn.{name}.")
        for full in listed_names()
        if full.startswith(f"fastnn.{name}.")
    }
    in_package = {n for n in public_names(module) if getattr(fn, n, 0) is getattr(module, n)}
    assert listed == public_names(module) - (in_package & set(fn.__all__))


def test_the_reference_lists_the_names_of_the_package():
    listed = {full.removeprefix("fastnn.") for full in listed_names() if full.count(".") == 1}
    assert listed == public_names(fn)


def test_the_reference_lists_a_name_once():
    assert len(listed_names()) > 100
    assert not [name for name, times in Counter(listed_names()).items() if times > 1]


def test_every_module_is_in_the_reference():
    assert {full.split(".")[1] for full in listed_names() if full.count(".") == 2} == set(MODULES)


# ------------------------------------------------------------------ the built site


class Page(HTMLParser):
    """The anchors and links of a page, what it loads, and its pictures without a text."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loaded, self.mute = set(), [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag in ("img", "script", "iframe", "video", "source") and attrs.get("src"):
            self.loaded.append(attrs["src"])
        if tag == "link" and not {"canonical", "author"} & set(attrs.get("rel", "").split()):
            self.loaded.append(attrs["href"])
        # the words beside a thumbnail of the gallery say what it shows
        if tag == "img" and not attrs.get("alt") and not attrs["src"].endswith("_thumb.png"):
            self.mute.append(attrs["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the pages of the site by their path: of the folder FASTNN_SITE, or built here."""
    if folder := os.environ.get("FASTNN_SITE"):
        built = Path(folder)
    else:
        pytest.importorskip("pydata_sphinx_theme", reason="the extra `docs` is not installed")
        copy = tmp_path_factory.mktemp("site")
        made_by_sphinx = shutil.ignore_patterns("generated", "auto_gallery")
        shutil.copytree(ROOT / "docs", copy / "docs", ignore=made_by_sphinx)
        shutil.copytree(ROOT / "examples", copy / "examples")
        built = copy / "built"
        # without the pictures of the gallery, which take minutes
        command = [sys.executable, "-P", "-m", "sphinx", "-q", "-D", "plot_gallery=0"]
        done = subprocess.run(
            [*command, copy / "docs", built], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    pages = (path.resolve() for path in built.rglob("*.html") if "_static" not in path.parts)
    return {path: Page(path) for path in pages}


def test_links_of_the_site_lead_somewhere(site):
    """Each link inside the site leads to a file, and each anchor to an element of the page."""
    assert len(site) > 100
    broken, checked = [], 0
    for path, page in site.items():
        for link in page.links + page.loaded:
            address = urlsplit(link)
            if address.scheme in ("https", "mailto", "data"):
                continue
            checked += 1
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            anchor = unquote(address.fragment)
            if not target.exists() or (
                anchor and target in site and anchor not in site[target].anchors
            ):
                broken.append(f"{path.name}: {link}")
    assert checked > 10_000
    assert not broken


def test_pages_of_the_site_load_nothing_from_other_hosts(site):
    loaded = {source for page in site.values() for source in page.loaded}
    assert len(loaded) > 10
    assert not {source for source in loaded if urlsplit(source).netloc}


def test_pictures_of_the_site_have_a_text(site):
    assert not {source for page in site.values() for source in page.mute}


def test_every_public_name_has_a_page(site):
    names = {path.stem for path in site if path.parent.name == "generated"}
    assert names == set(listed_names())
