"""News of a new version: where the store can push, one host that learns of it wakes the others (R43).

Polling stays as the safety net: nothing is lost when a push is.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from dewy.backoff import backoff
from dewy.errors import CacheError, DewyError
from dewy.events import FLEET_NEWS, Emit
from dewy.guard import Guard
from dewy.sharing.answers import digest_of_release
from dewy.sharing.values import SharedValues
from dewy.types import AtomicCache, Release, WatchableCache
from dewy.waker import Stopping, Waker

__all__ = ["News"]

_WATCH = 50.0
"""Seconds that one watch takes when nothing happens."""
_MARGIN = 20.0
_MOST_SPREAD = 2.0
"""Seconds over which the hosts that are woken ask the registry, unless the interval is short."""


class News:
    """Tells other hosts of a new version, and is told by them.

    Args:
        cache: The cache.
        values: Its small values.
        identity: Of the registry's answer that this is about.
        waker: Who is woken.
        guard: How plugins are called.
        emit: Is told when this host is woken.
    """

    def __init__(
        self, cache: AtomicCache, values: SharedValues, identity: str, waker: Waker, guard: Guard, emit: Emit
    ) -> None:
        self._cache, self._values, self._waker, self._guard, self._emit = cache, values, waker, guard, emit
        self._key = f"news/{identity}"
        self._known = b""
        self.latest: Release | None = None
        """What the registry offered last."""

    def learnt(self, release: Release) -> None:
        """Takes note of what the registry offers here, and tells the others if that has changed."""
        self.latest = release
        known = digest_of_release(release).encode()
        if known == self._known or not isinstance(self._cache, WatchableCache):
            return
        before, self._known = self._known, known  # first: this host's own news must not wake it
        try:
            present = self._values.get(self._key)
            if present != known:
                self._values.compare_and_set(self._key, present, known)
        except CacheError:  # said elsewhere; it is told at the next poll
            self._known = before

    def listen(self, spread: float) -> None:
        """Has this host woken from now on, in a thread of its own, within ``spread`` seconds of the news."""
        if isinstance(self._cache, WatchableCache):
            cache = self._cache
            thread = threading.Thread(target=self._listen, args=(cache, min(spread, _MOST_SPREAD)), name="news", daemon=True)
            thread.start()

    def _listen(self, cache: WatchableCache, spread: float) -> None:
        failures, seen = 0, self._known or None
        try:
            while True:
                try:
                    news = self._guard.call("the cache", "watching", _watch(cache, self._key, seen), limit=_WATCH + _MARGIN)
                    failures = 0
                except (DewyError, OSError):
                    failures += 1
                    self._waker.pause(backoff(failures, first=1.0, most=60.0))
                    continue
                if news is not None and news not in (seen, self._known):
                    self._waker.pause(random.uniform(0.0, spread))  # noqa: S311  # to spread the fleet
                    self._emit(FLEET_NEWS)
                    self._waker.wake()
                seen = news
        except Stopping:
            return


def _watch(cache: WatchableCache, key: str, seen: bytes | None) -> Callable[[], bytes | None]:
    return lambda: cache.watch(key, seen, _WATCH)
