"""The core trusts no plugin: each call out of dewy has a time limit and an error boundary that names the plugin.

A call runs in a thread of its own while the deployer waits for it. When the limit passes, the deployer goes on without it;
a thread cannot be ended from outside, so the number of those left behind is bounded.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from dewy.durations import format_duration
from dewy.errors import DewyError, PluginError
from dewy.waker import Interrupted, Waker

__all__ = ["CallTimedOut", "Guard"]

T = TypeVar("T")

_MOST_ABANDONED = 4
"""Calls of one plugin that may hang at the same time before it is not called again."""


class CallTimedOut(PluginError):
    """A plugin did not come back in time."""


class _Call(Generic[T]):
    """One call in its own thread."""

    def __init__(self, function: Callable[[], T], waker: Waker, name: str) -> None:
        self._function, self._waker = function, waker
        self.done = False
        self.value: T | None = None
        self.error: BaseException | None = None
        here = contextvars.copy_context()  # what is said over there belongs to what is under way here
        self.thread = threading.Thread(target=here.run, args=(self._run,), name=name, daemon=True)

    def _run(self) -> None:
        try:
            self.value = self._function()
        except BaseException as error:  # handed to the caller, who decides
            self.error = error
        self.done = True
        self._waker.notify()


class Guard:
    """Calls plugins with a limit. For any thread."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self._abandoned: dict[str, list[threading.Thread]] = {}
        self._lock = threading.Lock()

    def call(
        self,
        who: str,
        what: str,
        function: Callable[[], T],
        *,
        limit: float,
        alive: Callable[[], float] | None = None,
    ) -> T:
        """Calls ``function`` and returns what it returns.

        Args:
            who: The plugin, as error texts name it.
            what: What it is asked to do: "listing versions".
            function: The call.
            limit: Seconds it may take; with ``alive``, seconds it may be without a sign of life.
            alive: The monotonic time of the last sign of life.

        Raises:
            DewyError: What the plugin raised, if it was one.
            PluginError: The plugin raised something else; says what.
            CallTimedOut: It did not come back in time.
            Stopping: dewy stops.
            Interrupted: An operator's command goes first.
        """
        self._refuse_the_hanging(who, what)
        call = _Call(function, self._waker, f"{who}: {what}")
        started = self._waker.monotonic()
        call.thread.start()
        while not call.done:
            last = max(started, alive()) if alive else started
            left = last + limit - self._waker.monotonic()
            if left <= 0:
                self._abandon(who, call.thread)
                raise CallTimedOut(
                    f"{who} gave no sign of life for {format_duration(limit)} while {what}"
                    if alive
                    else f"{who} did not come back within {format_duration(limit)} from {what}"
                )
            try:
                self._waker.wait_for(lambda: call.done, left)
            except Interrupted:
                self._abandon(who, call.thread)
                raise
        if call.error is not None:
            raise self._explained(who, what, call.error)
        return call.value  # type: ignore[return-value]  # done without an error: it is the function's

    def _abandon(self, who: str, thread: threading.Thread) -> None:
        with self._lock:
            self._abandoned.setdefault(who, []).append(thread)

    def _refuse_the_hanging(self, who: str, what: str) -> None:
        with self._lock:
            hanging = [thread for thread in self._abandoned.get(who, []) if thread.is_alive()]
            self._abandoned[who] = hanging
        if len(hanging) >= _MOST_ABANDONED:
            raise CallTimedOut(f"{who} is not asked for {what}: {len(hanging)} earlier calls still hang", "Restart dewy")

    @staticmethod
    def _explained(who: str, what: str, error: BaseException) -> BaseException:
        if isinstance(error, DewyError | OSError):
            return error
        explained = PluginError(
            f"{who} failed while {what}: {type(error).__name__}: {error}", "This is a fault of the plugin"
        )
        explained.__cause__ = error
        return explained
