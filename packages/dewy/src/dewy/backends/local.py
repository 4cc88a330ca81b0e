"""What the file backends share: the path in a ``file://`` URL, what a failed call means, and files that appear whole."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from dewy.errors import DewyError, UsageError
from dewy.files import sync_directory
from dewy.urls import BackendURL

__all__ = ["PIECE", "NewFile", "fail_as", "is_temporary", "local_path", "open_plain", "sweep", "utc"]

PIECE = 1024 * 1024
"""How much is read at a time, in bytes."""

_TEMPORARY = re.compile(r"\.dewy-[0-9a-f]{16}\.tmp\Z")
_OPEN_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_CURES = {
    errno.ENOSPC: "Free some space there",
    errno.EDQUOT: "Free some space there, or raise the quota",
    errno.EACCES: "Give the user that runs dewy access to it",
    errno.EPERM: "Give the user that runs dewy access to it",
    errno.EROFS: "Mount the file system writable, or name another place",
    errno.ENOENT: "Create it, or correct the URL",
    errno.ENOTDIR: "Correct the URL: it must lead to a directory",
}


def local_path(url: BackendURL, kind: str) -> Path:
    """The absolute path that a ``file://`` URL names.

    Args:
        url: The URL.
        kind: What it is for, in error texts: ``registry``, ``artifact``, ``cache``.

    Raises:
        UsageError: It names another host, has no path, or cannot mean what it says. Tells the right form.
    """
    form = "Write the whole path after three slashes, as in file:///srv/releases"
    if url.host not in ("", "localhost") or url.port is not None or url.username:
        raise UsageError(f"the {kind} URL {url} has a host where it should have none", form)
    if "#" in url.raw:
        raise UsageError(f"the {kind} URL {url} has a fragment", "Write a # in a path as %23")
    if url.path in ("", "/"):
        raise UsageError(f"the {kind} URL {url} names no path", form)
    if url.path.startswith("/~"):
        raise UsageError(f"the {kind} URL {url} has a ~, which only a shell understands", form)
    if "\0" in url.path:
        raise UsageError(f"the {kind} URL {url} has a NUL character in its path", form)
    return Path(url.path)


@contextmanager
def fail_as(kind: type[DewyError], what: str) -> Iterator[None]:
    """Has an OSError inside come out as ``kind``: what could not be done, why, and the cure if there is a usual one."""
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}", _CURES.get(error.errno or 0, "")) from error


def utc(seconds: float) -> datetime | None:
    """A file's time as an aware datetime; None for one that no calendar has, which a hostile or broken disk may hold."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def open_plain(path: Path, *, follow: bool) -> int:
    """Opens a file for reading without ever waiting for one: a FIFO opens at once, and the caller looks at its kind.

    Args:
        path: The file.
        follow: Whether a symbolic link is followed; if not, one raises OSError with ELOOP.

    Returns:
        The descriptor, which the caller closes.
    """
    return os.open(path, _OPEN_READ if follow else _OPEN_READ | os.O_NOFOLLOW)


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
        with suppress(FileNotFoundError):  # published
            self._path.unlink()
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
        path = directory / f".dewy-{secrets.token_hex(8)}.tmp"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        if _is_ours(fd):
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
