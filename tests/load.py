"""Users, for end-to-end tests: new connections, kept ones and slow requests at once, and every failure with its reason."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

TIMEOUT = 10.0


@dataclass
class Load:
    """Runs in a thread of its own between ``with`` and its end.

    Attributes:
        history: When (monotonic) which version answered; empty for a failure.
    """

    port: int
    rate: float = 100.0
    kept: int = 8
    slow: int = 4
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    last_answer: str = ""
    history: list[tuple[float, str]] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(TIMEOUT * 2)
        assert not self._thread.is_alive()

    @property
    def requests(self) -> int:
        return sum(self.answers.values()) + len(self.failures)

    def wait_for(self, version: str, seconds: float = 30) -> None:
        """Waits until a version has answered."""
        deadline = time.monotonic() + seconds
        while not self.answers[version]:
            assert time.monotonic() < deadline, f"{version} never answered; last: {self.last_answer}; {self.failures[:5]}"
            time.sleep(0.01)

    def refused(self) -> list[str]:
        """The failures of those who did not even get a connection."""
        return [failure for failure in self.failures if "connecting" in failure]

    def last(self, version: str) -> float:
        """When a version answered for the last time, monotonic; with an empty one, when a request failed."""
        return max((at for at, answered in self.history if answered == version), default=0.0)

    def longest_silence(self, since: float = 0.0) -> float:
        """The most seconds between two answers from then on (monotonic)."""
        times = [at for at, answered in self.history if answered and at >= since]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    async def _run(self) -> None:
        jobs = [self._keep("/") for _ in range(self.kept)] + [self._keep("/slow") for _ in range(self.slow)]
        await asyncio.gather(self._new(), *jobs)

    async def _new(self) -> None:
        """An open loop: requests leave on schedule, each on a connection of its own, however slow the answers are."""
        tasks: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self._stop.is_set():
            due += 1 / self.rate
            await asyncio.sleep(max(0, due - time.monotonic()))
            task = asyncio.create_task(self._once())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks)

    async def _once(self) -> None:
        connection = await self._connect("new")
        if connection:
            await self._ask(connection, "new", "/", close=True)
            connection[1].close()

    async def _keep(self, path: str) -> None:
        connection = None
        while not self._stop.is_set():
            await asyncio.sleep(random.uniform(0, 0.02))
            if connection and connection[0].at_eof():
                connection[1].close()  # closed while idle: no request is lost by that
                connection = None
            connection = connection or await self._connect("kept")
            if connection and not await self._ask(connection, "kept", path, close=False):
                connection[1].close()
                connection = None
        if connection:
            connection[1].close()

    async def _connect(self, kind: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.port), TIMEOUT)
        except (OSError, TimeoutError) as error:
            self._fails(f"{kind}: connecting: {error!r}")
            return None

    async def _ask(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], kind: str, path: str, *, close: bool
    ) -> bool:
        """One request and its answer; whether the connection can be used again."""
        try:
            async with asyncio.timeout(TIMEOUT):
                head, body = await self._exchange(connection, path, close=close)
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            self._fails(f"{kind} {path}: {error!r}")
            return False
        if not head.startswith("http/1.1 200"):
            self._fails(f"{kind} {path}: {head.splitlines()[0]}")
            return False
        self.last_answer = body.split()[0]
        self.answers[self.last_answer] += 1
        self.history.append((time.monotonic(), self.last_answer))
        return "connection: close" not in head

    def _fails(self, why: str) -> None:
        self.failures.append(why)
        self.history.append((time.monotonic(), ""))

    async def _exchange(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], path: str, *, close: bool
    ) -> tuple[str, str]:
        reader, writer = connection
        kind = "close" if close else "keep-alive"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {kind}\r\n\r\n".encode())
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
        return head, (await reader.readexactly(length)).decode()
