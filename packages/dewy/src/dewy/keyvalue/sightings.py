"""How long something has been as it is, by this host's own clock.

Hosts do not agree on the time, so nothing here compares clocks: what counts is for how long *this process* has seen the
same. Who waits for a dead host to be replaced, or for something to grow old, waits on its own monotonic clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

__all__ = ["Sightings"]


class Sightings:
    """When each value was first seen as it is now. Safe to use from all threads.

    Args:
        monotonic: The clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: dict[str, tuple[object, float]] = {}
        self._lock = threading.Lock()

    def age(self, key: str, value: object) -> float:
        """Seconds for which ``key`` has been seen with this value; 0 the first time."""
        with self._lock:
            seen, since = self._seen.get(key, (None, 0.0))
            if key not in self._seen or seen != value:
                since = self._monotonic()
                self._seen[key] = (value, since)
            return self._monotonic() - since

    def has_seen(self, key: str) -> bool:
        """Whether ``key`` has been looked at before."""
        with self._lock:
            return key in self._seen

    def keep_only(self, keys: Iterable[str]) -> None:
        """Forgets what is not among ``keys``: it is gone."""
        wanted = set(keys)
        with self._lock:
            self._seen = {key: seen for key, seen in self._seen.items() if key in wanted}
