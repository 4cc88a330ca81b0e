"""What the file backends share: the path in a ``file://`` URL, and what a failed call means."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dewy.errors import DewyError, UsageError
from dewy.urls import BackendURL

__all__ = ["PIECE", "fail_as", "local_path", "open_plain", "utc"]

PIECE = 1024 * 1024
"""How much is read at a time, in bytes."""

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
