"""The site: its reference names every public name, and its pages have no broken link or picture."""

import importlib
import inspect
import re
from collections import Counter

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
