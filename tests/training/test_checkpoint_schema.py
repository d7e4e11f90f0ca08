"""Checkpoints with any invalid value raise, and the network stays unchanged."""

import copy

import numpy as np
import pytest
from small_fit import bits

import fastnn as fn
from fastnn import schedules
from fastnn.files import model_file
from fastnn.training import loop
from fastnn.training.checkpoints import Checkpoints

N = 3_000
X = np.random.default_rng(0).standard_normal((N, 5))
LABELS = np.arange(N) % 3


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Skip fsync for some thousand files."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


class OwnLoss:
    def __call__(self):
        return self

    def value_and_grad(self, y_pred, y):
        return fn.SoftmaxCrossEntropy().value_and_grad(y_pred, y)


def layers(*middle):
    return [fn.Standardize(np.zeros(5), np.ones(5)), fn.Linear(5, 4), *middle, fn.Linear(4, 3)]


def settings(**given):
    return {"epochs": 4, "batch_size": 1_000, "seed": 3, "optimizer": fn.Adam(0.01)} | given


PLATEAU = fn.Adam(schedules.ReduceOnPlateau(0.01, patience=0, monitor="loss", min_delta=10))
FITS = {
    "engine": ([fn.BatchNorm(4), fn.Tanh()], LABELS, settings()),
    "in its order": ([fn.Tanh()], LABELS, settings(shuffle=False)),
    "plateau": ([fn.Tanh()], LABELS, settings(optimizer=PLATEAU)),
    "stopping": (
        [fn.Tanh()],
        LABELS,
        settings(
            validation_data=(X, LABELS),
            callbacks=[fn.EarlyStopping(patience=9)],
            metrics=["accuracy"],
        ),
    ),
    "stepwise": ([fn.Tanh()], LABELS, settings(loss=OwnLoss(), optimizer=fn.RMSprop(0.01))),
    "momentum": ([fn.Tanh()], LABELS, settings(optimizer=fn.SGD(0.1, momentum=0.9))),
    "levenberg-marquardt": (
        [fn.Tanh()],
        np.eye(3)[LABELS],
        settings(loss=fn.MeanSquaredError(), optimizer=fn.LevenbergMarquardt(bayesian=True)),
    ),
}


def fit(name, path, resume=False, net=None):
    middle, y, given = FITS[name]
    net = net or fn.Network(layers(*copy.deepcopy(middle)), "float64", seed=0)
    history = net.fit(X, y, checkpoint=path, resume=resume, **given)
    return net, history


def broken_off(name, path, monkeypatch, within):
    """Write a checkpoint at the end of the second epoch, or within the third."""
    write = Checkpoints.write

    def write_and_break_off(self, net, parts):
        write(self, net, parts)
        place = model_file.read(path)[0]["fit"]["parts"]["trainer"]
        if place["epoch"] == 2 and bool(place["position"]) == within:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "SLICE_SECONDS", 0.0)
        patch.setattr(Checkpoints, "write", write_and_break_off)
        patch.setattr(Checkpoints, "due", lambda self, epoch: True)
        with pytest.raises(KeyboardInterrupt):
            fit(name, path)
    return path


def places(value, path=()):
    """Yield the path to each plain value."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from places(item, (*path, key))


VALUES = [None, True, -1, 2**63, 10**400, -1.5, float("nan"), "text", [], {"a": 1}]


def differs(a, b):
    return type(a) is not type(b) or (a != b and not (a != a and b != b))


WITHIN = [
    (name, within)
    for name in FITS
    for within in (False, True)
    if name != "levenberg-marquardt" or not within
]
# these values do not depend on others, so other numbers are valid
FREE = {
    "epoch_loss",
    "batch_loss",
    "elapsed",
    "epoch_weight",
    "batch_weight",
    "damping",
    "weight_precision",
    "noise_precision",
    "best",
    "best_epoch",
    "waited",
    "bad_epochs",
    "cooldown_left",
    "stopped",
    "factors",
    "converged",
}


@pytest.mark.parametrize(("name", "within"), WITHIN)
def test_every_value_of_another_kind_is_refused(name, within, tmp_path, monkeypatch):
    path = broken_off(name, tmp_path / "run.checkpoint", monkeypatch, within)
    description, arrays = model_file.read(path)
    parts = description["fit"]["parts"]
    expected = bits(*fit(name, None))
    assert bits(*fit(name, path, resume=True)) == expected
    taken = set()
    for place in places(parts):
        for value in ["missing", *VALUES]:
            changed = copy.deepcopy(description)
            target = changed["fit"]["parts"]
            for key in place[:-1]:
                target = target[key]
            if not differs(target[place[-1]], value):
                continue
            if value == "missing":
                del target[place[-1]]
            else:
                target[place[-1]] = value
            model_file.write(path, changed, arrays)
            net = fn.Network(layers(*copy.deepcopy(FITS[name][0])), "float64", seed=1)
            before = net.params.copy()
            try:
                fit(name, path, resume=True, net=net)
            except fn.ModelFileError:
                assert np.array_equal(net.params, before)
                assert net.optimizer_state.step == 0
            except fn.DivergenceError:
                pass
            except ValueError as error:
                if "epochs is 4" not in str(error):
                    raise
            else:
                taken.add(place[-1] if isinstance(place[-1], str) else place[-2])
    rng = {"state", "inc", "uinteger", "has_uint32"}
    assert taken <= FREE | rng


@pytest.mark.parametrize(("name", "within"), WITHIN)
def test_every_array_of_another_kind_is_refused(name, within, tmp_path, monkeypatch):
    path = broken_off(name, tmp_path / "run.checkpoint", monkeypatch, within)
    description, arrays = model_file.read(path)
    of_fit = [key for key in arrays if key.startswith("fit.")]
    assert "fit.grads" in of_fit
    for key in of_fit:
        array = arrays[key]
        others = [
            None,
            array[..., :-1],
            array.astype(np.float32),
            array.astype(np.int8),
            array[None],
        ]
        if key != "fit.grads" and "column" not in key:
            others.append(np.full_like(array, -(2**60)) if array.dtype == int else array * np.nan)
        if key.endswith(("order", "seconds", "last_good_constants")):
            others.append(-1 - array)
        for other in others:
            if other is not None and array.size == 0:
                continue
            changed = {k: v for k, v in arrays.items() if k != key}
            if other is not None:
                changed[key] = other
            model_file.write(path, description, changed)
            net = fn.Network(layers(*copy.deepcopy(FITS[name][0])), "float64", seed=1)
            before = net.params.copy()
            with pytest.raises(fn.ModelFileError, match="not a valid checkpoint"):
                fit(name, path, resume=True, net=net)
            assert np.array_equal(net.params, before)
            assert net.optimizer_state.step == 0
    model_file.write(path, description, arrays | {"fit.trainer.more": np.ones(2)})
    with pytest.raises(fn.ModelFileError, match="unknown values"):
        fit(name, path, resume=True)
    model_file.write(path, description, arrays | {"fit.more": np.ones(2)})
    with pytest.raises(fn.ModelFileError, match="no part holds"):
        fit(name, path, resume=True)


def test_a_place_within_an_epoch_and_no_order(tmp_path):
    path = tmp_path / "run.checkpoint"
    fit("engine", path)
    description, arrays = model_file.read(path)
    description["fit"]["parts"]["trainer"].update(epoch=1, position=320, step=3)
    arrays |= {"fit.trainer.last_good": arrays["fit.grads"]}
    model_file.write(path, description, arrays)
    with pytest.raises(fn.ModelFileError, match="not a valid checkpoint"):
        fit("engine", path, resume=True)


def test_another_network_than_the_settings_say(tmp_path):
    """An array of one parameter must not be broadcast to all."""
    path = tmp_path / "run.checkpoint"
    fit("engine", path)
    description, arrays = model_file.read(path)
    description["layers"] = [{"kind": "linear", "in_features": 1, "out_features": 1, "bias": False}]
    own = {name: array for name, array in arrays.items() if name.startswith("fit.")}
    model_file.write(path, description, own | {"0.weight": np.ones((1, 1))})
    with pytest.raises(fn.ModelFileError, match="other layers"):
        fit("engine", path, resume=True)


def test_a_negative_factor_never_reaches_the_trainer(tmp_path):
    path = tmp_path / "run.checkpoint"
    fit("plateau", path)
    description, arrays = model_file.read(path)
    memory = description["fit"]["parts"]["rates"]
    memory["factors"][-1] = -memory["factors"][-1]
    model_file.write(path, description, arrays)
    with pytest.raises(fn.ModelFileError, match="numbers that fall from 1"):
        fit("plateau", path, resume=True)


def test_callbacks_stay_as_they_were(tmp_path):
    class Counter(fn.Callback):
        count = 0

        def state(self):
            return {"count": self.count}

        def restore(self, state):
            self.count = state["count"] + 0

    path = tmp_path / "run.checkpoint"
    given = {"checkpoint": path, **settings()}
    fn.Network(layers(), seed=0).fit(X, LABELS, callbacks=[Counter(), Counter()], **given)
    description, arrays = model_file.read(path)
    description["fit"]["parts"]["callbacks.0"]["count"] = 5
    description["fit"]["parts"]["callbacks.1"]["count"] = "five"
    model_file.write(path, description, arrays)
    counters = [Counter(), Counter()]
    counters[0].count = 1
    with pytest.raises(fn.ModelFileError):
        fn.Network(layers(), seed=0).fit(X, LABELS, callbacks=counters, resume=True, **given)
    assert [counter.count for counter in counters] == [1, 0]
