"""OptunaPruning ends trials, with the real library."""

import numpy as np
import pytest
from callback_fits import network, train

import fastnn as fn
from fastnn.callbacks import OptunaPruning


@pytest.fixture
def optuna():
    optuna = pytest.importorskip("optuna", exc_type=ImportError)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def test_optuna_prunes_bad_trials(optuna, data):
    """Learning rates from good to useless: the later trials are worse, and end early."""
    rates, lengths, nets = [0.05, 0.03, 1e-6, 1e-7, 1e-8], [], []

    def objective(trial):
        rate = trial.suggest_float("rate", 1e-9, 1)
        net = network()
        nets.append(net)
        steps = []

        class Count(fn.Callback):
            def epoch_end(self, net, epoch, metrics):
                steps.append(net.params.copy())

        lengths.append(steps)
        history = train(
            net,
            data,
            Count(),
            OptunaPruning(trial),
            epochs=8,
            optimizer=fn.Adam(rate),
            validation_data=data,
        )
        return history["val_loss"][-1]

    study = optuna.create_study(
        pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=2)
    )
    for rate in rates:
        study.enqueue_trial({"rate": rate})
    study.optimize(objective, n_trials=len(rates))
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED", "PRUNED"]
    for trial, steps, net in zip(study.trials, lengths, nets, strict=True):
        assert list(trial.intermediate_values) == list(range(len(steps)))
        assert (len(steps) == 8) is (trial.state.name == "COMPLETE")
        # the network has the parameters of its last epoch, and trains further
        assert np.array_equal(net.params, steps[-1])
        final = np.mean((net.predict(data[0]) - data[1]) ** 2)
        assert trial.intermediate_values[len(steps) - 1] == pytest.approx(final)
        train(net, data, epochs=1)


def test_optuna_with_another_metric(optuna, data):
    trial = optuna.create_study(direction="maximize").ask()
    history = train(
        network(), data, OptunaPruning(trial, "val_r2"), validation_data=0.25, metrics=["r2"]
    )
    reported = trial.study.trials[0].intermediate_values
    assert list(reported.values()) == history["val_r2"]


def test_bad_arguments_of_pruning(optuna, data):
    trial = optuna.create_study().ask()
    with pytest.raises(TypeError, match="trial is None; a trial of Optuna is wanted"):
        OptunaPruning(None)
    with pytest.raises(TypeError, match="monitor is 3; the name of a metric is wanted"):
        OptunaPruning(trial, 3)
    with pytest.raises(ValueError, match="monitor is 'val_loss'; one of loss, seconds is wanted"):
        train(network(), data, OptunaPruning(trial))
