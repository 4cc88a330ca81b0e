"""Writing files so that a reader, a crash or a power cut finds the old one or the new one, whole."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["sync_directory", "sync_file_system", "write_atomically"]


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replaces a file by way of a temporary one beside it (``<name>.tmp``), which a failure does not leave behind.

    Only one writer at a time: the caller holds the root's lock. Raises OSError.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


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
