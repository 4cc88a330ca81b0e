"""Whether an application died by this host's fault and not by its own: then its version is tried again, and never held."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from dewy.errors import DewyError, HostError, StartError

__all__ = ["HostBlame"]

_LEAST_BYTES = 1 << 20
"""Free bytes on a disk below which an application may well fail to start for want of space."""

_KILLS = Path("/proc/vmstat")


class HostBlame:
    """Looks at the disk, and at the processes that the kernel has killed for want of memory.

    Args:
        root: The application's root directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kills = 0
        self.look()

    def look(self) -> None:
        """Remembers how things are before something is started."""
        self._kills = _killed_for_memory()

    def judge(self, error: DewyError) -> DewyError:
        """The error as it is, or as a HostError where this host is to blame for it."""
        if not isinstance(error, StartError):
            return error
        if error.code == -signal.SIGKILL and _killed_for_memory() > self._kills:
            return _blamed(error, "memory is short: the kernel has killed it", "Free some memory, or give the host more")
        if self._is_full():
            return _blamed(error, f"the disk of {self._root} is full", "Free some space")
        return error

    def _is_full(self) -> bool:
        try:
            found = os.statvfs(self._root)
        except OSError:
            return False
        no_inodes = found.f_files > 0 and found.f_favail == 0  # some file systems count none
        return found.f_bavail * found.f_frsize < _LEAST_BYTES or no_inodes


def _blamed(error: StartError, why: str, cure: str) -> HostError:
    blamed = HostError(f"{error.message}; {why}", f"{cure}; dewy tries again")
    blamed.__cause__ = error
    return blamed


def _killed_for_memory() -> int:
    """How many processes the kernel has killed for want of memory since it was booted, in every group; 0 where unknown."""
    try:
        lines = _KILLS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
