"""How the deployer's thread waits: for a time, for something to happen, or to be told to stop.

One condition serves all its waits, so that a wake-up, the end of a plugin's call and a stop each end them at once, and an
idle dewy costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Interrupted", "Stopping", "Waker"]


class Stopping(BaseException):
    """dewy is asked to stop while its deployer waits. No error: no boundary for errors may swallow it."""


class Interrupted(BaseException):
    """Somebody asks the deployer for something while it waits for what can be given up. No error, as :class:`Stopping`."""


class Waker:
    """Waits that can be ended from other threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self._condition = threading.Condition()
        self._woken = False
        self._stopped = False
        self._interrupted = False
        self._interruptible: int | None = None

    @property
    def stopped(self) -> bool:
        """Whether dewy was asked to stop."""
        return self._stopped

    def stop(self) -> None:
        """Ends every wait, now and from now on, with :class:`Stopping`."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    def wake(self) -> None:
        """Ends the present :meth:`sleep`, or the next one if there is none at present."""
        with self._condition:
            self._woken = True
            self._condition.notify_all()

    def interrupt(self) -> None:
        """As :meth:`wake`, and ends what is :meth:`interruptible` with :class:`Interrupted`."""
        with self._condition:
            self._woken = self._interrupted = True
            self._condition.notify_all()

    def heed(self) -> None:
        """Whoever has interrupted is heard from now on: before what was asked for is looked at."""
        self._interrupted = False

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """In the block, waits of this thread end with :class:`Interrupted` when somebody interrupts."""
        before, self._interruptible = self._interruptible, threading.get_ident()
        try:
            yield
        finally:
            self._interruptible = before

    def notify(self) -> None:
        """Has every :meth:`wait_for` look at its predicate again."""
        with self._condition:
            self._condition.notify_all()

    def sleep(self, seconds: float) -> None:
        """Waits for a time or until woken. Raises Stopping when dewy stops."""
        self.wait_for(lambda: self._woken, seconds)
        self._woken = False

    def pause(self, seconds: float) -> None:
        """Waits for a time, whoever wakes. Raises Stopping when dewy stops. For any thread."""
        self.wait_for(lambda: False, seconds)

    def wait_for(self, predicate: Callable[[], bool], seconds: float) -> bool:
        """Waits until ``predicate`` holds (see :meth:`notify`), at most ``seconds``; what it said last.

        Raises Stopping when dewy stops, and Interrupted in an :meth:`interruptible` block, unless the predicate holds by
        then.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._ends_waits() or predicate(), timeout=seconds)
            if predicate():
                return True
            if self._stopped:
                raise Stopping
            if self._ends_waits():
                raise Interrupted
            return False

    def _ends_waits(self) -> bool:
        return self._stopped or (self._interrupted and self._interruptible == threading.get_ident())
