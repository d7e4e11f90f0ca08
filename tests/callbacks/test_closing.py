"""Callbacks are closed, and import no library before they need it."""

import subprocess
import sys

import pytest
from callback_fits import Fail, network, train

import fastnn as fn
from fastnn.callbacks import MLflow, OptunaPruning, TensorBoard


class Closing(fn.Callback):
    def __init__(self, calls, name):
        self.calls, self.name = calls, name

    def fit_end(self, net):
        self.calls.append(("fit_end", self.name))

    def close(self):
        self.calls.append(("close", self.name))
        if self.name == "bad":
            raise OSError("the disk is full")


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_callbacks_are_closed_last_and_always(data, error):
    calls = []
    callbacks = [Closing(calls, "a"), *([Fail(1, error)] if error else []), Closing(calls, "b")]
    if error:
        with pytest.raises(error):
            train(network(), data, *callbacks)
        assert ("fit_end", "a") not in calls
    else:
        train(network(), data, *callbacks)
        assert calls[:2] == [("fit_end", "a"), ("fit_end", "b")]
    assert {("close", "a"), ("close", "b")} <= set(calls)
    assert calls[-1][0] == "close"


def test_all_are_closed_if_one_cannot_be(data):
    calls = []
    with pytest.raises(OSError, match="the disk is full"):
        train(network(), data, Closing(calls, "a"), Closing(calls, "bad"), Closing(calls, "b"))
    assert {("close", "a"), ("close", "bad"), ("close", "b")} <= set(calls)


def test_estimators_close_callbacks(data):
    pytest.importorskip("sklearn")
    from fastnn.sklearn import MLPRegressor

    calls = []
    model = MLPRegressor(callbacks=[Closing(calls, "a"), Fail(1)], max_iter=3)
    with pytest.raises(RuntimeError, match="stop"):
        model.fit(data[0], data[1].ravel())
    assert calls == [("close", "a")]


def test_importing_fastnn_imports_no_tracker():
    code = (
        "import sys, fastnn, fastnn.callbacks\n"
        "print([m for m in ('tensorboardX', 'mlflow', 'optuna', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("make", "module", "name"),
    [
        (lambda: TensorBoard("x"), "tensorboardX", "tensorboardX"),
        (lambda: MLflow(), "mlflow", "mlflow-skinny"),
        (lambda: OptunaPruning(object()), "optuna", "optuna"),
    ],
    ids=["TensorBoard", "MLflow", "OptunaPruning"],
)
def test_a_missing_library_is_named(monkeypatch, make, module, name):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"needs {name}: pip install {name}$"):
        make()
