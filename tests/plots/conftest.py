"""matplotlib for the tests of figures."""

import pytest


@pytest.fixture
def pyplot(monkeypatch):
    """Return matplotlib.pyplot. Showing a figure fails, and all figures are closed afterwards."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(pyplot, "show", lambda: pytest.fail("shown"))
    yield pyplot
    pyplot.close("all")
