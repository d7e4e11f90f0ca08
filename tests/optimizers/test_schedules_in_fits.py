"""Fits with schedules: each update gets the rate of its schedule, and the History reports it."""

import numpy as np
import pytest
from custom_loss import Python

import fastnn as fn
from fastnn.schedules import (
    Constant,
    CosineDecay,
    InverseScaling,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    Warmup,
)
from fastnn.training import rates
from fastnn.training.rates import RateFeed


def data(rng, n=23):
    return rng.standard_normal((n, 3)), rng.standard_normal((n, 2))


def network(dtype="float64"):
    return fn.Network([fn.Linear(3, 6), fn.Tanh(), fn.Linear(6, 2)], dtype, seed=1)


@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "stepwise"])
@pytest.mark.parametrize(
    "schedule",
    [
        StepDecay(0.1, 2, 0.5),
        CosineDecay(0.1),
        Warmup(OneCycle(0.1), updates=8),
        Warmup(ReduceOnPlateau(0.1, patience=0, min_delta=0.2), epochs=1),
    ],
    ids=str,
)
def test_a_fit_follows_its_schedule(isa, rng, monkeypatch, wrap, schedule):
    """The parameters equal those of one fit per update with the rate of the schedule."""
    monkeypatch.setattr(rates, "UPDATES_AHEAD", 3)  # fewer than an epoch, and no divisor
    X, y = data(rng)
    loss = wrap(fn.MeanSquaredError())
    whole, pieces = network(), network()
    optimizer = fn.SGD(schedule, momentum=0.9)
    history = whole.fit(X, y, loss=loss, optimizer=optimizer, epochs=6, batch_size=5, shuffle=False)
    feed = RateFeed(schedule, 5, 6)
    for epoch in range(6):
        for batch in range(5):
            rows = slice(5 * batch, 5 * batch + 5)
            rate = float(feed.at(np.array([5 * epoch + batch]))[0])
            pieces.fit(
                X[rows],
                y[rows],
                loss=loss,
                optimizer=fn.SGD(rate, momentum=0.9),
                epochs=1,
                batch_size=5,
                shuffle=False,
            )
        feed.observe({"loss": history["loss"][epoch]})
        assert history["learning_rate"][epoch] == rate
    np.testing.assert_allclose(whole.params, pieces.params, rtol=1e-14, atol=1e-15)
    assert len(set(history["learning_rate"])) > 1


def test_a_plateau_watches_the_validation_loss(rng):
    X, y = data(rng)
    net = network()
    schedule = ReduceOnPlateau(0.05, patience=0, factor=0.5)
    history = net.fit(
        X,
        y,
        loss=fn.MeanSquaredError(),
        optimizer=fn.SGD(schedule),
        epochs=200,
        validation_data=(X + 0.5, -y),
    )
    memory = schedule.memory(1)
    for value in history["val_loss"]:
        memory.observe({"val_loss": value})
    assert history["learning_rate"] == [0.05 * factor for factor in memory.factors[:-1]]
    assert history["learning_rate"][-1] < 0.05


def test_a_constant_schedule_equals_its_number(isa, dtype, rng):
    X, y = data(rng)
    nets = []
    for rate in (0.01, Constant(0.01)):
        net = network(dtype)
        net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.Adam(rate), epochs=5, seed=0)
        nets.append(net)
    assert np.array_equal(nets[0].params, nets[1].params)


def test_a_users_own_schedule(rng):
    X, y = data(rng)

    class Halving(Schedule):
        def rates(self, updates, updates_per_epoch, total_updates):
            return 0.1 * 0.5 ** (updates * 2 / total_updates)

    class Wrong(Schedule):
        def __init__(self, rates):
            self.wrong = rates

        def rates(self, updates, updates_per_epoch, total_updates):
            return self.wrong

    fit = {"loss": fn.MeanSquaredError(), "epochs": 2, "batch_size": 23}
    history = network().fit(X, y, optimizer=fn.SGD(Halving()), **fit)
    assert history["learning_rate"] == [0.1, 0.05]
    for wrong in ([0.1], [0.1, np.nan], [0.1, -1], 0.1, [0.1, np.inf]):
        net = network()
        before = net.params.copy()
        with pytest.raises(ValueError, match="a finite number of at least 0 for each is wanted"):
            net.fit(X, y, optimizer=fn.SGD(Wrong(wrong)), **fit)
        assert np.array_equal(net.params, before)


def test_few_updates(rng):
    """All rates are finite even if a phase of the schedule is shorter than an update."""
    for total in (1, 2, 3, 4):
        for schedule in (
            OneCycle(0.1),
            OneCycle(0.1, pct_start=0.5),
            CosineDecay(0.1),
            InverseScaling(0.1),
            Warmup(CosineDecay(0.1), updates=2),
            Warmup(OneCycle(0.1), epochs=5),
        ):
            with np.errstate(all="raise"):
                rates = schedule.rates(np.arange(total), 1, total)
            assert (rates > 0).all(), schedule
            assert (rates <= 0.1).all()
    history = network().fit(
        *data(rng), loss=fn.MeanSquaredError(), optimizer=fn.SGD(CosineDecay(0.1)), epochs=0
    )
    assert history["learning_rate"] == []
