"""`fit_many` trains each network to the same bits as `fit`."""

import signal
import threading

import numpy as np
import pytest
from custom_loss import Python

import fastnn as fn
from fastnn import _core


def network(seed, dtype="float32", hidden=16, n_out=3):
    layers = [fn.Linear(5, hidden), fn.ReLU(), fn.Linear(hidden, n_out)]
    return fn.Network(layers, dtype, seed=seed)


@pytest.fixture
def data(rng):
    return rng.standard_normal((200, 5)), rng.integers(3, size=200)


@pytest.mark.parametrize("n_threads", [1, 2, 8])
def test_the_bits_are_those_of_training_alone(isa, dtype, rng, data, monkeypatch, n_threads):
    monkeypatch.setattr(_core, "thread_count", lambda n: n or 2)  # as on a machine of eight
    X, y = data
    seeds = [3, 1, 4, 1, 5]
    optimizers = [fn.SGD(0.1, momentum=0.9 if i % 2 else 0) for i in range(5)]
    rows = [rng.integers(200, size=150) for _ in seeds]
    alone, together = ([network(i, dtype) for i in range(5)] for _ in range(2))
    settings = {"epochs": 7, "batch_size": 16}
    expected = [
        net.fit(X[part], y[part], optimizer=optimizer, seed=seed, **settings)["loss"]
        for net, part, optimizer, seed in zip(alone, rows, optimizers, seeds, strict=True)
    ]
    histories = fn.fit_many(
        together, X, y, optimizer=optimizers, seed=seeds, rows=rows, n_threads=n_threads, **settings
    )
    assert [history["loss"] for history in histories] == expected
    for one, other in zip(alone, together, strict=True):
        assert one.params.tobytes() == other.params.tobytes()


def test_one_optimizer_and_seed_for_all(data):
    X, y = data
    nets = [network(0, hidden=hidden) for hidden in (4, 8)]
    settings = {"optimizer": fn.Adam(0.01), "seed": 7, "epochs": 3, "validation_data": (X, y)}
    histories = fn.fit_many(nets, X, y, **settings)
    for net, history, hidden in zip(nets, histories, (4, 8), strict=True):
        alone = network(0, hidden=hidden)
        expected = alone.fit(X, y, **settings)
        assert np.array_equal(net.params, alone.params)
        assert history["val_accuracy"] == expected["val_accuracy"]


def test_levenberg_marquardt(rng, data):
    X, y = data[0], rng.standard_normal(200)
    settings = {
        "optimizer": fn.LevenbergMarquardt(bayesian=True),
        "loss": fn.MeanSquaredError(),
        "epochs": 4,
    }
    nets = [network(seed, "float64", n_out=1) for seed in range(3)]
    fn.fit_many(nets, X, y, n_threads=2, **settings)
    for seed, net in enumerate(nets):
        alone = network(seed, "float64", n_out=1)
        alone.fit(X, y, **settings)
        assert np.array_equal(net.params, alone.params)


def test_rows_as_masks_and_no_networks(data):
    X, y = data
    mask = np.arange(200) % 3 > 0
    one, other = network(0), network(0)
    fn.fit_many([one], X, y, rows=[mask], seed=0, epochs=2)
    other.fit(X[mask], y[mask], seed=0, epochs=2)
    assert np.array_equal(one.params, other.params)
    assert fn.fit_many([], X, y) == []


class Count(fn.Callback):
    def __init__(self):
        self.epochs = 0

    def epoch_end(self, net, epoch, metrics):
        self.epochs += 1
        return self.epochs == 3


def test_callbacks_are_not_shared(data):
    shared, own = Count(), [[Count(), fn.EarlyStopping("loss")], [Count()]]
    settings = {"epochs": 5, "n_threads": 1}
    histories = fn.fit_many([network(0), network(1)], *data, callbacks=[shared], **settings)
    assert [len(history["loss"]) for history in histories] == [3, 3]
    assert shared.epochs == 0
    fn.fit_many([network(0), network(1)], *data, callbacks=own, **settings)
    assert [callbacks[0].epochs for callbacks in own] == [3, 3]
    assert own[0][1].best > 0


def test_each_goes_on_from_its_own_checkpoint(data, tmp_path):
    whole, resumed = ([network(i) for i in range(2)] for _ in range(2))
    settings = {"seed": [1, 2], "batch_size": 16, "optimizer": fn.Adam()}
    fn.fit_many(whole, *data, epochs=4, **settings)
    paths = [tmp_path / "0", tmp_path / "1"]
    for epochs in (2, 4):
        fn.fit_many(resumed, *data, epochs=epochs, checkpoint=paths, resume=True, **settings)
    for one, other in zip(whole, resumed, strict=True):
        assert one.params.tobytes() == other.params.tobytes()


def test_an_exception_says_whose_it_is(data):
    """Networks in training complete their fits, and the others are unchanged."""
    X, y = data

    class Failing(Python):
        calls = 0

        def value_and_grad(self, y_pred, y):
            self.calls += 1
            if self.calls == 8:
                raise OSError("the disk is full")
            return super().value_and_grad(y_pred, y)

    nets = [network(seed) for seed in range(4)]
    before = [net.params.copy() for net in nets]
    settings = {"epochs": 1, "batch_size": 40, "seed": 0}
    with pytest.raises(OSError, match="the disk is full") as caught:
        fn.fit_many(nets, X, y, loss=Failing(fn.SoftmaxCrossEntropy()), n_threads=1, **settings)
    assert caught.value.__notes__ == ["raised while networks[1] was trained"]
    alone = network(0)
    alone.fit(X, y, loss=Python(fn.SoftmaxCrossEntropy()), **settings)
    assert np.array_equal(nets[0].params, alone.params)
    assert not np.array_equal(nets[1].params, before[1])
    for net, params in zip(nets[2:], before[2:], strict=True):
        assert np.array_equal(net.params, params)
    fn.fit_many(nets, X, y, **settings)


def test_divergence_arrives_with_its_history(data):
    X, y = data
    nets = [network(0, n_out=1), network(1, n_out=1)]
    optimizers = [fn.SGD(1e-3), fn.SGD(1e6)]
    with pytest.raises(fn.DivergenceError) as caught:
        fn.fit_many(nets, X, y, loss=fn.MeanSquaredError(), optimizer=optimizers, epochs=50)
    assert "networks[1]" in caught.value.__notes__[0]
    assert len(caught.value.history["loss"]) == caught.value.epoch


@pytest.mark.parametrize("by_epoch", [False, True])
def test_ctrl_c_stops_all(data, by_epoch):
    X, y = data
    callbacks = [fn.Callback()] if by_epoch else []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    nets = [network(seed) for seed in range(5)]
    start = [net.params.copy() for net in nets]
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            fn.fit_many(nets, X, y, epochs=10_000_000, n_threads=2, callbacks=callbacks)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert not np.array_equal(nets[0].params, start[0])
    assert np.array_equal(nets[4].params, start[4])
    assert all(np.isfinite(net.params).all() for net in nets)
    fn.fit_many(nets, X, y, epochs=1)


@pytest.mark.parametrize("n", [199, 201])
@pytest.mark.parametrize("name", ["y", "sample_weight"])
def test_rows_of_arrays_of_another_length(data, n, name):
    X, y = data
    given = {"y": y, "sample_weight": np.ones(200), name: np.ones(n)}
    with pytest.raises(ValueError, match=rf"{name} has shape \({n},\); \(200, …\)"):
        fn.fit_many([network(0)], X, rows=[range(100)], **given)


def test_an_iterator_is_not_shared(data):
    """Each network would get only the batches that the others have left."""
    X, y = data
    batches = [(X[:100], y[:100]), (X[100:], y[100:])]
    with pytest.raises(ValueError, match=r"X is <list_?iterator .* 2 networks would share"):
        fn.fit_many([network(0), network(1)], iter(batches), None, epochs=1)
    nets = [network(0), network(1)]
    fn.fit_many(nets, batches, None, epochs=1)
    fn.fit_many([network(2)], iter(batches), None, epochs=1)
    alone = network(1)
    alone.fit(batches, epochs=1)
    assert np.array_equal(alone.params, nets[1].params)


NETS = [network(0), network(1)]
SHARED = fn.EarlyStopping()


@pytest.mark.parametrize(
    ("networks", "arguments", "message"),
    [
        (NETS[0], {}, "networks is a Network; a list of networks"),
        ([*NETS, None], {}, r"networks\[2\] is a NoneType; a Network"),
        ([NETS[0], *NETS], {}, r"networks\[1\] is networks\[0\]"),
        (NETS, {"seed": [1]}, "seed has 1 entries; one for all, or one for each of 2"),
        (NETS, {"optimizer": [fn.SGD(1)] * 3}, "optimizer has 3 entries"),
        (NETS, {"rows": 5}, "rows is a int; a list of index arrays"),
        (NETS, {"rows": [[1]]}, "rows has 1 entries"),
        (NETS, {"rows": [[1], [200]]}, r"rows\[1\] lies in \[200, 200\]; row indices 0 to 199"),
        (NETS, {"rows": [[-1], [0]]}, r"rows\[0\] lies in \[-1, -1\]"),
        (NETS, {"rows": [[0], []]}, r"rows\[1\] has shape \(0,\)"),
        (NETS, {"rows": [[0], [0.5]]}, r"rows\[1\] has shape \(1,\) and dtype float64"),
        (NETS, {"rows": [[True, False], [0]]}, r"rows\[0\] has shape \(2,\) and dtype bool"),
        (NETS, {"n_threads": 0}, "n_threads is 0"),
        (NETS, {"checkpoint": "a"}, "checkpoint is 'a'; a list of paths, one for each network"),
        (NETS, {"checkpoint": ["a"]}, "checkpoint has 1 entries"),
        (NETS, {"checkpoint": ["a", None]}, r"checkpoint\[1\] is None; the path"),
        (NETS, {"checkpoint": ["a", "./a"]}, "a different file for each"),
        (NETS, {"callbacks": SHARED}, "callbacks is .*; a list is wanted"),
        (NETS, {"callbacks": [[SHARED]] * 2}, "callbacks has one object twice"),
        (NETS, {"callbacks": [[SHARED]] * 3}, "callbacks has 3 entries"),
        (NETS, {"callbacks": [SHARED, 1]}, r"callbacks\[1\] is 1"),
        (NETS, {"epochs": -1}, "epochs is -1"),
    ],
)
def test_bad_input(data, networks, arguments, message):
    before = [net.params.copy() for net in NETS]
    with pytest.raises((ValueError, TypeError), match=message):
        fn.fit_many(networks, *data, **arguments)
    for net, params in zip(NETS, before, strict=True):
        assert np.array_equal(net.params, params)
