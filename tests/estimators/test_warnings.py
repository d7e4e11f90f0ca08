"""Filters of warnings that people write for scikit-learn's estimators work for these."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from problems import LABELS, X, Y
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

import fastnn as fn
from fastnn import sklearn as ours

MODULE = "sklearn.neural_network._multilayer_perceptron"
CASES = {
    "stochastic": ({"solver": "adam", "max_iter": 2}, ConvergenceWarning, Y[:, 0]),
    "lbfgs": ({"solver": "lbfgs", "max_iter": 2}, ConvergenceWarning, Y[:, 0]),
    "lbfgs, calls": ({"solver": "lbfgs", "max_fun": 2}, ConvergenceWarning, Y[:, 0]),
    "batch": (
        {"batch_size": 999, "max_iter": 2, "tol": 1e9, "n_iter_no_change": 1},
        UserWarning,
        Y[:, 0],
    ),
    "column": ({"max_iter": 3, "tol": 1e9, "n_iter_no_change": 1}, DataConversionWarning, Y[:, :1]),
}


def shown(module, case, kind="MLPRegressor"):
    parameters, _, y = CASES[case]
    y = np.digitize(y, [0]) if kind == "MLPClassifier" else y
    model = getattr(module, kind)(hidden_layer_sizes=(4,), random_state=0, **parameters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    return [(warning.category, str(warning.message)) for warning in caught]


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("case", CASES)
def test_warnings_have_scikit_learns_categories_and_words(case, kind):
    assert CASES[case][1] in [category for category, _ in shown(ours, case, kind)]
    assert shown(ours, case, kind) == shown(neural_network, case, kind)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "arguments",
    [
        {"category": UserWarning, "module": "sklearn"},
        {"module": "sklearn.neural_network"},
        {"module": r"sklearn\.neural_network\._multilayer_perceptron"},
        {"category": UserWarning},
        {"message": "Stochastic Optimizer: Maximum iterations|lbfgs failed|Got `batch_s|A column"},
    ],
)
def test_a_filter_silences_them(case, arguments):
    parameters, _, y = CASES[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", **arguments)
        ours.MLPRegressor(hidden_layer_sizes=(4,), random_state=0, **parameters).fit(X, y)


@pytest.mark.parametrize(
    "filter_", ["ignore::UserWarning", f"ignore::UserWarning:{MODULE}", "ignore:Stochastic Opt"]
)
def test_filters_of_the_command_line(filter_):
    program = (
        "from fastnn.sklearn import MLPRegressor\n"
        "MLPRegressor(hidden_layer_sizes=(2,), max_iter=1).fit([[0], [1]], [0, 1])\n"
    )
    command = [sys.executable, "-P", "-W", "error", "-W", filter_, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_warning_names_the_line_that_called():
    for solver in ("adam", "lm", "lbfgs"):
        model = ours.MLPRegressor(hidden_layer_sizes=(4,), solver=solver, max_iter=2)
        with pytest.warns(ConvergenceWarning) as caught:
            model.fit(X, Y)
        assert caught[0].filename == __file__


def test_ctrl_c_warns_in_scikit_learns_name():
    class Interrupt(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            raise KeyboardInterrupt

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="sklearn", message="Training interrupted by user")
        ours.MLPClassifier((4,), callbacks=[Interrupt()]).fit(X, LABELS)
