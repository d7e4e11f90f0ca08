"""Network.step: one step of an optimizer for a gradient of the user."""

import copy
import os
import pickle
import threading

import numpy as np
import pytest
from optimizer_cases import OPTIMIZER_CASES

import fastnn as fn
from fastnn import schedules

LOSS = fn.MeanSquaredError()
N, BATCH, EPOCHS = 24, 8, 6
STEPS, PER_EPOCH = EPOCHS * N // BATCH, N // BATCH
SCHEDULES = [
    schedules.Constant(0.01),
    schedules.StepDecay(0.02, 2),
    schedules.ExponentialDecay(0.02, 0.8),
    schedules.CosineDecay(0.02, 0.001),
    schedules.OneCycle(0.02),
    schedules.InverseScaling(0.02),
    schedules.Warmup(schedules.Constant(0.02), updates=5),
    schedules.Warmup(schedules.CosineDecay(0.02), epochs=2),
]


def network(dtype="float64", seed=0):
    layers = [fn.Standardize(np.zeros(3), np.ones(3)), fn.Linear(3, 5), fn.Tanh()]
    return fn.Network([*layers, fn.LayerNorm(5), fn.Linear(5, 2)], dtype, seed=seed)


@pytest.fixture
def data(rng):
    return rng.standard_normal((N, 3)), rng.standard_normal((N, 2))


def by_hand(net, optimizer, data, epochs=EPOCHS, seed=0, **lengths):
    """Take the steps of a fit, with the same orders of the samples."""
    X, y = data
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(N)
        for rows in np.split(order, PER_EPOCH):
            net.step(net.loss_and_grad(X[rows], y[rows], LOSS)[1], optimizer, **lengths)


def fitted(net, optimizer, data, epochs=EPOCHS, seed=0):
    net.fit(*data, loss=LOSS, optimizer=optimizer, epochs=epochs, batch_size=BATCH, seed=seed)


def assert_same_bits(first, second):
    assert first.params.tobytes() == second.params.tobytes()
    a, b = first.optimizer_state, second.optimizer_state
    assert (a.kind, a.step, list(a.arrays)) == (b.kind, b.step, list(b.arrays))
    for name in a.arrays:
        assert a.arrays[name].tobytes() == b.arrays[name].tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", OPTIMIZER_CASES, ids=lambda case: case.name)
def test_steps_have_the_bits_of_a_fit(case, dtype, data):
    optimizer = getattr(fn, case.cls)(**case.args)
    nets = network(dtype), network(dtype)
    by_hand(nets[0], optimizer, data)
    fitted(nets[1], optimizer, data)
    assert_same_bits(*nets)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_schedules_have_the_bits_of_a_fit(schedule, dtype, data):
    optimizer = fn.Adam(schedule, clip_norm=0.5)
    nets = network(dtype), network(dtype)
    by_hand(nets[0], optimizer, data, total_steps=STEPS, steps_per_epoch=PER_EPOCH)
    fitted(nets[1], optimizer, data)
    assert_same_bits(*nets)


@pytest.mark.parametrize("optimizer", [fn.Adam(0.01), fn.SGD(0.05, momentum=0.9, clip_norm=0.3)])
def test_frozen_layers_and_their_missed_updates(optimizer, data):
    nets = network(), network()
    for run, net in zip((by_hand, fitted), nets, strict=True):
        for frozen in ((1,), (3, 4), (), (1, 3, 4)):
            for i in (1, 3, 4):
                net.layers[i].trainable = i not in frozen
            run(net, optimizer, data, 2)
    assert_same_bits(*nets)
    assert nets[0]._optimizer_state.missed == nets[1]._optimizer_state.missed


def test_the_state_continues_over_steps_fits_copies_and_pickles(data):
    optimizer = fn.Adam(0.01)
    net, expected = network(), network()
    for seed in range(5):
        fitted(expected, optimizer, data, 1, seed)
    by_hand(net, optimizer, data, 1, 0)
    net = copy.deepcopy(net)
    by_hand(net, optimizer, data, 1, 1)
    fitted(net, optimizer, data, 1, 2)
    by_hand(net, fn.Adam(0.01), data, 1, 3)  # an equal optimizer
    net = pickle.loads(pickle.dumps(net))
    by_hand(net, optimizer, data, 1, 4)
    assert_same_bits(net, expected)


def test_a_copy_does_not_share_steps(data):
    net = network()
    by_hand(net, fn.Adam(0.01), data, 1)
    before = net.params.copy(), net.optimizer_state.step
    twin = copy.deepcopy(net)
    by_hand(twin, fn.Adam(0.01), data, 1)
    assert np.array_equal(net.params, before[0])
    assert net.optimizer_state.step == before[1] == twin.optimizer_state.step - PER_EPOCH


def test_a_layer_frozen_during_a_fit_between_steps(data):
    """The counts of missed updates change although the same layers are trained in the steps."""
    nets = network(), network()
    for run, net in zip((by_hand, fitted), nets, strict=True):
        run(net, fn.Adam(0.01), data, 1)
        net.layers[1].trainable = False
        fitted(net, fn.Adam(0.01), data, 1)
        net.layers[1].trainable = True
        run(net, fn.Adam(0.01), data, 1)
    assert_same_bits(*nets)


def test_another_kind_of_optimizer_starts_fresh(data):
    net, expected = network(), network()
    by_hand(net, fn.SGD(0.1, momentum=0.9), data, 1)
    expected.params = net.params
    by_hand(net, fn.Adam(0.01), data, 1)
    by_hand(expected, fn.Adam(0.01), data, 1)
    assert_same_bits(net, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "form", [list, np.float16, np.float32, np.float64, "strided", "read-only", "grads", "object"]
)
def test_forms_of_the_gradient(form, dtype, rng):
    net, expected = network(dtype), network(dtype)
    gradient = np.round(rng.standard_normal(net.n_params) * 8) / 8  # exact in float16
    if form == "strided":
        given = np.repeat(gradient.astype(dtype), 2)[::2]
    elif form == "read-only":
        given = gradient.astype(dtype)
        given.flags.writeable = False
    elif form == "grads":
        net.grads = gradient
        given = net.grads
    elif form == "object":
        with pytest.raises(TypeError, match="grads"):
            net.step(gradient.astype(object), fn.Adam(0.1))
        return
    else:
        given = gradient.tolist() if form is list else gradient.astype(form)
    for _ in range(3):
        assert net.step(given, fn.SGD(0.1, momentum=0.5)) is None
        expected.step(gradient.astype(dtype), fn.SGD(0.1, momentum=0.5))
    assert_same_bits(net, expected)


def test_the_parameters_as_their_own_gradient():
    """A step along Θ shrinks the parameters; the array that is read is the one that changes."""
    net = network()
    before = net.params.copy()
    for optimizer in (fn.SGD(0.5), fn.Adam(0.5)):
        twin = copy.deepcopy(net)
        net.step(net.params, optimizer)
        twin.step(twin.params.copy(), optimizer)
        assert_same_bits(net, twin)
    assert not np.array_equal(net.params, before)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (np.zeros(3), ValueError, r"grads has shape \(3,\)"),
        (np.zeros((1, 37)), ValueError, "grads has shape"),
        (0.0, ValueError, "grads has shape"),
        (None, TypeError, "grads"),
        ("text", TypeError, "grads"),
        (np.zeros(37, complex), TypeError, "grads"),
    ],
)
def test_a_wrong_gradient(wrong, error, message):
    net = fn.Network([fn.Linear(3, 5), fn.Linear(5, 2)], "float64", seed=0)
    net.step(np.ones(net.n_params), fn.SGD(0.1, momentum=0.9))
    before = copy.deepcopy(net)
    for optimizer in (fn.SGD(0.1, momentum=0.9), fn.Adam(0.1)):
        with pytest.raises(error, match=message):
            net.step(wrong, optimizer)
    assert_same_bits(net, before)  # the state of SGD remains


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gradient_that_is_not_finite(value, dtype):
    net = network(dtype)
    optimizer = fn.Adam(0.1)
    gradient = np.ones(net.n_params, dtype)
    net.step(gradient, optimizer)
    before = copy.deepcopy(net)
    gradient[7] = value
    with pytest.raises(ValueError, match=r"grads\[7\]"):
        net.step(gradient, optimizer)
    assert_same_bits(net, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_that_would_diverge_changes_no_parameter(dtype):
    net = network(dtype)
    optimizer = fn.SGD(1e30, momentum=0.9)
    huge = np.full(net.n_params, np.finfo(dtype).max / 4, dtype)
    before = net.params.copy()
    with pytest.raises(fn.DivergenceError, match="would make a parameter") as caught:
        net.step(huge, optimizer)
    assert np.array_equal(net.params, before)
    assert net.optimizer_state.step == 0
    assert not net.optimizer_state.arrays["momentum_buffer"].any()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.single, again.history) == (
        str(caught.value),
        True,
        {"loss": [], "seconds": []},
    )
    net.step(np.ones(net.n_params), optimizer.__class__(0.1, momentum=0.9))
    assert net.optimizer_state.step == 1


def test_parameters_that_cannot_be_trained():
    net = network()
    net.params[3] = np.nan
    for _ in range(2):
        with pytest.raises((ValueError, fn.DivergenceError)):
            net.step(np.ones(net.n_params), fn.SGD(0.1))
    net = network()
    net.step(np.ones(net.n_params), optimizer := fn.SGD(0.1))
    net.params.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        net.step(np.ones(net.n_params), optimizer)


@pytest.mark.parametrize(
    "wrong", [fn.LBFGS(), fn.LevenbergMarquardt(), fn.SGD, "adam", None, 0.1], ids=repr
)
def test_a_wrong_optimizer(wrong):
    net = network()
    with pytest.raises(TypeError, match="optimizer is"):
        net.step(np.ones(net.n_params), wrong)


@pytest.mark.parametrize(
    ("schedule", "missing"),
    [
        (schedules.CosineDecay(0.1), "total_steps"),
        (schedules.OneCycle(0.1), "total_steps"),
        (schedules.Warmup(schedules.CosineDecay(0.1), updates=5000), "total_steps"),
        (schedules.StepDecay(0.1, 10), "steps_per_epoch"),
        (schedules.ExponentialDecay(0.1, 0.9), "steps_per_epoch"),
        (schedules.Warmup(schedules.Constant(0.1), epochs=3), "steps_per_epoch"),
    ],
    ids=repr,
)
def test_a_schedule_that_needs_a_number_of_steps(schedule, missing):
    net = network()
    gradient = np.ones(net.n_params)
    with pytest.raises(ValueError, match=f"{missing} is None"):
        net.step(gradient, fn.SGD(schedule))
    net.step(gradient, fn.SGD(schedule), **{missing: 10_000})
    for wrong in (0, -1, 1.5, "10", True):
        with pytest.raises((ValueError, TypeError), match=missing):
            net.step(gradient, fn.SGD(schedule), **{missing: wrong})


def test_a_schedule_that_needs_no_number_of_steps():
    net = network()
    gradient, before = np.ones(net.n_params), net.params.copy()
    optimizer = fn.SGD(schedules.Warmup(schedules.Constant(0.1), updates=3))
    expected = []
    for t in range(3000):
        net.step(gradient, optimizer)
        expected.append(0.1 * min((t + 1) / 4, 1))
    np.testing.assert_allclose(before - net.params, sum(expected), rtol=1e-9)


def test_a_schedule_that_follows_a_metric():
    net = network()
    with pytest.raises(ValueError, match="follows a metric"):
        net.step(np.ones(net.n_params), fn.SGD(schedules.ReduceOnPlateau(0.1)))


def test_where_a_schedule_begins_and_ends(data):
    net = network()
    gradient = np.ones(net.n_params)
    optimizer = fn.SGD(schedules.InverseScaling(1.0, power=1.0))

    def rate(optimizer, **lengths):
        before = net.params.copy()
        net.step(gradient, optimizer, **lengths)
        return pytest.approx((before - net.params).mean())

    assert [rate(optimizer) for _ in range(3)] == [1, 1 / 2, 1 / 3]
    net = pickle.loads(pickle.dumps(net))
    assert rate(optimizer) == 1 / 4  # continues
    other = fn.SGD(schedules.InverseScaling(2.0, power=1.0))
    assert [rate(other), rate(other)] == [2, 1]  # another schedule
    assert rate(optimizer) == 1
    fitted(net, fn.SGD(0.001), data, 1)
    assert rate(optimizer) == 1  # a fit
    ends = fn.SGD(schedules.CosineDecay(1.0))
    assert [rate(ends, total_steps=2), rate(ends, total_steps=2)] == [1, 0.5]
    with pytest.raises(ValueError, match="total_steps is 2"):
        net.step(gradient, ends, total_steps=2)


def test_a_schedule_of_the_user():
    class Halved(schedules.Schedule):
        def rates(self, updates, updates_per_epoch, total_updates):
            return 0.5**updates if updates.max() < 1000 else np.full(len(updates), np.nan)

    net = network()
    with pytest.raises(ValueError, match="finite number"):
        net.step(np.ones(net.n_params), fn.SGD(Halved()))
    before = net.params.copy()
    for _ in range(2):
        net.step(np.ones(net.n_params), fn.SGD(Halved()), total_steps=10)
    np.testing.assert_allclose(before - net.params, 1.5)


def test_no_step_while_a_fit_is_running(data):
    net = network()
    net.step(np.ones(net.n_params), optimizer := fn.SGD(0.1))
    errors = []

    class Step(fn.Callback):
        def epoch_begin(self, net, epoch):
            def step():
                try:
                    net.step(np.ones(net.n_params), optimizer)
                except RuntimeError as error:
                    errors.append(str(error))

            thread = threading.Thread(target=step)
            thread.start()
            thread.join()

    net.fit(*data, loss=LOSS, optimizer=optimizer, epochs=2, callbacks=[Step()])
    assert len(errors) == 2
    assert "being trained" in errors[0]


def test_steps_of_two_threads_all_count():
    net = network()
    before = net.params.copy()
    optimizer = fn.SGD(2.0**-10)
    gradient = np.ones(net.n_params)

    def work():
        for _ in range(2000):
            net.step(gradient, optimizer)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert net.optimizer_state.step == 4000
    np.testing.assert_allclose(before - net.params, 4000 * 2.0**-10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork")  # Python's and JAX's, as there are threads
def test_a_forked_child_takes_steps(data):
    """Also if its parent was in a fit when it forked."""
    net = network()
    net.step(np.ones(net.n_params), optimizer := fn.Adam(0.1))
    expected = copy.deepcopy(net)
    expected.step(np.ones(net.n_params), optimizer)
    net._training[os.getpid()] = object()  # as in a fit
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            net.step(np.ones(net.n_params), optimizer)
            os.write(write, net.params.tobytes())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        assert file.read() == expected.params.tobytes()
    os.waitpid(child, 0)


def test_large_networks_and_threads(monkeypatch):
    from fastnn.training import steps

    results = []
    for several in (10**9, 1):
        monkeypatch.setattr(steps, "SEVERAL_THREADS", several)
        net = fn.Network([fn.Linear(500, 500)], seed=0)
        for _ in range(3):
            net.step(np.ones(net.n_params, np.float32), fn.Adam(0.1))
        results.append(net.params.tobytes())
    assert results[0] == results[1]


def test_a_network_without_parameters_or_with_frozen_ones():
    net = fn.Network([fn.Standardize(np.zeros(2), np.ones(2))])
    net.step(np.empty(0), fn.Adam(0.1))
    net = network()
    for layer in net.layers:
        layer.trainable = False
    before = net.params.copy()
    net.step(np.ones(net.n_params), fn.Adam(0.1))
    assert np.array_equal(net.params, before)


def test_steps_with_dropout_and_batch_norm(rng):
    layers = [fn.Linear(3, 4), fn.BatchNorm(4), fn.ReLU(), fn.Dropout(0.5), fn.Linear(4, 1)]
    net = fn.Network(layers, "float64", seed=0)
    X, y = rng.standard_normal((64, 3)), rng.standard_normal((64, 1))
    before = net.loss_and_grad(X, y, LOSS)[0]
    optimizer = fn.Adam(0.01)
    for _ in range(200):
        outputs = net.forward(X, training=True)
        net.backward(2 * (outputs - y) / len(y))
        net.step(net.grads, optimizer)
    assert net.loss_and_grad(X, y, LOSS)[0] < before
