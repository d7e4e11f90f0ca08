"""Training on streamed data equals training on the same data in memory, bit for bit."""

import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from systems import linux_only

import fastnn as fn
from fastnn import _checks
from fastnn.training import loop, streaming
from fastnn.training.checkpoints import Checkpoints


@pytest.fixture(params=[1 << 10, 1 << 21], ids=["small blocks", "one block"])
def block(request, monkeypatch):
    monkeypatch.setattr(streaming, "BLOCK_BYTES", request.param)


@pytest.fixture
def data(rng):
    return rng.standard_normal((203, 6)), rng.integers(3, size=203)


@pytest.fixture
def mapped(tmp_path):
    """Return a function that writes an array to a file and returns its memmap."""

    def make(array, dtype):
        file = np.memmap(tmp_path / "x.raw", dtype, "w+", shape=array.shape)
        file[...] = array
        file.flush()
        return np.memmap(tmp_path / "x.raw", dtype, "r", shape=array.shape)

    return make


SETTINGS = {"optimizer": fn.Adam(0.01), "epochs": 3, "batch_size": 16, "seed": 4}


def train(X, y, dtype="float64", **settings):
    net = fn.Network([fn.Linear(6, 8), fn.Tanh(), fn.Linear(8, 3)], dtype, seed=0)
    history = net.fit(X, y, **SETTINGS | settings)
    return (
        net.params.tobytes(),
        net.grads.tobytes(),
        {name: column for name, column in history.items() if name != "seconds"},
    )


@pytest.mark.parametrize("stored", ["float16", "float32", "float64", "uint8", ">f8"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_memory_mapped_array(isa, dtype, data, mapped, block, stored, shuffle):
    X = (data[0] * 20 + 100).astype(stored)
    file = mapped(X, stored)
    assert train(file, data[1], dtype, shuffle=shuffle) == train(X, data[1], dtype, shuffle=shuffle)


@pytest.mark.parametrize("stored", ["float32", "float64"])
def test_a_share_of_a_memory_mapped_array(data, mapped, block, stored):
    X = data[0].astype(stored)
    settings = {"validation_data": 0.3, "metrics": ["accuracy"]}
    assert train(mapped(X, stored), data[1], **settings) == train(X, data[1], **settings)


@pytest.mark.parametrize("stored", ["float16", "float32", "float64", "uint8", ">f8"])
def test_predictions_of_a_memory_mapped_array(isa, dtype, data, mapped, monkeypatch, stored):
    monkeypatch.setattr(_checks.arrays, "BLOCK_BYTES", 1 << 10)
    X = (data[0] * 20 + 100).astype(stored)
    net = fn.Network([fn.Linear(6, 8), fn.Tanh(), fn.Linear(8, 3)], dtype, seed=0)
    # the matrix product may be computed differently for a block than for all rows
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(net.predict(mapped(X, stored)), net.predict(X), 50 * eps, 50 * eps)
    with pytest.raises(ValueError, match=r"X has shape \(203, 6\); \(n, 5\)"):
        fn.Network([fn.Linear(5, 3)], dtype).predict(mapped(X, stored))


class Chunks:
    """An iterable of batches with different sizes."""

    def __init__(self, X, y, sizes=(1, 40, 7, 0, 90, 3)):
        self.X, self.y, self.cuts = X, y, np.cumsum(sizes)

    def __iter__(self):
        for X, y in zip(np.split(self.X, self.cuts), np.split(self.y, self.cuts), strict=True):
            if len(X):
                yield X, y


def test_an_iterable_of_batches(isa, dtype, data, block):
    """The sizes of the iterable's own batches have no influence."""
    expected = train(*data, dtype, shuffle=False, validation_data=data)
    assert train(Chunks(*data), None, dtype, validation_data=data) == expected
    assert train(list(Chunks(*data)), None, dtype, validation_data=data) == expected


@pytest.mark.parametrize("batch_size", [10, 16])
def test_batches_that_are_made_in_the_same_memory(data, block, batch_size):
    X, targets = data[0][:200].copy(), data[0][:200, :3].copy()

    class Reused:
        def __iter__(self):
            x, y = np.empty((10, 6)), np.empty((10, 3))
            for start in range(0, 200, 10):
                x[...], y[...] = X[start : start + 10], targets[start : start + 10]
                yield x, y

    settings = {"batch_size": batch_size, "loss": fn.MeanSquaredError()}
    assert train(Reused(), None, **settings) == train(X, targets, shuffle=False, **settings)


@pytest.mark.parametrize("batch_size", [16, 20])
def test_batch_norm_and_a_share_of_a_memory_mapped_array(data, mapped, batch_size):
    """The last batch depends on the number of training samples: 80 of 100, or 81 of 101."""

    def fit(X):
        net = fn.Network([fn.Linear(6, 8), fn.BatchNorm(8), fn.Linear(8, 3)], "float64", seed=0)
        net.fit(X, np.zeros(len(X), int), batch_size=batch_size, validation_data=0.2, seed=0)
        return net.params.tobytes()

    X = data[0].astype("float32")
    assert fit(mapped(X[:100], "float32")) == fit(X[:100])
    with pytest.raises(ValueError, match="one batch of the 81 samples has one"):
        fit(mapped(X[:101], "float32"))


def test_an_iterable_with_real_targets(data, block):
    X, y = data[0], data[0][:, :3]
    settings = {"loss": fn.MeanSquaredError(), "shuffle": False}
    assert train(Chunks(X, y), None, **settings) == train(X, y, **settings)


def test_an_iterable_keeps_its_order_whatever_shuffle_is(data):
    expected = train(*data, epochs=1, shuffle=False)
    for shuffle in (True, np.True_, np.False_):
        assert train(Chunks(*data), None, epochs=1, shuffle=shuffle) == expected


def test_a_generator_is_good_for_one_epoch(data):
    expected = train(*data, epochs=1, shuffle=False)
    assert train(iter(Chunks(*data)), None, epochs=1) == expected
    with pytest.raises(ValueError, match="X is <generator .* exhausted after one epoch"):
        train(iter(Chunks(*data)), None, epochs=2)


@pytest.mark.parametrize("kind", ["memmap", "batches"])
def test_checkpoints_within_an_epoch(data, mapped, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 1 << 10)
    monkeypatch.setattr(loop, "SLICE_SECONDS", 0.0)
    X, y = (mapped(data[0], "float32"), data[1]) if kind == "memmap" else (Chunks(*data), None)
    expected = train(X, y)
    write = Checkpoints.write
    places = set()

    def write_and_break_off(self, net, parts):
        write(self, net, parts)
        places.add((parts["trainer"].trainer.epoch, parts["trainer"].trainer.position))
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "write", write_and_break_off)
    keep = {"checkpoint": tmp_path / "c", "checkpoint_every": "0.000001s", "resume": True}
    for _ in range(1000):
        try:
            resumed = train(X, y, **keep)
            break
        except KeyboardInterrupt:
            pass
    assert len(places) > 10
    assert any(position % 16 == 0 and position for _, position in places)
    assert resumed == expected


def test_an_error_in_the_making_of_a_batch_arrives_unchanged(data):
    class Broken(Chunks):
        def __iter__(self):
            yield from list(super().__iter__())[:3]
            raise LookupError("mine")

    before = threading.active_count()
    with pytest.raises(LookupError, match="mine"):
        train(Broken(*data), None)
    for thread in threading.enumerate():
        if thread.daemon:
            thread.join(1)
    assert threading.active_count() <= before


@pytest.mark.parametrize(
    ("batches", "settings", "error", "message"),
    [
        ([], {}, ValueError, "X gave no batches"),
        ([(np.ones((2, 5)), [0, 1])], {}, ValueError, r"X, batch 0\[0\] has shape \(2, 5\)"),
        ([(np.ones((2, 6)), [0, 7])], {}, ValueError, r"X, batch 0\[1\]\[1\] is 7"),
        ([(np.ones((2, 6)), [0, 1]), 3], {}, TypeError, "X, batch 1 is a int; a pair"),
        (3, {}, TypeError, "y is None and X is 3; an iterable"),
        (None, {}, TypeError, "y is None and X is None"),
        ([1], {"validation_data": 0.5}, ValueError, "validation_data is a share"),
        ([1], {"validation_data": np.float32(0.5)}, ValueError, "validation_data is a share"),
    ],
    ids=str,
)
def test_bad_batches(batches, settings, error, message):
    with pytest.raises(error, match=message):
        train(batches, None, **settings)


@pytest.mark.parametrize(("row", "value"), [(0, np.nan), (150, np.inf)])
def test_a_bad_number_in_a_file_is_found_before_training(data, mapped, block, row, value):
    X = data[0].astype("float32")
    X[row, 2] = value
    net = fn.Network([fn.Linear(6, 3)], "float64", seed=0)
    before = net.params.copy()
    with pytest.raises(ValueError, match=rf"X\[\d+, 2\] is {value}"):
        net.fit(mapped(X, "float32"), data[1])
    assert np.array_equal(net.params, before)


@linux_only
def test_memory_stays_small(tmp_path):
    """A sparse file of 100 MB, in another dtype, needs far less memory."""
    code = f"""
import numpy as np, fastnn as fn
def anonymous():
    return int(next(l for l in open("/proc/self/status") if l.startswith("RssAnon")).split()[1])
X = np.memmap({str(tmp_path / "x.raw")!r}, "uint8", "w+", shape=(100_000, 1000))
y = np.zeros(len(X), np.int64)
net = fn.Network([fn.Linear(1000, 2)], seed=0)
class Watch(fn.Callback):
    def epoch_end(self, net, epoch, metrics):
        self.used = anonymous()
watch = Watch()
before = anonymous()
net.fit(X, y, epochs=1, batch_size=1000, callbacks=[watch], n_threads=1)
print((watch.used - before) / 1024)
"""
    ran = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < 40


@pytest.mark.parametrize("stored", ["float32", "float64", "int16"])
def test_held_out_samples_of_a_file_are_read_a_block_at_a_time(tmp_path, rng, stored):
    """200,000 rows of 20 numbers, which would take 16 MB in float32."""
    X = rng.integers(-99, 99, (200_000, 20)).astype(stored)
    y = rng.standard_normal(len(X))
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", stored, "r", shape=X.shape)
    found, peaks = [], []
    for held_out in (X, mapped):
        net = fn.Network([fn.Linear(20, 1)], "float32", seed=0)
        tracemalloc.start()
        history = net.fit(
            np.zeros((4, 20)),
            np.zeros(4),
            loss=fn.MeanSquaredError(),
            epochs=2,
            seed=0,
            validation_data=(held_out, y),
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        found.append(history["val_loss"])
    np.testing.assert_allclose(*found, rtol=1e-6)
    if stored != "float32":
        assert peaks[0] - peaks[1] > 10e6


def test_held_out_samples_of_a_file_are_checked(tmp_path):
    X = np.memmap(tmp_path / "X", float, "w+", shape=(5, 2))
    X[3, 1] = np.nan
    net = fn.Network([fn.Linear(2, 1)], seed=0)
    for held_out, message in ((X, r"validation_data\[0\]\[3, 1\] is nan"), (X[:, :1], "shape")):
        with pytest.raises(ValueError, match=message):
            net.fit(
                [[0, 1]], [1], loss=fn.MeanSquaredError(), validation_data=(held_out, np.zeros(5))
            )
