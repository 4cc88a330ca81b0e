"""Whose turn it is to start the application: one at a time, and not while what ``current`` leads to is about to change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

__all__ = ["Turns"]


class Turns:
    """One lock for all starts, and the word of the deployer that ``current`` may be relied on."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._settled = asyncio.Event()
        self._settled.set()
        self._settles_by = 0.0

    @property
    def taken(self) -> bool:
        """Whether somebody has the turn."""
        return self._lock.locked()

    @asynccontextmanager
    async def any(self) -> AsyncIterator[None]:
        """A turn for whoever knows what ``current`` leads to: the deployer."""
        async with self._lock:
            yield

    @asynccontextmanager
    async def steady(self) -> AsyncIterator[None]:
        """A turn for those who start what ran before: only while ``current`` leads to it, or after the limit."""
        while True:
            await self._until_settled()
            async with self._lock:
                if self._settled.is_set() or time.monotonic() >= self._settles_by:
                    yield
                    return

    async def unsettle(self, limit: float) -> None:
        """``current`` is about to change: nothing that ran before is started until :meth:`settle`, or for ``limit`` seconds.

        Returns when nobody is in the middle of such a start.
        """
        async with self._lock:
            self._settles_by = time.monotonic() + limit
            self._settled.clear()

    def settle(self) -> None:
        """``current`` leads to what runs, or is to run, again."""
        self._settled.set()

    async def take_for_good(self) -> None:
        """Takes the turn and keeps it: nothing is started any more until :meth:`give_back`."""
        await self._lock.acquire()

    def give_back(self) -> None:
        """Gives back what :meth:`take_for_good` has taken."""
        self._lock.release()

    async def _until_settled(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._settles_by - time.monotonic())):
                await self._settled.wait()
