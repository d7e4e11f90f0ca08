"""Errors of the estimators: wrong tables, targets, parameters and columns at prediction."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
pytest.importorskip("pandas")
import pandas as pd
from sklearn.exceptions import NotFittedError
from tabular_fits import FRAME, LABELS, NEW, NUMBERS, classifier, regressor


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (FRAME, np.where(np.arange(240) == 5, np.nan, NUMBERS), "y is missing in 1 row: 5"),
        (FRAME, NUMBERS[:-1], "240"),
        (FRAME[:1], NUMBERS[:1], "1 sample"),
        (FRAME[:0], NUMBERS[:0], "0 sample"),
        (FRAME, NUMBERS.astype(complex), "[Cc]omplex"),
        (FRAME.assign(size=np.inf), NUMBERS, "'size'"),
        (pd.concat([FRAME, FRAME[["age"]]], axis=1), NUMBERS, "'age'"),
        (FRAME, None, "requires y to be passed, but the target y is None"),
        (FRAME[["size"]].assign(size=1.0), NUMBERS, "size"),
    ],
)
def test_bad_tables_and_targets(X, y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        regressor().fit(X, y)


def test_bad_labels():
    with pytest.raises(ValueError, match="class"):
        classifier().fit(FRAME, ["one"] * 240)
    with pytest.raises(ValueError, match="y"):
        classifier().fit(FRAME, [None, *LABELS[1:]])
    with pytest.raises(ValueError, match="which is not whole; classes are wanted"):
        classifier().fit(FRAME, NUMBERS)
    with pytest.raises(ValueError, match="class_weight has 'other', which is not a class of y"):
        classifier(class_weight={"other": 1}).fit(FRAME, LABELS)
    with pytest.raises(ValueError, match="class_weight is {'low': -1}"):
        classifier(class_weight={"low": -1}).fit(FRAME, LABELS)
    with pytest.raises(ValueError, match="at least one non-zero|is 0 for all rows"):
        classifier().fit(FRAME, LABELS, sample_weight=np.zeros(240))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("preset", "slow"),
        ("metric", "f2"),
        ("epochs", 0),
        ("calibrate", "yes"),
        ("class_weight", "equal"),
        ("n_jobs", 0.5),
        ("verbose", 3),
    ],
)
def test_wrong_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of TabularClassifier"):
        classifier(**{name: value}).fit(FRAME, LABELS)


def test_prediction_needs_the_same_columns(fitted):
    model = fitted["regressor"]
    with pytest.raises(ValueError, match="age"):
        model.predict(NEW.drop(columns="age"))
    with pytest.raises(ValueError, match="more"):
        model.predict(NEW.assign(more=1))
    with pytest.raises(ValueError, match=r"'size', row 2 is 'much'"):
        model.predict(NEW.astype({"size": object}).assign(size=["1", "2", "much", *"4" * 97]))
    with pytest.raises(NotFittedError):
        regressor().predict(NEW)
