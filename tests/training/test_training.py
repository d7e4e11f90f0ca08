"""Entire fits against the reference and PyTorch, bit for bit where the pages promise it."""

import cases
import numpy as np
import pytest
import reference_optimizers
import reference_training
import whole_segment
from case_inputs import sample_params
from custom_loss import Python
from optimizer_cases import OPTIMIZER_CASES

import fastnn as fn
from fastnn import _core

PLAIN = [cases.linear(5, 4), {"kind": "tanh"}, cases.linear(4, 3)]
LAYERS = {  # of the network for a loss, if it is not PLAIN
    "half_squared_error": [cases.linear(5, 8), {"kind": "relu"}, cases.linear(8, 3)],
    "mean_squared_error": [cases.linear(5, 7), {"kind": "gelu"}, cases.linear(7, 3, bias=False)],
    "negative_log_likelihood": [
        cases.linear(5, 6),
        {"kind": "tanh"},
        cases.linear(6, 3),
        {"kind": "softmax"},
    ],
    "softmax_cross_entropy": [
        cases.linear(5, 8),
        {"kind": "silu"},
        cases.linear(8, 6),
        {"kind": "elu"},
        cases.linear(6, 3),
    ],
    "binary_cross_entropy": [cases.linear(5, 8), {"kind": "selu"}, cases.linear(8, 3)],
    "poisson": [cases.linear(5, 4), {"kind": "sigmoid"}, cases.linear(4, 3)],
}


def made(case, reduction="mean"):
    """Return the loss."""
    return getattr(fn, case.cls)(**case.args, reduction=reduction)


def problem_for(loss, rng):
    """Return a network, parameters and 23 samples; with batches of 5 the last one has 3."""
    case = cases.NetworkCase(loss.name, LAYERS.get(loss.kind, PLAIN))
    y = loss.make_y(rng, 23, 3, "float64")
    return loss, case, sample_params(case, rng, "float64"), rng.standard_normal((23, 5)), y


@pytest.fixture(params=cases.LOSS_CASES, ids=lambda case: case.name)
def problem(request, rng):
    return problem_for(request.param, rng)


# Losses and optimizers are independent, so each one is tested with one of the others.
CROSS_ENTROPY = next(c for c in cases.LOSS_CASES if c.name == "softmax_cross_entropy")
PAIRS = [(loss, OPTIMIZER_CASES[-1]) for loss in cases.LOSS_CASES]
PAIRS += [(CROSS_ENTROPY, optimizer) for optimizer in OPTIMIZER_CASES[:-1]]


@pytest.mark.parametrize(("loss", "optimizer"), PAIRS, ids=lambda case: case.name)
def test_two_hundred_steps_agree_with_the_oracle(isa, rng, loss, optimizer, make_network):
    loss, case, params, X, y = problem_for(loss, rng)
    net = make_network(case, "float64", params)
    history = net.fit(
        X,
        y,
        loss=made(loss),
        optimizer=getattr(fn, optimizer.cls)(**optimizer.args),
        epochs=40,
        batch_size=5,
        seed=11,
    )
    expected, losses = reference_training.train(
        case.layers,
        params,
        X,
        y,
        loss=loss.description,
        epochs=40,
        batch_size=5,
        optimizer=getattr(reference_optimizers, optimizer.cls)(**optimizer.args),
        rng=np.random.default_rng(11),
    )
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-10)


def test_summed_minibatch_gradients(isa, problem, make_network):
    """Plain gradient descent, Θ ← Θ - ε Σ ∇ over the minibatch."""
    loss, case, params, X, y = problem
    net = make_network(case, "float64", params)
    history = net.fit(
        X, y, loss=made(loss, "sum"), optimizer=fn.SGD(0.01), epochs=10, batch_size=5, shuffle=False
    )
    expected, losses = reference_training.train(
        case.layers,
        params,
        X,
        y,
        loss=loss.description,
        epochs=10,
        batch_size=5,
        optimizer=reference_optimizers.SGD(0.01),
        reduction="sum",
    )
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-10)


def test_a_batch_of_more_rows_than_a_chunk(isa, dtype, rng, make_network):
    """The gradient of a large minibatch is accumulated over several chunks."""
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


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_loss_written_in_python_trains_alike(isa, dtype, problem, make_network, reduction):
    loss, case, params, X, y = problem
    built_in = made(loss, reduction)
    nets, histories = [], []
    for given in (built_in, Python(built_in)):
        net = make_network(case, dtype, params)
        histories.append(
            net.fit(
                X,
                y,
                loss=given,
                optimizer=fn.Adam(0.01),
                epochs=10,
                batch_size=5,
                seed=2,
                validation_data=(X[:7], y[:7]),
            )
        )
        nets.append(net)
    rtol = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=rtol, atol=rtol)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=rtol)
    value, grad = nets[0].loss_and_grad(X, y, built_in)
    also_value, also_grad = nets[0].loss_and_grad(X, y, Python(built_in))
    assert value == pytest.approx(also_value, rel=rtol)
    np.testing.assert_allclose(grad, also_grad, rtol=rtol, atol=rtol)


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
    """Returning to Python within an epoch does not change the results."""
    X, y = rng.standard_normal((5_000, 20)), rng.integers(3, size=5_000)

    def trained(seconds):
        net = fn.Network([fn.Linear(20, 30), fn.ReLU(), fn.Linear(30, 3)], "float64", seed=0)
        model, rule = net._model, fn.Adam().update_rule()
        state = np.zeros((2, net.n_params))
        trainer = _core.engine.Trainer(
            model.plan,
            model.params,
            model.grads,
            model.constants,
            X,
            None,
            y,
            None,
            fn.SoftmaxCrossEntropy().formula(),
            rule,
            state,
            whole_segment.whole(net.n_params),
            0,
            4_500,
            3,
            np.random.PCG64(1),
            1,
        )
        trainer.set_rates(1e-3)
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


def test_fit_goes_on_from_where_the_parameters_are(rng):
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    net = fn.Network([fn.Linear(3, 1)], "float64", seed=0)
    first = net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.SGD(0.05), epochs=20)
    second = net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.SGD(0.05), epochs=1)
    assert second["loss"][0] < first["loss"][1]
