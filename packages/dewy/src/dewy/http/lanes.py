"""Connections that are kept and used again, each by one thread at a time. Imported when the client is first used.

The library's own pool looks after its connections while other threads use them: under load it takes one whose answer has
just come for one that the server has ended, and closes it. So each of its pools has one connection here, and one user.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpcore

from dewy.http.hops import Origin

__all__ = ["Lanes", "Way"]

Way = tuple[Origin, str | None]
"""Whom a connection leads to, and the proxy in between."""


@dataclass(frozen=True, slots=True)
class _Idle:
    way: Way
    pool: httpcore.ConnectionPool
    since: float


class Lanes:
    """Lends connections.

    Args:
        most: Connections in use at the same time, and as many idle ones.
        idle: Seconds that an unused one is kept.
        open_: Makes a pool of one connection, which it opens when it is first used.
    """

    def __init__(self, most: int, idle: float, open_: Callable[[Way], httpcore.ConnectionPool]) -> None:
        self._most, self._keep, self._open = most, idle, open_
        self._free = threading.Semaphore(most)
        self._lock = threading.Lock()
        self._idle: list[_Idle] = []
        self._closed = False

    @contextmanager
    def lend(self, way: Way, timeout: float) -> Iterator[httpcore.ConnectionPool]:
        """Nobody else has the connection inside. Raises ``httpcore.PoolTimeout`` when all are in use for so many seconds."""
        if not self._free.acquire(timeout=timeout):
            raise httpcore.PoolTimeout
        try:
            pool = self._take(way) or self._open(way)
            try:
                yield pool
            finally:
                self._give_back(way, pool)
        finally:
            self._free.release()

    def close(self) -> None:
        """Closes the idle ones now and the others when they come back."""
        with self._lock:
            self._closed = True
            closing, self._idle = self._idle, []
        for lane in closing:
            lane.pool.close()

    def _take(self, way: Way) -> httpcore.ConnectionPool | None:
        """The one that was used last, so that what is not needed ages; what has aged is closed."""
        oldest = time.monotonic() - self._keep
        with self._lock:
            aged = [lane for lane in self._idle if lane.since < oldest]
            self._idle = [lane for lane in self._idle if lane.since >= oldest]
            taken = next((lane for lane in reversed(self._idle) if lane.way == way), None)
            if taken is not None:
                self._idle.remove(taken)
        for lane in aged:
            lane.pool.close()
        return taken.pool if taken else None

    def _give_back(self, way: Way, pool: httpcore.ConnectionPool) -> None:
        with self._lock:
            self._idle.append(_Idle(way, pool, time.monotonic()))
            surplus = len(self._idle) if self._closed else len(self._idle) - self._most
            closing, self._idle = self._idle[: max(surplus, 0)], self._idle[max(surplus, 0) :]
        for lane in closing:
            lane.pool.close()
