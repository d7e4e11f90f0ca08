"""Data frames and series: the same results as their arrays, and names that are heeded."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from problems import LABELS, SIGNAL, X, Y
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnn.sklearn import MLPClassifier, MLPRegressor, base

pandas = pytest.importorskip("pandas")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NAMES = ["width", "height", "depth"]
# An index of each, in another order: rows belong together by their place.
FRAME = pandas.DataFrame(X, columns=NAMES, index=np.arange(60)[::-1] * 7)
TARGET = pandas.Series(Y[:, 0], index=np.random.default_rng(1).permutation(60), name="y")
KIND = pandas.Series(LABELS, index=TARGET.index)
WEIGHT = pandas.Series(np.arange(60.0), index=TARGET.index + 100)
WRONG_ORDER = FRAME[["height", "width", "depth"]]


def regressor(**parameters):
    parameters = {"hidden_layer_sizes": (4,), "max_iter": 4, "random_state": 0, **parameters}
    return MLPRegressor(**parameters)


def classifier(**parameters):
    return MLPClassifier((4,), max_iter=4, random_state=0, **parameters)


@pytest.mark.parametrize("solver", ["adam", "lm"])
def test_a_fit_of_frames_is_that_of_their_arrays(solver):
    model = regressor(solver=solver, store_covariance=True)
    found = model.fit(FRAME, TARGET, sample_weight=WEIGHT)
    assert found.feature_names_in_.tolist() == NAMES
    results = [*found.predict(FRAME, return_std=True), found.jacobian(FRAME)]
    results += [found.hidden_activations(FRAME), found.score(FRAME, TARGET, WEIGHT)]
    model.fit(X, Y[:, 0], sample_weight=np.arange(60.0))
    assert not hasattr(model, "feature_names_in_")
    expected = [*model.predict(X, return_std=True), model.jacobian(X)]
    expected += [model.hidden_activations(X), model.score(X, Y[:, 0], np.arange(60.0))]
    for one, other in zip(results, expected, strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(one, other)
    several = regressor().fit(FRAME, pandas.DataFrame(Y, columns=["a", "b", "c"]))
    np.testing.assert_array_equal(several.predict(FRAME), regressor().fit(X, Y).predict(X))


def test_nullable_and_sparse_columns_are_numbers():
    expected = regressor().fit(X, Y[:, 0]).predict(X)
    for frame in (FRAME.astype("Float64"), FRAME.astype(pandas.SparseDtype("float", 0))):
        found = regressor().fit(frame, TARGET.astype("Float64")).predict(frame)
        np.testing.assert_array_equal(found, expected)
    small = FRAME.astype("float32")
    assert regressor().fit(small, TARGET).predict(small).dtype == np.float32
    with pytest.raises(ValueError, match="contains NaN"):
        regressor().fit(FRAME.astype("Float64").mask(FRAME > 1), TARGET)
    with pytest.raises(ValueError, match="contains NaN"):
        regressor().fit(FRAME, TARGET.astype("Float64").mask(TARGET > 0))
    with pytest.raises(ValueError, match="could not convert string to float: 'red'|'green'|'blue'"):
        regressor().fit(FRAME.assign(width=KIND.to_numpy()), TARGET)


@pytest.mark.parametrize("dtype", ["category", "string", "object", "str"])
def test_classes_of_any_kind_of_column(dtype):
    model = classifier(class_weight={"red": 3, "green": 1, "blue": 1})
    found = model.fit(FRAME, KIND.astype(dtype), sample_weight=WEIGHT).predict(FRAME)
    assert model.classes_.tolist() == ["blue", "green", "red"]
    assert model.score(FRAME, KIND.astype(dtype)) == (found == LABELS).mean()
    np.testing.assert_array_equal(found, model.fit(X, LABELS, sample_weight=WEIGHT).predict(X))
    classes = KIND.astype("category").cat.categories
    again = classifier().partial_fit(FRAME, KIND.astype(dtype), classes=classes)
    np.testing.assert_array_equal(
        again.predict(FRAME), classifier().partial_fit(X, LABELS, classes=classes).predict(X)
    )
    assert again.to_network().class_labels == ["blue", "green", "red"]
    assert again.to_network().feature_names == NAMES


def test_classes_of_numbers_and_labels_in_a_frame():
    numbers = SIGNAL.argmax(axis=1)
    for column in (pandas.Series(numbers), pandas.Series(numbers).astype("category")):
        assert classifier().fit(FRAME, column).classes_.tolist() == [0, 1, 2]
    labels = pandas.DataFrame(SIGNAL > 0, columns=["a", "b", "c"])
    found = classifier().fit(FRAME, labels).predict(FRAME)
    np.testing.assert_array_equal(found, classifier().fit(X, SIGNAL > 0).predict(X))


def test_held_out_frames():
    parameters = {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 30}
    held = {"X_val": FRAME[40:], "y_val": TARGET[40:], "sample_weight_val": WEIGHT[40:]}
    arrays = {name: value.to_numpy() for name, value in held.items()}
    scores = regressor(**parameters).fit(FRAME[:40], TARGET[:40], **held).validation_scores_
    expected = regressor(**parameters).fit(X[:40], Y[:40, 0], **arrays).validation_scores_
    assert scores == expected
    for wrong in (WRONG_ORDER, FRAME[NAMES[:2]]):
        with pytest.raises(ValueError, match="X_val, y_val or .*: The feature names should match"):
            regressor().fit(FRAME, TARGET, X_val=wrong, y_val=TARGET)
    share = regressor(early_stopping=True).fit(FRAME, TARGET, sample_weight=WEIGHT)
    expected = regressor(early_stopping=True).fit(X, Y[:, 0], sample_weight=WEIGHT)
    assert share.validation_scores_ == expected.validation_scores_


def test_names_are_heeded_where_samples_are_taken():
    model = regressor(warm_start=True).partial_fit(FRAME, TARGET)
    calls = (
        model.predict,
        model.jacobian,
        model.hidden_activations,
        lambda frame: model.partial_fit(frame, TARGET),
        lambda frame: model.fit(frame, TARGET),
        lambda frame: model.score(frame, TARGET),
    )
    renamed = FRAME.rename(columns={"depth": "length"})
    for call in calls:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warnings.filterwarnings("ignore", category=UserWarning, message="Stochastic")
            call(FRAME)
        for wrong in (WRONG_ORDER, renamed, FRAME[NAMES[:2]], FRAME.assign(more=1)):
            with pytest.raises(ValueError, match="The feature names should match"):
                call(wrong)
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            call(X)
    nameless = regressor().fit(X, TARGET)
    with pytest.warns(UserWarning, match="X has feature names, but MLPRegressor was fitted with"):
        nameless.predict(FRAME)
    back = MLPRegressor.from_network(model.to_network())
    np.testing.assert_array_equal(back.predict(FRAME), model.predict(FRAME))
    with pytest.raises(ValueError, match="The feature names should match"):
        back.predict(WRONG_ORDER)
    refitted = regressor().fit(FRAME, TARGET).fit(renamed, TARGET)
    assert refitted.feature_names_in_.tolist() == ["width", "height", "length"]


def test_frames_come_through_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), regressor()).set_output(transform="pandas")
    found = pipeline.fit(FRAME, TARGET).predict(FRAME)
    assert pipeline[-1].feature_names_in_.tolist() == NAMES
    plain = make_pipeline(StandardScaler(), regressor()).fit(X, Y[:, 0])
    np.testing.assert_allclose(found, plain.predict(X), rtol=1e-12)


def labelled(columns):
    return pandas.DataFrame(X[:5], columns=columns)


FRAMES = {
    "rows of one block": FRAME[:1],
    "all": FRAME,
    "strided": FRAME[::3],
    "no row": FRAME[:0],
    "columns of their own": pandas.DataFrame({name: FRAME[name].copy() for name in NAMES}),
    "float32": FRAME[:3].astype("float32"),
    "integers": (10 * FRAME[:3]).astype("int64"),
    "mixed": FRAME[:3].astype({"width": "int64", "depth": "float32"}),
    "booleans": FRAME[:3] > 0,
    "objects": FRAME[:3].astype(object),
    "nullable": FRAME[:3].astype("Float64"),
    "one nullable": FRAME.astype({"width": "Float64"}),
    "null": FRAME[:3].astype("Float64").mask(FRAME > 0),
    "NaN": FRAME[:3].mask(FRAME > 0),
    "infinite": FRAME[:3].replace(FRAME.iloc[0, 0], np.inf),
    "text": FRAME[:3].astype({"width": str}),
    "words": FRAME[:3].assign(width="a"),
    "category": FRAME[:3].astype("category"),
    "sparse": FRAME[:3].astype(pandas.SparseDtype("float", 0)),
    "one sparse": FRAME[:3].astype({"width": pandas.SparseDtype("float", 0)}),
    "complex": FRAME[:3].astype(complex),
    "dates": FRAME[:3].astype("datetime64[ns]"),
    "another order": WRONG_ORDER[:1],
    "one missing": FRAME[NAMES[:2]],
    "one more": FRAME.assign(more=1.0),
    "renamed": FRAME.rename(columns={"depth": "length"}),
    "twice the same": labelled(["width", "width", "depth"]),
    "numbers": labelled([0, 1, 2]),
    "names of NumPy": labelled(pandas.Index(list(map(np.str_, NAMES)), dtype=object)),
    "names as categories": labelled(pandas.CategoricalIndex(NAMES)),
    "levels": labelled(pandas.MultiIndex.from_tuples([(name, 1) for name in NAMES])),
    "column": FRAME["width"],
    "array": X[:2],
    "list": X[:2].tolist(),
}


def outcome(call, *args):
    """The result or error of a call, and its warnings, as text."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            result = call(*args)
            result = result.dtype, result.tolist()
        except Exception as error:
            result = type(error), str(error)
    return result, [(warning.category, str(warning.message)) for warning in seen]


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_frames_that_skip_scikit_learns_checks_give_what_these_give(name, dtype, monkeypatch):
    fitted = [
        (classifier().fit(FRAME.astype(dtype), LABELS), ("predict", "predict_proba")),
        (regressor().fit(FRAME.astype(dtype), Y), ("predict",)),
    ]
    calls = [getattr(model, method) for model, methods in fitted for method in methods]
    frames = [FRAMES[name]]
    if isinstance(FRAMES[name], pandas.DataFrame) and name not in ("twice the same", "levels"):
        polars = pytest.importorskip("polars")
        frames += [
            polars.DataFrame(
                {str(c): list(map(plain, FRAMES[name][c])) for c in FRAMES[name]}, strict=False
            )
        ]
    found = [outcome(call, frame) for call in calls for frame in frames]
    monkeypatch.setattr(base, "plain_array", lambda *_: None)
    assert found == [outcome(call, frame) for call in calls for frame in frames]


def plain(value):
    """A value that polars takes."""
    return None if value is pandas.NA else getattr(value, "item", lambda: value)()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_of_the_fitted_names_and_dtype_needs_no_check(library, monkeypatch):
    module = pytest.importorskip(library)
    frame = module.DataFrame({name: X[:, i].copy() for i, name in enumerate(NAMES)})
    models = classifier().fit(frame, LABELS), regressor().fit(frame, Y)
    nameless = classifier().fit(X, LABELS), regressor().fit(X, Y)
    for model in models:
        monkeypatch.setattr(model, "_checked", lambda _: pytest.fail("checked"))
    for model, other in zip(models, nameless, strict=True):
        for rows in (slice(0, 1), slice(3, 9), slice(None)):
            np.testing.assert_array_equal(model.predict(frame[rows]), other.predict(X[rows]))
