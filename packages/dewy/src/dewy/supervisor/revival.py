"""Coming back: an application that has died is started again, ever less often while it goes on dying (R83)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from contextvars import Context

from dewy import events
from dewy.supervisor.failure import Failure, NotUp
from dewy.supervisor.generation import Generation
from dewy.supervisor.governor import CrashGovernor
from dewy.supervisor.settings import SupervisorSettings
from dewy.supervisor.turns import Turns

__all__ = ["Revival"]

_GOES_FIRST = 3
"""So many times in a row what has died is started again before anything else; then a newer version may have to mend it."""


class Revival:
    """Tries again and again until something serves.

    Args:
        settings: How long is waited for what.
        emit: The event stream.
        turns: Whose turn it is.
        bring_up: Starts what is wanted, unless something serves by then; raises NotUp. The caller has the turn.
        make_way: Has whoever tries something else give it up.

    Attributes:
        last_failure: How the application last died, or was not ready when it was started again.
        comes_back: Whether what served has died and goes before whatever else is to be started.
    """

    def __init__(
        self,
        settings: SupervisorSettings,
        emit: events.Emit,
        turns: Turns,
        bring_up: Callable[[], Awaitable[None]],
        make_way: Callable[[], None],
    ) -> None:
        self._emit, self._turns, self._bring_up, self._make_way = emit, turns, bring_up, make_way
        self._stable_after = settings.stable_after
        self._governor = CrashGovernor(settings)
        self._serving = asyncio.Event()
        self._trying: asyncio.Task[None] | None = None
        self._stable: asyncio.TimerHandle | None = None
        self.last_failure: Failure | None = None
        self.comes_back = False

    @property
    def crashes(self) -> int:
        """In a row: since the application last was ready for the stable time."""
        return self._governor.crashes

    def begin(self, failure: Failure, *, served: bool = False) -> None:
        """Nothing serves: what is wanted is started again after its back-off, until something does."""
        self.last_failure = failure
        self.comes_back = served and self.crashes < _GOES_FIRST
        self._serving.clear()
        self.end()
        # what dies and comes back later is no part of the deployment that once started it
        self._trying = asyncio.get_running_loop().create_task(self._try(failure), context=Context())

    def go_on(self) -> None:
        """Starts what is wanted, without a wait, if nobody is at it: somebody has had it given up for something else."""
        if self.last_failure and not self._serving.is_set() and (self._trying is None or self._trying.done()):
            self._trying = asyncio.get_running_loop().create_task(self._try(None), context=Context())

    def serves(self, generation: Generation) -> None:
        """Something serves; what died before is forgotten when it has done so for the stable time."""
        self._serving.set()
        self.comes_back = False
        self._cancel_stable()
        self._stable = asyncio.get_running_loop().call_later(
            self._stable_after, self._is_stable, generation, context=Context()
        )

    def replaced(self) -> None:
        """Another version serves: it begins with the shortest wait again."""
        self._governor.replaced()

    def end(self) -> None:
        """Tries no more, and waits for nothing."""
        self._cancel_stable()
        self.give_up()

    def give_up(self) -> None:
        """Tries no more, until :meth:`begin` or :meth:`go_on`."""
        if self._trying:
            self._trying.cancel()
            self._trying = None

    async def _try(self, failure: Failure | None) -> None:
        while not await self._serves_within(self._tell(failure) if failure else 0.0):
            if self.comes_back:
                self._make_way()
            async with self._turns.steady():
                if self._serving.is_set():
                    return
                self._governor.started(time.monotonic())
                try:
                    await self._bring_up()
                except NotUp as not_up:
                    failure = self.last_failure = not_up.failure
                    self.comes_back = False
                else:
                    return

    def _tell(self, failure: Failure) -> float:
        """Says that the application has died; the seconds until it is started again."""
        delay = self._governor.crashed(time.monotonic())
        self._emit(
            events.APPLICATION_CRASHED,
            how=failure.how, uptime=round(failure.uptime, 1), retry_seconds=round(delay, 1), generation=failure.number,
            pid=failure.pid, version=failure.version, output="\n".join(failure.output), crashes=self._governor.crashes,
        )  # fmt: skip
        return delay

    async def _serves_within(self, delay: float) -> bool:
        """Waits; whether something has come to serve meanwhile, a swap say."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                return await self._serving.wait()
        return False

    def _is_stable(self, generation: Generation) -> None:
        crashes = self._governor.forget()
        if crashes:
            self._emit(
                events.APPLICATION_RECOVERED,
                crashes=crashes, generation=generation.number, version=generation.launch.version,
            )  # fmt: skip

    def _cancel_stable(self) -> None:
        if self._stable:
            self._stable.cancel()
            self._stable = None
