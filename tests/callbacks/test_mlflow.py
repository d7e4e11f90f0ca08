"""MLflow logs to its runs, with the real library."""

import pytest
from callback_fits import Fail, expect_curves, network, train

import fastnn as fn
from fastnn.callbacks import MLflow


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """Return MLflow with an empty store of its own."""
    import warnings

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow = pytest.importorskip("mlflow", exc_type=ImportError)
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
        mlflow.set_experiment("tests")
        yield mlflow
        while mlflow.active_run() is not None:
            mlflow.end_run()
        mlflow.set_tracking_uri(before)


def runs_of(mlflow):
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("tests")
    return client, client.search_runs([experiment.experiment_id])


def curves_of(client, run):
    return {
        name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }


def test_mlflow_starts_a_run(mlflow, data, dtype):
    net = network(dtype)
    history = train(net, data, MLflow("first"), validation_data=0.25)
    assert mlflow.active_run() is None
    client, (run,) = runs_of(mlflow)
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    expect_curves(curves_of(client, run), history)
    assert run.data.params == {
        "layers": "Linear(3, 4), Tanh(), Linear(4, 1)",
        "n_params": "21",
        "dtype": dtype,
    }
    train(net, data, MLflow())  # a second fit has a second run
    assert len(runs_of(mlflow)[1]) == 2


def test_mlflow_uses_the_active_run(mlflow, data):
    with mlflow.start_run(run_name="mine") as mine:
        mlflow.log_param("width", 4)
        history = train(network(), data, MLflow("unused"))
        assert mlflow.active_run().info.run_id == mine.info.run_id  # still open
    client, (run,) = runs_of(mlflow)
    assert (run.info.run_name, run.data.params) == ("mine", {"width": "4"})
    expect_curves(curves_of(client, run), history)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_mlflow_after_an_exception(mlflow, data, error):
    callback = MLflow()
    with pytest.raises(error):
        train(network(), data, callback, Fail(1, error))
    assert mlflow.active_run() is None
    _, (run,) = runs_of(mlflow)
    assert run.info.status == "FAILED"
    train(network(), data, callback)  # the same callback again
    assert sorted(run.info.status for run in runs_of(mlflow)[1]) == ["FAILED", "FINISHED"]


def test_mlflow_continues_the_run_of_a_resumed_fit(mlflow, data, tmp_path):
    settings = {"checkpoint": tmp_path / "fit", "epochs": 6, "resume": True}
    with pytest.raises(RuntimeError):
        train(network(), data, MLflow(), Fail(3), **settings)
    train(network(), data, MLflow(), Fail(99), **settings)
    client, (run,) = runs_of(mlflow)
    assert run.info.status == "FINISHED"
    assert sorted({step for step, _ in curves_of(client, run)["loss"]}) == list(range(6))


def test_mlflow_with_many_networks(mlflow, data):
    nets = [network(seed=seed) for seed in range(3)]
    histories = fn.fit_many(
        nets, *data, loss=fn.MeanSquaredError(), epochs=3, seed=0, callbacks=[MLflow()]
    )
    client, runs = runs_of(mlflow)
    found = sorted(curves_of(client, run)["loss"][-1][1] for run in runs)
    assert found == sorted(history["loss"][-1] for history in histories)


def test_bad_names_of_runs(mlflow):
    with pytest.raises(TypeError, match="run_name is 3; a string is wanted"):
        MLflow(3)
