"""Files and pickles that version 0.1.0 wrote, before the package was laid out anew, still load.

`expected.npz` holds what that version computed from them. Bits depend on the build of the engine,
hence the tolerances.
"""

import pickle
import shutil
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
from custom_loss import Python
from stop_after import StopAfter

import fastnn as fn
from fastnn import schedules

FOLDER = Path(__file__).parents[1] / "data" / "version_0_1"
EXPECTED = dict(np.load(FOLDER / "expected.npz"))
X, LABELS, Y = EXPECTED["X"], EXPECTED["labels"], EXPECTED["y"]


def classifier():
    layers = [fn.Linear(3, 4), fn.BatchNorm(4), fn.Tanh(), fn.Dropout(0.1), fn.Linear(4, 3)]
    return fn.Network(layers, dtype="float64", seed=1)


def regressor():
    return fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], dtype="float64", seed=1)


MINIBATCHES = {"batch_size": 8, "seed": 4}
LABELLED = {"y": LABELS, "loss": fn.SoftmaxCrossEntropy(), **MINIBATCHES}
FITS = {
    "sgd": (
        classifier,
        {
            "optimizer": fn.SGD(schedules.StepDecay(0.05, 2), momentum=0.9, nesterov=True),
            "callbacks": [fn.EarlyStopping("loss", patience=50), StopAfter()],
            **LABELLED,
        },
    ),
    "adam": (
        classifier,
        {
            "optimizer": fn.Adam(schedules.ReduceOnPlateau(0.01, patience=1)),
            "validation_data": 0.25,
            **LABELLED,
        },
    ),
    "adamw": (
        classifier,
        {
            "optimizer": fn.AdamW(schedules.CosineDecay(0.01), clip_norm=1.0),
            "class_weight": "balanced",
            **LABELLED,
        },
    ),
    "rmsprop": (
        classifier,
        {
            "optimizer": fn.RMSprop(0.01, momentum=0.5, centered=True),
            "sample_weight": np.linspace(0.5, 1.5, 24),
            **LABELLED,
        },
    ),
    "levenberg_marquardt": (
        regressor,
        {"y": Y, "loss": fn.MeanSquaredError(), "optimizer": fn.LevenbergMarquardt()},
    ),
    "custom_loss": (
        regressor,
        {"y": Y, "loss": Python(fn.MeanSquaredError()), "optimizer": fn.Adam(0.01), **MINIBATCHES},
    ),
}


@pytest.mark.parametrize("name", ["every_layer", "log_softmax"])
def test_models_load(name):
    net = fn.load(FOLDER / f"{name}.safetensors")
    tolerance = 1e-12 if net.dtype == np.float64 else 1e-5
    np.testing.assert_allclose(net.predict(X), EXPECTED[f"models/{name}"], atol=tolerance)


@pytest.mark.parametrize("name", FITS)
def test_fits_resume(name, tmp_path):
    make, settings = FITS[name]
    checkpoint = tmp_path / "checkpoint.safetensors"
    shutil.copy(FOLDER / f"checkpoint_{name}.safetensors", checkpoint)
    net = make()
    settings = {"callbacks": [StopAfter()], "epochs": 6, "n_threads": 1, **settings}
    history = net.fit(X, checkpoint=checkpoint, resume=True, **settings)
    assert len(history["loss"]) == 6
    # other CPUs than the one of the file round otherwise
    np.testing.assert_allclose(net.params, EXPECTED[f"checkpoints/{name}"], rtol=1e-6, atol=1e-6)
    started_anew = make()
    started_anew.fit(X, **{**settings, "epochs": 3})
    assert not np.allclose(started_anew.params, net.params, rtol=1e-4)


def loaded(name):
    return pickle.loads((FOLDER / f"{name}.pickle").read_bytes())


@pytest.mark.filterwarnings("ignore:Trying to unpickle estimator")  # scikit-learn's LabelBinarizer
@pytest.mark.parametrize("name", ["network", "classifier", "regressor", "own_optimizer"])
def test_models_unpickle(name):
    model = loaded(name)
    predict = model.predict_proba if name == "classifier" else model.predict
    np.testing.assert_allclose(predict(X), EXPECTED[f"pickles/{name}"], rtol=1e-6, atol=1e-6)


def test_a_network_goes_on_training():
    net = loaded("network")
    assert net.optimizer_state.kind == "adam"
    assert net.optimizer_state.step == 6
    net.fit(X, LABELS, epochs=1, batch_size=8, optimizer=fn.Adam(0.01))
    assert net.optimizer_state.step == 9


SETTINGS = {
    "optimizers": [
        fn.SGD(0.1, momentum=0.9),
        fn.Adam(schedules.Warmup(schedules.OneCycle(0.1), epochs=3)),
        fn.AdamW(0.1, weight_decay=0.2),
        fn.RMSprop(0.1),
        fn.LBFGS(history_size=7),
        fn.LevenbergMarquardt(damping=0.1),
    ],
    "schedules": [
        schedules.Constant(0.1),
        schedules.StepDecay(0.1, 3),
        schedules.ExponentialDecay(0.1, 0.9),
        schedules.CosineDecay(0.1),
        schedules.OneCycle(0.1),
        schedules.InverseScaling(0.1),
        schedules.ReduceOnPlateau(0.1),
        schedules.Warmup(schedules.Constant(0.1), updates=3),
    ],
    "losses": [
        fn.SoftmaxCrossEntropy(label_smoothing=0.1),
        fn.BinaryCrossEntropy(),
        fn.MeanSquaredError(),
        fn.HalfSquaredError(),
        fn.MeanAbsoluteError(),
        fn.Huber(0.7),
        fn.Pinball([0.1, 0.9]),
        fn.Poisson(),
        fn.NegativeLogLikelihood(),
    ],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_unpickle(name):
    assert loaded(name) == SETTINGS[name]
    for found, wanted in zip(loaded(name), SETTINGS[name], strict=True):
        assert type(found) is type(wanted)
        assert is_dataclass(found)
        assert [getattr(found, f.name) for f in fields(found)] == [
            getattr(wanted, f.name) for f in fields(wanted)
        ]


def test_other_things_unpickle():
    history, error = loaded("history"), loaded("error")
    assert isinstance(history, fn.History)
    assert isinstance(error, fn.DivergenceError)
    assert (error.epoch, error.step, error.history) == (3, 14, history)
    assert len(history["loss"]) == 2
    plain, stopping = loaded("callbacks")
    assert type(plain) is fn.Callback
    assert (type(stopping), stopping.patience) == (fn.EarlyStopping, 3)
    layers = loaded("layers")
    every = fn.load(FOLDER / "every_layer.safetensors").layers
    assert [repr(layer) for layer in layers[:-2]] == [repr(layer) for layer in every]
    softmax, network, relu = loaded("jacobians")
    p = fn.Softmax()(X[0])
    np.testing.assert_allclose(softmax.to_dense(), np.diag(p) - np.outer(p, p), atol=1e-14)
    np.testing.assert_allclose(network.to_dense(), regressor().jacobian(X[0]), atol=1e-12)
    np.testing.assert_array_equal(relu.to_dense(), np.diag(X[0] > 0))
