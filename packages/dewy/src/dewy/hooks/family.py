"""All processes that a hook has started, to be ended together."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from dewy.supervisor.procfs import ProcessInfo, all_processes

__all__ = ["Family"]

_POLL = 0.05


class Family:
    """The leader of a session, which must not be reaped meanwhile, all in its session and group, and their descendants.

    The group alone is not enough: ``timeout``, ``setsid`` and a shell with job control start processes in groups of their
    own. One that has left its session *and* lost its parents is a daemon and nobody's child any more. On a system
    without /proc it is the group, for as long as its leader lives.

    Args:
        leader: Its number.
        lives: Whether it has not ended; asked where /proc does not tell.
    """

    def __init__(self, leader: int, lives: Callable[[], bool]) -> None:
        self._leader, self._lives = leader, lives
        self._known: set[tuple[int, int]] = set()

    def end(self, grace: float, kill_grace: float) -> None:
        """Asks all to end, and kills those that still live after ``grace`` seconds; returns when all are gone.

        At the latest after ``kill_grace`` more: a process that hangs in the kernel, or is another user's, may stay.
        """
        self._signal(signal.SIGTERM)
        self._wait(grace)
        self._signal(signal.SIGKILL)
        deadline = time.monotonic() + kill_grace
        while self._living() and time.monotonic() < deadline:
            time.sleep(_POLL)
            self._signal(signal.SIGKILL)  # once more, for who was just being born
        self._reap()

    def _signal(self, number: signal.Signals) -> None:
        members = self._members()
        with contextlib.suppress(OSError):  # all of them are another user's by now
            os.killpg(self._leader, number)
        for member in members:
            if member.group != self._leader:
                with contextlib.suppress(OSError):  # gone, or another user's
                    os.kill(member.pid, number)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._living() and time.monotonic() < deadline:
            time.sleep(_POLL)

    def _living(self) -> bool:
        members = self._members()
        return any(member.is_alive for member in members) if members else self._lives()

    def _members(self) -> list[ProcessInfo]:
        """Those that are here now. Who was a member once stays one, also when its parents are gone."""
        processes = {process.pid: process for process in all_processes()}
        children: dict[int, list[int]] = {}
        for process in processes.values():
            children.setdefault(process.parent, []).append(process.pid)
        found: dict[int, ProcessInfo] = {}
        ahead = [process.pid for process in processes.values() if self._is_ours(process)]
        while ahead:
            pid = ahead.pop()
            if pid not in found:
                found[pid] = processes[pid]
                ahead += children.get(pid, ())
        self._known = {(process.pid, process.started) for process in found.values()}
        return list(found.values())

    def _is_ours(self, process: ProcessInfo) -> bool:
        return self._leader in (process.pid, process.session, process.group) or (process.pid, process.started) in self._known

    def _reap(self) -> None:
        """Where dewy is the first process of a container, those who have lost their parents are its children now."""
        for pid, _ in self._known:
            if pid != self._leader:
                with contextlib.suppress(OSError):  # it is not
                    os.waitpid(pid, os.WNOHANG)
