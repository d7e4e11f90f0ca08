"""The tests of this folder need scikit-learn. Several files share fitted estimators."""

import pytest

pytest.importorskip("sklearn", minversion="1.7")


@pytest.fixture(scope="session")
def fitted():
    pytest.importorskip("pandas")
    from tabular_fits import FRAME, LABELS, NUMBERS, classifier, regressor

    return {
        "classifier": classifier().fit(FRAME, LABELS),
        "regressor": regressor().fit(FRAME, NUMBERS),
    }
