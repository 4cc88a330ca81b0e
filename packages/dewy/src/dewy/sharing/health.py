"""Whether the cache works: said once per change, and left alone for a while after it has failed (R44)."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dewy.backoff import backoff
from dewy.durations import format_duration
from dewy.errors import CacheError
from dewy.events import CACHE_FAILED, CACHE_RECOVERED, Emit

__all__ = ["CacheHealth", "Paused"]

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 30.0
"""Seconds for which a cache that has failed is not asked: what waits for its time-outs would wait at every poll."""


class Paused(CacheError):
    """The cache was not even asked."""


class CacheHealth:
    """What is known of the cache. Safe to use from all threads.

    Args:
        emit: Is told when it stops working and when it works again.
        monotonic: The clock, in seconds.
    """

    def __init__(self, emit: Emit, monotonic: Callable[[], float]) -> None:
        self._emit, self._monotonic = emit, monotonic
        self._lock = threading.Lock()
        self._failures = 0
        self._asked_again_at = float("-inf")

    def check(self) -> None:
        """Raises Paused while the cache is left alone."""
        left = self._asked_again_at - self._monotonic()
        if left > 0:
            raise Paused(f"the cache has failed and is asked again in {format_duration(left)}")

    def failed(self, error: Exception) -> None:
        """Notes a failure; the first one is said."""
        with self._lock:
            self._failures += 1
            pause = backoff(self._failures, first=_FIRST_PAUSE, most=_LONGEST_PAUSE)
            self._asked_again_at = self._monotonic() + pause
            first = self._failures == 1
        if first:
            self._emit(CACHE_FAILED, error=str(error))

    def worked(self) -> None:
        """Notes that it did what it was asked; after failures, this is said."""
        with self._lock:
            recovered, self._failures = self._failures > 0, 0
        if recovered:
            self._emit(CACHE_RECOVERED)
