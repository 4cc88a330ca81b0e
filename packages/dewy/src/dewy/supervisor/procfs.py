"""What Linux tells of processes in /proc. Everything here raises OSError when there is no such process or no /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ProcessInfo", "all_processes", "boot_id", "environment_of", "process_info"]


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A process, from proc_pid_stat(5).

    Attributes:
        pid: Its number.
        state: One letter; ``Z`` for a zombie.
        parent: The number of its parent.
        group: Of its process group.
        session: Of its session.
        terminal: Its controlling terminal; 0 for none.
        threads: How many it has.
        started: When it was born, in clock ticks since boot: with the number, this names a process for good.
    """

    pid: int
    state: str
    parent: int
    group: int
    session: int
    terminal: int
    threads: int
    started: int

    @property
    def is_alive(self) -> bool:
        """Whether anything of it runs.

        Its first thread can be a zombie while others have its sockets open still: for some milliseconds when a program with
        threads ends on a busy machine, and for good when only its first thread does.
        """
        return self.state not in "ZX" or self.threads > 1


def process_info(pid: int) -> ProcessInfo:
    """What there is to know of one process."""
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - for every process of the host: this costs a third
        text = file.read()
    fields = text.rpartition(b")")[2].split()
    return ProcessInfo(
        pid=pid,
        state=fields[0].decode(),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        terminal=int(fields[4]),
        threads=int(fields[17]),
        started=int(fields[19]),
    )


def all_processes() -> Iterator[ProcessInfo]:
    """All processes that live while this runs; none on a system without /proc."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - names are enough
    except OSError:
        return
    for name in names:
        if name.isdecimal():
            try:
                yield process_info(int(name))
            except OSError:
                continue  # it has just ended


def environment_of(pid: int) -> frozenset[bytes]:
    """The ``NAME=VALUE`` entries a process was started with, as far as it has left them where they were."""
    return frozenset(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))


def boot_id() -> str:
    """Another one after each boot: numbers and start times of processes repeat themselves."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
