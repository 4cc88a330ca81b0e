"""Becoming another dewy: after its package was upgraded, this process executes itself anew and keeps all it has."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import NoReturn

from dewy import __version__
from dewy.deployer import Deployer
from dewy.errors import DewyError, from_os_error
from dewy.lock import RootLock
from dewy.settings import Settings
from dewy.stream import EventStream
from dewy.supervisor import Supervisor
from dewy.systemd import reloading
from dewy.upgrade.handover import PROBE_VARIABLE, VARIABLE, Handover, write_handover

__all__ = ["HELD_SIGNALS", "Replacement"]

HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Wait until the new dewy has its handlers: by default each of them would end it."""

_PROBE_LIMIT = 60.0
_FLUSH = 5.0
"""Seconds for events that are not delivered yet: their queues do not survive."""


class Replacement:
    """Puts another dewy in place of this one, once.

    Args:
        settings: What the user asked for.
        lock: The root's.
        stream: The event stream.
        deployer: Which comes to rest before.
        supervisor: Likewise; None for assets.
        start: Has the deployer go on in a new thread, where nothing comes of it.
    """

    def __init__(
        self,
        settings: Settings,
        lock: RootLock,
        stream: EventStream,
        deployer: Deployer,
        supervisor: Supervisor | None,
        start: Callable[[], None],
    ) -> None:
        self._settings, self._lock, self._stream = settings, lock, stream
        self._deployer, self._supervisor, self._start = deployer, supervisor, start
        self._turn = asyncio.Lock()

    async def probe(self) -> None:
        """Asks the dewy that is installed now whether it can take over. Raises DewyError when not; nothing has changed."""
        if not hasattr(os, "memfd_create"):
            raise DewyError("dewy cannot be replaced in place on this system", "Restart it")
        await asyncio.to_thread(self._probe, self._handover())

    async def run(self) -> NoReturn:
        """Becomes the other dewy. Raises DewyError when that cannot be; this one then goes on."""
        async with self._turn:
            await asyncio.wrap_future(self._deployer.inbox.ask(self._deployer.park))
            try:
                await asyncio.to_thread(self._stream.flush, _FLUSH)
                await self._become()
            finally:
                self._start()  # here only if nothing came of it

    def _handover(self) -> Handover:
        record = self._supervisor.record() if self._supervisor else None
        return Handover(dewy_version=__version__, lock=self._lock.descriptor, supervisor=record)

    def _probe(self, handover: Handover) -> None:
        descriptor = write_handover(handover)
        try:
            done = subprocess.run(
                [sys.executable, *sys.orig_argv[1:]],
                env={**os.environ, VARIABLE: str(descriptor), PROBE_VARIABLE: "1"}, pass_fds=(descriptor,),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                timeout=_PROBE_LIMIT, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DewyError(f"the dewy that is installed now does not start: {error}", "This one goes on") from error
        finally:
            os.close(descriptor)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            why = said[-1] if said else f"exit status {done.returncode}"
            raise DewyError(f"the dewy that is installed now cannot take over: {why}", "This one goes on")

    async def _become(self) -> NoReturn:
        if self._supervisor is None:
            self._execute(self._handover())
        await self._supervisor.hand_over()
        try:
            self._execute(self._handover())
        finally:
            self._supervisor.take_back()

    def _execute(self, handover: Handover) -> NoReturn:
        descriptor, kept = write_handover(handover), handover.descriptors()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
        try:
            for number in kept:
                os.set_inheritable(number, True)
            with reloading(self._settings.environ):
                environ = {**os.environ, VARIABLE: str(descriptor)}
                os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)  # noqa: S606 - as it was started
        except OSError as error:
            raise from_os_error(error, "executing dewy anew") from error
        finally:
            os.close(descriptor)
            for number in kept:
                os.set_inheritable(number, False)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
