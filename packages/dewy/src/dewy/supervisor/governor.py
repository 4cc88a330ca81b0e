"""When an application that has died is started again (R83). Pure but for the dice, which are passed in."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from dewy.backoff import backoff
from dewy.supervisor.settings import SupervisorSettings

__all__ = ["CrashGovernor"]


class CrashGovernor:
    """Counts crashes in a row and bounds how often the application is started again. Times are monotonic seconds.

    Args:
        settings: The bounds.
        dice: Like :func:`random.uniform`.

    Attributes:
        crashes: In a row: since the application last was ready for the stable time.
    """

    def __init__(self, settings: SupervisorSettings, dice: Callable[[float, float], float] = random.uniform) -> None:
        self._settings, self._dice = settings, dice
        self._starts: deque[float] = deque(maxlen=settings.most_starts)
        self._level = 0
        self.crashes = 0

    def crashed(self, now: float) -> float:
        """Takes note of a crash; the seconds to wait before the next start."""
        self.crashes += 1
        self._level += 1
        settings = self._settings
        # twice the shortest, because the dice fall into the upper half: 1 to 2 seconds, 2 to 4, ... 30 to 60
        delay = backoff(self._level, first=2 * settings.backoff_first, most=settings.backoff_most, dice=self._dice)
        return max(delay, settings.backoff_first, self._window_opens(now) - now)

    def _window_opens(self, now: float) -> float:
        """When one more start is within the most that are allowed in the window."""
        full = len(self._starts) == self._starts.maxlen
        return self._starts[0] + self._settings.starts_window if full else now

    def started(self, now: float) -> None:
        """Takes note of a start after a crash."""
        self._starts.append(now)

    def replaced(self) -> None:
        """Another version runs now: it begins with the shortest wait again, the crashes stay counted until it is stable."""
        self._level = 0

    def forget(self) -> int:
        """The application has been ready for the stable time; returns how many crashes are behind it."""
        crashes, self.crashes, self._level = self.crashes, 0, 0
        return crashes
