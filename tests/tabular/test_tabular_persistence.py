"""The estimators through model files, pickle, skops and copies."""

import copy
import io
import json
import pickle

import joblib
import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
pytest.importorskip("pandas")
from sklearn.exceptions import NotFittedError
from small_tables import columns, pandas_frame, signal

import fastnn as fn
from fastnn.tabular import TabularClassifier, TabularRegressor, load

TABLE = columns()
FRAME, NUMBERS = pandas_frame(TABLE), signal(TABLE)
LABELS = np.where(NUMBERS > 1, "high", "low")
NEW = pandas_frame(columns(50, seed=1))
MODELS = {
    "default": (TabularClassifier(epochs=3, random_state=0), LABELS),
    "fast": (TabularRegressor("fast", epochs=3, random_state=0, drop=["day"]), NUMBERS),
    "best": (TabularRegressor("best", epochs=3, random_state=0), NUMBERS),
    "best classifier": (TabularClassifier("best", epochs=3, class_weight={"high": 2.0}), LABELS),
    "integers": (TabularClassifier(epochs=3), (NUMBERS > 1).astype(np.int16)),
    "booleans": (TabularClassifier(epochs=3), NUMBERS > 1),
    "poisson": (TabularRegressor(loss="poisson", epochs=3), np.exp(NUMBERS)),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    estimator, y = MODELS[request.param]
    return estimator.fit(FRAME, y)


def through_file(model, tmp_path):
    model.save(tmp_path / "model")
    return load(tmp_path / "model")


def through_skops(model, tmp_path):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(model)
    types = skops.get_untrusted_types(data=data)
    assert all(name.startswith("fastnn.") for name in set(types) - {"numpy.dtype"})
    return skops.loads(data, trusted=types)


def through_joblib(model, tmp_path):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


WAYS = {
    "file": through_file,
    "skops": through_skops,
    "joblib": through_joblib,
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, _: copy.deepcopy(model),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_estimator_predicts_the_same(model, way, tmp_path):
    again = WAYS[way](model, tmp_path)
    assert type(again) is type(model)
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.predict(NEW), model.predict(NEW))
    if isinstance(model, TabularClassifier):
        np.testing.assert_array_equal(again.predict_proba(NEW), model.predict_proba(NEW))
        assert again.classes_.dtype.kind == model.classes_.dtype.kind
    else:
        ends = model.predict_interval(NEW, 0.8)
        np.testing.assert_array_equal(again.predict_interval(NEW, 0.8), ends)
    np.testing.assert_array_equal(again.feature_importances_, model.feature_importances_)
    assert again.feature_names_in_.tolist() == FRAME.columns.tolist()
    assert repr(again.report_) == repr(model.report_)
    again.fit(FRAME, LABELS if isinstance(model, TabularClassifier) else np.exp(NUMBERS))


def test_a_file_holds_no_pickle(model, tmp_path):
    model.save(tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    described = json.loads(header.pop("__metadata__")["fastnn"])
    assert described["tabular"]["class"] == type(model).__name__
    assert all(
        entry["dtype"] in ("F32", "F64", "I64", "BOOL", "I16", "I32", "I8")
        for entry in header.values()
    )


def test_wrong_files(model, tmp_path):
    with pytest.raises(NotFittedError):
        TabularRegressor().save(tmp_path / "model")
    network = tmp_path / "network"
    model.network_.save(network)
    with pytest.raises(fn.ModelFileError, match="no model of fastnn.tabular"):
        load(network)
    model.save(tmp_path / "model")
    with pytest.raises(fn.ModelFileError, match="model"):
        fn.load(tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    for damaged in (content[:-100], content.replace(b"codings", b"codinsg"), b""):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(fn.ModelFileError):
            load(tmp_path / "damaged")
    with pytest.raises(OSError, match="absent"):
        load(tmp_path / "absent")


def test_what_a_file_cannot_hold_is_named(tmp_path):
    model = TabularRegressor(epochs=1, random_state=np.random.RandomState(0)).fit(FRAME, NUMBERS)
    with pytest.raises(TypeError, match="random_state"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
