"""Every kind of trainer has the interface that the fit loop uses."""

import numpy as np
import pytest
from custom_loss import Python

import fastnn as fn
from fastnn.optimizers import OptimizerState
from fastnn.training.data import TrainingData
from fastnn.training.rates import RateFeed
from fastnn.training.settings import FitSettings
from fastnn.training.streaming import MappedRows
from fastnn.training.trainers import Trainer, trainer_for

KINDS = {
    "engine": (fn.MeanSquaredError(), fn.Adam(0.01)),
    "streaming": (fn.MeanSquaredError(), fn.Adam(0.01)),
    "stepwise": (Python(fn.MeanSquaredError()), fn.Adam(0.01)),
    "lbfgs": (fn.MeanSquaredError(), fn.LBFGS()),
    "levenberg_marquardt": (fn.MeanSquaredError(), fn.LevenbergMarquardt()),
}


@pytest.fixture
def make(rng):
    """Return a function that makes a trainer of a kind, and a feed of its learning rates."""
    X, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))

    def make(kind):
        if kind == "lbfgs":
            pytest.importorskip("scipy")
        loss, optimizer = KINDS[kind]
        net = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], "float64", seed=0)
        x = MappedRows(X, y, X.dtype, None) if kind == "streaming" else X
        settings = FitSettings(loss, optimizer, 9, 8, True, 0, (), False, 1)
        state = OptimizerState().continued_for(optimizer, [(net.n_params, True)], net.dtype)
        order = settings.order_generator()
        trainer = trainer_for(net._model, TrainingData(x, y), settings, state, order).trainer
        return trainer, RateFeed(optimizer.learning_rate, 3, 9), net

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_epoch_by_epoch(make, kind):
    trainer, rates, net = make(kind)
    assert [name for name in vars(Trainer) if name[0] != "_" and not hasattr(trainer, name)] == []
    before = net.params.copy()
    for epoch in (1, 2):
        rates.supply(trainer)
        assert trainer.run(epoch, 100.0, 1)
        assert (trainer.epoch, trainer.position) == (epoch, 0)
        assert not trainer.diverged
        assert not trainer.converged
    trainer.close()
    trainer.close()  # a second time does nothing
    assert trainer.losses[1] < trainer.losses[0]
    assert trainer.running_loss == trainer.losses[1]
    assert not np.array_equal(net.params, before)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lbfgs"])
def test_it_continues_from_its_snapshot(make, kind):
    first, rates, net = make(kind)
    rates.supply(first)
    first.run(1, 100.0, 1)
    again, rates, resumed = make(kind)
    resumed._model.restore(net._model.snapshot())
    again.restore(first.snapshot())
    assert (again.epoch, again.position, again.step) == (1, 0, first.step)
    assert again.losses[0] == first.losses[0]
    assert dict(again.columns) == dict(first.columns)
    first.close()
    again.close()


def test_trainers_with_the_engines_steps_agree(make):
    results = []
    for kind in ("engine", "streaming", "stepwise"):
        trainer, rates, net = make(kind)
        rates.supply(trainer)
        trainer.run(2, 100.0, 1)
        trainer.close()
        results.append(net.params)
    assert np.array_equal(results[0], results[1])
    np.testing.assert_allclose(results[0], results[2], rtol=1e-12)
