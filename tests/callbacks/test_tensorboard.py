"""TensorBoard writes files that the tests and the library read back."""

import copy
import pickle
import struct
import time

import pytest
from callback_fits import Fail, expect_curves, network, train

import fastnn as fn
from fastnn.callbacks import TensorBoard


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
