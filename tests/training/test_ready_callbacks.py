"""The ready-made callbacks, each with its real library, whose files the tests read back."""

import copy
import csv
import math
import pickle
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

import fastnn as fn
from fastnn.callbacks import CSVLog, MLflow, OptunaPruning, TensorBoard, TimeLimit


@pytest.fixture
def data(rng):
    X = rng.standard_normal((40, 3))
    return X, X @ [[1.0], [2.0], [-1.0]]


def network(dtype="float64", seed=0):
    return fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 1)], dtype, seed=seed)


def train(net, data, *callbacks, epochs=5, **settings):
    settings = {"loss": fn.MeanSquaredError(), "optimizer": fn.Adam(0.01), "seed": 0} | settings
    return net.fit(*data, epochs=epochs, callbacks=callbacks, **settings)


class Fail(fn.Callback):
    """Raise an exception at the end of an epoch."""

    def __init__(self, epoch, error=RuntimeError):
        self.epoch, self.error = epoch, error

    def epoch_end(self, net, epoch, metrics):
        if epoch == self.epoch:
            raise self.error("stop")


def without_time(columns):
    return {name: column for name, column in columns.items() if name != "seconds"}


# ------------------------------------------------------------------ the interface


class Closing(fn.Callback):
    def __init__(self, calls, name):
        self.calls, self.name = calls, name

    def fit_end(self, net):
        self.calls.append(("fit_end", self.name))

    def close(self):
        self.calls.append(("close", self.name))
        if self.name == "bad":
            raise OSError("the disk is full")


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_callbacks_are_closed_last_and_always(data, error):
    calls = []
    callbacks = [Closing(calls, "a"), *([Fail(1, error)] if error else []), Closing(calls, "b")]
    if error:
        with pytest.raises(error):
            train(network(), data, *callbacks)
        assert ("fit_end", "a") not in calls
    else:
        train(network(), data, *callbacks)
        assert calls[:2] == [("fit_end", "a"), ("fit_end", "b")]
    assert {("close", "a"), ("close", "b")} <= set(calls)
    assert calls[-1][0] == "close"


def test_all_are_closed_if_one_cannot_be(data):
    calls = []
    with pytest.raises(OSError, match="the disk is full"):
        train(network(), data, Closing(calls, "a"), Closing(calls, "bad"), Closing(calls, "b"))
    assert {("close", "a"), ("close", "bad"), ("close", "b")} <= set(calls)


def test_estimators_close_callbacks(data):
    pytest.importorskip("sklearn")
    from fastnn.sklearn import MLPRegressor

    calls = []
    model = MLPRegressor(callbacks=[Closing(calls, "a"), Fail(1)], max_iter=3)
    with pytest.raises(RuntimeError, match="stop"):
        model.fit(data[0], data[1].ravel())
    assert calls == [("close", "a")]


def test_importing_fastnn_imports_no_tracker():
    code = (
        "import sys, fastnn, fastnn.callbacks\n"
        "print([m for m in ('tensorboardX', 'mlflow', 'optuna', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("make", "module", "name"),
    [
        (lambda: TensorBoard("x"), "tensorboardX", "tensorboardX"),
        (lambda: MLflow(), "mlflow", "mlflow-skinny"),
        (lambda: OptunaPruning(object()), "optuna", "optuna"),
    ],
    ids=["TensorBoard", "MLflow", "OptunaPruning"],
)
def test_a_missing_library_is_named(monkeypatch, make, module, name):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"needs {name}: pip install {name}$"):
        make()


# ------------------------------------------------------------------ CSV


def read_csv(path):
    with open(path, newline="") as file:
        names, *rows = csv.reader(file)
    return {
        name: [float(cell) for cell in column]
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


@pytest.mark.parametrize("as_text", [True, False])
def test_the_log_equals_the_history(data, dtype, tmp_path, as_text):
    path = tmp_path / "log.csv"
    path.write_text("of an earlier run\n")
    history = train(
        network(dtype), data, CSVLog(str(path) if as_text else path), validation_data=0.25
    )
    assert read_csv(path) == {"epoch": [0, 1, 2, 3, 4], **history}  # all bits
    assert path.read_bytes().endswith(b"\n")
    assert b"\r" not in path.read_bytes()


def test_the_log_can_be_read_during_the_fit(data, tmp_path):
    path, seen = tmp_path / "log.csv", []

    class Watch(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            seen.append(read_csv(path)["loss"])

    history = train(network(), data, CSVLog(path), Watch())
    assert seen == [history["loss"][: n + 1] for n in range(5)]


def test_names_with_commas(data, tmp_path):
    def odd(outputs, y):
        return 1.5

    odd.__name__ = 'a, "b"\u00e9'
    path = tmp_path / "log.csv"
    history = train(network(), data, CSVLog(path), validation_data=0.25, metrics=[odd])
    assert list(read_csv(path)) == ["epoch", *history]


def test_appending(data, tmp_path):
    path, net = tmp_path / "log.csv", network()
    log = CSVLog(path, append=True)
    first = train(net, data, log, epochs=2)
    second = train(net, data, log, epochs=3)
    assert read_csv(path)["epoch"] == [0, 1, 0, 1, 2]
    assert read_csv(path)["loss"] == first["loss"] + second["loss"]
    path.write_bytes(path.read_bytes()[:-1])  # edited: the last line has no end
    third = train(net, data, log, epochs=1)
    assert read_csv(path)["loss"] == first["loss"] + second["loss"] + third["loss"]
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"log.csv has the columns epoch, loss, seconds; this fit"):
        train(net, data, log, epochs=1, validation_data=0.25)
    assert path.read_bytes() == before
    train(net, data, CSVLog(path), epochs=1, validation_data=0.25)
    assert list(read_csv(path)) == ["epoch", "loss", "val_loss", "val_rmse", "seconds"]


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_a_resumed_log_equals_an_uninterrupted_one(data, tmp_path, append, missing):
    """The fit fails two epochs after its checkpoint; the log has rows that are run again."""
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    train(network(), data, CSVLog(whole, append), epochs=9)
    settings = {"checkpoint": tmp_path / "fit", "checkpoint_every": 3, "epochs": 9, "resume": True}
    with pytest.raises(RuntimeError):
        train(network(), data, CSVLog(cut, append), Fail(4), **settings)
    assert read_csv(cut)["epoch"] == [0, 1, 2, 3, 4]
    if missing:
        cut.unlink()
    train(network(), data, CSVLog(cut, append), Fail(99), **settings)
    expected = without_time(read_csv(whole))
    if missing:
        expected = {name: column[3:] for name, column in expected.items()}
    assert without_time(read_csv(cut)) == expected


def test_a_checkpoint_that_does_not_fit_leaves_the_log(data, tmp_path):
    path, settings = tmp_path / "log.csv", {"checkpoint": tmp_path / "fit", "epochs": 4}
    train(network(), data, CSVLog(path), **settings)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="batch_size"):
        train(network(), data, CSVLog(path), resume=True, batch_size=7, **settings)
    assert path.read_bytes() == before


def test_a_log_that_cannot_be_written(data, tmp_path):
    net = network()
    before = net.params.copy()
    with pytest.raises(FileNotFoundError):
        train(net, data, CSVLog(tmp_path / "no" / "log.csv"))
    assert np.array_equal(net.params, before)
    for bad in (None, 3, b"log.csv", ["log.csv"]):
        with pytest.raises(TypeError, match="path is .*; the path of a file is wanted"):
            CSVLog(bad)
    with pytest.raises(TypeError, match="append is 1"):
        CSVLog("log.csv", append=1)


def test_logs_of_many_networks(data, tmp_path):
    nets = [network(seed=seed) for seed in range(3)]
    paths = [tmp_path / f"{i}.csv" for i in range(3)]
    histories = fn.fit_many(
        nets,
        *data,
        loss=fn.MeanSquaredError(),
        epochs=4,
        seed=0,
        callbacks=[[CSVLog(path)] for path in paths],
    )
    for path, history in zip(paths, histories, strict=True):
        assert read_csv(path)["loss"] == history["loss"]


def test_a_log_of_an_estimator(data, tmp_path):
    pytest.importorskip("sklearn")
    from fastnn.sklearn import MLPRegressor

    path = tmp_path / "log.csv"
    model = MLPRegressor(callbacks=[CSVLog(path)], max_iter=4, tol=0, n_iter_no_change=99)
    with pytest.warns(Warning, match="Maximum iterations"):
        model.fit(data[0], data[1].ravel())
    np.testing.assert_allclose(read_csv(path)["loss"], model.loss_curve_)


# ------------------------------------------------------------------ time


class Wait(fn.Callback):
    def __init__(self, seconds):
        self.seconds = seconds

    def epoch_end(self, net, epoch, metrics):
        time.sleep(self.seconds)


def test_a_time_limit_ends_after_the_epoch_in_which_it_passes(data):
    net = network()
    begin = time.monotonic()
    history = train(net, data, Wait(0.05), TimeLimit(0.12), epochs=1000)
    assert 0.12 <= time.monotonic() - begin < 5
    n = len(history["loss"])
    assert 1 <= n <= 3
    same = network()
    train(same, data, epochs=n)
    assert np.array_equal(net.params, same.params)  # whole epochs
    again = train(net, data, Wait(0.05), TimeLimit(0.12), epochs=1000)  # from zero
    assert len(again["loss"]) >= 1


def test_a_limit_that_does_not_pass_changes_nothing(data):
    limited, free = network(), network()
    train(limited, data, TimeLimit(3600))
    train(free, data)
    assert np.array_equal(limited.params, free.params)


def test_a_time_limit_with_early_stopping(data):
    """The best parameters are restored when the limit ends training."""
    net = network()
    stopping = fn.EarlyStopping(patience=1000)
    limit = TimeLimit(0.1)
    history = train(net, data, stopping, Wait(0.02), limit, epochs=1000, validation_data=data)
    best = min(history["val_loss"])
    assert np.mean((net.predict(data[0]) - data[1]) ** 2) == pytest.approx(best)


def test_a_fit_goes_on_after_a_time_limit(data, tmp_path):
    """A resumed fit has the whole limit again, and equals a fit without limits."""
    settings = {"checkpoint": tmp_path / "fit", "resume": True, "epochs": 12}
    whole, limited = network(), network()
    expected = train(whole, data, epochs=12)
    lengths = []
    for _ in range(20):
        limited = network()
        history = train(limited, data, Wait(0.04), TimeLimit(0.1), **settings)
        lengths.append(len(history["loss"]))
        if lengths[-1] == 12:
            break
    assert lengths[0] < 12
    assert lengths[-1] == 12
    assert without_time(history) == without_time(expected)
    assert np.array_equal(limited.params, whole.params)


def test_a_stopped_fit_does_not_go_on_because_of_a_time_limit(data, tmp_path):
    class Stop(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            return epoch == 1

    settings = {"checkpoint": tmp_path / "fit", "resume": True, "epochs": 12}
    for _ in range(2):
        history = train(network(), data, Stop(), TimeLimit(1e-9), Wait(0), **settings)
    assert len(history["loss"]) == 2


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, True, "1h", None])
def test_bad_limits(seconds):
    with pytest.raises((ValueError, TypeError), match="seconds is "):
        TimeLimit(seconds)


# ------------------------------------------------------------------ TensorBoard


def read_events(folder):
    """Return {name: [(step, value)]}, and the steps at which the files purge, from event files.

    A file is a series of records: length (8 bytes), check sum (4), protocol buffer, check sum (4).
    """
    from tensorboardX.proto.event_pb2 import Event

    curves, purged = {}, []
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + length])
            place += length + 16
            for value in event.summary.value:
                curves.setdefault(value.tag, []).append((event.step, value.simple_value))
            if event.session_log.status == event.session_log.START:
                purged.append(event.step)
        assert place == len(content)  # the last record is complete
    return curves, purged


def expect_curves(curves, history, start=0):
    assert curves.keys() == history.keys()
    for name, column in history.items():
        assert [step for step, _ in curves[name]] == list(range(start, len(column)))
        np.testing.assert_allclose([v for _, v in curves[name]], column[start:], rtol=1e-6)


def test_tensorboard(data, dtype, tmp_path):
    pytest.importorskip("tensorboardX")
    history = train(network(dtype), data, TensorBoard(tmp_path / "run"), validation_data=0.25)
    expect_curves(read_events(tmp_path / "run")[0], history)


def test_tensorboard_reads_the_files(data, tmp_path):
    pytest.importorskip("tensorboardX")
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", exc_type=ImportError
    )
    history = train(network(), data, TensorBoard(str(tmp_path)), validation_data=0.25)
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    found = {
        tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }
    expect_curves(found, history)


def test_tensorboard_after_an_exception(data, tmp_path):
    """The file is closed, and has the epochs that were complete."""
    pytest.importorskip("tensorboardX")
    board = TensorBoard(tmp_path)
    with pytest.raises(RuntimeError):
        train(network(), data, board, Fail(2))
    assert board._writer is None
    assert [step for step, _ in read_events(tmp_path)[0]["loss"]] == [0, 1, 2]


def test_tensorboard_can_be_read_during_the_fit(data, tmp_path):
    pytest.importorskip("tensorboardX")

    class Watch(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            until = time.monotonic() + 30
            while time.monotonic() < until:
                content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
                if content.count(b"seconds") == epoch + 1:
                    return
                time.sleep(0.05)
            pytest.fail(f"epoch {epoch} is not in the file")

    train(network(), data, TensorBoard(tmp_path), Watch(), epochs=2)


def test_tensorboard_of_a_resumed_fit(data, tmp_path):
    pytest.importorskip("tensorboardX")
    settings = {"checkpoint": tmp_path / "fit", "checkpoint_every": 3, "epochs": 6, "resume": True}
    with pytest.raises(RuntimeError):
        train(network(), data, TensorBoard(tmp_path / "run"), Fail(4), **settings)
    train(network(), data, TensorBoard(tmp_path / "run"), Fail(99), **settings)
    curves, purged = read_events(tmp_path / "run")
    assert purged[-1] == 3
    assert [step for step, _ in curves["loss"]] == [0, 1, 2, 3, 4, 3, 4, 5]


def test_copies_of_a_tensorboard_open_their_own_files(data, tmp_path):
    pytest.importorskip("tensorboardX")
    board = TensorBoard(tmp_path)
    copies = []

    class Copy(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            copies.extend([copy.deepcopy(board), pickle.loads(pickle.dumps(board))])

    train(network(), data, board, Copy(), epochs=1)
    assert [c._writer for c in copies] == [None, None]
    for bad in (None, 3, b"run"):
        with pytest.raises(TypeError, match="log_dir is .*; the path of a folder is wanted"):
            TensorBoard(bad)


# ------------------------------------------------------------------ MLflow


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


# ------------------------------------------------------------------ Optuna


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
