"""`fit(drop_last=True)` leaves out the last batch of an epoch if it is smaller than the others."""

import numpy as np
import pytest
from custom_layers import PythonTanh

import fastnn as fn

N, BATCH, EPOCHS, SEED = 23, 5, 4, 3
rng = np.random.default_rng(0)
X = rng.standard_normal((N, 4)).astype(np.float32)
Y = np.sin(X[:, :2])


class Squared:
    """A loss written in Python."""

    def value_and_grad(self, y_pred, y):
        error = y_pred - y
        return float((error**2).mean()), 2 * error / error.size


def network(*between):
    return fn.Network([fn.Linear(4, 3), *between, fn.Tanh(), fn.Linear(3, 2)], seed=0)


def in_memory(tmp_path):
    return network(), X, {"loss": fn.MeanSquaredError()}


def on_disk(tmp_path):
    file = np.memmap(tmp_path / "x", np.float64, "w+", shape=X.shape)
    file[:] = X
    return network(), file, {"loss": fn.MeanSquaredError()}


def own_loss(tmp_path):
    return network(), X, {"loss": Squared()}


def own_layer(tmp_path):
    return network(PythonTanh()), X, {"loss": fn.MeanSquaredError()}


def sparse(tmp_path):
    scipy = pytest.importorskip("scipy.sparse")
    return network(), scipy.csr_matrix(np.where(X > 0.5, X, 0)), {"loss": fn.MeanSquaredError()}


def normalised(tmp_path):
    return network(fn.BatchNorm(3)), X[:21], {"loss": fn.MeanSquaredError()}  # a batch of 1 is left


FORMS = [in_memory, on_disk, own_loss, own_layer, sparse, normalised]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_the_whole_batches_train(form, shuffle, tmp_path):
    net, x, settings = form(tmp_path)
    n = x.shape[0]
    settings |= {"optimizer": fn.Adam(0.01), "batch_size": BATCH}
    history = net.fit(
        x, Y[:n], epochs=EPOCHS, seed=SEED, shuffle=shuffle, drop_last=True, **settings
    )
    other, x, _ = form(tmp_path)
    orders, losses = np.random.default_rng(SEED), []
    for _ in range(EPOCHS):
        order = (orders.permutation(n) if shuffle else np.arange(n))[: n - n % BATCH]
        rows = np.asarray(x[order]) if isinstance(x, np.memmap) else x[order]
        losses += other.fit(rows, Y[order], epochs=1, shuffle=False, **settings)["loss"]
    np.testing.assert_array_equal(net.params, other.params)
    assert history["loss"] == losses


@pytest.mark.parametrize("form", [in_memory, on_disk, own_loss, own_layer])
def test_a_fit_resumes(form, tmp_path):
    net, x, settings = form(tmp_path)
    settings |= {"optimizer": fn.Adam(0.01), "batch_size": BATCH, "seed": SEED, "drop_last": True}
    net.fit(x, Y, epochs=EPOCHS, **settings)
    other, _, _ = form(tmp_path)
    file = tmp_path / "checkpoint"
    other.fit(x, Y, epochs=2, checkpoint=file, **settings)
    again, _, _ = form(tmp_path)
    again.fit(x, Y, epochs=EPOCHS, checkpoint=file, resume=True, **settings)
    np.testing.assert_array_equal(again.params, net.params)
    with pytest.raises(ValueError, match="another drop_last"):
        again.fit(
            x, Y, epochs=EPOCHS, checkpoint=file, resume=True, **{**settings, "drop_last": False}
        )


def test_schedules_count_the_updates_that_are_made():
    net = network()
    rate = fn.schedules.CosineDecay(0.1)
    settings = {"loss": fn.MeanSquaredError(), "epochs": 2, "batch_size": BATCH, "seed": 0}
    history = net.fit(X, Y, optimizer=fn.SGD(rate), drop_last=True, **settings)
    assert net.optimizer_state.step == 8
    wanted = rate.rates(np.array([3, 7]), 4, 8)
    np.testing.assert_allclose(history["learning_rate"], wanted)


def test_few_samples_are_one_batch():
    net, other = network(), network()
    settings = {"loss": fn.MeanSquaredError(), "epochs": 2, "batch_size": 100, "seed": 0}
    net.fit(X, Y, drop_last=True, **settings)
    other.fit(X, Y, **settings)
    np.testing.assert_array_equal(net.params, other.params)


def test_wrong_arguments():
    with pytest.raises(TypeError, match="drop_last"):
        network().fit(X, Y, loss=fn.MeanSquaredError(), drop_last="yes")
    with pytest.raises(ValueError, match="drop_last is True, and X is an iterable"):
        network().fit([(X, Y)], loss=fn.MeanSquaredError(), drop_last=True)
