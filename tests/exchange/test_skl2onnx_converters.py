"""`skl2onnx` converts the estimators, also inside pipelines; onnxruntime agrees with them."""

import numpy as np
import pytest

import fastnn as fn

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")

from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import fastnn.sklearn.onnx_converters  # noqa: E402
from fastnn.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

BUILDS = {
    "plain": {},
    "gelu": {"activation": "gelu"},
    "several": {"activation": ("silu", fn.LeakyReLU(0.2)), "hidden_layer_sizes": (8, 6)},
    "layer_norm": {
        "network": lambda d, m: [fn.Linear(d, 8), fn.LayerNorm(8), fn.Mish(), fn.Linear(8, m)]
    },
    "blocks": {
        "network": lambda d, m: [
            fn.BatchNorm(d),
            fn.Linear(d, 8),
            fn.Residual([fn.Linear(8, 8), fn.ELU(0.5)]),
            fn.Parallel([[fn.Scale(8)], [fn.Dropout(0.2)]], combine="concat"),
            fn.Linear(16, m),
        ]
    },
}
N = np.arange(90)
TARGETS = {
    "two": N % 2,
    "three": N % 3,
    "texts": np.array(["no", "yes", "perhaps"])[N % 3],
    "labels": np.stack([N % 2, N % 3 == 1, N % 5 == 0], 1).astype(int),
}


def run(estimator, X, **options):
    model = skl2onnx.to_onnx(estimator, X[:1], **options)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X})


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("build", BUILDS)
def test_classifiers(build, target, dtype, rng):
    X, y = rng.normal(size=(90, 4)).astype(dtype), TARGETS[target]
    model = MLPClassifier(**BUILDS[build], max_iter=5, random_state=0).fit(X, y)
    labels, probabilities = run(model, X, options={"zipmap": False})
    np.testing.assert_array_equal(labels, model.predict(X))
    assert probabilities.dtype == dtype
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=tolerance)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("outputs", [1, 2])
def test_regressors(build, outputs, dtype, rng):
    X = rng.normal(size=(90, 4)).astype(dtype)
    y = X[:, 0] if outputs == 1 else X[:, :2]
    model = MLPRegressor(**BUILDS[build], max_iter=5, random_state=0).fit(X, y)
    (found,) = run(model, X)
    wanted = model.predict(X).reshape(90, outputs)
    tolerance = (1e-6 if dtype == "float32" else 1e-13) * max(abs(wanted).max(), 1)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def test_other_losses_and_pipelines(rng):
    X = rng.normal(size=(90, 4)).astype(np.float32)
    counts = np.floor(np.exp(X[:, 0]))
    model = make_pipeline(StandardScaler(), MLPRegressor("poisson", max_iter=5)).fit(X, counts)
    np.testing.assert_allclose(run(model, X)[0][:, 0], model.predict(X), rtol=3e-6)
    both = make_pipeline(StandardScaler(), MLPClassifier(max_iter=5)).fit(X, TARGETS["texts"])
    labels, maps = run(both, X)  # a dict for each sample
    assert list(labels) == list(both.predict(X))
    wanted = both.predict_proba(X)
    found = [[sample[name] for name in both.classes_] for sample in maps]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_an_old_opset_is_refused(rng):
    X = rng.normal(size=(90, 4))
    model = MLPRegressor(max_iter=2).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="target_opset is 15; 17 or later is wanted"):
        skl2onnx.to_onnx(model, X[:1], target_opset=15)
