"""The generations that are alive, on disk: by this a dewy finds those of one that was killed (R86).

Each process of ours also carries a mark in its environment; the file is for applications that overwrite theirs (to show
their state in ``ps``), and it keeps the random part of the mark.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from dewy.supervisor.launch import Mark
from dewy.supervisor.procfs import boot_id, process_info

__all__ = ["Ledger", "Record", "RecordedGroup", "read_record"]


@dataclass(frozen=True, slots=True)
class RecordedGroup:
    """A process group that dewy has started.

    Attributes:
        pid: Of its leader, and of the group.
        started: When the leader was born, in clock ticks since boot.
    """

    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Record:
    """What the file holds.

    Attributes:
        token: The random part of the mark; stays the same for the life of the root.
        boot: The boot in which the groups were started.
        session: Of the dewy that started them.
        groups: Those that were alive.
    """

    token: str
    boot: str = ""
    session: int = 0
    groups: tuple[RecordedGroup, ...] = ()


def _path(root: Path) -> Path:
    return root / ".dewy" / "generations.json"


def read_record(root: Path) -> Record | None:
    """Reads the file of a root; None when there is none or it makes no sense."""
    try:
        data = json.loads(_path(root).read_bytes())
        groups = tuple(RecordedGroup(int(group["pid"]), int(group["started"])) for group in data["groups"])
        record = Record(str(data["token"]), str(data["boot"]), int(data["session"]), groups)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return record if record.token and all(group.pid > 1 for group in groups) else None


_PAGE = 4096
"""Bytes that the file has at least; spaces fill it up, so that a shorter record leaves nothing of a longer one."""


def _encode(record: Record) -> bytes:
    groups = [{"pid": group.pid, "started": group.started} for group in record.groups]
    data = {"token": record.token, "boot": record.boot, "session": record.session, "groups": groups}
    return json.dumps(data).encode()


class Ledger:
    """Keeps the file. It is written in a thread of its own: a slow disk holds nothing up.

    Args:
        root: The application's root directory, absolute.

    Attributes:
        mark: What each process of ours carries.

    Raises:
        OSError: The file cannot be written at all.
    """

    def __init__(self, root: Path) -> None:
        found = read_record(root)
        self.mark = Mark(root, found.token if found else secrets.token_hex(16))
        self._record = Record(self.mark.token, _boot_or_none(), os.getsid(0))
        path = _path(root)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._size = max(_PAGE, os.fstat(self._descriptor).st_size)
        try:
            self._write(self._record)
        except OSError:
            os.close(self._descriptor)
            raise
        self._queue: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger of generations", daemon=True)
        self._thread.start()

    def add(self, pid: int) -> None:
        """A group was started; its leader is not reaped yet."""
        with contextlib.suppress(OSError):  # no /proc
            self._keep((*self._record.groups, RecordedGroup(pid, process_info(pid).started)))
            self._queue.put(self._record)

    def remove(self, pid: int) -> None:
        """A group is gone. The file says so at the next change: by its birth, a process that is no more harms nobody."""
        self._keep(tuple(group for group in self._record.groups if group.pid != pid))

    def close(self, timeout: float) -> None:
        """Writes what is still to be written, waiting for it so many seconds at most."""
        self._queue.put(self._record)
        self._queue.put(None)
        self._thread.join(timeout)

    def _keep(self, groups: tuple[RecordedGroup, ...]) -> None:
        self._record = replace(self._record, groups=groups)

    def _run(self) -> None:
        while record := self._queue.get():
            with contextlib.suppress(OSError):  # the mark in the environment is still there; the next change tries again
                self._write(record)
        os.close(self._descriptor)

    def _write(self, record: Record) -> None:
        """Writes the whole file at one blow, so that a dewy which is killed has done it or not.

        No renaming and no syncing, at every swap: nothing here need survive a power cut, in which the processes end too.
        """
        content = _encode(record)
        self._size = max(self._size, len(content))
        os.pwrite(self._descriptor, content.ljust(self._size), 0)


def _boot_or_none() -> str:
    try:
        return boot_id()
    except OSError:
        return ""  # no Linux: orphans are not looked for there
