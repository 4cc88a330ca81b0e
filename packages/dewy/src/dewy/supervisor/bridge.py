"""The supervisor for other threads: the one bridge between the deployer and the main thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from dewy.errors import DewyError
from dewy.supervisor.launch import Launch
from dewy.supervisor.preflight import Candidate
from dewy.supervisor.status import Status
from dewy.supervisor.supervisor import Supervisor

__all__ = ["SupervisorBridge"]

T = TypeVar("T")


class SupervisorBridge:
    """Calls the supervisor's verbs from another thread and waits for them, not for ever.

    Each verb raises what the supervisor's raises, and DewyError when the main thread ends or does not answer in time.

    Args:
        supervisor: Whose verbs they are.
        loop: The main thread's.
    """

    def __init__(self, supervisor: Supervisor, loop: asyncio.AbstractEventLoop) -> None:
        self._supervisor, self._loop = supervisor, loop
        settings = supervisor.settings
        ending = settings.group_grace + settings.kill_grace
        # another start may have the turn, and a failed one is ended before it is told
        self._start_limit = 2 * (settings.start_bound + settings.failed_grace + ending)
        self._stop_limit = settings.stop_timeout + ending + 2 * _MARGIN

    def start(self, launch: Launch) -> None:
        """See :meth:`Supervisor.start`."""
        self._call(self._supervisor.start(launch), self._start_limit)

    def swap(self, launch: Launch, *, gives_way: bool = False) -> None:
        """See :meth:`Supervisor.swap`."""
        self._call(self._supervisor.swap(launch, gives_way=gives_way), self._start_limit)

    def unsettle(self, limit: float) -> None:
        """See :meth:`Supervisor.unsettle`."""
        self._call(self._supervisor.unsettle(limit), self._start_limit)

    def settle(self) -> None:
        """See :meth:`Supervisor.settle`; never waits."""
        with contextlib.suppress(RuntimeError):  # the main thread has ended
            self._loop.call_soon_threadsafe(self._supervisor.settle)

    def preflight(self, launch: Launch) -> Candidate:
        """See :meth:`Supervisor.preflight`."""
        return self._call(self._supervisor.preflight(launch), self._start_limit)

    def end_preflight(self, candidate: Candidate, grace: float) -> None:
        """See :meth:`Candidate.stop`."""
        self._call(candidate.stop(grace), self._stop_limit)

    def restart(self) -> None:
        """See :meth:`Supervisor.restart`."""
        self._call(self._supervisor.restart(), self._start_limit)

    def stop(self) -> None:
        """See :meth:`Supervisor.stop`."""
        self._call(self._supervisor.stop(), self._stop_limit)

    @property
    def status(self) -> Status:
        """See :attr:`Supervisor.status`; never waits."""
        return self._supervisor.status

    @property
    def speaks_notify(self) -> bool:
        """See :attr:`Supervisor.speaks_notify`; never waits."""
        return self._supervisor.speaks_notify

    def _call(self, verb: Coroutine[Any, Any, T], limit: float) -> T:
        try:
            future = asyncio.run_coroutine_threadsafe(verb, self._loop)
        except RuntimeError as error:
            verb.close()
            raise _ended() from error
        try:
            return future.result(limit + _MARGIN)
        except concurrent.futures.CancelledError as error:
            raise _ended() from error
        except TimeoutError as error:
            future.cancel()
            raise DewyError(f"the supervisor has not answered within {limit + _MARGIN:.0f}s") from error


_MARGIN = 5.0
"""Seconds beyond what the supervisor itself may take."""


def _ended() -> DewyError:
    return DewyError("dewy is shutting down: nothing is started any more")
