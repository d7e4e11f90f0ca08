"""The model file: round trips, damage, foreign files, and writes that fail half-way."""

import errno
import fcntl
import json
import linecache
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors.numpy import save

from fastnn.files import model_file
from fastnn.files.atomic_file import atomic_file
from fastnn.files.model_file import ModelFileError

DESCRIPTION = {
    "layers": [{"type": "Linear", "in_features": 3, "out_features": 2}],
    "class_labels": ["ä", "b\n", None, 1, 2.5, True],
}
ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "bias": np.array([0.1, -np.inf]),
    "order": np.array([3, 1, 2]),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def umask():
    """Set the umask through the returned function, for this test alone."""
    old = os.umask(0o022)
    yield os.umask
    os.umask(old)


def test_round_trip(path):
    model_file.write(path, DESCRIPTION, ARRAYS)
    description, arrays = model_file.read(path)
    assert description == DESCRIPTION
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert_array_equal(arrays[name], array, strict=True)


def test_path_may_be_a_string(path):
    model_file.write(str(path), DESCRIPTION, ARRAYS)
    assert model_file.read(str(path))[0] == DESCRIPTION


@pytest.mark.parametrize(
    "array",
    [
        np.array(3.0),
        np.empty((0, 4)),
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12.0)[::-2],
        np.broadcast_to(np.float32(2), (3, 2)),
        np.arange(3, dtype=">f8"),
        np.array([True, False]),
        np.array([np.nan, -0.0, 5e-324]),
    ],
    ids=["0-d", "empty", "transposed", "strided", "broadcast", "big-endian", "bool", "special"],
)
def test_any_layout_of_array(path, array):
    model_file.write(path, {}, {"a": array})
    _, arrays = model_file.read(path)
    assert_array_equal(arrays["a"], array)
    assert arrays["a"].shape == array.shape
    assert arrays["a"].dtype == array.dtype.newbyteorder("=")


def test_arrays_are_fresh_and_writable(path):
    model_file.write(path, {}, ARRAYS)
    for array in model_file.read(path)[1].values():
        assert array.flags.owndata
        assert array.flags.writeable
        assert array.flags.c_contiguous
        assert array.dtype.isnative
        array[...] = 0
    assert_array_equal(model_file.read(path)[1]["weight"], ARRAYS["weight"])


def test_no_arrays(path):
    model_file.write(path, {"a": 1}, {})
    assert model_file.read(path) == ({"a": 1}, {})


def test_same_input_gives_same_bytes(path, tmp_path):
    model_file.write(path, DESCRIPTION, ARRAYS)
    model_file.write(tmp_path / "again", DESCRIPTION, ARRAYS)
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


def test_any_safetensors_reader_can_open_it(path):
    from safetensors import safe_open

    model_file.write(path, DESCRIPTION, ARRAYS)
    with safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["fastnn"]) == {**DESCRIPTION, "format_version": 1}
        assert_array_equal(file.get_tensor("weight"), ARRAYS["weight"])


def test_truncation_at_every_length(path):
    model_file.write(path, DESCRIPTION, ARRAYS)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"model\.safetensors: not a safetensors file"):
            model_file.read(path)


def test_flipped_header_bytes_give_a_model_or_a_model_file_error(path):
    model_file.write(path, DESCRIPTION, ARRAYS)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    refused = 0
    for position in range(header):
        for flip in (0x01, 0x10, 0x80):
            damaged = bytearray(content)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            try:
                model_file.read(path)
            except ModelFileError:
                refused += 1
    assert refused > header


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"a,b\n1,2\n" * 100, b"PK\x03\x04" + bytes(100), b"\x80\x04N." + bytes(50)],
    ids=["empty", "short", "csv", "zip", "pickle"],
)
def test_foreign_file(path, content):
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.safetensors: not a safetensors file"):
        model_file.read(path)


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}], ids=["none", "empty", "other"])
def test_foreign_safetensors(path, metadata):
    path.write_bytes(save({"a": np.zeros(2)}, metadata=metadata))
    with pytest.raises(ModelFileError, match="not a fastnn model"):
        model_file.read(path)


def test_dtype_that_numpy_lacks(path):
    header = json.dumps({"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(2))
    with pytest.raises(ModelFileError, match="BF16"):
        model_file.read(path)


def test_shape_that_numpy_cannot_hold(path):
    shape = {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [0, 0]}
    header = json.dumps({"a": shape}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelFileError):
        model_file.read(path)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "is a list"),
        ("{}", "version None"),
        ('{"format_version": 2}', "format version 2, but this fastnn reads version 1"),
        ('{"format_version": "1"}', "format version '1'"),
    ],
    ids=["syntax", "depth", "no object", "no version", "newer", "text"],
)
def test_description_that_is_not_ours(path, description, message):
    path.write_bytes(save({"a": np.zeros(2)}, metadata={"fastnn": description}))
    with pytest.raises(ModelFileError, match=message) as info:
        model_file.read(path)
    assert str(path) in str(info.value)


def test_model_file_error_is_a_value_error():
    assert issubclass(ModelFileError, ValueError)


def test_read_passes_os_errors(path, tmp_path):
    with pytest.raises(FileNotFoundError):
        model_file.read(path)
    with pytest.raises(IsADirectoryError):
        model_file.read(tmp_path)


@pytest.mark.parametrize("function", ["os.fsync", "os.replace"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=type
)
def test_old_file_survives_a_failing_write(path, monkeypatch, function, error):
    model_file.write(path, DESCRIPTION, ARRAYS)
    old = path.read_bytes()

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(function, fail)
        with pytest.raises(type(error)) as info:
            model_file.write(path, {}, {"a": np.ones(1000)})
    if isinstance(error, OSError):
        assert info.value.errno == errno.ENOSPC
        assert info.value.filename == str(path)
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]


def test_old_file_survives_a_write_that_stops_half_way(path):
    resource = pytest.importorskip("resource")
    model_file.write(path, DESCRIPTION, ARRAYS)
    old = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as info:
            model_file.write(path, {}, {"a": np.ones(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert info.value.filename == str(path)
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]


def test_content_is_on_disk_before_it_gets_its_name(path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        calls.append((kind, os.fstat(descriptor).st_size if kind == "file" else None))
        fsync(descriptor)

    def spy_replace(source, destination):
        calls.append(("replace", None))
        replace(source, destination)

    monkeypatch.setattr("os.fsync", spy_fsync)
    monkeypatch.setattr("os.replace", spy_replace)
    model_file.write(path, DESCRIPTION, ARRAYS)
    assert calls == [("file", path.stat().st_size), ("replace", None), ("folder", None)]


def test_no_temporary_is_left(path):
    model_file.write(path, DESCRIPTION, ARRAYS)
    model_file.write(path, DESCRIPTION, ARRAYS)
    assert os.listdir(path.parent) == [path.name]


def test_another_ones_temporary_is_never_touched(path, monkeypatch):
    monkeypatch.setattr("os.urandom", lambda _: b"same")
    other = path.parent / ".fastnn-73616d65.tmp"
    other.write_text("precious")
    with pytest.raises(FileExistsError):
        model_file.write(path, {}, {})
    assert other.read_text() == "precious"
    assert not path.exists()


def test_leftovers_of_killed_writers_are_removed(path):
    """A live writer, here the process itself, holds a lock on its own."""
    leftover = path.parent / f".fastnn-{'0' * 16}.tmp"
    leftover.write_text("half a model")
    others = [path.parent / ".fastnn-mine.tmp", path.parent / f".fastnn-{'g' * 16}.tmp"]
    for other in others:
        other.write_text("precious")
    with atomic_file(path.parent / "slow") as slow:
        live = set(path.parent.glob(".fastnn-*")) - {*others}
        assert len(live) == 1
        model_file.write(path, {}, {})
        assert live <= set(path.parent.iterdir())
        slow.write(b"done")
    assert (path.parent / "slow").read_bytes() == b"done"
    assert sorted(path.parent.iterdir()) == sorted([*others, path.parent / "slow", path])


def test_a_temporary_that_was_taken_for_a_leftover_is_made_again(path, monkeypatch):
    flock, calls = fcntl.flock, []

    def removed_before_it_is_locked(file, operation):
        calls.append(file.name)
        if len(calls) == 1:
            os.unlink(file.name)
        flock(file, operation)

    monkeypatch.setattr("fcntl.flock", removed_before_it_is_locked)
    model_file.write(path, DESCRIPTION, ARRAYS)
    assert len(calls) == 2
    assert os.listdir(path.parent) == [path.name]


def test_a_file_system_without_locks(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("fcntl.flock", refuse)
    leftover = path.parent / f".fastnn-{'0' * 16}.tmp"
    leftover.write_text("perhaps another's")
    model_file.write(path, DESCRIPTION, ARRAYS)
    assert sorted(path.parent.iterdir()) == sorted([leftover, path])


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_umask_is_honoured(path, umask, mask, mode):
    umask(mask)
    model_file.write(path, {}, {})
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_longest_file_name(tmp_path):
    path = tmp_path / ("x" * 255)
    model_file.write(path, {}, ARRAYS)
    assert_array_equal(model_file.read(path)[1]["weight"], ARRAYS["weight"])


def test_file_name_without_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model_file.write("m", {"a": 1}, {})
    assert model_file.read("m") == ({"a": 1}, {})


def test_symbolic_link_is_written_through(tmp_path):
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to(target)
    for description in ({"dangling": 1}, {"existing": 2}):
        model_file.write(link, description, {})
        assert link.is_symlink()
        assert model_file.read(target)[0] == description


def test_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        model_file.write(pipe, {}, {})
        assert b"format_version" in os.read(reader, 10_000)
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_missing_folder_is_named_as_given(tmp_path):
    path = tmp_path / "missing" / "m"
    with pytest.raises(FileNotFoundError) as info:
        model_file.write(path, {}, {})
    assert info.value.filename == str(path)
    assert not path.parent.exists()


def test_folder_in_the_place_of_the_file(tmp_path):
    with pytest.raises(IsADirectoryError) as info:
        model_file.write(tmp_path, {}, {})
    assert info.value.filename == str(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(path):
    path.parent.chmod(0o500)
    try:
        with pytest.raises(PermissionError) as info:
            model_file.write(path, {}, {})
    finally:
        path.parent.chmod(0o700)
    assert info.value.filename == str(path)


def test_description_that_json_cannot_hold(path):
    with pytest.raises(TypeError):
        model_file.write(path, {"a": object()}, {})
    assert os.listdir(path.parent) == []


INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
from fastnn.files import model_file

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
path, delay, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(seed)
arrays = {"a": np.ones(100)}
model_file.write(path, {}, arrays)
left = 0
for _ in range(150):
    after = rng.uniform(0, delay)

    def interrupt():
        end = time.perf_counter() + after
        while time.perf_counter() < end:
            pass
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        for _ in range(1000):
            model_file.write(path, {}, arrays)
    except KeyboardInterrupt:
        pass
    try:
        thread.join()
    except KeyboardInterrupt:
        pass
    left += any(name.startswith(".fastnn-") for name in os.listdir(os.path.dirname(path)))
    model_file.read(path)
print(left)
"""


def test_real_interrupts_leave_no_temporary(path):
    """Some fall before the write or into it, at any place."""
    arguments = [sys.executable, "-P", "-c", INTERRUPTED, str(path), "0.003", "0"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # closed when it is collected
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("kind", ["line", "call"])
def test_an_interrupt_at_every_step_leaves_the_old_file_or_the_new(path, replaced, kind):
    """Python hears a signal between two steps, but not at a bare `try`."""
    steps = interrupted = 0
    while True:
        if replaced:
            model_file.write(path, {"old": 1}, {})
        elif path.exists():
            path.unlink()
        seen, where = 0, ""

        def trace(frame, event, argument, steps=steps):
            nonlocal seen
            name = frame.f_code.co_filename
            if not name.endswith(("atomic_file.py", "contextlib.py")):
                return None
            text = linecache.getline(name, frame.f_lineno).strip()
            if event == kind and not text.startswith(("try:", "finally:")):
                seen += 1
                if seen > steps:
                    sys.settrace(None)
                    raise KeyboardInterrupt(text)
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            model_file.write(path, {"new": 1}, {})
            ended = True
        except KeyboardInterrupt as error:
            ended, interrupted, where = False, interrupted + 1, str(error)
        finally:
            sys.settrace(before)
        names = os.listdir(path.parent)
        assert names in ([path.name], [] if not replaced else [path.name]), where
        if names:
            assert model_file.read(path)[0] in ({"new": 1}, {"old": 1})
        if ended:
            break
        steps += 1
    assert interrupted > 10


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_a_replaced_file_keeps_its_owner_group_and_mode(path):
    model_file.write(path, DESCRIPTION, ARRAYS)
    os.chown(path, 1234, 4321)
    path.chmod(0o640)
    model_file.write(path, {}, {})
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 4321, 0o640)


def test_a_replaced_file_whose_owner_may_not_be_kept(path, monkeypatch):
    model_file.write(path, DESCRIPTION, ARRAYS)
    path.chmod(0o604)

    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.chown", refuse)
    model_file.write(path, {}, {})
    assert model_file.read(path) == ({}, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
