"""Writing files so that a reader, a crash or a power cut finds the old one or the new one, whole."""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

__all__ = ["NewFile", "is_temporary", "sweep", "sync_directory", "sync_file_system", "write_atomically"]

_TEMPORARY = re.compile(r"\.dewy-[0-9a-f]{16}\.tmp\Z")


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replaces a file by one with this content. A failure leaves the old one and nothing else. Raises OSError."""
    with NewFile(path.parent, mode) as new:
        new.write(content)
        new.publish(path)


class NewFile:
    """A file that appears whole or not at all, whatever is killed when.

    It is written under a temporary name, which is locked while its writer lives: so :func:`sweep` tells a dead writer's
    file from a live one's, in this process and in others. Used as a context manager; without :meth:`publish` it leaves
    nothing behind. Every method raises OSError.

    Args:
        directory: Where it will be.
        mode: Its permissions, before the umask.
    """

    def __init__(self, directory: Path, mode: int = 0o600) -> None:
        self._path, self._fd = _create_locked(directory, mode)

    def __enter__(self) -> NewFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._path.unlink(missing_ok=True)  # there no more: it is published
        finally:
            os.close(self._fd)

    def write(self, piece: bytes) -> None:
        """Appends ``piece``."""
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def publish(self, path: Path) -> None:
        """Gives it its name, in place of a file that has it, once its bytes are on the disk."""
        os.utime(self._fd, ns=(time.time_ns(), time.time_ns()))  # finer than the kernel's own stamp, and of the same clock
        os.fsync(self._fd)
        self._path.replace(path)
        sync_directory(path.parent)


def _create_locked(directory: Path, mode: int) -> tuple[Path, int]:
    while True:
        path = directory / f".dewy-{os.urandom(8).hex()}.tmp"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            ours = _is_ours(fd)
        except OSError:  # nobody would have it: it would stay locked, and there, for as long as this process lives
            with suppress(OSError):
                path.unlink()
            os.close(fd)
            raise
        if ours:
            return path, fd
        os.close(fd)


def _is_ours(fd: int) -> bool:
    """Locks a new file; false when a sweep came between and has taken it, or is about to take it, for a dead writer's."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks: there nobody sweeps either
    return os.fstat(fd).st_nlink > 0


def is_temporary(name: str) -> bool:
    """Whether a file of this name is a :class:`NewFile` that has not got its own name yet, or never will."""
    return _TEMPORARY.match(name) is not None


def sweep(directory: Path) -> None:
    """Removes the temporary files of writers that died, never those of live ones. Raises OSError."""
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if is_temporary(entry.name)]
    for name in names:
        with suppress(OSError):  # its writer lives, or it has got its own name, or it is not ours to remove
            _remove_if_dead(directory / name)


def _remove_if_dead(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Has the names in a directory reach the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """Has everything written so far to the file system of ``path`` reach the disk: syncfs(2), else sync(2)."""
    import ctypes

    descriptor = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(path))
    except AttributeError:
        os.sync()  # not Linux
    finally:
        os.close(descriptor)
