"""Writing a file at once or not at all, so that nothing that stood there is lost half-way."""

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from typing import IO

TEMPORARY = re.compile(r"\.fastnn-[0-9a-f]{16}\.tmp")

FilePath = str | os.PathLike[str]


@contextlib.contextmanager
def atomic_file(path: FilePath) -> Iterator[IO[bytes]]:
    """Open a file for writing; when the block ends well, it takes the place of `path` in one step.

    Until then, and if the block raises, what stood at `path` stays as it was. A symbolic link is
    followed, the mode of a replaced file is kept, and a device or a pipe is written to directly.

    Raises
    ------
    OSError
        The file cannot be written (missing folder, no permission, full disk); it names `path`.
    """
    try:
        target = os.path.realpath(path)
        if os.path.exists(target) and not os.path.isfile(target):
            # Renaming a file onto /dev/null would destroy it; a folder raises here.
            with open(target, "wb") as file:
                yield file
        else:
            with _replacement(target) as file:
                yield file
    except OSError as error:
        # The error may name the temporary file, or none (a full disk); the user knows `path`.
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


@contextlib.contextmanager
def _replacement(target: str) -> Iterator[IO[bytes]]:
    before = None
    if os.path.exists(target):
        if not os.access(target, os.W_OK):  # a rename would not ask
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
        before = os.stat(target)
    folder = os.path.dirname(target)
    _remove_leftovers(folder)
    # Ctrl-C may fall between any two steps: the name is known before there is a file, and from then
    # on whatever ends the block removes it.
    temporary = _new_name(folder)
    try:
        with _open_locked(temporary) as file:
            yield file
            file.flush()
            if before is not None:
                _be_like(file, before)
            os.fsync(file.fileno())
            os.replace(temporary, target)  # while the lock holds, or it would look like a leftover
    finally:
        try:
            _unlink(temporary)
        finally:  # Ctrl-C may have come before it did
            _unlink(temporary)
    # The new name itself is safe on disk only when the folder is, if the system lets us ask.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _new_name(folder: str) -> str:
    """Return a path of 64 random bits where nothing stands."""
    path = os.path.join(folder, f".fastnn-{os.urandom(8).hex()}.tmp")
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    return path


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _be_like(file: IO[bytes], before: os.stat_result) -> None:
    """Give a new file the owner, group and mode of the one it replaces, as far as we may."""
    descriptor = file.fileno()
    for owner, group in ((before.st_uid, -1), (-1, before.st_gid)):
        with contextlib.suppress(OSError):
            os.chown(descriptor, owner, group)
    mode = stat.S_IMODE(before.st_mode)
    now = os.fstat(descriptor)
    # Bits that run a program as its owner or group are not for another owner or group.
    if now.st_uid != before.st_uid:
        mode &= ~stat.S_ISUID
    if now.st_gid != before.st_gid:
        mode &= ~stat.S_ISGID
    os.fchmod(descriptor, mode)  # after the owner, whose change clears some bits


@contextlib.contextmanager
def _open_locked(path: str) -> Iterator[IO[bytes]]:
    """Create a file that is locked for as long as its writer lives, where there are locks."""
    while True:
        # Mode "x" never opens another's file and, unlike `tempfile`, leaves the mode to the umask.
        with open(path, "xb") as file:
            # Before it was locked, another writer may have taken it for a leftover.
            if _lock(file) is not False and _stands_at(file, path):
                yield file
                return


def _stands_at(file: IO[bytes], path: str) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _lock(file: IO[bytes]) -> bool | None:
    """Lock a file; False if another has it locked, None if this file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_leftovers(folder: str) -> None:
    """Remove temporary files whose writer was killed: those that nobody holds a lock on."""
    with contextlib.suppress(OSError):
        for name in filter(TEMPORARY.fullmatch, os.listdir(folder)):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError), open(path, "rb") as file:
                if _lock(file):
                    os.unlink(path)


def check_destination(path: FilePath) -> None:
    """Raise OSError if `atomic_file` could not write there."""
    target = os.path.realpath(path)
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if os.path.exists(target):
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        if not os.path.isfile(target):
            return
    probe = os.path.join(os.path.dirname(target), f".fastnn-{os.urandom(8).hex()}.tmp")
    try:
        # Asking for permission would not tell of a file system that is read-only.
        with open(probe, "xb"):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        try:
            _unlink(probe)
        finally:  # Ctrl-C may have come before it did
            _unlink(probe)
