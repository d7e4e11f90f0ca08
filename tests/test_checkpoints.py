"""Checkpoints: a fit that was interrupted ends with the bits of one that was not."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from custom_loss import Python

import fastnn as fn
from fastnn import model_file, schedules, training
from fastnn.checkpoints import Checkpoints


class Interrupt(fn.Callback):
    """Break off at the end of an epoch, as a crash would."""

    def __init__(self, epoch):
        self.epoch = epoch

    def epoch_end(self, net, epoch, metrics):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.checkpoint"


@pytest.fixture
def data(rng):
    return rng.standard_normal((50, 5)), rng.integers(3, size=50)


@pytest.fixture
def started(path, data):
    """A checkpoint after five of nine epochs, with early stopping in it."""
    with pytest.raises(KeyboardInterrupt):
        network().fit(*data, callbacks=[Interrupt(5)], checkpoint=path, **SETTINGS)
    assert epochs_done(path) == 5
    return path


def network(dtype="float64"):
    layers = [
        fn.Standardize(np.arange(5.0), np.arange(1.0, 6.0)), fn.Linear(5, 8), fn.Tanh(),
        fn.Linear(8, 3),
    ]  # fmt: skip
    return fn.Network(layers, dtype, seed=0)


def bits(net, history):
    columns = {name: column for name, column in history.items() if name != "seconds"}
    state = net._optimizer_state
    return net.params.tobytes(), net.grads.tobytes(), state.arrays.tobytes(), state.step, columns


def epochs_done(path):
    return model_file.read(path)[0]["fit"]["parts"]["trainer"]["epoch"]


SETTINGS = {"optimizer": fn.Adam(0.01), "epochs": 9, "batch_size": 7, "seed": 3}


@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "stepwise"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("every", [1, 2, 4])
def test_a_fit_broken_off_between_epochs(isa, dtype, path, data, wrap, shuffle, every):
    settings = SETTINGS | {
        "loss": wrap(fn.SoftmaxCrossEntropy()), "shuffle": shuffle, "validation_data": 0.2,
    }  # fmt: skip
    whole, broken, resumed = (network(dtype) for _ in range(3))
    expected = bits(whole, whole.fit(*data, callbacks=[Interrupt(-1)], **settings))
    keep = {"checkpoint": path, "checkpoint_every": every}
    with pytest.raises(KeyboardInterrupt):
        broken.fit(*data, callbacks=[Interrupt(6)], **keep, **settings)
    assert not path.exists() or epochs_done(path) == 6 // every * every
    history = resumed.fit(
        *data, callbacks=[Interrupt(-1)], resume=True, n_threads=2, **keep, **settings
    )
    assert bits(resumed, history) == expected
    assert all(len(column) == 9 for column in history.values())


@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "stepwise"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_fit_broken_off_within_an_epoch(isa, dtype, path, rng, monkeypatch, wrap, shuffle):
    """Every place at which the engine comes back is one to go on from, also within a batch."""
    X, y = rng.standard_normal((3_000, 5)), rng.integers(3, size=3_000)
    settings = {
        "loss": wrap(fn.SoftmaxCrossEntropy()), "optimizer": fn.SGD(0.01, momentum=0.9),
        "epochs": 3, "batch_size": 2_500, "seed": 3, "shuffle": shuffle,
    }  # fmt: skip
    layers = [fn.Linear(5, 200), fn.Tanh(), fn.Linear(200, 3)]

    def wide():
        return fn.Network([type(layer)(**layer.config()) for layer in layers], dtype, seed=0)

    whole = wide()
    expected = bits(whole, whole.fit(X, y, **settings))
    monkeypatch.setattr(training, "SLICE_SECONDS", 0.0)
    places = set()
    resumed = wide()
    write = Checkpoints.write

    def write_and_break_off(self, net):
        write(self, net)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "write", write_and_break_off)
    keep = {"checkpoint": path, "checkpoint_every": "0.000001s", "resume": True}
    for _ in range(1000):
        resumed = wide()
        try:
            history = resumed.fit(X, y, **keep, **settings)
            break
        except KeyboardInterrupt:
            place = model_file.read(path)[0]["fit"]["parts"]["trainer"]
            places.add((place["epoch"], place["position"]))
    assert len(places) > 3
    assert any(position % 2_500 for _, position in places) or isinstance(settings["loss"], Python)
    assert bits(resumed, history) == expected


class HugeFrom(schedules.Schedule):
    """Lets training diverge from an update on."""

    def __init__(self, update):
        self.update = update

    def rates(self, updates, updates_per_epoch, total_updates):
        return np.where(updates < self.update, 1e-3, 1e250)


def test_what_a_callback_wrote_before_it_was_broken_off(isa, dtype, path, rng, monkeypatch):
    """The fit that goes on within the epoch and diverges there ends with it."""

    class Write(fn.Callback):
        def epoch_begin(self, net, epoch):
            net.params[...] = 0.25 * epoch

    X, y = rng.standard_normal((3_000, 5)), rng.standard_normal((3_000, 3))
    settings = {
        "loss": fn.MeanSquaredError(), "optimizer": fn.SGD(HugeFrom(4)), "epochs": 3,
        "batch_size": 1_000, "seed": 3,
    }  # fmt: skip
    keep = {"checkpoint": path, "checkpoint_every": "0.000001s", "callbacks": [Write()]}
    monkeypatch.setattr(training, "SLICE_SECONDS", 0.0)

    def write_and_break_off(self, net):
        write(self, net)
        place = model_file.read(path)[0]["fit"]["parts"]["trainer"]
        if place["epoch"] == 1 and place["position"]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        write = Checkpoints.write
        patch.setattr(Checkpoints, "write", write_and_break_off)
        with pytest.raises(KeyboardInterrupt):
            network(dtype).fit(X, y, **keep, **settings)
    net = network(dtype)
    with pytest.raises(fn.DivergenceError) as info:
        net.fit(X, y, resume=True, **keep, **settings)
    assert info.value.epoch == 1
    assert (net.params == 0.25).all()


class Counting(fn.Callback):
    """Remembers a number, an array and when it was called."""

    def __init__(self, break_off=None):
        self.break_off, self.total, self.trace, self.calls = break_off, 0, np.zeros(3), []

    def fit_begin(self, net):
        self.calls.append("begin")

    def epoch_end(self, net, epoch, metrics):
        self.calls.append(epoch)
        if epoch == self.break_off:
            raise KeyboardInterrupt
        self.total += epoch
        self.trace[epoch % 3] += metrics["loss"]

    def state(self):
        return {"total": self.total, "trace": self.trace}

    def restore(self, state):
        self.total, self.trace = state["total"], state["trace"]


def test_callbacks_go_on_too(path, data):
    straight, broken, resumed = Counting(), Counting(6), Counting()
    network().fit(*data, callbacks=[straight], **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        network().fit(*data, callbacks=[broken], checkpoint=path, **SETTINGS)
    network().fit(*data, callbacks=[resumed], checkpoint=path, resume=True, **SETTINGS)
    assert resumed.total == straight.total == sum(range(9))
    assert np.array_equal(resumed.trace, straight.trace)
    assert resumed.calls == [6, 7, 8]


@pytest.mark.parametrize("break_off", [1, 5, 9])
def test_early_stopping_goes_on(path, rng, break_off):
    """The best parameters may be those of before the interruption."""
    X = rng.standard_normal((60, 5))
    y = X[:, :3].argmax(axis=1)
    y[:20] = rng.integers(3, size=20)
    settings = SETTINGS | {
        "epochs": 300, "optimizer": fn.SGD(0.3, momentum=0.9), "validation_data": (X[20:], y[20:]),
    }  # fmt: skip
    stoppers = [fn.EarlyStopping(patience=10) for _ in range(3)]
    whole, broken, resumed = (network() for _ in range(3))

    def fit(net, i, breaking, **keep):
        callbacks = [stoppers[i], Interrupt(breaking)]
        return net.fit(X[:20], y[:20], callbacks=callbacks, **keep, **settings)

    expected = bits(whole, fit(whole, 0, -1))
    assert len(expected[-1]["loss"]) < 300
    with pytest.raises(KeyboardInterrupt):
        fit(broken, 1, break_off, checkpoint=path)
    history = fit(resumed, 2, -1, checkpoint=path, resume=True)
    assert bits(resumed, history) == expected
    assert stoppers[2].best_epoch == stoppers[0].best_epoch
    again = network()  # a fit that has stopped stays so
    assert bits(again, fit(again, 1, -1, checkpoint=path, resume=True)) == expected


def test_more_epochs_than_at_first(path, data):
    whole, first, more = (network() for _ in range(3))
    expected = bits(whole, whole.fit(*data, **SETTINGS))
    first.fit(*data, checkpoint=path, **SETTINGS | {"epochs": 4})
    assert epochs_done(path) == 4
    assert bits(more, more.fit(*data, checkpoint=path, resume=True, **SETTINGS)) == expected


@pytest.mark.parametrize(
    "rate", [schedules.CosineDecay(0.1), schedules.Warmup(schedules.OneCycle(0.1), epochs=1)]
)
def test_a_schedule_of_another_number_of_epochs_is_refused(path, data, rate):
    """Its rates of the epochs so far would have been others."""
    settings = SETTINGS | {"optimizer": fn.SGD(rate), "checkpoint": path}
    network().fit(*data, **settings)
    with pytest.raises(ValueError, match="another epochs: 9 there, 12 here"):
        network().fit(*data, resume=True, **settings | {"epochs": 12})


class Halved(schedules.Schedule):
    """A schedule as a user would write one."""

    def rates(self, updates, updates_per_epoch, total_updates):
        return 0.1 / (1 + updates // updates_per_epoch)


@pytest.mark.parametrize("make", [Halved, lambda: schedules.Warmup(Halved(), epochs=2)])
def test_a_schedule_of_ones_own_goes_on(path, data, make):
    """In another process it is another object."""
    whole, first, more = (network() for _ in range(3))
    settings = [SETTINGS | {"optimizer": fn.SGD(make())} for _ in range(3)]
    expected = bits(whole, whole.fit(*data, **settings[0]))
    first.fit(*data, checkpoint=path, **settings[1] | {"epochs": 4})
    assert bits(more, more.fit(*data, checkpoint=path, resume=True, **settings[2])) == expected


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


def test_without_a_seed_the_file_holds_it(path, data):
    settings = SETTINGS | {"seed": None, "validation_data": 0.2}
    first = network().fit(*data, checkpoint=path, **settings | {"epochs": 4})
    history = network().fit(*data, checkpoint=path, resume=True, **settings)
    assert history["val_loss"][:4] == first["val_loss"]
    assert len(history["val_loss"]) == 9


def test_without_a_file_it_starts_afresh(path, data):
    plain, kept = network(), network()
    expected = bits(plain, plain.fit(*data, **SETTINGS))
    assert bits(kept, kept.fit(*data, checkpoint=path, resume=True, **SETTINGS)) == expected
    assert os.listdir(path.parent) == [path.name]


def test_a_checkpoint_is_a_model(started, data):
    net = network()
    net.fit(*data, **SETTINGS | {"epochs": 5})
    loaded = fn.load(started)
    assert np.array_equal(loaded.params, net.params)
    loaded.save(started)
    with pytest.raises(fn.ModelFileError, match="a model, but not a checkpoint"):
        net.fit(*data, checkpoint=started, resume=True, **SETTINGS)


X, Y = np.ones((50, 5)), np.zeros(50, int)
OTHERS = {
    "batch_size": ({"batch_size": 8}, "another batch_size: 7 there, 8 here"),
    "seed": ({"seed": 4}, "another seed: 3 there, 4 here"),
    "shuffle": ({"shuffle": False}, "another shuffle"),
    "optimizer": ({"optimizer": fn.Adam(0.02)}, r"another optimizer: .*0\.01.*0\.02"),
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
    """Parameters from within the second epoch are not those after the first."""
    X, y = rng.standard_normal((3_000, 5)), rng.integers(3, size=3_000)
    write = Checkpoints.write

    def write_and_break_off(self, net):
        write(self, net)
        place = model_file.read(path)[0]["fit"]["parts"]["trainer"]
        if place["epoch"] == 1 and place["position"]:
            raise KeyboardInterrupt

    settings = SETTINGS | {"batch_size": 1_000, "checkpoint": path}
    with monkeypatch.context() as patch:
        patch.setattr(training, "SLICE_SECONDS", 0.0)
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


# SIGKILL -------------------------------------------------------------------------------------

PROGRAM = """
import sys
import numpy as np
import fastnn as fn

rng = np.random.default_rng(0)
X, y = rng.standard_normal((4_000, 10)), rng.integers(3, size=4_000)
net = fn.Network([fn.Linear(10, 16), fn.Tanh(), fn.Linear(16, 3)], "float64", seed=0)
path, every = sys.argv[1:]
print("ready", flush=True)
history = net.fit(
    X, y, optimizer=fn.Adam(0.003), epochs=60, batch_size=50, seed=1, validation_data=0.2,
    callbacks=[fn.EarlyStopping(patience=100)], n_threads=1,
    checkpoint=path or None, checkpoint_every=every, resume=bool(path),
)
print(net.params.tobytes().hex(), history["loss"], history["val_loss"])
"""


def run(path, every="0.001s", kill_after=None):
    """Run the program; return what it printed, None if it was killed before its end."""
    command = [sys.executable, "-P", "-c", PROGRAM, str(path), every]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        printed = process.stdout.read()
    if process.returncode:
        assert process.returncode == -signal.SIGKILL
        return None
    return printed


def test_sigkill_at_random_moments(tmp_path, monkeypatch, rng):
    """Set FASTNN_KILLS for more of them."""
    monkeypatch.setenv("PYTHONPATH", str(Path(fn.__file__).parents[1]))
    start = time.monotonic()
    expected = run("")
    whole = time.monotonic() - start
    kills = wanted = int(os.environ.get("FASTNN_KILLS", "8"))
    for trial in itertools.count():
        path = tmp_path / f"{trial}.checkpoint"
        printed = None
        while printed is None and kills:
            printed = run(path, kill_after=rng.uniform(0, whole / 2))
            kills -= printed is None
        assert (printed or run(path)) == expected
        assert not list(tmp_path.glob(".fastnn-*"))  # the last writer removed what the killed left
        if not kills:
            break
    assert wanted > 0
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
