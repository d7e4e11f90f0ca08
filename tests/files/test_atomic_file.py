"""Atomic replacement of a file: a write that fails or is interrupted leaves the old file."""

import errno
import linecache
import os
import stat
import subprocess
import sys

import pytest
from systems import FolderError, not_for_root, posix_only, root_only

from fastnn.files.atomic_file import atomic_file

OLD, NEW = b"old" * 100, b"new" * 10_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def write(path, content):
    with atomic_file(path) as file:
        file.write(content)


@pytest.fixture
def umask():
    """Return a function that sets the umask until the end of the test."""
    old = os.umask(0o022)
    yield os.umask
    os.umask(old)


@pytest.mark.parametrize("function", ["os.fsync", "os.replace"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=type
)
def test_old_file_survives_a_failing_write(path, monkeypatch, function, error):
    write(path, OLD)
    old = path.read_bytes()

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(function, fail)
        with pytest.raises(type(error)) as info:
            write(path, NEW)
    if isinstance(error, OSError):
        assert info.value.errno == errno.ENOSPC
        assert info.value.filename == str(path)
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]


def test_old_file_survives_a_write_that_stops_half_way(path):
    resource = pytest.importorskip("resource")
    write(path, OLD)
    old = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as info:
            write(path, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert info.value.filename == str(path)
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]


@posix_only
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
    write(path, OLD)
    assert calls == [("file", path.stat().st_size), ("replace", None), ("folder", None)]


@pytest.mark.parametrize("before", [None, OLD], ids=["new", "replaced"])
def test_windows_is_given_a_closed_file(path, monkeypatch, before):
    """It renames no open file, and has neither locks nor owners nor modes of POSIX."""
    if before:
        path.write_bytes(before)
    replace, closed = os.replace, []

    def spy_replace(source, destination):
        closed.append(file.closed)
        replace(source, destination)

    monkeypatch.setattr("os.replace", spy_replace)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(vars(sys.modules[atomic_file.__module__]), "fcntl", None)
    for name in ("chown", "fchmod"):
        monkeypatch.delattr(os, name, raising=False)
    with atomic_file(path) as file:
        file.write(NEW)
    assert closed == [True]
    assert path.read_bytes() == NEW
    assert os.listdir(path.parent) == [path.name]


def test_no_temporary_is_left(path):
    write(path, OLD)
    write(path, OLD)
    assert os.listdir(path.parent) == [path.name]


def test_another_ones_temporary_is_never_touched(path, monkeypatch):
    monkeypatch.setattr("os.urandom", lambda _: b"same")
    other = path.parent / ".fastnn-73616d65.tmp"
    other.write_text("precious", encoding="utf-8")
    with pytest.raises(FileExistsError):
        write(path, NEW)
    assert other.read_text(encoding="utf-8") == "precious"
    assert not path.exists()


def test_windows_does_not_open_the_file_of_another_writer(path, monkeypatch):
    """The other writer could not rename it then."""
    other = path.parent / f".fastnn-{'0' * 16}.tmp"
    other.write_bytes(NEW)
    opened, unrecorded = [], open

    def recorded(name, *arguments):
        opened.append(os.fspath(name))
        return unrecorded(name, *arguments)

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys.modules[atomic_file.__module__], "open", recorded, raising=False)
    write(path, NEW)
    assert len(opened) == 1
    assert str(other) not in opened
    assert other.read_bytes() == path.read_bytes() == NEW


@posix_only
def test_leftovers_of_killed_writers_are_removed(path):
    """A running writer, here the process itself, holds a lock on its temporary file."""
    leftover = path.parent / f".fastnn-{'0' * 16}.tmp"
    leftover.write_text("half a model", encoding="utf-8")
    others = [path.parent / ".fastnn-mine.tmp", path.parent / f".fastnn-{'g' * 16}.tmp"]
    for other in others:
        other.write_text("precious", encoding="utf-8")
    with atomic_file(path.parent / "slow") as slow:
        live = set(path.parent.glob(".fastnn-*")) - {*others}
        assert len(live) == 1
        write(path, NEW)
        assert live <= set(path.parent.iterdir())
        slow.write(b"done")
    assert (path.parent / "slow").read_bytes() == b"done"
    assert sorted(path.parent.iterdir()) == sorted([*others, path.parent / "slow", path])


@posix_only
def test_a_temporary_that_was_taken_for_a_leftover_is_made_again(path, monkeypatch):
    import fcntl

    flock, calls = fcntl.flock, []

    def removed_before_it_is_locked(file, operation):
        calls.append(file.name)
        if len(calls) == 1:
            os.unlink(file.name)
        flock(file, operation)

    monkeypatch.setattr("fcntl.flock", removed_before_it_is_locked)
    write(path, OLD)
    assert len(calls) == 2
    assert os.listdir(path.parent) == [path.name]


@posix_only
def test_a_file_system_without_locks(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("fcntl.flock", refuse)
    leftover = path.parent / f".fastnn-{'0' * 16}.tmp"
    leftover.write_text("perhaps another's", encoding="utf-8")
    write(path, OLD)
    assert sorted(path.parent.iterdir()) == sorted([leftover, path])


@posix_only
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_umask_is_honoured(path, umask, mask, mode):
    umask(mask)
    write(path, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_longest_file_name(tmp_path):
    path = tmp_path / ("x" * 255)
    write(path, NEW)
    assert path.read_bytes() == NEW


def test_file_name_without_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("m", NEW)
    assert (tmp_path / "m").read_bytes() == NEW


@posix_only
def test_symbolic_link_is_written_through(tmp_path):
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to(target)
    for content in (OLD, NEW):  # the target is missing at first
        write(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content


@posix_only
def test_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(pipe, OLD)
        assert os.read(reader, 10_000) == OLD
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_missing_folder_is_named_as_given(tmp_path):
    path = tmp_path / "missing" / "m"
    with pytest.raises(FileNotFoundError) as info:
        write(path, NEW)
    assert info.value.filename == str(path)
    assert not path.parent.exists()


def test_folder_in_the_place_of_the_file(tmp_path):
    with pytest.raises(FolderError) as info:
        write(tmp_path, NEW)
    assert info.value.filename == str(tmp_path)


@posix_only
@not_for_root
def test_read_only_folder(path):
    path.parent.chmod(0o500)
    try:
        with pytest.raises(PermissionError) as info:
            write(path, NEW)
    finally:
        path.parent.chmod(0o700)
    assert info.value.filename == str(path)


INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
from fastnn.files import model_file

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent process may ignore it
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
        signal.raise_signal(signal.SIGINT)

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
    """The interrupts come at random moments before or during a write."""
    arguments = [sys.executable, "-P", "-c", INTERRUPTED, str(path), "0.003", "0"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning"
)  # it is closed by garbage collection
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("kind", ["line", "call"])
def test_an_interrupt_at_every_step_leaves_the_old_file_or_the_new(path, replaced, kind):
    """Python handles a signal between two steps, but not at a bare `try`."""
    steps = interrupted = 0
    while True:
        if replaced:
            write(path, OLD)
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
            write(path, NEW)
            ended = True
        except KeyboardInterrupt as error:
            ended, interrupted, where = False, interrupted + 1, str(error)
        finally:
            sys.settrace(before)
        names = os.listdir(path.parent)
        assert names in ([path.name], [] if not replaced else [path.name]), where
        if names:
            assert path.read_bytes() in (OLD, NEW)
        if ended:
            break
        steps += 1
    assert interrupted > 10


@root_only
def test_a_replaced_file_keeps_its_owner_group_and_mode(path):
    write(path, OLD)
    os.chown(path, 1234, 4321)
    path.chmod(0o640)
    write(path, NEW)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 4321, 0o640)


@posix_only
def test_a_replaced_file_whose_owner_may_not_be_kept(path, monkeypatch):
    write(path, OLD)
    path.chmod(0o604)

    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.chown", refuse)
    write(path, NEW)
    assert path.read_bytes() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
