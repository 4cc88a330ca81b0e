"""A supervisor with real processes, for tests, and ways to look at it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dewy.supervisor import Launch, Means, Supervisor, SupervisorSettings, bind, parse_ports
from dewy.supervisor.procfs import all_processes, process_info
from dewy.testing import Recorder

APPLICATION = Path(__file__).with_name("applications.py")

QUICK = SupervisorSettings(
    start_grace=0.3, start_timeout=10, stop_timeout=10, failed_grace=1, group_grace=1, kill_grace=2,
    backoff_first=0.05, backoff_most=0.4, stable_after=30,
)  # fmt: skip
"""Delays that make a test quick; time-outs that only a fault reaches."""

LIMIT = 20.0
"""Seconds that anything a test waits for may take at most."""


def run(scenario: Awaitable[None]) -> None:
    """Runs a test's coroutine."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario

    asyncio.run(bounded())


async def until(condition: Callable[[], Any], what: str = "it") -> Any:
    """Polls until something is true; returns it."""
    deadline = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {LIMIT}s"
        await asyncio.sleep(0.005)
    return found


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    with contextlib.suppress(OSError):
        return process_info(pid).is_alive
    return False


def children() -> list[int]:
    """The children of this process, zombies among them."""
    return [process.pid for process in all_processes() if process.parent == os.getpid()]


def open_files() -> list[str]:
    """What the descriptors of this process lead to."""

    def targets() -> Iterator[str]:
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(entry.readlink())

    return sorted(target.partition(":")[0] for target in targets())


class Supervised:
    """One supervisor and what is around it.

    Attributes:
        supervisor: Itself.
        events: What it said.
        root: The application's root directory.
        port: The port it listens on; 0 for none.
    """

    def __init__(self, supervisor: Supervisor, events: Recorder, root: Path, port: int) -> None:
        self.supervisor, self.events, self.root, self.port = supervisor, events, root, port

    def launch(self, *options: str, version: str = "v1") -> Launch:
        """The test application, with its options."""
        return self.program(sys.executable, "-I", "-S", str(APPLICATION), *options, version=version)

    def shell(self, script: str, version: str = "v1") -> Launch:
        """A shell script."""
        return self.program("/bin/sh", "-c", script, version=version)

    def python(self, script: str, version: str = "v1") -> Launch:
        """A Python script."""
        return self.program(sys.executable, "-I", "-S", "-c", script, version=version)

    def program(self, *argv: str, version: str = "v1") -> Launch:
        """Any program."""
        return Launch(argv=argv, directory=self.root, environ=dict(os.environ), version=version)

    @property
    def pid(self) -> int:
        """Of the generation that serves; 0 when there is none."""
        current = self.supervisor.status.current
        return current.pid if current else 0

    async def ask(self) -> dict[str, Any]:
        """One request to whichever generation answers."""
        async with asyncio.timeout(LIMIT):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(b"?\n")
                return json.loads(await reader.readline())  # type: ignore[no-any-return]
            finally:
                writer.close()
                await writer.wait_closed()

    async def only(self, *pids: int) -> None:
        """Waits until these are the only generations."""
        await until(lambda: {found.pid for found in self.supervisor.status.generations} == set(pids), f"only {pids}")


@contextlib.asynccontextmanager
async def supervised(
    root: Path,
    settings: SupervisorSettings = QUICK,
    *,
    ports: int = 1,
    outputs: tuple[int | None, int | None] = (None, None),
    speaks_notify: bool = False,
    learned: Callable[[], None] | None = None,
    **changes: Any,
) -> AsyncIterator[Supervised]:
    """A supervisor that is stopped at the end, and has then left no process and no descriptor behind."""
    files, events = open_files(), Recorder()
    numbers = [free_port() for _ in range(ports)]
    sockets = bind(parse_ports([f"127.0.0.1:{number}" for number in numbers]), events, root)
    means = Means.open(root, sockets, events, replace(settings, **changes), outputs)
    supervisor = Supervisor(means, speaks_notify=speaks_notify, learned=learned)
    try:
        yield Supervised(supervisor, events, root, numbers[0] if numbers else 0)
    finally:
        await supervisor.stop()
        sockets.close()
    assert supervisor.status.state == "stopped"
    assert not supervisor.status.generations
    assert children() == [], "no child and no zombie is left"
    assert await until(lambda: open_files() == files, f"closing what is open: {open_files()}, before: {files}")
