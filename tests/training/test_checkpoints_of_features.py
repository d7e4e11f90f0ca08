"""With every feature of training, a fit that is interrupted often ends with the same bits."""

import numpy as np
import pytest
from custom_loss import Python

import fastnn as fn
from fastnn import schedules
from fastnn.files import model_file
from fastnn.training import loop
from fastnn.training.checkpoints import Checkpoints

BATCH_SIZE = 1_250


def frozen_before(net, X, y):
    """Train with a frozen first layer, so that its running means have missed some updates."""
    net.layers[0].trainable = False
    net.fit(X, y, optimizer=fn.Adam(0.01), epochs=1, batch_size=BATCH_SIZE, seed=1)
    net.layers[0].trainable = True


FEATURES = {
    "AdamW and a cosine schedule": {"optimizer": fn.AdamW(schedules.CosineDecay(0.01))},
    "RMSprop and a plateau": {
        "optimizer": fn.RMSprop(
            schedules.Warmup(schedules.ReduceOnPlateau(0.01, patience=0, min_delta=1.0), updates=3),
            momentum=0.5,
            centered=True,
        )
    },
    "clipping and a penalty": {"optimizer": fn.SGD(0.1, clip_norm=0.5, l1=1e-4)},
    "weights": {"sample_weight": np.linspace(0, 2, 3_000), "class_weight": "balanced"},
    "missing labels": {"loss": fn.SoftmaxCrossEntropy(ignore_nan=True)},
    "a held-out share": {"validation_data": 0.2, "metrics": ("accuracy",)},
    "Dropout": {"between": [lambda: fn.Dropout(0.3)]},
    "LayerNorm": {"between": [lambda: fn.LayerNorm(100)]},
    "BatchNorm": {"between": [lambda: fn.BatchNorm(100)]},
    "groups": {
        "optimizer": fn.AdamW(
            0.01,
            groups=[
                fn.Group("bias", learning_rate_factor=0.1, weight_decay_factor=0),
                fn.Group(layers=[0], learning_rate_factor=3),
            ],
        )
    },
    "a schedule of the weight decay": {
        "optimizer": fn.AdamW(0.01, weight_decay=schedules.FlatCosine(0.5))
    },
    "a schedule of dropout": {
        "between": [lambda: fn.Dropout(0.3)],
        "dropout_factor": schedules.FlatCosine(2.0),
    },
    "Parametric": {"between": [lambda: fn.Parametric(100, fn.Mish)]},
    "a layer that was frozen": {"optimizer": fn.Adam(0.01), "before": frozen_before},
}


@pytest.fixture
def data(rng):
    X = rng.standard_normal((3_000, 5))
    return X, np.digitize(X[:, 0] * X[:, 1], [-0.3, 0.3])


@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "stepwise"])
@pytest.mark.parametrize("name", FEATURES)
def test_a_fit_that_is_broken_off(isa, dtype, data, tmp_path, monkeypatch, name, wrap):
    settings = {
        "optimizer": fn.SGD(0.05, momentum=0.9),
        "epochs": 3,
        "batch_size": BATCH_SIZE,
        "seed": 3,
    } | FEATURES[name]
    between, before = settings.pop("between", []), settings.pop("before", None)
    if wrap is Python and {"metrics", "sample_weight", "loss"} & settings.keys():
        pytest.skip("of losses that the engine knows")
    settings.setdefault("loss", wrap(fn.SoftmaxCrossEntropy()))
    if settings["loss"] == fn.SoftmaxCrossEntropy(ignore_nan=True):
        data = data[0], np.where(data[0][:, 1] < -1, -1, data[1])

    def network():
        layers = [fn.Linear(5, 100), *(make() for make in between), fn.Tanh(), fn.Linear(100, 3)]
        return fn.Network(layers, dtype, seed=0)

    def result(net, history):
        columns = {name: column for name, column in history.items() if name != "seconds"}
        arrays = net.params, net._model.constants, net._optimizer_state.arrays
        return [array.tobytes() for array in arrays], columns

    whole = network()
    if before:
        before(whole, *data)
    expected = result(whole, whole.fit(*data, **settings))

    write, places, n_breaks = Checkpoints.write, set(), 0

    def write_and_break_off(self, net, parts):
        write(self, net, parts)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(Checkpoints, "write", write_and_break_off)
    path = tmp_path / "run.checkpoint"
    first = network()
    if before:
        before(first, *data)
    for n_breaks in range(1000):
        net = network() if n_breaks else first
        try:
            history = net.fit(
                *data, checkpoint=path, checkpoint_every="0.000001s", resume=True, **settings
            )
            break
        except KeyboardInterrupt:
            place = model_file.read(path)[0]["fit"]["parts"]["trainer"]
            places.add((place["epoch"], place["position"]))
    assert n_breaks > 3
    assert len({position for _, position in places}) > 1
    assert result(net, history) == expected
