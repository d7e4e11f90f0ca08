"""Training on sparse matrices gives what training on dense ones gives, in bounded memory."""

import os
import threading
import tracemalloc

import numpy as np
import pytest
from optimizer_cases import OPTIMIZER_CASES
from sparse_cases import FEATURES, matrices

import fastnn as fn

sparse = pytest.importorskip("scipy.sparse")

MATRICES = matrices()
TOLERANCE = {"float32": 2e-4, "float64": 1e-10}
HALF_FULL = next(matrix for name, matrix in MATRICES if name == "half full")
SCATTERED = MATRICES[0][1]


def classes(X):
    return np.arange(X.shape[0]) % 3


def network(dtype, *before, width=19, **settings):
    layers = [*before, fn.Linear(FEATURES, width), fn.ReLU(), fn.Linear(width, 3)]
    return fn.Network(layers, dtype, seed=3, **settings)


def fitted(X, dtype, *before, width=19, **settings):
    net = network(dtype, *before, width=width)
    settings = {
        "loss": fn.SoftmaxCrossEntropy(),
        "epochs": 3,
        "batch_size": 10,
        "seed": 1,
    } | settings
    y = settings.pop("y", classes(X))
    history = net.fit(X, y, progress=False, **settings)
    return net, history


def arrays_of(net, history):
    state = net.optimizer_state.arrays
    columns = {name: column for name, column in history.items() if name != "seconds"}
    return [net.params, net.grads, *state.values(), *map(np.array, columns.values())]


def assert_close(one, other, dtype):
    for a, b in zip(arrays_of(*one), arrays_of(*other), strict=True):
        np.testing.assert_allclose(a, b, TOLERANCE[dtype], TOLERANCE[dtype])


def assert_same(one, other):
    for a, b in zip(arrays_of(*one), arrays_of(*other), strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", OPTIMIZER_CASES, ids=lambda case: case.name)
def test_each_optimizer_steps_as_on_dense_data(case, dtype):
    optimizer = getattr(fn, case.cls)(**case.args)
    one = fitted(SCATTERED, dtype, optimizer=optimizer)
    other = fitted(SCATTERED.toarray(), dtype, optimizer=optimizer)
    assert_close(one, other, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "X"), MATRICES, ids=[name for name, _ in MATRICES])
@pytest.mark.parametrize("width", [1, 3, 16, 45, 100])
def test_each_matrix_trains_as_its_dense_form(name, X, width, dtype):
    before = X.toarray()
    one = fitted(X, dtype, width=width, optimizer=fn.SGD(0.05))
    other = fitted(before, dtype, width=width, optimizer=fn.SGD(0.05))
    assert_close(one, other, dtype)
    assert X.toarray().tobytes() == before.tobytes()


@pytest.mark.parametrize(
    "make",
    [
        sparse.csc_matrix,
        sparse.coo_matrix,
        sparse.lil_matrix,
        sparse.csr_array,
        sparse.coo_array,
        sparse.dok_matrix,
    ],
)
def test_each_format_trains_with_the_same_bits(make):
    assert_same(fitted(make(SCATTERED), "float32"), fitted(SCATTERED, "float32"))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float32, np.longdouble])
def test_each_dtype_of_the_elements(dtype):
    X = sparse.csr_matrix((10 * SCATTERED).astype(dtype))
    for precision in ("float32", "float64"):
        one, other = fitted(X, precision), fitted(X.toarray(), precision)
        assert_close(one, other, precision)


@pytest.mark.parametrize("shuffle", [True, False])
def test_half_full_matrices_train_with_the_bits_of_dense_ones(shuffle):
    for dtype in ("float32", "float64"):
        one = fitted(HALF_FULL, dtype, shuffle=shuffle)
        assert_same(one, fitted(HALF_FULL.toarray(), dtype, shuffle=shuffle))


@pytest.mark.parametrize(
    "make",
    [
        lambda: fn.Standardize(np.ones(FEATURES), np.full(FEATURES, 2.0)),
        lambda: fn.LayerNorm(FEATURES),
        lambda: fn.BatchNorm(FEATURES),
        lambda: fn.Scale(FEATURES),
        lambda: fn.Parametric(FEATURES, fn.Mish),
        fn.Tanh,
        lambda: fn.Dropout(0.3),
    ],
    ids=["Standardize", "LayerNorm", "BatchNorm", "Scale", "Parametric", "Tanh", "Dropout"],
)
def test_other_first_layers_train_with_the_bits_of_dense_data(make):
    X = SCATTERED[:50]
    assert_same(fitted(X, "float32", make()), fitted(X.toarray(), "float32", make()))


@pytest.mark.parametrize(
    "middle", [lambda: fn.Dropout(0.4), lambda: fn.BatchNorm(19)], ids=["Dropout", "BatchNorm"]
)
def test_later_layers_in_training_mode(middle):
    def fit(X):
        layers = [fn.Linear(FEATURES, 19), middle(), fn.Tanh(), fn.Linear(19, 3)]
        net = fn.Network(layers, "float64", seed=0)
        settings = {"loss": fn.SoftmaxCrossEntropy(), "epochs": 3, "batch_size": 10, "seed": 0}
        settings["optimizer"] = fn.SGD(0.1)  # Adam would enlarge the rounding of a gradient of 0
        return net, net.fit(X, classes(X), progress=False, **settings)

    assert_close(fit(SCATTERED), fit(SCATTERED.toarray()), "float64")


@pytest.mark.parametrize("bias", [True, False])
def test_a_network_of_one_layer(bias):
    def fit(X):
        net = fn.Network([fn.Linear(FEATURES, 3, bias=bias)], "float64", seed=0)
        return net, net.fit(X, classes(X), loss=fn.SoftmaxCrossEntropy(), epochs=4, seed=0)

    assert_close(fit(SCATTERED), fit(SCATTERED.toarray()), "float64")


def test_one_feature():
    X = sparse.csr_matrix(np.arange(-2, 10.0)[:, None] * ([[0], [0], [0], [0], [0], [1]] * 2))

    def fit(X):
        net = fn.Network([fn.Linear(1, 4), fn.Tanh(), fn.Linear(4, 1)], "float64", seed=0)
        return net, net.fit(X, np.arange(12.0), loss=fn.MeanSquaredError(), epochs=4, seed=0)

    assert_close(fit(X), fit(X.toarray()), "float64")


def test_a_frozen_first_layer():
    def fit(X):
        net = network("float64")
        net.layers[0].trainable = False
        return net, net.fit(X, classes(X), loss=fn.SoftmaxCrossEntropy(), epochs=3, seed=0)

    one, other = fit(SCATTERED), fit(SCATTERED.toarray())
    np.testing.assert_allclose(one[0].params, other[0].params, 1e-10)
    assert (one[0].layers[0].weight == network("float64").layers[0].weight).all()


@pytest.mark.parametrize("optimizer", [fn.LBFGS(), fn.LevenbergMarquardt()], ids=repr)
def test_full_batch_optimizers(optimizer):
    y = np.linspace(0, 1, SCATTERED.shape[0] * 3).reshape(-1, 3)
    settings = {"optimizer": optimizer, "loss": fn.MeanSquaredError(), "y": y, "width": 2}
    one = fitted(SCATTERED, "float64", **settings)[0]
    other = fitted(SCATTERED.toarray(), "float64", **settings)[0]
    np.testing.assert_allclose(one.params, other.params, 1e-4, 1e-6)


class Squares:
    def value_and_grad(self, y_pred, y):
        return float(((y_pred - y) ** 2).sum()), 2 * (y_pred - y)


def test_a_loss_in_python():
    y = np.linspace(0, 1, SCATTERED.shape[0] * 3).reshape(-1, 3)
    settings = {"loss": Squares(), "y": y, "optimizer": fn.SGD(0.001)}
    one = fitted(SCATTERED, "float64", **settings)
    assert_same(one, fitted(SCATTERED.toarray(), "float64", **settings))


@pytest.mark.parametrize("X", [SCATTERED, HALF_FULL], ids=["scattered", "half full"])
def test_validation_weights_and_callbacks(X):
    class Clip(fn.Callback):
        """Read and write the parameters, as callbacks may."""

        def epoch_end(self, net, epoch, metrics):
            self.seen = net.params.copy()
            net.params = np.clip(net.params, -0.2, 0.2)

    def fit(X, held_out):
        settings = {
            "sample_weight": np.linspace(0, 2, X.shape[0]),
            "class_weight": {0: 3.0},
            "validation_data": held_out,
            "optimizer": fn.Adam(0.05),
        }
        clip = Clip()
        net, history = fitted(X, "float64", callbacks=[clip, fn.EarlyStopping()], **settings)
        return net, history, clip.seen

    y = classes(X)
    for one, other in ((0.3, 0.3), ((X, y), (X.toarray(), y)), ((X.toarray(), y), (X, y))):
        a, b = fit(X, one), fit(X.toarray(), other)
        assert_close(a[:2], b[:2], "float64")
        np.testing.assert_allclose(a[2], b[2], 1e-9, 1e-12)


@pytest.mark.parametrize("every", [1, "0.001s"])
def test_a_fit_resumes_from_a_checkpoint_with_the_same_bits(tmp_path, every):
    class Stop(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            if epoch == 3:
                raise KeyboardInterrupt

    class Go(Stop):
        def epoch_end(self, net, epoch, metrics):
            return False

    Go.__qualname__ = Stop.__qualname__
    path = tmp_path / "fit.checkpoint"
    settings = {"optimizer": fn.Adam(0.01), "epochs": 8}
    whole = fitted(SCATTERED, "float64", callbacks=[Go()], **settings)
    saved = {"checkpoint": path, "checkpoint_every": every, **settings}
    with pytest.raises(KeyboardInterrupt):
        fitted(SCATTERED, "float64", callbacks=[Stop()], **saved)
    resumed = fitted(SCATTERED, "float64", callbacks=[Go()], resume=True, **saved)
    assert_same(whole, resumed)
    with pytest.raises(ValueError, match="another X"):
        fitted(2 * SCATTERED, "float64", callbacks=[Go()], resume=True, **saved)


def test_training_continues_within_an_epoch_with_the_same_bits():
    """A slice of time ends inside an epoch; publishing there changes no bit."""
    from fastnn.training import trainers

    def fit(seconds, publishes):
        net = network("float32", width=64)
        original = trainers.engine_trainer

        def made(*arguments):
            trainer = original(*arguments)

            class Slow:
                def __getattr__(self, name):
                    return getattr(trainer, name)

                def run(self, until_epoch, _, n_threads):
                    done = trainer.run(until_epoch, seconds, n_threads)
                    if publishes:
                        trainer.publish()
                    return done

            return Slow()

        trainers.engine_trainer = made
        try:
            X = sparse.vstack([SCATTERED] * 40)
            settings = {"optimizer": fn.Adam(0.01), "epochs": 2, "batch_size": 700, "seed": 0}
            return net, net.fit(X, classes(X), loss=fn.SoftmaxCrossEntropy(), **settings)
        finally:
            trainers.engine_trainer = original

    assert_same(fit(0.1, False), fit(0.0, True))


def test_results_do_not_depend_on_the_number_of_threads():
    X = sparse.random(2000, 3000, 0.05, format="csr", random_state=0)

    def fit(n_threads):
        net = fn.Network([fn.Linear(3000, 200), fn.ReLU(), fn.Linear(200, 3)], seed=0)
        return net, net.fit(
            X,
            classes(X),
            loss=fn.SoftmaxCrossEntropy(),
            epochs=1,
            batch_size=500,
            seed=0,
            n_threads=n_threads,
        )

    assert_same(fit(1), fit(2))


def test_divergence_restores_the_last_finite_parameters():
    net = network("float32")
    with pytest.raises(fn.DivergenceError):
        net.fit(
            1e4 * SCATTERED,
            classes(SCATTERED),
            loss=fn.SoftmaxCrossEntropy(),
            optimizer=fn.SGD(1e30),
            epochs=30,
            batch_size=5,
        )
    assert np.isfinite(net.params).all()
    assert np.isfinite(net.predict(SCATTERED)).all()


def test_ctrl_c_leaves_the_parameters_in_their_order():
    """The interrupted network predicts for a sparse X as for a dense one, and has trained."""
    net = network("float64", width=64)
    first = net.params.copy()

    class Interrupt(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        net.fit(
            SCATTERED,
            classes(SCATTERED),
            loss=fn.SoftmaxCrossEntropy(),
            epochs=9,
            batch_size=10,
            seed=0,
            callbacks=[Interrupt()],
        )
    other = network("float64", width=64)
    other.fit(
        SCATTERED.toarray(),
        classes(SCATTERED),
        loss=fn.SoftmaxCrossEntropy(),
        epochs=3,
        batch_size=10,
        seed=0,
        optimizer=None,
    )
    assert (net.params != first).any()
    dense = net.predict(SCATTERED.toarray())
    np.testing.assert_allclose(net.predict(SCATTERED), dense, 1e-9, 1e-12)


def test_two_networks_train_at_once():
    alone = fitted(SCATTERED, "float64", epochs=30)
    found = [None, None]

    def train(i):
        found[i] = fitted(SCATTERED, "float64", epochs=30)

    threads = [threading.Thread(target=train, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in found:
        assert_same(one, alone)


def test_memory_stays_bounded():
    """The dense X has 800 MB; the network's arrays take 20 MB."""
    X = sparse.random(1000, 100_000, 1e-4, format="csr", random_state=0)
    net = fn.Network([fn.Linear(100_000, 8), fn.Tanh(), fn.Linear(8, 1)], seed=0)
    before = resident()
    tracemalloc.start()
    net.fit(X, np.ones(1000), loss=fn.MeanSquaredError(), epochs=2, seed=0)
    net.predict(X)
    net.loss_and_grad(X, np.ones(1000), fn.MeanSquaredError())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    if before is not None:
        assert resident() - before < 120e6


def resident():
    try:
        with open("/proc/self/statm", encoding="utf-8") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def before_block(dtype):
    """Return a network whose block is wider than each of its layers' outputs."""
    wide = fn.Parallel([[], [fn.Linear(6, 50), fn.Tanh()], [fn.Linear(6, 70)]], combine="concat")
    skip = fn.Residual([fn.Linear(126, 9), fn.ReLU(), fn.Linear(9, 126)])
    return fn.Network([fn.Linear(FEATURES, 6), wide, skip, fn.Linear(126, 3)], dtype, seed=3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_after_the_first_layer(dtype):
    X, loss = SCATTERED, fn.SoftmaxCrossEntropy()
    nets = [before_block(dtype), before_block(dtype)]
    settings = {"loss": loss, "epochs": 2, "batch_size": 10, "seed": 1}
    histories = [
        net.fit(x, classes(X), **settings) for net, x in zip(nets, (X, X.toarray()), strict=True)
    ]
    assert_close(*zip(nets, histories, strict=True), dtype)
    found = nets[0].loss_and_grad(X, classes(X), loss)
    expected = nets[0].loss_and_grad(X.toarray(), classes(X), loss)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, TOLERANCE[dtype], TOLERANCE[dtype])


class Errors:
    def residuals(self, y_pred, y):
        return y_pred - y, np.broadcast_to(np.eye(y.shape[1]), (len(y), *[y.shape[1]] * 2))


def test_own_residuals():
    y = np.random.default_rng(0).standard_normal((SCATTERED.shape[0], 2))
    fits = []
    for X in (SCATTERED, SCATTERED.toarray()):
        net = fn.Network([fn.Linear(FEATURES, 4), fn.Tanh(), fn.Linear(4, 2)], "float64", seed=0)
        settings = {"loss": Errors(), "optimizer": fn.LevenbergMarquardt(), "epochs": 3}
        fits.append((net.params, np.array(net.fit(X, y, **settings)["loss"])))
    for a, b in zip(*fits, strict=True):
        np.testing.assert_allclose(a, b, 1e-7, 1e-9)
