"""A clock that goes when it is told to."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

__all__ = ["FakeClock"]

_START = datetime(2024, 3, 15, 14, 30, 22, tzinfo=UTC)


class FakeClock:
    """Time for tests: nothing waits, and every wait takes exactly as long as it says. Safe to use from all threads.

    Args:
        start: What :meth:`now` says at first.
    """

    def __init__(self, start: datetime = _START) -> None:
        self._start, self._elapsed = start, 0.0
        self._lock = threading.Lock()
        self.waits: list[float] = []
        """Every wait there was, in seconds, in order."""

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    def now(self) -> datetime:
        """The time of day, aware of its time zone."""
        return self._start + timedelta(seconds=self._elapsed)

    def advance(self, seconds: float) -> None:
        """Lets time go by. Raises ValueError for negative seconds."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds}")
        with self._lock:
            self._elapsed += seconds

    def wait(self, seconds: float) -> None:
        """What to give to code in place of ``time.sleep``: advances the clock and returns at once."""
        self.advance(seconds)
        self.waits.append(seconds)
