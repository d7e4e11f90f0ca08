"""The examples in the docstrings of public names run, and print what they say."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import fastnn as fn


def examples():
    """Yield every example in the docstrings of the package, once, by its name."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = [info.name for info in pkgutil.walk_packages(fn.__path__, "fastnn.")]
    for name in ["fastnn", *names]:
        if "._core" in name or name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(name)
        except ImportError:  # of an optional package
            continue
        yield from finder.find(module, name, extraglobs={"np": np, "fn": fn})


EXAMPLES = {(test.filename, test.lineno): test for test in examples() if test.examples}


@pytest.fixture
def figures(monkeypatch):
    """Draw into files, and close the figures afterwards."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setenv("MPLBACKEND", "agg")
    yield
    pyplot.close("all")


@pytest.mark.parametrize("test", EXAMPLES.values(), ids=lambda test: test.name)
def test_an_example(test, tmp_path, monkeypatch, request):
    if ".plots." in test.name:
        request.getfixturevalue("figures")
    monkeypatch.chdir(tmp_path)
    with np.printoptions(precision=8, threshold=1000, linewidth=75, suppress=False):
        failures, tried = doctest.DocTestRunner(verbose=False).run(test, clear_globs=False)
    assert tried
    assert not failures
    assert not any(example.options.get(doctest.SKIP) for example in test.examples)


def test_the_most_important_names_have_examples():
    wanted = [fn.Network, fn.Network.fit, fn.Network.jacobian, fn.Network.vjp, fn.Network.hessian]
    wanted += [fn.Linear, fn.SoftmaxCrossEntropy, fn.MeanSquaredError, fn.Adam, fn.load]
    assert all(">>> " in inspect.getdoc(name) for name in wanted)
    assert len(EXAMPLES) > 25
