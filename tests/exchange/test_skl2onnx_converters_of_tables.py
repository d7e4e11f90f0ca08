"""`skl2onnx` converts `TabularClassifier` and `TabularRegressor` of tables of numbers."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pd = pytest.importorskip("pandas", reason="pandas is not installed")
skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")

import fastnn.tabular.onnx_converters  # noqa: E402
from fastnn.tabular import TabularClassifier, TabularRegressor  # noqa: E402


def table(rng, dtype, gaps):
    X = rng.normal(size=(120, 4)) * [1, 10, 0.1, 1e3] + [0, 5, 0, 1e6]
    X[:, 2] = X[:, 2] > 0
    if gaps:
        X[rng.uniform(size=X.shape) < 0.1] = np.nan
    return X.astype(dtype)


def run(estimator, X, **options):
    model = skl2onnx.to_onnx(estimator, X[:1], **options)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X})


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("preset", ["fast", "default", "best"])
def test_classifiers(preset, gaps, dtype, rng):
    X, y = table(rng, dtype, gaps), np.array(["no", "yes", "perhaps"])[np.arange(120) % 3]
    model = TabularClassifier(preset=preset, epochs=3, random_state=0).fit(X, y)
    X[:4] = [[1e30, 0, 0, 0], [-1e30, 0, 0, 0], [np.nan] * 4, [0, 1e3, -1e3, 1e7]]
    labels, probabilities = run(model, X, options={"zipmap": False})
    wanted = model.predict_proba(X)
    np.testing.assert_allclose(probabilities, wanted, rtol=0, atol=2e-6)
    assert probabilities.dtype == dtype
    np.testing.assert_array_equal(labels, model.predict(X))


@pytest.mark.parametrize("loss", ["squared", "poisson", "absolute", "quantile", "auto"])
def test_regressors(loss, dtype, rng):
    X = table(rng, dtype, True)
    y = np.arange(120) % 7 + 1.0
    model = TabularRegressor(preset="fast", loss=loss, epochs=3, random_state=0).fit(X, y)
    (found,) = run(model, X)
    np.testing.assert_allclose(found[:, 0], model.predict(X), rtol=3e-6)


def test_a_column_of_texts_is_refused_by_name(rng):
    frame = pd.DataFrame({"age": rng.normal(size=60), "colour": ["red", "blue", "green"] * 20})
    model = TabularRegressor(preset="fast", epochs=1).fit(frame, np.arange(60) % 7 + 1.0)
    kinds = [("X", skl2onnx.common.data_types.FloatTensorType([None, 2]))]
    with pytest.raises(TypeError, match="column 'colour' has the kind category"):
        skl2onnx.to_onnx(model, initial_types=kinds)
    assert fastnn.tabular.onnx_converters
