"""A weight decay that follows a schedule, against PyTorch, single fits and single steps."""

import numpy as np
import pytest
from custom_layers import PythonTanh
from custom_loss import Python
from sparse_cases import FEATURES, matrices
from torch_counterparts import torch_optimizer

import fastnn as fn
from fastnn import schedules
from fastnn.training import rates

KINDS = ["SGD", "Adam", "AdamW", "RMSprop", "Lion"]
DECAY = schedules.FlatCosine(0.5, flat=0.3)
EPOCHS, PER_EPOCH = 6, 5
TOTAL = EPOCHS * PER_EPOCH
SETTINGS = {"epochs": EPOCHS, "batch_size": 5, "seed": 2}


@pytest.fixture
def data(rng):
    return rng.standard_normal((23, 3)), rng.standard_normal((23, 2))


def network(dtype="float64", activation=fn.Tanh):
    return fn.Network([fn.Linear(3, 6), activation(), fn.Linear(6, 2)], dtype, seed=1)


@pytest.mark.parametrize("kind", KINDS)
def test_decays_agree_with_pytorch(isa, data, monkeypatch, kind):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setattr(rates, "UPDATES_AHEAD", 7)  # no divisor of an epoch
    X, y = data
    net = network()
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))
    theirs = theirs.double()
    torch.nn.utils.vector_to_parameters(torch.tensor(net.params), theirs.parameters())
    update = torch_optimizer(kind)(theirs.parameters(), lr=0.02)
    decays = DECAY.rates(np.arange(TOTAL), PER_EPOCH, TOTAL)
    learning_rates = schedules.CosineDecay(0.02).rates(np.arange(TOTAL), PER_EPOCH, TOTAL)
    assert len(set(decays)) > 15
    draw, step = np.random.default_rng(2), 0
    for _ in range(EPOCHS):
        order = draw.permutation(23)
        for start in range(0, 23, 5):
            rows = order[start : start + 5]
            group = update.param_groups[0]
            group["lr"], group["weight_decay"] = learning_rates[step], decays[step]
            update.zero_grad()
            outputs = theirs(torch.tensor(X[rows]))
            torch.nn.functional.mse_loss(outputs, torch.tensor(y[rows])).backward()
            update.step()
            step += 1
    optimizer = getattr(fn, kind)(schedules.CosineDecay(0.02), weight_decay=DECAY)
    history = net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, **SETTINGS)
    expected = torch.nn.utils.parameters_to_vector(theirs.parameters()).detach().numpy()
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)
    assert list(history) == ["loss", "learning_rate", "seconds"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_schedule_equals_its_number(isa, dtype, data, kind):
    """Whichever of the two numbers is a schedule, and for every trainer."""
    X, y = data
    loss = fn.MeanSquaredError()
    for wrap, activation in ((lambda x: x, fn.Tanh), (Python, fn.Tanh), (lambda x: x, PythonTanh)):
        found = set()
        for rate, decay in (
            (0.01, 0.3),
            (0.01, schedules.Constant(0.3)),
            (schedules.Constant(0.01), 0.3),
            (schedules.Constant(0.01), schedules.Constant(0.3)),
        ):
            net = network(dtype, activation)
            optimizer = getattr(fn, kind)(rate, weight_decay=decay)
            net.fit(X, y, loss=wrap(loss), optimizer=optimizer, **SETTINGS)
            found.add(net.params.tobytes())
        assert len(found) == 1


@pytest.mark.parametrize("rate", [0.01, schedules.OneCycle(0.02)])
@pytest.mark.parametrize("kind", KINDS)
def test_trainers_and_steps_agree(isa, dtype, data, rng, kind, rate):
    X, y = data[0][:20], data[1][:20]
    loss = fn.MeanSquaredError()
    optimizer = getattr(fn, kind)(
        rate, weight_decay=DECAY, groups=[fn.Group("bias", None, 0.5, 0.0)]
    )
    settings = {"optimizer": optimizer, "epochs": 6, "batch_size": 4, "shuffle": False}
    whole, steps, python, custom = (network(dtype) for _ in range(4))
    custom = network(dtype, PythonTanh)
    whole.fit(X, y, loss=loss, **settings)
    for _ in range(6):
        for rows in np.split(np.arange(20), 5):
            steps.step(steps.loss_and_grad(X[rows], y[rows], loss)[1], optimizer, total_steps=30)
    assert np.array_equal(steps.params, whole.params)
    python.fit(X, y, loss=Python(loss), **settings)
    custom.fit(X, y, loss=loss, **settings)
    tolerance = 2e-3 if dtype == "float32" else 1e-10
    for net in (python, custom):
        np.testing.assert_allclose(net.params, whole.params, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_a_decay_on_sparse_rows(dtype, kind):
    """Where the decay is 0, plain SGD changes only the weights of the features that are there."""
    X = matrices()[0][1]
    y = np.arange(X.shape[0]) % 3

    class OnAndOff(schedules.Schedule):
        def rates(self, updates, updates_per_epoch, total_updates):
            return 0.2 * (updates % 2)

    nets = []
    for rows in (X, X.toarray()):
        layers = [fn.Linear(FEATURES, 19), fn.ReLU(), fn.Linear(19, 3)]
        net = fn.Network(layers, dtype, seed=3)
        optimizer = getattr(fn, kind)(0.01, weight_decay=OnAndOff())
        net.fit(rows, y, optimizer=optimizer, epochs=3, batch_size=10, seed=1)
        nets.append(net)
    tolerance = 5e-4 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=tolerance, atol=tolerance)


def test_steps_need_the_number_of_steps(data):
    net = network()
    optimizer = fn.AdamW(0.01, weight_decay=schedules.FlatCosine(0.1))
    with pytest.raises(ValueError, match=r"total_steps is None, and the schedule FlatCosine"):
        net.step(np.ones(net.n_params), optimizer)
    for _ in range(3):
        net.step(np.ones(net.n_params), optimizer, total_steps=3)
    with pytest.raises(ValueError, match=r"total_steps is 3, and the schedule FlatCosine.*as many"):
        net.step(np.ones(net.n_params), optimizer, total_steps=3)


def test_another_number_of_epochs_is_refused(data, tmp_path):
    """The decays of the epochs so far depend on the number of epochs."""
    settings = {"loss": fn.MeanSquaredError(), "checkpoint": tmp_path / "run", **SETTINGS}
    for decay, ok in ((schedules.FlatCosine(0.1), False), (schedules.StepDecay(0.1, 2), True)):
        settings["optimizer"] = fn.AdamW(0.01, weight_decay=decay)
        network().fit(*data, **settings)
        longer = settings | {"epochs": 9, "resume": True}
        if ok:
            whole, resumed = network(), network()
            resumed.fit(*data, **longer)
            whole.fit(*data, **longer | {"checkpoint": None, "resume": False})
            assert np.array_equal(resumed.params, whole.params)
        else:
            with pytest.raises(ValueError, match="another epochs: 6 there, 9 here"):
                network().fit(*data, **longer)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_decays(kind, data):
    make = getattr(fn, kind)
    with pytest.raises(ValueError, match=r"weight_decay is ReduceOnPlateau.*follows a metric"):
        make(0.1, weight_decay=schedules.ReduceOnPlateau(0.1))
    after = schedules.Warmup(schedules.ReduceOnPlateau(0.1), epochs=1)
    with pytest.raises(ValueError, match=r"weight_decay is Warmup.*follows a metric"):
        make(0.1, weight_decay=after)
    with pytest.raises(ValueError, match="weight_decay is -0.1"):
        make(0.1, weight_decay=-0.1)
    with pytest.raises(TypeError, match="weight_decay is 'none'"):
        make(0.1, weight_decay="none")

    class Wrong(schedules.Schedule):
        def rates(self, updates, updates_per_epoch, total_updates):
            return np.full(len(updates), -1.0)

    X, y = data
    net, before = network(), network().params
    with pytest.raises(ValueError, match=r"^weight_decay: .*Wrong\(\) gave \[-1"):
        net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=make(0.1, weight_decay=Wrong()))
    with pytest.raises(ValueError, match=r"^weight_decay: .*Wrong\(\) gave \[-1"):
        net.step(net.grads, make(0.1, weight_decay=Wrong()))
    with pytest.raises(ValueError, match="iterable, so a constant weight_decay is wanted"):
        net.fit([data], loss=fn.MeanSquaredError(), optimizer=make(0.1, weight_decay=DECAY))
    assert np.array_equal(net.params, before)
