"""LevenbergMarquardt against SciPy's method, and its evidence against closed forms."""

import numpy as np
import pytest

import fastnn as fn
from fastnn.optimizers import OptimizerState


def small_network(dtype="float64", n_out=1, hidden=4, seed=0):
    return fn.Network([fn.Linear(2, hidden), fn.Tanh(), fn.Linear(hidden, n_out)], dtype, seed=seed)


def problem_of_a_teacher(rng, n_out=1, noise=0.02, n=200):
    """Return a network near the one that made the data, and the data, with noise."""
    teacher = small_network(n_out=n_out)
    teacher.params *= 3
    X = rng.standard_normal((n, 2))
    y = teacher(X) + noise * rng.standard_normal((n, n_out))
    student = small_network(n_out=n_out)
    student.params = teacher.params + 0.1 * rng.standard_normal(student.n_params)
    return student, X, y


@pytest.mark.parametrize("n_out", [1, 3])
def test_the_minimum_is_scipys(rng, n_out):
    scipy_optimize = pytest.importorskip("scipy.optimize")
    net, X, y = problem_of_a_teacher(rng, n_out)
    other = small_network(n_out=n_out)

    def residuals(params):
        other.params = params
        return (other.predict(X) - y).ravel()

    def jacobian(params):
        other.params = params
        return other.jacobian(X, wrt="params").reshape(-1, other.n_params)

    tight = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15}
    expected = scipy_optimize.least_squares(residuals, net.params, jacobian, method="lm", **tight)
    loss = fn.HalfSquaredError("sum")
    optimizer = fn.LevenbergMarquardt(tolerance=1e-14)
    history = net.fit(X, y, loss=loss, optimizer=optimizer, epochs=1000)
    assert len(history["loss"]) < 1000
    assert history["loss"][-1] == pytest.approx(expected.cost, rel=1e-12)
    np.testing.assert_allclose(net.params, expected.x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("damping", [1e-3, 0.5])
def test_the_first_step(isa, dtype, rng, damping):
    """The steps equal those of the formula with the entire Jacobian of the network."""
    net, X, y = problem_of_a_teacher(rng, n_out=2)
    J = net.jacobian(X, wrt="params").reshape(-1, net.n_params)
    JtJ, gradient = J.T @ J, J.T @ (net(X) - y).ravel()
    mu = damping * JtJ.diagonal().max()
    expected = net.params - np.linalg.solve(JtJ + mu * np.eye(net.n_params), gradient)
    stepping = small_network(dtype, n_out=2)
    stepping.params = net.params
    optimizer = fn.LevenbergMarquardt(damping=damping)
    stepping.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=1)
    tolerance = 1e-10 if dtype == "float64" else 2e-4
    np.testing.assert_allclose(stepping.params, expected, rtol=0, atol=tolerance)


def test_a_linear_network_is_solved(dtype, rng):
    X, truth = rng.standard_normal((50, 3)), rng.standard_normal((3, 2))
    y = X @ truth + 1 + 0.1 * rng.standard_normal((50, 2))
    net = fn.Network([fn.Linear(3, 2)], dtype, seed=0)
    history = net.fit(
        X, y, loss=fn.MeanSquaredError(), optimizer=fn.LevenbergMarquardt(), epochs=50
    )
    expected = np.linalg.lstsq(np.c_[X, np.ones(50)], y, rcond=None)[0]
    found = np.c_[net.layers[0].weight, net.layers[0].bias].T
    np.testing.assert_allclose(found, expected, atol=1e-4 if dtype == "float32" else 1e-9)
    assert len(history["loss"]) < 20


@pytest.mark.parametrize("loss_class", [fn.HalfSquaredError, fn.MeanSquaredError])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_history(rng, loss_class, reduction):
    net, X, y = problem_of_a_teacher(rng, n_out=3)
    loss = loss_class(reduction=reduction)
    before = net.loss_and_grad(X, y, loss)[0]
    history = net.fit(
        X, y, loss=loss, optimizer=fn.LevenbergMarquardt(), epochs=6, validation_data=(X, y)
    )
    assert set(history) == {"loss", "val_loss", "val_rmse", "seconds"}
    losses = [before, *history["loss"]]
    assert len(losses) == 7
    assert (np.diff(losses) < 0).all()
    np.testing.assert_allclose(history["loss"], history["val_loss"], rtol=1e-12)


def test_bits_depend_on_threads_and_stops_in_no_way(dtype, rng):
    X, y = rng.standard_normal((3000, 2)), rng.standard_normal((3000, 2))
    settings = {
        "loss": fn.MeanSquaredError(),
        "optimizer": fn.LevenbergMarquardt(bayesian=True),
        "epochs": 3,
    }
    nets = [small_network(dtype, 2) for _ in range(3)]
    nets[0].fit(X, y, n_threads=1, **settings)
    nets[1].fit(X, y, n_threads=2, **settings)
    nets[2].fit(X, y, validation_data=(X, y), **settings)
    assert np.array_equal(nets[0].params, nets[1].params)
    assert np.array_equal(nets[0].params, nets[2].params)


def log_evidence(Phi, y, alpha, beta):
    """Return ln N(y; 0, I/β + ΦΦᵀ/α), in which weights and noise are integrated out."""
    covariance = np.eye(len(y)) / beta + Phi @ Phi.T / alpha
    _, log_determinant = np.linalg.slogdet(covariance)
    return -0.5 * (
        len(y) * np.log(2 * np.pi) + log_determinant + y @ np.linalg.solve(covariance, y)
    )


@pytest.mark.parametrize("n_out", [1, 2])
def test_the_evidence_of_a_linear_network_is_exact(rng, n_out):
    """For a linear network it is a Gaussian integral, and α and β maximise it."""
    scipy_optimize = pytest.importorskip("scipy.optimize")
    n, d = 40, 6
    X, truth = rng.standard_normal((n, d)), rng.standard_normal((d, n_out))
    y = X @ truth + 0.3 + 0.5 * rng.standard_normal((n, n_out))
    net = fn.Network([fn.Linear(d, n_out)], "float64", seed=0)
    history = net.fit(
        X,
        y,
        loss=fn.MeanSquaredError(),
        epochs=200,
        optimizer=fn.LevenbergMarquardt(tolerance=1e-14, bayesian=True),
    )
    alpha, beta = history["weight_precision"][-1], history["noise_precision"][-1]
    Phi = np.kron(np.c_[X, np.ones(n)], np.eye(n_out))
    assert history["log_evidence"][-1] == pytest.approx(
        log_evidence(Phi, y.ravel(), alpha, beta), rel=1e-10
    )
    best = scipy_optimize.minimize(
        lambda logs: -log_evidence(Phi, y.ravel(), *np.exp(logs)),
        [0, 0],
        tol=1e-12,
        method="Nelder-Mead",
    )
    np.testing.assert_allclose(np.log([alpha, beta]), best.x, atol=1e-5)
    eigenvalues = np.linalg.eigvalsh(Phi.T @ Phi)
    gamma = (eigenvalues / (eigenvalues + alpha / beta)).sum()
    assert history["effective_parameters"][-1] == pytest.approx(gamma, rel=1e-7)
    ridge = np.linalg.solve(Phi.T @ Phi + alpha / beta * np.eye(Phi.shape[1]), Phi.T @ y.ravel())
    found = np.c_[net.layers[0].weight, net.layers[0].bias].T
    np.testing.assert_allclose(found.ravel(), ridge, atol=1e-8)


def test_bayes_keeps_a_large_network_from_fitting_noise(dtype, rng):
    noise = 0.2
    X, X_new = (np.sort(rng.uniform(-3, 3, (n, 1)), axis=0) for n in (60, 500))
    y = np.sin(2 * X) + noise * rng.standard_normal(X.shape)

    def error(bayesian):
        net = fn.Network([fn.Linear(1, 30), fn.Tanh(), fn.Linear(30, 1)], dtype, seed=0)
        optimizer = fn.LevenbergMarquardt(bayesian=bayesian)
        history = net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=200)
        return np.sqrt(np.mean((net.predict(X_new) - np.sin(2 * X_new)) ** 2)), history

    (plain, _), (bayes, history) = error(False), error(True)
    assert bayes < 0.5 * noise
    assert bayes < 0.7 * plain
    assert 5 < history["effective_parameters"][-1] < 20  # of 91
    assert history["noise_precision"][-1] ** -0.5 == pytest.approx(noise, rel=0.25)


def test_nothing_to_improve(dtype, rng):
    """A perfect fit and parameters that are all 0 lead to no step, no NaN and no error."""
    net = small_network(dtype)
    X = rng.standard_normal((20, 2)).astype(dtype)
    before, y = net.params.copy(), net(X)
    for bayesian in (False, True):
        optimizer = fn.LevenbergMarquardt(bayesian=bayesian)
        history = net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=50)
        assert len(history["loss"]) < 50
        np.testing.assert_allclose(net.params, before, atol=1e-5)
        net.params = before
    net.params = 0 * before
    net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=5)
    assert np.isfinite(net.params).all()


def test_divergence(rng):
    net = fn.Network([fn.Linear(2, 1)], seed=0)
    net.params = before = [3e38, 3e38, 0]
    with pytest.raises(fn.DivergenceError, match="epoch 0") as caught:
        net.fit(
            rng.standard_normal((5, 2)),
            np.ones(5),
            loss=fn.MeanSquaredError(),
            optimizer=fn.LevenbergMarquardt(),
            epochs=5,
        )
    assert len(caught.value.history["loss"]) == 0
    np.testing.assert_array_equal(net.params, np.float32(before))


def test_parameters_written_between_two_steps_count(rng):
    """A callback may write parameters; results from before are then not used."""
    net, X, y = problem_of_a_teacher(rng)
    loss, start = fn.HalfSquaredError("sum"), net.params.copy()
    before = net.loss_and_grad(X, y, loss)[0]
    optimizer = fn.LevenbergMarquardt()
    state = OptimizerState().continued_for(optimizer, [(net.n_params, True)], net.dtype)
    trainer = optimizer.trainer(net._model, X, y, None, loss, state, 2)
    assert trainer.run(1, 100.0, 1)
    net.params = start
    assert trainer.run(2, 100.0, 1)
    assert trainer.losses[1] == pytest.approx(net.loss_and_grad(X, y, loss)[0], rel=1e-12)
    assert trainer.losses[1] < before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"damping": 0}, "damping is 0; a finite number and above 0"),
        ({"tolerance": -1}, "tolerance is -1; a finite number and at least 0"),
        ({"bayesian": 1}, "bayesian is 1; True or False"),
    ],
)
def test_numbers_out_of_range(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fn.LevenbergMarquardt(**arguments)


def test_other_losses_are_refused():
    net = fn.Network([fn.Linear(2, 2)], seed=0)
    with pytest.raises(TypeError, match="LevenbergMarquardt minimises squared errors"):
        net.fit([[1, 2]], [0], loss=fn.SoftmaxCrossEntropy(), optimizer=fn.LevenbergMarquardt())
    assert not net._training


@pytest.mark.parametrize("bayesian", [False, True])
def test_a_weight_is_how_often_a_sample_is_given(dtype, rng, bayesian):
    net, X, y = problem_of_a_teacher(rng, n_out=2, n=40)
    weights = rng.integers(4, size=40)
    nets = [small_network(dtype, n_out=2) for _ in range(2)]
    for one in nets:
        one.params = net.params
    settings = {
        "loss": fn.MeanSquaredError(),
        "epochs": 4,
        "optimizer": fn.LevenbergMarquardt(bayesian=bayesian),
    }
    weighted = nets[0].fit(X, y, sample_weight=weights, **settings)
    rows = np.repeat(np.arange(40), weights)
    repeated = nets[1].fit(X[rows], y[rows], **settings)
    tolerance = 1e-8 if dtype == "float64" else 1e-2
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=tolerance, atol=tolerance / 10)
    assert set(weighted) == set(repeated)
    for name in set(weighted) - {"seconds"}:
        np.testing.assert_allclose(weighted[name], repeated[name], rtol=tolerance)


def test_frozen_layers_stay_and_the_others_find_their_minimum(dtype, rng):
    """With a frozen first layer this is a linear least squares problem."""
    net = small_network(dtype, n_out=2)
    X, y = rng.standard_normal((50, 2)), rng.standard_normal((50, 2))
    net.layers[0].trainable = False
    before = [array.tobytes() for array in (net.layers[0].weight, net.layers[0].bias)]
    optimizer = fn.LevenbergMarquardt(tolerance=1e-14)
    net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=100)
    assert [net.layers[0].weight.tobytes(), net.layers[0].bias.tobytes()] == before
    hidden = np.tanh(X @ np.float64(net.layers[0].weight).T + net.layers[0].bias)
    expected = np.linalg.lstsq(np.c_[hidden, np.ones(50)], y, rcond=None)[0]
    found = np.c_[net.layers[2].weight, net.layers[2].bias].T
    np.testing.assert_allclose(found, expected, atol=1e-3 if dtype == "float32" else 1e-8)


def test_frozen_parameters_are_no_part_of_the_evidence(rng):
    """A linear layer after a frozen one has the evidence of a linear network."""
    X, y = rng.standard_normal((40, 2)), rng.standard_normal(40)
    net = small_network()
    net.layers[0].trainable = False
    history = net.fit(
        X,
        y,
        loss=fn.MeanSquaredError(),
        epochs=200,
        optimizer=fn.LevenbergMarquardt(tolerance=1e-14, bayesian=True),
    )
    alpha, beta = history["weight_precision"][-1], history["noise_precision"][-1]
    Phi = np.c_[np.tanh(X @ net.layers[0].weight.T + net.layers[0].bias), np.ones(40)]
    assert history["log_evidence"][-1] == pytest.approx(log_evidence(Phi, y, alpha, beta), rel=1e-9)


def test_all_layers_frozen(rng):
    net = small_network()
    before = net.params.copy()
    for layer in (net.layers[0], net.layers[2]):
        layer.trainable = False
    for optimizer in (fn.LevenbergMarquardt(), fn.LevenbergMarquardt(bayesian=True)):
        history = net.fit(
            np.ones((3, 2)), np.ones(3), loss=fn.MeanSquaredError(), optimizer=optimizer
        )
        assert history["loss"] == []
    assert np.array_equal(net.params, before)


class BreakOff(fn.Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def epoch_end(self, net, epoch, metrics):
        assert metrics["log_evidence"] < 0
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_a_fit_broken_off_ends_with_the_same_bits(dtype, rng, tmp_path):
    _, X, y = problem_of_a_teacher(rng, noise=0.5, n=40)
    whole, resumed = small_network(dtype), small_network(dtype)
    settings = {
        "loss": fn.MeanSquaredError(),
        "epochs": 9,
        "optimizer": fn.LevenbergMarquardt(bayesian=True),
    }
    expected = whole.fit(X, y, callbacks=[BreakOff(-1)], **settings)
    keep = {"checkpoint": tmp_path / "fit", "checkpoint_every": 2}
    with pytest.raises(KeyboardInterrupt):
        small_network(dtype).fit(X, y, callbacks=[BreakOff(6)], **keep, **settings)
    history = resumed.fit(X, y, callbacks=[BreakOff(-1)], resume=True, **keep, **settings)
    assert resumed.params.tobytes() == whole.params.tobytes()
    assert resumed.optimizer_state.step == whole.optimizer_state.step == 9
    for name in set(expected) - {"seconds"}:
        assert history[name] == expected[name]


def test_a_converged_fit_stays_so(rng, tmp_path):
    net, X, y = problem_of_a_teacher(rng)
    settings = {
        "loss": fn.MeanSquaredError(),
        "optimizer": fn.LevenbergMarquardt(),
        "epochs": 1000,
        "checkpoint": tmp_path / "fit",
        "checkpoint_every": 100,
    }
    first = net.fit(X, y, **settings)
    assert len(first["loss"]) < 1000
    params = net.params.copy()
    assert net.fit(X, y, resume=True, **settings)["loss"] == first["loss"]
    assert np.array_equal(net.params, params)


def test_early_stopping_by_the_evidence(rng):
    X, y = rng.standard_normal((30, 2)), rng.standard_normal(30)
    net = small_network()
    stopping = fn.EarlyStopping("log_evidence", patience=1)
    history = net.fit(
        X,
        y,
        loss=fn.MeanSquaredError(),
        epochs=30,
        callbacks=[stopping],
        optimizer=fn.LevenbergMarquardt(bayesian=True),
    )
    assert stopping.best == max(history["log_evidence"])


@pytest.mark.parametrize("optimizer", [fn.LevenbergMarquardt(), fn.LBFGS()])
def test_what_has_no_one_loss_is_refused(optimizer):
    X, y = np.ones((4, 2)), np.ones((4, 1))
    settings = {"loss": fn.MeanSquaredError(), "optimizer": optimizer}
    for layer in (fn.Dropout(0.5), fn.BatchNorm(2)):
        net = fn.Network([fn.Linear(2, 2), layer, fn.Linear(2, 1)], seed=0)
        with pytest.raises(
            ValueError, match=rf"{type(optimizer).__name__}.*{type(layer).__name__}"
        ):
            net.fit(X, y, **settings)
    with pytest.raises(ValueError, match="X is an iterable, .* takes all samples at once"):
        small_network().fit([(X, y)], **settings)


def test_a_mapped_file_of_another_dtype(rng, tmp_path):
    """The memmap is read into memory, since each step uses all samples."""
    X, y = rng.standard_normal((30, 2)), rng.standard_normal(30)
    mapped = np.memmap(tmp_path / "X", np.float32, "w+", shape=X.shape)
    mapped[:] = X
    nets = [small_network() for _ in range(2)]
    for net, given in zip(nets, (mapped, np.array(mapped)), strict=True):
        net.fit(given, y, loss=fn.MeanSquaredError(), optimizer=fn.LevenbergMarquardt(), epochs=3)
    assert np.array_equal(nets[0].params, nets[1].params)
