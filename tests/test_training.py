"""Training: whole runs against the oracle and PyTorch, and everything `fit` promises."""

import copy
import itertools
import os
import pickle
import signal
import threading
import time

import cases
import numpy as np
import pytest
import reference
from cases import sample_params

import fastnn as fn
from fastnn import _core

LAYERS = {
    "half_squared_error": [cases.linear(5, 8), {"kind": "relu"}, cases.linear(8, 3)],
    "mean_squared_error": [cases.linear(5, 7), {"kind": "gelu"}, cases.linear(7, 3, bias=False)],
    "negative_log_likelihood": [
        cases.linear(5, 6), {"kind": "tanh"}, cases.linear(6, 3), {"kind": "softmax"},
    ],
    "softmax_cross_entropy": [
        cases.linear(5, 8), {"kind": "silu"}, cases.linear(8, 6), {"kind": "elu"},
        cases.linear(6, 3),
    ],
    "binary_cross_entropy": [cases.linear(5, 8), {"kind": "selu"}, cases.linear(8, 3)],
}  # fmt: skip


@pytest.fixture(params=cases.LOSS_CASES, ids=lambda case: case.name)
def problem(request, rng):
    """A network, parameters, and 23 samples for a loss: batches of 5 leave a short one of 3."""
    loss = request.param
    case = cases.NetworkCase(loss.name, LAYERS[loss.name])
    y = loss.make_y(rng, 23, 3, "float64")
    return loss, case, sample_params(case, rng, "float64"), rng.standard_normal((23, 5)), y


@pytest.mark.parametrize("optimizer", cases.OPTIMIZER_CASES, ids=lambda case: case.name)
def test_two_hundred_steps_agree_with_the_oracle(isa, problem, optimizer, make_network):
    loss, case, params, X, y = problem
    net = make_network(case, "float64", params)
    history = net.fit(
        X, y, loss=getattr(fn, loss.cls)(), optimizer=getattr(fn, optimizer.cls)(**optimizer.args),
        epochs=40, batch_size=5, seed=11,
    )  # fmt: skip
    expected, losses = reference.train(
        case.layers, params, X, y, loss=loss.name, epochs=40, batch_size=5,
        optimizer=getattr(reference, optimizer.cls)(**optimizer.args),
        rng=np.random.default_rng(11),
    )  # fmt: skip
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-10)


def test_summed_minibatch_gradients(isa, problem, make_network):
    """Gradient descent as first taught: Θ ← Θ - ε Σ ∇ over the minibatch."""
    loss, case, params, X, y = problem
    net = make_network(case, "float64", params)
    history = net.fit(
        X, y, loss=getattr(fn, loss.cls)(reduction="sum"), optimizer=fn.SGD(0.01), epochs=10,
        batch_size=5, shuffle=False,
    )  # fmt: skip
    expected, losses = reference.train(
        case.layers, params, X, y, loss=loss.name, epochs=10, batch_size=5,
        optimizer=reference.SGD(0.01), reduction="sum",
    )  # fmt: skip
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-10)


def test_a_batch_of_more_rows_than_a_chunk(isa, dtype, rng, make_network):
    """A large minibatch accumulates its gradient over several chunks."""
    case = cases.NetworkCase("net", [cases.linear(3, 4), {"kind": "tanh"}, cases.linear(4, 1)])
    params = sample_params(case, rng, dtype)
    X, y = rng.standard_normal((9_000, 3)).astype(dtype), rng.standard_normal(9_000).astype(dtype)
    net = make_network(case, dtype, params)
    settings = {"optimizer": fn.SGD(0.1), "epochs": 3, "batch_size": 5_000, "seed": 0}
    net.fit(X, y, loss=fn.MeanSquaredError(), **settings)
    again = make_network(case, dtype, params)
    again.fit(X, y, loss=Python(fn.MeanSquaredError()), **settings)
    rtol = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(net.params, again.params, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("optimizer", cases.OPTIMIZER_CASES, ids=lambda case: case.name)
def test_two_hundred_steps_agree_with_pytorch(isa, rng, tmp_path, optimizer):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.torch import load_file

    torch.set_num_threads(1)
    X, y = rng.standard_normal((64, 6)), rng.integers(4, size=64)
    net = fn.Network(
        [fn.Linear(6, 16), fn.ReLU(), fn.Linear(16, 8), fn.Tanh(), fn.Linear(8, 4)], "float64", 3
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 8), torch.nn.Tanh(),
        torch.nn.Linear(8, 4),
    ).double()  # fmt: skip
    net.save(tmp_path / "net.safetensors")
    theirs.load_state_dict(load_file(tmp_path / "net.safetensors"))  # the names are PyTorch's
    args = dict(optimizer.args)
    settings = {"lr": args.pop("learning_rate"), **args}
    update = getattr(torch.optim, optimizer.cls)(theirs.parameters(), **settings)
    draw, inputs, labels = np.random.default_rng(5), torch.tensor(X), torch.tensor(y)
    for _ in range(25):
        order = draw.permutation(64)
        for start in range(0, 64, 8):
            rows = order[start : start + 8]
            update.zero_grad()
            torch.nn.functional.cross_entropy(theirs(inputs[rows]), labels[rows]).backward()
            update.step()
    net.fit(
        X, y, optimizer=getattr(fn, optimizer.cls)(**optimizer.args), epochs=25, batch_size=8,
        seed=5,
    )  # fmt: skip
    expected = torch.nn.utils.parameters_to_vector(theirs.parameters()).detach().numpy()
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)


class Python:
    """A loss as a user would write one, here around a built-in."""

    def __init__(self, loss):
        self.loss, self.reduction = loss, loss.reduction

    def value_and_grad(self, y_pred, y):
        return self.loss.value_and_grad(y_pred, y)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_loss_written_in_python_trains_alike(isa, dtype, problem, make_network, reduction):
    loss, case, params, X, y = problem
    built_in = getattr(fn, loss.cls)(reduction=reduction)
    nets, histories = [], []
    for given in (built_in, Python(built_in)):
        net = make_network(case, dtype, params)
        histories.append(net.fit(
            X, y, loss=given, optimizer=fn.Adam(0.01), epochs=10, batch_size=5, seed=2,
            validation_data=(X[:7], y[:7]),
        ))  # fmt: skip
        nets.append(net)
    rtol = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=rtol, atol=rtol)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=rtol)
    value, grad = nets[0].loss_and_grad(X, y, built_in)
    also_value, also_grad = nets[0].loss_and_grad(X, y, Python(built_in))
    assert value == pytest.approx(also_value, rel=rtol)
    np.testing.assert_allclose(grad, also_grad, rtol=rtol, atol=rtol)


# Bits ----------------------------------------------------------------------------------------


def test_threads_do_not_change_a_bit(isa, dtype, rng):
    X, y = rng.standard_normal((700, 300)).astype(dtype), rng.integers(10, size=700)
    hashes = set()
    for n_threads in (1, 2, 3, 8):
        net = fn.Network([fn.Linear(300, 256), fn.ReLU(), fn.Linear(256, 10)], dtype, seed=0)
        net.fit(X, y, epochs=2, batch_size=300, seed=0, n_threads=n_threads)
        outputs = net.predict(X, n_threads=n_threads)
        hashes.add((net.params.tobytes(), outputs.tobytes()))
    assert len(hashes) == 1


def test_the_slices_of_time_do_not_change_a_bit(isa, rng):
    """Going back to Python in the middle of an epoch leaves no trace."""
    X, y = rng.standard_normal((5_000, 20)), rng.integers(3, size=5_000)

    def trained(seconds):
        net = fn.Network([fn.Linear(20, 30), fn.ReLU(), fn.Linear(30, 3)], "float64", seed=0)
        model, rule = net._model, fn.Adam().update_rule()
        state = np.zeros((2, net.n_params))
        trainer = _core.engine.Trainer(
            model.plan, model.params, model.grads, model.constants, X, None, y,
            "softmax_cross_entropy", True, rule, state, 0, 4_500, 3, np.random.PCG64(1), 1,
        )  # fmt: skip
        calls = 1
        while not trainer.run(3, seconds, 1):
            calls += 1
        return net.params.tobytes(), trainer.losses.tobytes(), calls

    (*whole, once), (*sliced, often) = trained(100.0), trained(0.0)
    assert (once, whole) == (1, sliced)
    assert often > 3


def test_seeds_make_runs_repeatable(rng):
    X, y = rng.standard_normal((50, 3)), rng.integers(2, size=50)

    def fit(seed, shuffle=True):
        net = fn.Network([fn.Linear(3, 2)], seed=0)
        net.fit(X, y, epochs=3, batch_size=7, seed=seed, shuffle=shuffle)
        return net.params.tobytes()

    assert fit(1) == fit(1)
    assert len({fit(1), fit(2), fit(None), fit(None), fit(1, shuffle=False)}) == 5
    assert fit(1, shuffle=False) == fit(2, shuffle=False)


# History, validation, progress ---------------------------------------------------------------


def test_history(rng):
    X, y = rng.standard_normal((40, 3)), rng.integers(3, size=40)
    net = fn.Network([fn.Linear(3, 3)], "float64", seed=0)
    history = net.fit(X[:30], y[:30], epochs=4, validation_data=(X[30:], y[30:]))
    assert list(history) == ["loss", "val_loss", "val_accuracy", "seconds"]
    assert all(len(column) == 4 for column in history.values())
    assert all(type(value) is float for column in history.values() for value in column)
    assert all(seconds > 0 for seconds in history["seconds"])
    held_out = fn.SoftmaxCrossEntropy().value_and_grad(net.predict(X[30:]), y[30:])[0]
    assert history["val_loss"][-1] == pytest.approx(held_out, rel=1e-12)
    right = (net.predict(X[30:]).argmax(axis=1) == y[30:]).mean()
    assert history["val_accuracy"][-1] == right
    assert repr(history).startswith("History(4 epochs; last: loss=")
    assert list(net.fit(X, y, epochs=0)) == ["loss", "seconds"]
    assert net.fit(X, y, epochs=0)["loss"] == []


def test_validation_does_not_change_training(rng):
    X, y = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    loss = fn.MeanSquaredError()
    nets = [fn.Network([fn.Linear(3, 2)], "float64", seed=0) for _ in range(2)]
    plain = nets[0].fit(X, y, loss=loss, optimizer=fn.SGD(0.1), epochs=5, seed=0)
    measured = nets[1].fit(
        X, y, loss=loss, optimizer=fn.SGD(0.1), epochs=5, seed=0, validation_data=(X, y)
    )
    assert np.array_equal(nets[0].params, nets[1].params)
    assert plain["loss"] == measured["loss"]
    rmse = np.sqrt(np.mean((nets[0].predict(X) - y) ** 2))
    assert measured["val_rmse"][-1] == pytest.approx(rmse, rel=1e-12)


def test_binary_accuracy(rng):
    X = rng.standard_normal((60, 2))
    y = (X[:, 0] > 0).astype(int)
    net = fn.Network([fn.Linear(2, 1)], seed=0)
    history = net.fit(X, y, loss=fn.BinaryCrossEntropy(), epochs=30, validation_data=(X, y))
    assert history["val_accuracy"][-1] == np.mean((net.predict(X).ravel() > 0) == y) > 0.9


def test_fit_goes_on_from_where_the_parameters_are(rng):
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    net = fn.Network([fn.Linear(3, 1)], "float64", seed=0)
    first = net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.SGD(0.05), epochs=20)
    second = net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.SGD(0.05), epochs=1)
    assert second["loss"][0] < first["loss"][1]


def test_progress_bar(rng, capsys):
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    net = fn.Network([fn.Linear(3, 1)], seed=0)
    settings = {"loss": fn.MeanSquaredError(), "optimizer": fn.SGD(0.05), "epochs": 3}
    net.fit(X, y, **settings)
    assert capsys.readouterr().err == ""  # by default only in a terminal
    net.fit(X, y, progress=True, validation_data=(X, y), **settings)
    shown = capsys.readouterr().err
    for text in ("epoch 3/3", "loss=", "val_rmse=", "120/120", "sample/s"):
        assert text in shown


# Trouble -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "stepwise"])
@pytest.mark.parametrize("batch_size", [4, 10])
def test_divergence(isa, dtype, rng, wrap, batch_size):
    X, y = rng.standard_normal((10, 3)), rng.standard_normal(10)
    loss = wrap(fn.HalfSquaredError())

    def fit(epochs):
        net = fn.Network([fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 1)], dtype, seed=0)
        settings = {"loss": loss, "optimizer": fn.SGD(30, momentum=0.9)}
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                net.fit(X, y, epochs=epochs, batch_size=batch_size, seed=1, **settings)
        except fn.DivergenceError as error:
            return net, error
        return net, None

    net, error = fit(5000)
    assert isinstance(error, ArithmeticError)
    assert f"epoch {error.epoch}, step {error.step} " in str(error)
    assert 0 <= error.step < -(-10 // batch_size)
    assert len(error.history["loss"]) == error.epoch > 0
    assert np.isfinite(error.history["loss"]).all()
    assert np.isfinite(net.params).all()
    last_good, nothing = fit(error.epoch)
    assert nothing is None
    assert np.array_equal(net.params, last_good.params)
    assert fit(error.epoch + 1)[1] is not None  # it was that epoch, not a later one
    net.params[...] = 0
    net.fit(X, y, loss=loss, optimizer=fn.SGD(0.01, momentum=0.9), epochs=2)  # a fresh start
    assert np.isfinite(net.params).all()


@pytest.fixture
def ctrl_c():
    """Press Ctrl-C, as a terminal does, a moment later; also where the tests' parent ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    yield timer
    timer.join()
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("widths", "n", "batch_size"),
    [((2, 8, 1), 4, 4), ((20, 512, 512, 1), 20_000, 20_000)],
    ids=["a million tiny epochs", "one huge batch"],
)
def test_ctrl_c(isa, rng, ctrl_c, widths, n, batch_size):
    layers = [fn.Linear(a, b) for a, b in itertools.pairwise(widths)]
    net = fn.Network(layers, seed=0)
    X, y = rng.standard_normal((n, widths[0])), rng.standard_normal(n)
    settings = {"loss": fn.MeanSquaredError(), "optimizer": fn.SGD(1e-3)}
    before = net.params.copy()
    ctrl_c.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=20_000_000, batch_size=batch_size, n_threads=1, **settings)
    assert np.isfinite(net.params).all()
    assert batch_size > 4 or not np.array_equal(net.params, before)
    net.fit(X[:8], y[:8], epochs=1, **settings)


def test_prediction_comes_back_to_hear_ctrl_c(rng, monkeypatch):
    """So does validation, which is one; by then some 10**9 flops have passed."""
    net = fn.Network([fn.Linear(20, 1000), fn.ReLU(), fn.Linear(1000, 1000)], seed=0)
    X = rng.standard_normal((5_000, 20)).astype("f")
    expected = net(X)
    rows, engine_predict = [], _core.engine.predict

    def predict(plan, params, constants, x, *rest):
        rows.append(len(x))
        engine_predict(plan, params, constants, x, *rest)

    monkeypatch.setattr(_core.engine, "predict", predict)
    assert np.array_equal(net.predict(X), expected)
    assert sum(rows) == 5_000
    assert 256 <= max(rows) < 1_000


def test_other_threads_run_during_one_call_of_the_engine(isa, rng):
    net = fn.Network([fn.Linear(64, 64), fn.ReLU(), fn.Linear(64, 1)], seed=0)
    X, y = rng.standard_normal((2_000, 64)), rng.standard_normal((2_000, 1))
    model, inside = net._model, threading.Event()
    trainer = _core.engine.Trainer(
        model.plan, model.params, model.grads, model.constants, X.astype("f"), y.astype("f"), None,
        "mean_squared_error", True, fn.SGD(1e-3).update_rule(), np.empty((0, 0), "f"), 0, 32, 100,
        None, 1,
    )  # fmt: skip
    before = trainer.epoch

    def train():
        inside.set()
        trainer.run(100, 1000.0, 1)
        inside.clear()

    thread = threading.Thread(target=train)
    thread.start()
    seen = set()
    while thread.is_alive():
        if inside.is_set():
            seen.add(trainer.epoch)
    thread.join()
    # Were the interpreter's lock held, no epoch between the first and the last could be seen.
    assert len(seen - {before, 100}) > 10


def test_a_second_fit_of_a_network_in_training_raises(rng):
    net = fn.Network([fn.Linear(64, 512), fn.ReLU(), fn.Linear(512, 1)], seed=0)
    X, y = rng.standard_normal((5_000, 64)), rng.standard_normal(5_000)
    settings = {"loss": fn.MeanSquaredError(), "optimizer": fn.SGD(1e-3), "n_threads": 1}
    thread = threading.Thread(target=net.fit, args=(X, y), kwargs={"epochs": 20, **settings})
    thread.start()
    while not net._training_process and thread.is_alive():
        pass
    with pytest.raises(RuntimeError, match="is being trained"):
        net.fit(X, y, epochs=1, **settings)
    thread.join()
    net.fit(X[:8], y[:8], epochs=1, **settings)


def test_networks_train_and_predict_in_threads_at_once(isa, rng):
    X, y = rng.standard_normal((500, 20)), rng.integers(3, size=500)

    def train(seed):
        net = fn.Network([fn.Linear(20, 30), fn.ReLU(), fn.Linear(30, 3)], seed=seed)
        net.fit(X, y, epochs=20, seed=seed, n_threads=1)
        return net.predict(X, n_threads=1).tobytes()

    alone = [train(seed) for seed in range(4)]
    together = [None] * 4
    threads = [
        threading.Thread(target=lambda i=i: together.__setitem__(i, train(i))) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_an_error_in_a_python_loss_arrives_unchanged(rng):
    class Failing:
        def value_and_grad(self, y_pred, y):
            raise LookupError("mine")

    net = fn.Network([fn.Linear(3, 1)], seed=0)
    with pytest.raises(LookupError, match="mine"):
        net.fit(rng.standard_normal((4, 3)), np.zeros(4), loss=Failing(), epochs=1)
    net.fit(rng.standard_normal((4, 3)), np.zeros(4), loss=fn.MeanSquaredError(), epochs=1)


def test_the_progress_bar_is_on_in_a_terminal():
    import os
    import pty
    import subprocess
    import sys
    import termios

    code = (
        "import fastnn as fn; fn.Network([fn.Linear(1, 1)]).fit([[1], [2]], [1, 2],"
        " loss=fn.MeanSquaredError(), optimizer=fn.SGD(0.01), epochs=3)"
    )
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    subprocess.run([sys.executable, "-P", "-c", code], stderr=theirs, timeout=60, check=True)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    assert "epoch 3/3" in shown


def test_a_python_loss_may_overwrite_what_it_is_given(rng):
    class InPlace:
        def value_and_grad(self, y_pred, y):
            y_pred -= y
            return 0.5 * float((y_pred**2).sum()) / len(y), y_pred / len(y)

    X, y = rng.standard_normal((20, 3)), rng.random((20, 2))
    nets = []
    for loss in (InPlace(), fn.HalfSquaredError()):
        net = fn.Network([fn.Linear(3, 2), fn.Sigmoid()], "float64", seed=0)
        first = net.loss_and_grad(X, y, loss)[1]
        net.fit(X, y, loss=loss, optimizer=fn.SGD(0.5), epochs=5, seed=0, validation_data=(X, y))
        nets.append((first, net.params))
    np.testing.assert_allclose(nets[0], nets[1], rtol=1e-12)


def test_a_subclass_of_a_loss_is_its_own(rng):
    """It may change what a built-in computes, so the engine does not stand in for it."""

    class Doubled(fn.MeanSquaredError):
        def value_and_grad(self, y_pred, y):
            value, gradient = super().value_and_grad(y_pred, y)
            return 2 * value, 2 * gradient

    X, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    net = fn.Network([fn.Linear(3, 2)], "float64", seed=0)
    value, grad = net.loss_and_grad(X, y, fn.MeanSquaredError())
    doubled = net.loss_and_grad(X, y, Doubled())
    assert doubled[0] == pytest.approx(2 * value)
    np.testing.assert_allclose(doubled[1], 2 * grad)
    assert net.fit(X, y, loss=Doubled(), optimizer=fn.SGD(1e-9), epochs=1)["loss"][0] == (
        pytest.approx(2 * value, rel=1e-6)
    )


def test_backward_after_fit_wants_a_new_forward(rng):
    net = fn.Network([fn.Linear(3, 2)], seed=0)
    X = rng.standard_normal((4, 3))
    net(X)
    net.fit(X, [0, 1, 0, 1], epochs=1)
    with pytest.raises(RuntimeError, match="call forward"):
        net.backward(np.ones((4, 2)))


def test_divergence_crosses_processes():
    error = fn.DivergenceError(3, 7, fn.History({"loss": [1.0, 2.0, 3.0], "seconds": [0.1] * 3}))
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (again.epoch, again.step, again.history["loss"]) == (3, 7, [1.0, 2.0, 3.0])
        assert str(again) == str(error)


def test_a_child_forked_in_the_middle_of_a_fit_goes_on(rng):
    """Its OpenMP threads are gone, and it must not wait for them."""

    class Forking(Python):
        forked = False

        def value_and_grad(self, y_pred, y):
            if not self.forked:
                self.forked = True
                self.child = os.fork()
            return super().value_and_grad(y_pred, y)

    net = fn.Network([fn.Linear(300, 640), fn.ReLU(), fn.Linear(640, 2)], seed=0)
    X, y = rng.standard_normal((1024, 300)), rng.standard_normal((1024, 2))
    net.predict(X, n_threads=2)
    loss = Forking(fn.MeanSquaredError())
    net.fit(X, y, loss=loss, optimizer=fn.SGD(1e-3), epochs=1, batch_size=512, n_threads=2)
    if loss.child == 0:
        os._exit(0)
    deadline = time.monotonic() + 30
    while (status := os.waitpid(loss.child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if status == (0, 0):
        os.kill(loss.child, signal.SIGKILL)
        os.waitpid(loss.child, 0)
    assert status == (loss.child, 0)


def test_no_training_from_parameters_that_are_not_numbers(rng):
    net = fn.Network([fn.Linear(3, 2)], seed=0)
    net.params[0] = np.nan
    with pytest.raises(ValueError, match="params are read-only, or hold NaN"):
        net.fit(rng.standard_normal((4, 3)), [0, 1, 0, 1])
