"""Atomic replacement of a file: after a crash, the path holds the old content or the new."""

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from typing import IO

if sys.platform != "win32":
    import fcntl

TEMPORARY = re.compile(r"\.fastnn-[0-9a-f]{16}\.tmp")

FilePath = str | os.PathLike[str]


@contextlib.contextmanager
def atomic_file(path: FilePath) -> Iterator[IO[bytes]]:
    """Return a context with a binary file that replaces `path` in one step when the block ends.

    If the block raises, `path` keeps its old content. A symbolic link is followed. The new file
    gets the owner, group and mode of the old one. A device or a pipe is written to directly.

    Raises
    ------
    OSError
        If the file cannot be written (missing folder, no permission, full disk; on Windows also
        if a program has it open). It names `path`.
    """
    try:
        target = os.path.realpath(path)
        if os.path.exists(target) and not os.path.isfile(target):
            # Renaming a file to /dev/null would replace the device. A folder raises here.
            with open(target, "wb") as file:
                yield file
        else:
            with _replacement(target) as file:
                yield file
    except OSError as error:
        # The error may name the temporary file, or no file (full disk). The user knows `path`.
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


@contextlib.contextmanager
def _replacement(target: str) -> Iterator[IO[bytes]]:
    before = None
    if os.path.exists(target):
        if not os.access(target, os.W_OK):  # renaming does not check this
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
        before = os.stat(target)
    folder = os.path.dirname(target)
    _remove_leftovers(folder)
    # Ctrl-C may come between any two steps. So the name is chosen before the file exists, and the
    # file is removed however the block ends.
    temporary = _new_name(folder)
    try:
        with _open_locked(temporary) as file:
            yield file
            file.flush()
            if before is not None:
                _copy_attributes(before, file)
            os.fsync(file.fileno())
            if sys.platform == "win32":
                file.close()  # Windows renames no open file
            os.replace(temporary, target)  # before it is unlocked: a leftover would be removed
    finally:
        try:
            _unlink(temporary)
        finally:  # Ctrl-C may have come before the file was removed
            _unlink(temporary)
    # The new name is on disk only after the folder is synced. Some systems do not allow that.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _new_name(folder: str) -> str:
    """Return a path with 64 random bits in its name, at which there is no file."""
    path = os.path.join(folder, f".fastnn-{os.urandom(8).hex()}.tmp")
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    return path


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _copy_attributes(before: os.stat_result, file: IO[bytes]) -> None:
    """Give a new file the owner, group and mode of the old one, as far as permissions allow."""
    if sys.platform == "win32":
        return  # a new file gets the permissions of its folder
    descriptor = file.fileno()
    for owner, group in ((before.st_uid, -1), (-1, before.st_gid)):
        with contextlib.suppress(OSError):
            os.chown(descriptor, owner, group)
    mode = stat.S_IMODE(before.st_mode)
    now = os.fstat(descriptor)
    # The set-user-ID and set-group-ID bits must not apply to another owner or group.
    if now.st_uid != before.st_uid:
        mode &= ~stat.S_ISUID
    if now.st_gid != before.st_gid:
        mode &= ~stat.S_ISGID
    os.fchmod(descriptor, mode)  # after chown, which clears some bits of the mode


@contextlib.contextmanager
def _open_locked(path: str) -> Iterator[IO[bytes]]:
    """Create a file that is locked until its writer ends, if the file system has locks."""
    while True:
        # Mode "x" never opens an existing file. Unlike `tempfile`, it respects the umask.
        with open(path, "xb") as file:
            # Another writer may have removed it as a leftover before it was locked.
            if _lock(file) is not False and _is_at(file, path):
                yield file
                return


def _is_at(file: IO[bytes], path: str) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _lock(file: IO[bytes]) -> bool | None:
    """Lock a file. Return False if another process has locked it, None if there are no locks."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True
    return None


def _remove_leftovers(folder: str) -> None:
    """Remove temporary files whose writer was killed: nobody holds a lock on them."""
    if sys.platform == "win32":
        return  # it has no such locks, and a writer cannot rename a file that another one opens
    with contextlib.suppress(OSError):
        for name in filter(TEMPORARY.fullmatch, os.listdir(folder)):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError), open(path, "rb") as file:
                if _lock(file):
                    os.unlink(path)


def check_destination(path: FilePath) -> None:
    """Raise OSError if `atomic_file` could not write to `path`."""
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
        # The permissions do not tell whether the file system is read-only.
        with open(probe, "xb"):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        try:
            _unlink(probe)
        finally:  # Ctrl-C may have come before the file was removed
            _unlink(probe)
