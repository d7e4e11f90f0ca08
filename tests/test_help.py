"""What a person sees in an interactive session: names, signatures, and pages of `help`."""

import inspect
import pydoc
import re
import subprocess
import sys
from types import ModuleType

import pytest
from pages import PAGES

import fastnn as fn

# Modules whose names are public, beside the names of the package itself.
MODULES = ("callbacks", "datasets", "initializers", "jacobians", "metrics", "plots", "schedules")


def run(code):
    """Return what a new interpreter prints."""
    return subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


# ------------------------------------------------------------------ names


def test_dir_lists_the_public_names():
    listed = dir(fn)
    assert len(listed) == len(set(listed))
    has_sklearn = pydoc.safeimport("sklearn") is not None
    assert set(listed) == {
        *fn.__all__,
        *(["sklearn", "tabular"] if has_sklearn else []),
        *(["casadi"] if pydoc.safeimport("casadi") is not None else []),
    }
    for name in listed:
        value = getattr(fn, name)
        if isinstance(value, ModuleType):
            assert value.__name__ == f"fastnn.{name}"
        else:
            assert isinstance(value, str) or value.__module__.startswith("fastnn")
    assert not [name for name in listed if name.startswith("_") and name != "__version__"]


def test_dir_is_the_same_before_and_after_imports():
    """Modules that other modules have imported do not appear, and listing imports nothing."""
    printed = run(
        "import sys, fastnn\n"
        "first = dir(fastnn)\n"
        "assert 'sklearn' not in sys.modules and 'fastnn.plots' not in sys.modules\n"
        "import fastnn.model, fastnn.gradient_check, fastnn.plots, fastnn.cli, fastnn.numerical\n"
        "print(first == dir(fastnn))"
    )
    assert printed == "True\n"


def test_without_scikit_learn():
    """`fastnn.sklearn` is neither listed nor imported by a star import or `help`."""
    printed = run(
        "import sys, importlib.util, pydoc\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'sklearn' else find(name)\n"
        "sys.modules['sklearn'] = None\n"
        "import fastnn\n"
        "from fastnn import *\n"
        "assert 'sklearn' not in globals() and Network is fastnn.Network\n"
        "assert schedules is fastnn.schedules and plots is fastnn.plots\n"
        "assert 'fit_many' in pydoc.plain(pydoc.render_doc(fastnn))\n"
        "print('sklearn' in dir(fastnn) or 'tabular' in dir(fastnn))"
    )
    assert printed == "False\n"


def test_every_name_in_the_documentation_is_listed():
    named = set()
    for page in PAGES.values():
        named |= set(
            re.findall(r"\b(?:fn|fastnn)\.([A-Za-z_]\w*)", page.read_text(encoding="utf-8"))
        )
    assert len(named) > 20
    assert named <= {*dir(fn), "casadi", "sklearn", "tabular"}


def test_tab_completion():
    rlcompleter = pytest.importorskip("rlcompleter")
    completer = rlcompleter.Completer({"fn": fn})
    found = []
    while (text := completer.complete("fn.", len(found))) is not None:
        found.append(text.removeprefix("fn.").rstrip("()"))
    assert set(found) >= set(fn.__all__) - {"__version__"}
    assert not {"importlib", "sys", "Any", "batch", "model", "files"} & set(found)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="'fastnn' has no attribute 'Conv2d'"):
        fn.Conv2d  # noqa: B018


# ------------------------------------------------------------------ signatures


def public_callables():
    """Yield the name and the object of each public class, function and method."""
    seen = set()
    modules = [fn, *(getattr(fn, name) for name in MODULES)]
    if "sklearn" in dir(fn):
        modules += [fn.sklearn, fn.tabular]
    if "casadi" in dir(fn):
        modules.append(fn.casadi)
    for module in modules:
        names = getattr(module, "__all__", None) or [
            name for name, value in vars(module).items() if belongs(value, module)
        ]
        for name in names:
            value = getattr(module, name)
            if not callable(value) or value in seen:
                continue
            seen.add(value)
            yield name, value
            if inspect.isclass(value):
                for method, function in inspect.getmembers(value, callable):
                    module_of = getattr(function, "__module__", None) or ""
                    if not method.startswith("_") and module_of.startswith("fastnn"):
                        yield f"{name}.{method}", function


def belongs(value, module):
    return getattr(value, "__module__", None) == module.__name__


CALLABLES = dict(public_callables())


def test_there_are_many_public_callables():
    assert len(CALLABLES) > 200
    assert {"Network", "Network.fit", "fit_many", "Linear", "Callback"} <= set(CALLABLES)


@pytest.mark.parametrize("name", CALLABLES)
def test_a_signature_is_readable(name):
    """No argument's type is long, and none spells out the internals of NumPy or typing."""
    try:
        signature = inspect.signature(CALLABLES[name])
    except ValueError:
        pytest.skip("it has no signature")  # classes of exceptions, in some versions of Python
    text = str(signature)
    assert not re.search(r"numpy\._typing|tuple\[typing\.Any, \.\.\.\]|numpy\.dtype\[numpy", text)
    parameters = list(signature.parameters.values())
    assert len(text) <= max(300, 40 * len(parameters))
    for parameter in parameters:
        if parameter.annotation is not parameter.empty:
            assert len(inspect.formatannotation(parameter.annotation)) <= 64, parameter


def test_help_of_fit():
    page = pydoc.plain(pydoc.render_doc(fn.Network.fit))
    assert "loss: 'Loss | CustomLoss' = SoftmaxCrossEntropy(" in page
    assert len(str(inspect.signature(fn.Network.fit))) < 850
