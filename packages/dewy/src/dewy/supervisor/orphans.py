"""Ending what a dewy that was killed has left running: it would keep the port (R86).

Run before the sockets are bound and under the root's lock, so that the other dewy is dead for sure. Whoever is not
proven to be ours is left alone: a process counts by its recorded group (number and birth of the leader) or by the mark in
its environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from dewy import events
from dewy.errors import HostError
from dewy.supervisor.launch import INSTANCE_VARIABLE, ROOT_VARIABLE
from dewy.supervisor.ledger import Record, read_record
from dewy.supervisor.procfs import ProcessInfo, all_processes, boot_id, environment_of

__all__ = ["Orphans"]

_POLL = 0.05
_KILL_GRACE = 5.0
"""Seconds after SIGKILL that are waited for the kernel to take the processes away."""
_BIND_POLL = 0.02

_Bound = TypeVar("_Bound")


class Orphans:
    """The processes of a killed dewy, as they were when this was made.

    Args:
        root: The application's root directory, absolute, as the dewy before had it.
        emit: Is told of each process group that was ended.
    """

    def __init__(self, root: Path, emit: events.Emit) -> None:
        self._root, self._emit = root, emit
        self._record = read_record(root)
        found = _find(root, self._record) if self._record else []
        # by their groups they are told from what this dewy starts under the same mark
        self._groups = frozenset(orphan.group for orphan in found)
        _signal(_heads(found), signal.SIGTERM)

    @property
    def alive(self) -> bool:
        """Whether any of them is left."""
        return bool(self._left())

    def make_way(self, bind: Callable[[], _Bound], timeout: float) -> _Bound:
        """Binds as soon as they have let go of the sockets. Blocks.

        Args:
            bind: Listens; HostError when it cannot.
            timeout: Seconds after which those that are left are killed.

        Raises:
            HostError: Others have the sockets.
        """
        deadline = time.monotonic() + timeout
        while True:
            in_the_way = self.alive  # looked at first: one that ends meanwhile is a reason to try once more
            try:
                return bind()
            except HostError:
                if not in_the_way:
                    raise
            if time.monotonic() > deadline:
                self.end(0.0)
            time.sleep(_BIND_POLL)

    def end(self, timeout: float) -> None:
        """Waits until they have finished, for so many seconds at most, kills those that have not, and tells of all."""
        survivors = self._wait(timeout)
        killed = {orphan.group for orphan in survivors}
        deadline = time.monotonic() + _KILL_GRACE
        while survivors and time.monotonic() < deadline:
            _kill(survivors)
            survivors = self._wait(_POLL)
        for group in sorted(self._groups):
            how = "it had to be killed" if group in killed else "it finished"
            self._emit(events.ORPHAN_STOPPED, group=group, how=how)
        self._groups = frozenset()

    def _wait(self, timeout: float) -> list[ProcessInfo]:
        """Waits for all of them to be gone; those that are not."""
        deadline = time.monotonic() + timeout
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(_POLL)
        return left

    def _left(self) -> list[ProcessInfo]:
        if not self._groups or self._record is None:
            return []
        return [orphan for orphan in _find(self._root, self._record) if orphan.group in self._groups]


def _find(root: Path, record: Record) -> list[ProcessInfo]:
    """The processes that are proven to be ours."""
    processes = {process.pid: process for process in all_processes()}
    spared = _ancestry(processes)
    recorded = _recorded_groups(record, processes)
    marks = {os.fsencode(f"{ROOT_VARIABLE}={root}"), os.fsencode(f"{INSTANCE_VARIABLE}={record.token}")}
    return [
        process
        for process in processes.values()
        if process.pid not in spared
        and process.group != os.getpgrp()
        and process.is_alive
        and (_is_in(process, recorded, record) or _is_marked(process, marks, record))
    ]


def _ancestry(processes: dict[int, ProcessInfo]) -> set[int]:
    """This process and its ancestors."""
    pid, found = os.getpid(), set[int]()
    while pid in processes and pid not in found:
        found.add(pid)
        pid = processes[pid].parent
    return found


def _recorded_groups(record: Record, processes: dict[int, ProcessInfo]) -> dict[int, int]:
    """Recorded groups whose number has not gone to somebody else, and when their leaders were born."""
    try:
        if record.boot != boot_id():
            return {}
    except OSError:
        return {}
    return {
        group.pid: group.started
        for group in record.groups
        if group.pid not in processes or processes[group.pid].started == group.started
    }


def _is_in(process: ProcessInfo, recorded: dict[int, int], record: Record) -> bool:
    """Whether a process is of a recorded group; without its leader, only in the session of the dewy that started it."""
    if process.group not in recorded:
        return False
    born = recorded[process.group]
    return process.pid == process.group or (process.session == record.session and process.started >= born)


def _is_marked(process: ProcessInfo, marks: set[bytes], record: Record) -> bool:
    """Whether it carries the mark. A shell on a terminal of its own does not count: somebody looks for a fault there."""
    if process.terminal and process.session != record.session:
        return False
    try:
        return marks <= environment_of(process.pid)
    except OSError:
        return False  # another user's, or gone


def _heads(orphans: list[ProcessInfo]) -> list[ProcessInfo]:
    """The leaders, who tell their workers themselves, and everybody in a group that has lost its leader."""
    leaders = {orphan.pid for orphan in orphans}
    return [orphan for orphan in orphans if orphan.pid == orphan.group or orphan.group not in leaders]


def _kill(orphans: list[ProcessInfo]) -> None:
    """Kills groups that are ours altogether at one blow, so that nobody in them can fork away; else one by one."""
    ours = {orphan.pid for orphan in orphans}
    strangers = {process.group for process in all_processes() if process.pid not in ours and process.is_alive}
    for group in {orphan.group for orphan in orphans} - strangers:
        with contextlib.suppress(OSError):  # gone, or another user by now
            os.killpg(group, signal.SIGKILL)
    _signal((orphan for orphan in orphans if orphan.group in strangers), signal.SIGKILL)


def _signal(orphans: Iterable[ProcessInfo], number: signal.Signals) -> None:
    """Signals processes that were seen a moment ago: too short for their numbers to go all round to somebody else."""
    for orphan in orphans:
        with contextlib.suppress(OSError):  # gone, or another user by now
            os.kill(orphan.pid, number)
