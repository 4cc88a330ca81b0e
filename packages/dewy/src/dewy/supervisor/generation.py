"""One run of the application: from its spawn, by way of being ready, to the end of the last process of its group."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dewy import events
from dewy.errors import from_os_error
from dewy.supervisor.exits import describe_exit, explain_exit
from dewy.supervisor.failure import Failure
from dewy.supervisor.inheritance import GenerationRecord
from dewy.supervisor.launch import FIRST_FD, Launch, child_environment
from dewy.supervisor.ledger import Ledger
from dewy.supervisor.output import Capture, Relay, standard_outputs
from dewy.supervisor.process import Process, spawn
from dewy.supervisor.procfs import all_processes
from dewy.supervisor.readiness import Notification, NotifySocket, NotReady, Progress, Ready, Wait, in_group, judge
from dewy.supervisor.settings import SupervisorSettings
from dewy.supervisor.sockets import Sockets
from dewy.supervisor.status import GenerationState, GenerationStatus

__all__ = ["Ending", "Generation", "Means"]

_SHORTEST_POLL, _LONGEST_POLL = 0.01, 0.1


@dataclass(frozen=True, slots=True)
class Means:
    """What all generations of an application share.

    Attributes:
        sockets: What they listen on.
        relay: Who passes on what they print.
        ledger: Where they are written down.
        settings: How long is waited for what.
        emit: How they say what happens.
    """

    sockets: Sockets
    relay: Relay
    ledger: Ledger
    settings: SupervisorSettings
    emit: events.Emit

    @classmethod
    def open(
        cls,
        root: Path,
        sockets: Sockets,
        emit: events.Emit,
        settings: SupervisorSettings | None = None,
        outputs: tuple[int | None, int | None] | None = None,
    ) -> Means:
        """Starts what works for all generations.

        Args:
            root: The application's root directory, absolute.
            sockets: From :func:`dewy.supervisor.sockets.bind`; they stay the caller's to close.
            emit: The event stream.
            settings: None for the defaults.
            outputs: Descriptors that the application's output goes to; None for dewy's own.

        Raises:
            HostError: The state directory cannot be written.
        """
        try:
            ledger = Ledger(root)
        except OSError as error:
            raise from_os_error(error, f"writing to {root / '.dewy'}") from error
        return cls(sockets, Relay(outputs or standard_outputs()), ledger, settings or SupervisorSettings(), emit)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the leader of a generation ended.

    Attributes:
        code: Exit code, a signal being negative; None when it is not known.
        uptime: Seconds from its start.
        output: The last lines it wrote.
    """

    code: int | None
    uptime: float
    output: tuple[str, ...]


class Generation:
    """One run of the application, which is spawned by making this.

    Args:
        number: ``SERVER_STARTER_GENERATION``.
        launch: What to start.
        means: What all generations share.
        must_say: Whether the application is known to say ``READY=1``.

    Raises:
        StartError: The program cannot be run.
        HostError: This host has no room for one more process.

    Attributes:
        number: ``SERVER_STARTER_GENERATION``.
        launch: What was started.
        ended: Is set when the leader has ended and the end of its output is there.
        life: Is done when nothing is left of it: no process, no descriptor.
    """

    def __init__(self, number: int, launch: Launch, means: Means, *, must_say: bool) -> None:
        self._begin(number, launch, means, must_say=must_say)
        self._capture, self._notify, self._process = self._spawn()
        self.life = self._loop.create_task(self._live(), context=Context())

    @classmethod
    def adopt(cls, record: GenerationRecord, launch: Launch, means: Means) -> Generation:
        """One that another dewy has started in this process. Raises OSError when what it has is not there any more."""
        generation = cls.__new__(cls)
        generation._begin(record.number, launch, means, must_say=False)
        generation._since = datetime.fromisoformat(record.since)
        generation._progress = Progress(record.began, must_say=False, said_ready=record.said_ready)
        generation._was_ready, generation._is_stopping, generation._text = True, record.is_stopping, record.text
        generation._capture = Capture.adopt(means.relay, record.outputs, record.output)
        generation._notify = NotifySocket(generation._hear, lambda pid: in_group(pid, record.pid), record.notify)
        generation._process = Process(record.pid)
        means.ledger.add(record.pid)
        if record.kill_at is not None:
            generation._asked_at = time.monotonic()
            left = max(0.0, record.kill_at - time.monotonic())
            generation._kill_at = record.kill_at
            generation._timer = generation._loop.call_later(left, generation._kill, left)
        generation.life = generation._loop.create_task(generation._live(), context=Context())
        return generation

    @property
    def record(self) -> GenerationRecord:
        """What is left to another dewy in this process."""
        return GenerationRecord(
            number=self.number, pid=self.pid, version=self.launch.version, release=self.launch.release,
            began=self._progress.began, since=self._since.isoformat(), said_ready=self.says_ready,
            is_stopping=self._is_stopping, text=self._text, kill_at=self._kill_at,
            notify=(self._notify.descriptor, self._notify.address), outputs=self._capture.descriptors, output=self.output,
        )  # fmt: skip

    def _begin(self, number: int, launch: Launch, means: Means, *, must_say: bool) -> None:
        self.number, self.launch = number, launch
        self._means, self._settings = means, means.settings
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Ending] = self._loop.create_future()
        self._changed = asyncio.Event()
        self._on_ready: Callable[[Generation], None] | None = None
        self._since = datetime.now(UTC)
        self._progress = Progress(time.monotonic(), must_say)
        self._was_ready = self._is_stopping = False
        self._text = ""
        self._asked_at: float | None = None
        self._kill_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def _spawn(self) -> tuple[Capture, NotifySocket, Process]:
        """The process and what it speaks through. Raises StartError or HostError, and then leaves nothing behind."""
        sockets, launch = self._means.sockets, self.launch
        with contextlib.ExitStack() as undo:
            try:
                notify = NotifySocket(self._hear, lambda pid: in_group(pid, self.pid))
                undo.callback(notify.close)
                capture = Capture(self._means.relay, FIRST_FD + len(sockets.listeners))
            except OSError as error:
                raise from_os_error(error, f"starting {launch.argv[0]}") from error
            undo.callback(capture.close)
            environ = child_environment(
                launch,
                addresses=sockets.addresses,
                generation=self.number,
                notify_socket=notify.address,
                mark=self._means.ledger.mark,
            )
            try:
                process = spawn(launch, environ, sockets.descriptors, capture.stdout, capture.stderr)
            finally:
                capture.release()
            undo.pop_all()
        self._means.ledger.add(process.pid)
        return capture, notify, process

    # ---------------------------------------------------------------------------------------------------- what it is

    @property
    def pid(self) -> int:
        """Of the leader, and of the process group."""
        return self._process.pid

    @property
    def says_ready(self) -> bool:
        """Whether it has said ``READY=1``."""
        return self._progress.said_ready

    @property
    def output(self) -> tuple[str, ...]:
        """The last lines it wrote."""
        return self._capture.tail.lines()

    @property
    def uptime(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._progress.began

    @property
    def status(self) -> GenerationStatus:
        """What others may know of it. For any thread."""
        state: GenerationState = "ready" if self._was_ready else "starting"
        return GenerationStatus(
            number=self.number,
            pid=self.pid,
            version=self.launch.version,
            release=self.launch.release,
            state="stopping" if self._is_stopping or self._asked_at is not None else state,
            since=self._since,
            text=self._text,
            says_ready=self.says_ready,
        )

    def failure(self, how: str, code: int | None, uptime: float, output: tuple[str, ...]) -> Failure:
        """How it failed, to be told."""
        return Failure(how, self.number, self.launch.version, self.launch.release, code, self.pid, uptime, output)

    # ------------------------------------------------------------------------------------------------ becoming ready

    async def until_ready(self) -> Ready | NotReady:
        """Waits for the verdict: it is ready, or it has ended, was asked to, or took too long."""
        while True:
            verdict = await self._verdict()
            if not isinstance(verdict, Wait):
                self._was_ready = isinstance(verdict, Ready)
                return verdict
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(verdict.until - time.monotonic()):
                    await self._changed.wait()

    async def _verdict(self) -> Ready | NotReady | Wait:
        if self._process.exited.done():
            ending = await asyncio.shield(self.ended)
            return NotReady(f"it ended with {describe_exit(ending.code)}", explain_exit(ending.code), ending.code)
        if self._asked_at is not None:
            return NotReady("it was asked to finish")
        return judge(self._progress, self._settings, time.monotonic())

    def when_it_says_ready(self, call: Callable[[Generation], None]) -> None:
        """Has ``call`` called once, when the application says ``READY=1``, however late."""
        self._on_ready = call

    def _hear(self, said: Notification) -> None:
        self._progress.hear(said, time.monotonic())
        self._is_stopping = self._is_stopping or said.stopping
        self._text = self._text if said.status is None else said.status
        if said.ready and self._on_ready:
            self._on_ready(self)
            self._on_ready = None
        self._changed.set()

    # ------------------------------------------------------------------------------------------------------ its end

    def finish(self, grace: float) -> None:
        """Asks the leader to finish; kills the group if it has not after ``grace`` seconds. Asking again changes nothing."""
        if self._asked_at is not None or self._process.exited.done():
            return
        self._asked_at = time.monotonic()
        self._means.emit(events.GENERATION_STOPPING, generation=self.number, pid=self.pid)
        self._process.signal(signal.SIGTERM)
        self._kill_at = self._asked_at + grace
        self._timer = self._loop.call_later(grace, self._kill, grace)
        self._changed.set()

    def _kill(self, grace: float) -> None:
        if not self._process.exited.done():
            self._means.emit(events.GENERATION_KILLED, generation=self.number, pid=self.pid, seconds=grace)
            self._process.signal_group(signal.SIGKILL)

    def kill(self) -> None:
        """Ends the group at once, whatever it is doing."""
        if not self._process.exited.done():
            self._asked_at = self._asked_at or time.monotonic()
            self._process.signal_group(signal.SIGKILL)

    async def discard(self) -> None:
        """Ends one that did not become ready, and waits until it is gone, or until nothing more can be done about it."""
        grace = self._settings.failed_grace
        self.finish(grace)
        await self.until_gone(grace)

    async def until_gone(self, grace: float) -> None:
        """Waits for a generation that was given ``grace`` seconds; not for ever for one that hangs in the kernel."""
        settings = self._settings
        await asyncio.wait([self.life], timeout=grace + settings.group_grace + settings.kill_grace)

    async def _live(self) -> None:
        """Follows the process to its end and cleans up behind it."""
        code = await self._process.exited
        uptime = self.uptime
        self._changed.set()
        if self._timer:
            self._timer.cancel()
        # while the leader is a zombie its group's number cannot be anybody else's
        self._process.signal_group(signal.SIGTERM)
        self._process.reap()
        with contextlib.suppress(TimeoutError):  # a grandchild holds the pipe
            async with asyncio.timeout(self._settings.output_grace):
                await self._capture.ended.wait()
        self.ended.set_result(Ending(code, round(uptime, 3), self.output))
        await self._clear_group()
        self._notify.close()
        self._capture.close()
        self._means.ledger.remove(self.pid)
        if self._asked_at is not None:
            self._means.emit(
                events.GENERATION_STOPPED,
                generation=self.number, pid=self.pid, how=describe_exit(code),
                seconds=round(time.monotonic() - self._asked_at, 3),
            )  # fmt: skip

    async def _clear_group(self) -> None:
        """Waits for the members that the leader has left behind; kills those that do not go."""
        poll = _SHORTEST_POLL
        for grace, then in ((self._settings.group_grace, signal.SIGKILL), (self._settings.kill_grace, None)):
            deadline = time.monotonic() + grace
            while self._has_members(closely=poll == _LONGEST_POLL):
                if time.monotonic() >= deadline:
                    break
                await asyncio.sleep(poll)
                poll = min(2 * poll, _LONGEST_POLL)
            else:
                return
            if then:
                self._process.signal_group(then)

    def _has_members(self, *, closely: bool) -> bool:
        """Whether anybody is left in the group; looking closely costs more and tells zombies that nobody waits for."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-self.pid, os.WNOHANG)[0]:
                pass  # as process 1 of a container dewy inherits them, and then they are zombies until it waits for them
        if not self._process.signal_group(0):
            return False
        return not closely or any(found.group == self.pid and found.is_alive for found in all_processes())
