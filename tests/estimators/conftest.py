import pytest
from problems import LABELS, X, Y


@pytest.fixture(scope="module")
def classifier():
    estimators = pytest.importorskip("fastnn.sklearn")
    return estimators.MLPClassifier((6, 4), "tanh", max_iter=20, random_state=0).fit(X, LABELS)


@pytest.fixture(scope="module")
def regressor():
    estimators = pytest.importorskip("fastnn.sklearn")
    return estimators.MLPRegressor(
        "squared_error", (6, 4), "tanh", max_iter=20, random_state=0
    ).fit(X, Y)
