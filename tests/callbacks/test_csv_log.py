"""CSVLog writes the history."""

import csv

import numpy as np
import pytest
from callback_fits import Fail, network, train, without_time

import fastnn as fn
from fastnn.callbacks import CSVLog


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    return {
        name: [float(cell) for cell in column]
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


@pytest.mark.parametrize("as_text", [True, False])
def test_the_log_equals_the_history(data, dtype, tmp_path, as_text):
    path = tmp_path / "log.csv"
    path.write_text("of an earlier run\n", encoding="utf-8")
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
