"""Checkpoints that raise: of another fit, damaged, or impossible to write."""

from pathlib import Path

import numpy as np
import pytest
from small_fit import SETTINGS, Interrupt, bits, epochs_done, network

import fastnn as fn
from fastnn import schedules
from fastnn.files import model_file
from fastnn.training import loop
from fastnn.training.checkpoints import Checkpoints


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.checkpoint"


@pytest.fixture
def data(rng):
    return rng.standard_normal((50, 5)), rng.integers(3, size=50)


@pytest.fixture
def started(path, data):
    """Return a checkpoint after five of nine epochs, with early stopping."""
    with pytest.raises(KeyboardInterrupt):
        network().fit(*data, callbacks=[Interrupt(5)], checkpoint=path, **SETTINGS)
    assert epochs_done(path) == 5
    return path


def test_a_checkpoint_is_a_model(started, data):
    net = network()
    net.fit(*data, **SETTINGS | {"epochs": 5})
    loaded = fn.load(started)
    assert np.array_equal(loaded.params, net.params)
    loaded.save(started)
    with pytest.raises(fn.ModelFileError, match="a model, but not a checkpoint"):
        net.fit(*data, checkpoint=started, resume=True, **SETTINGS)


@pytest.mark.parametrize(
    "rate", [schedules.CosineDecay(0.1), schedules.Warmup(schedules.OneCycle(0.1), epochs=1)]
)
def test_a_schedule_of_another_number_of_epochs_is_refused(path, data, rate):
    """The rates of the epochs so far depend on the number of epochs."""
    settings = SETTINGS | {"optimizer": fn.SGD(rate), "checkpoint": path}
    network().fit(*data, **settings)
    with pytest.raises(ValueError, match="another epochs: 9 there, 12 here"):
        network().fit(*data, resume=True, **settings | {"epochs": 12})


@pytest.mark.parametrize(
    ("raised", "arrives"), [(KeyError("x"), fn.ModelFileError), (IndexError("x"), IndexError)]
)
def test_a_callback_that_cannot_be_restored_changes_nothing(path, data, raised, arrives):
    class Restored(fn.Callback):
        def restore(self, state):
            raise raised

    network().fit(*data, callbacks=[Restored()], checkpoint=path, **SETTINGS)
    net, same = network(), network()
    for each in (net, same):
        each.fit(*data, optimizer=fn.Adam(0.01), epochs=1, seed=0)
    with pytest.raises(arrives):
        net.fit(*data, callbacks=[Restored()], checkpoint=path, resume=True, **SETTINGS)
    assert bits(net, {}) == bits(same, {})


X, Y = np.ones((50, 5)), np.zeros(50, int)
OTHERS = {
    "batch_size": ({"batch_size": 8}, "another batch_size: 7 there, 8 here"),
    "seed": ({"seed": 4}, "another seed: 3 there, 4 here"),
    "shuffle": ({"shuffle": False}, "another shuffle"),
    "optimizer": ({"optimizer": fn.Adam(0.02)}, r"another optimizer: .*0\.01.*0\.02"),
    "groups": (
        {"optimizer": fn.Adam(0.01, groups=[fn.Group("bias", learning_rate_factor=0.1)])},
        "another optimizer: .*Group",
    ),
    "loss": ({"loss": fn.NegativeLogLikelihood()}, "another loss"),
    "validation": ({"validation_data": (X, Y)}, "another validation_data"),
    "rows": ({"X": X[:40], "y": Y[:40]}, r"another data: \[50, 5\] there, \[40, 5\] here"),
    "X": ({"X": X}, "another X"),
    "y": ({"y": Y}, "another y"),
    "callbacks": ({"callbacks": []}, "another callbacks"),
    "epochs": (
        {"epochs": 3},
        r"^epochs is 3, .*run\.checkpoint.* of a fit that has trained 5 .*; 5 or more are wanted",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_of_another_fit_is_refused(started, data, name):
    other, message = OTHERS[name]
    net = network()
    if name == "loss":
        net = fn.Network(
            [*[type(a)(**a.config()) for a in net.layers[1:]], fn.Softmax()], "float64"
        )
        message = "another network"
    before, content = net.params.copy(), started.read_bytes()
    given = dict(zip("Xy", data, strict=True)) | {"callbacks": [Interrupt(-1)]} | SETTINGS | other
    with pytest.raises(ValueError, match=message):
        net.fit(checkpoint=started, resume=True, **given)
    assert np.array_equal(net.params, before)
    assert started.read_bytes() == content
    net.fit(*data, epochs=1)


def test_fewer_epochs_than_the_one_it_was_broken_off_in(path, rng, monkeypatch):
    """The parameters within the second epoch are not those after the first."""
    X, y = rng.standard_normal((3_000, 5)), rng.integers(3, size=3_000)
    write = Checkpoints.write

    def write_and_break_off(self, net, parts):
        write(self, net, parts)
        place = model_file.read(path)[0]["fit"]["parts"]["trainer"]
        if place["epoch"] == 1 and place["position"]:
            raise KeyboardInterrupt

    settings = SETTINGS | {"batch_size": 1_000, "checkpoint": path}
    with monkeypatch.context() as patch:
        patch.setattr(loop, "SLICE_SECONDS", 0.0)
        patch.setattr(Checkpoints, "write", write_and_break_off)
        with pytest.raises(KeyboardInterrupt):
            network().fit(X, y, checkpoint_every="0.000001s", **settings)
    net = network()
    before = net.params.copy()
    with pytest.raises(ValueError, match=r"epochs is 1, .*1 and a part already; 2 or more"):
        net.fit(X, y, resume=True, **settings | {"epochs": 1})
    assert np.array_equal(net.params, before)
    whole = network()
    history = net.fit(X, y, resume=True, **settings | {"epochs": 2})
    expected = bits(whole, whole.fit(X, y, **settings | {"epochs": 2, "checkpoint": None}))
    assert bits(net, history) == expected


def test_a_network_of_another_dtype_is_refused(started, data):
    with pytest.raises(ValueError, match="another dtype: 'float64' there, 'float32' here"):
        network("float32").fit(
            *data, checkpoint=started, resume=True, callbacks=[Interrupt(-1)], **SETTINGS
        )


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_truncated_file(started, data, share):
    content = started.read_bytes()
    started.write_bytes(content[: int(share * len(content))])
    net = network()
    before = net.params.copy()
    with pytest.raises(fn.ModelFileError, match=r"run\.checkpoint: not a safetensors file"):
        net.fit(*data, checkpoint=started, resume=True, callbacks=[Interrupt(-1)], **SETTINGS)
    assert np.array_equal(net.params, before)


HOSTILE = {
    "position": lambda d, a: d["fit"]["parts"]["trainer"].update(position=10**9),
    "no position": lambda d, a: d["fit"]["parts"]["trainer"].pop("position"),
    "a text": lambda d, a: d["fit"]["parts"]["trainer"].update(epoch="five"),
    "no order's start": lambda d, a: d["fit"]["parts"]["trainer"].update(position=7),
    "order": lambda d, a: (
        d["fit"]["parts"]["trainer"].update(position=7),
        a.update(
            {"fit.trainer.order": np.full(50, 2**40), "fit.trainer.last_good": a["fit.grads"]}
        ),
    ),
    "short": lambda d, a: a.update({"fit.trainer.losses": np.zeros(3)}),
    "optimizer": lambda d, a: a.update({"fit.optimizer.arrays": np.zeros((1, 3))}),
    "grads": lambda d, a: a.update({"fit.grads": np.zeros(3)}),
    "parts": lambda d, a: d["fit"].pop("parts"),
    "rng": lambda d, a: d["fit"]["parts"]["course"].update(rng={"state": 3}),
}


@pytest.mark.parametrize("damage", HOSTILE)
def test_a_hostile_file(started, data, damage):
    description, arrays = model_file.read(started)
    HOSTILE[damage](description, arrays)
    model_file.write(started, description, arrays)
    net = network()
    before = net.params.copy()
    with pytest.raises(fn.ModelFileError, match="not a valid checkpoint"):
        net.fit(*data, checkpoint=started, resume=True, callbacks=[Interrupt(-1)], **SETTINGS)
    assert np.array_equal(net.params, before)
    net.fit(*data, epochs=1)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"checkpoint": 3}, TypeError, "checkpoint is 3"),
        ({"checkpoint": ""}, ValueError, "checkpoint is ''; the path of a file is wanted"),
        ({"checkpoint": Path()}, IsADirectoryError, r"checkpoint is a folder.*: '\.'"),
        ({"checkpoint": "a\0b"}, ValueError, r"checkpoint is 'a\\x00b'; the path of a file"),
        ({"checkpoint": "no/such/folder/file"}, FileNotFoundError, "no/such/folder"),
        ({"resume": True}, ValueError, "resume is True and checkpoint None"),
        ({"resume": 1}, TypeError, "resume is 1"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every is 0"),
        ({"checkpoint_every": "5"}, ValueError, "checkpoint_every is '5'.*'30s'"),
        ({"checkpoint_every": "0s"}, ValueError, "checkpoint_every is '0s'"),
        ({"checkpoint_every": 1.5}, TypeError, "checkpoint_every is 1.5"),
    ],
    ids=str,
)
def test_bad_settings(data, settings, error, message):
    with pytest.raises(error, match=message):
        network().fit(*data, **settings)


def test_a_callback_whose_state_is_no_json(path, data):
    class Odd(fn.Callback):
        def state(self):
            return {"net": object()}

    with pytest.raises(TypeError, match=r"callbacks\.0\.state\(\): Object of type object"):
        network().fit(*data, callbacks=[Odd()], checkpoint=path, **SETTINGS)
