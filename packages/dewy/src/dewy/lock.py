"""One dewy per root (R71): a lock that the kernel takes back whatever way its holder ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from dewy.errors import DewyError, from_os_error

__all__ = ["RootLock", "RootTaken"]


class RootTaken(DewyError):
    """Another dewy has the root."""


class RootLock:
    """The lock on a root directory: ``<root>/.dewy/lock``, which also says who holds it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / ".dewy" / "lock"
        self._descriptor = -1

    def acquire(self) -> None:
        """Takes the lock. Raises RootTaken when another dewy has it, HostError or DewyError when it cannot be used."""
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise from_os_error(error, f"using the directory {self._root}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise RootTaken(
                f"another dewy (process {holder}) already keeps {self._root}",
                "One root directory is for one application: use another with -C, or stop that process",
            ) from error
        self._sign()

    @property
    def descriptor(self) -> int:
        """By which it is held."""
        return self._descriptor

    def adopt(self, descriptor: int) -> None:
        """Takes over a lock that this very process has held before it was re-executed."""
        self._descriptor = descriptor
        os.set_inheritable(descriptor, False)
        self._sign()

    def _sign(self) -> None:
        with contextlib.suppress(OSError):  # a disk that takes no more must not keep what is on it from running
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Gives the lock back, if it is held."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
