"""The supervisor: keeps one application running, and swaps one generation for the next without a gap (R80-R84).

Everything happens on the main thread, one start at a time; any number of older generations may still be finishing. The
rule that nothing here may break: the generation that serves is only asked to finish when its successor is ready.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from dewy import events
from dewy.errors import DewyError, HostError, StartError
from dewy.scope import facts
from dewy.supervisor.exits import describe_exit
from dewy.supervisor.failure import Failure, NotUp, goes_first
from dewy.supervisor.generation import Ending, Generation, Means
from dewy.supervisor.inheritance import GenerationRecord, SupervisorRecord
from dewy.supervisor.launch import Launch
from dewy.supervisor.preflight import Candidate, for_preflight
from dewy.supervisor.readiness import NotReady
from dewy.supervisor.revival import Revival
from dewy.supervisor.settings import SupervisorSettings
from dewy.supervisor.sockets import bind_private
from dewy.supervisor.status import Status, SupervisorState
from dewy.supervisor.tasks import Tasks
from dewy.supervisor.turns import Turns

__all__ = ["Supervisor"]

T = TypeVar("T")


class Supervisor:
    """Supervises one application. To be made and used in a running loop; other threads use the bridge.

    Args:
        means: Sockets, output, ledger, settings and the event stream.
        speaks_notify: Whether the application has been seen to say ``READY=1``, in an earlier life of dewy.
        learned: Is called when that is seen for the first time. Must not block.
    """

    def __init__(self, means: Means, *, speaks_notify: bool = False, learned: Callable[[], None] | None = None) -> None:
        self._means, self._settings, self._emit = means, means.settings, means.emit
        self._speaks_notify, self._learned = speaks_notify, learned
        self._turns = Turns()
        self._revival = Revival(self._settings, self._emit, self._turns, self._bring_back, self._make_way)
        self._number = 0
        self._wanted: Launch | None = None
        self._current: Generation | None = None
        self._candidate: Generation | None = None
        self._alive: tuple[Generation, ...] = ()
        self._queued_restart: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._tasks = Tasks()

    # ------------------------------------------------------------------------------------------------------ the verbs

    async def start(self, launch: Launch) -> None:
        """Keeps an application running from now on: tried again and again with back-off, also when this raises.

        Raises:
            StartError: It is not ready at the first try.
            HostError: This host could not start it at the first try.
            DewyError: dewy is shutting down.
        """
        await self._tasks.do(self._start(launch))

    async def swap(self, launch: Launch, *, gives_way: bool = False) -> None:
        """Starts an application in place of the present one; returns when it is ready. The old one finishes meanwhile.

        With ``gives_way`` it is given up when the present one dies and is due to come back before it is ready.

        Raises:
            StartError: It is not ready. It is gone again, and what ran before runs on.
            HostError: This host could not start it, and what ran before runs on; or that has died, and goes first.
            DewyError: dewy is shutting down.
        """
        await self._tasks.do(self._swap(launch, gives_way=gives_way))

    async def unsettle(self, limit: float) -> None:
        """``current`` is about to change: what runs is not started again until :meth:`settle`, or for so many seconds."""
        self._revival.give_up()  # what is being started again may hang: whoever has something better does not wait for it
        await self._turns.unsettle(limit)

    def settle(self) -> None:
        """``current`` leads to what runs, or is to run."""
        self._turns.settle()
        if not self._ending and self._wanted:
            self._revival.go_on()

    async def preflight(self, launch: Launch) -> Candidate:
        """Starts an application beside the present one, on private sockets; returns when it is ready.

        Raises:
            StartError: It is not ready. It is gone again.
            HostError: This host could not start it.
            DewyError: dewy is shutting down.
        """
        return await self._tasks.do(self._preflight(launch))

    async def restart(self) -> None:
        """Swaps the application for itself (R84). One that is asked for while another waits for its turn is the same one.

        Raises:
            StartError: The new generation is not ready; the old one serves on.
            HostError: This host could not start it; the old one serves on.
            DewyError: Nothing runs that could be restarted, or dewy is shutting down.
        """
        await asyncio.shield(self.request_restart())

    def request_restart(self) -> asyncio.Task[None]:
        """Asks for a restart and does not wait: for a signal handler. A failure is told by an event."""
        if self._queued_restart is None:
            self._queued_restart = self._tasks.begin(self._restart())
        return self._queued_restart

    async def stop(self) -> None:
        """Asks everything to finish and waits for it, killing what does not within the stop time-out (R84).

        Asking again waits for the same end. Afterwards nothing can be started any more. The sockets are their owner's.
        """
        if self._ending is None:
            self._ending = self._tasks.begin(self._stop())
        await asyncio.shield(self._ending)

    # ------------------------------------------------------------------------------------ another dewy in this process

    async def hand_over(self) -> None:
        """Comes to rest: nothing is started or printed any more, and :attr:`record` stays true.

        Raises DewyError when dewy is shutting down, or the output of the application is not taken.
        """
        await self._turns.take_for_good()
        self._refuse_when_ending()
        self._revival.end()
        if not await asyncio.to_thread(self._means.relay.pause, _CLOSE_LIMIT):
            self.take_back()
            raise DewyError("nobody takes dewy's output, so it cannot come to rest", "See where its output goes")

    def record(self) -> SupervisorRecord:
        """What is left to another dewy in this process."""
        return SupervisorRecord(
            listeners=tuple(listener.record for listener in self._means.sockets.listeners),
            number=self._number,
            current=self._current.number if self._current else None,
            generations=tuple(generation.record for generation in self._alive if not generation.life.done()),
        )

    def take_back(self) -> None:
        """Goes on after :meth:`hand_over`: nobody has taken over."""
        self._means.relay.go_on()
        self._turns.give_back()
        if self._wanted and not self._current and (failure := self._revival.last_failure):
            self._revival.begin(failure, served=True)

    def adopt(self, record: SupervisorRecord, launch_of: Callable[[GenerationRecord], Launch]) -> None:
        """Takes over what another dewy has started in this process, before anything else is done.

        Args:
            record: What it has left.
            launch_of: How a generation would be started again.
        """
        self._number = record.number
        for left in record.generations:
            generation = Generation.adopt(left, launch_of(left), self._means)
            self._take_care_of(generation)
            if left.number == record.current:
                self._hand_over(generation)

    # ----------------------------------------------------------------------------------------------------- what is known

    @property
    def settings(self) -> SupervisorSettings:
        """How long is waited for what."""
        return self._settings

    @property
    def speaks_notify(self) -> bool:
        """Whether the application has been seen to say when it is ready. For any thread."""
        return self._speaks_notify

    @property
    def status(self) -> Status:
        """What runs. For any thread."""
        current = self._current
        return Status(
            state=self._state(),
            current=current.status if current else None,
            generations=tuple(generation.status for generation in self._alive),
            crashes=self._revival.crashes,
            starts=self._number,
            last_failure=self._revival.last_failure,
            comes_back=self._revival.comes_back,
        )

    def _state(self) -> SupervisorState:
        if self._ending:
            return "stopped" if self._ending.done() else "stopping"
        if self._current:
            return "running"
        if self._turns.taken:
            return "starting"
        return "waiting" if self._wanted else "idle"

    # --------------------------------------------------------------------------------------------------- one at a time

    async def _start(self, launch: Launch) -> None:
        async with self._turns.any():
            self._refuse_when_ending()
            self._wanted = launch
            if self._current and self._current.launch.release == launch.release:
                return  # it runs already: another dewy has started it in this process
            try:
                await self._bring_up(launch, "start")
            except NotUp as not_up:
                self._revival.begin(not_up.failure)
                raise not_up.error from None

    async def _preflight(self, launch: Launch) -> Candidate:
        async with self._turns.any():
            self._refuse_when_ending()
            self._number += 1
            sockets = bind_private(self._means.sockets.addresses, self._means.ledger.mark.root / ".dewy")
            try:
                means = replace(self._means, sockets=sockets)
                if self._revival.comes_back:
                    raise goes_first()
                self._candidate = self._spawn(for_preflight(launch), "preflight", means)
                generation = await self._until_ready(self._candidate)
            except BaseException as error:
                sockets.close()
                if isinstance(error, NotUp) and self._revival.comes_back:
                    raise goes_first() from None
                raise (error.error if isinstance(error, NotUp) else error) from None
            return Candidate(generation, sockets)

    async def _swap(self, launch: Launch, *, gives_way: bool) -> None:
        async with self._turns.any():
            try:
                await self._bring_up(launch, "swap", gives_way=gives_way)
            except NotUp as not_up:
                raise (goes_first() if gives_way and self._revival.comes_back else not_up.error) from None
            self._revival.replaced()

    async def _restart(self) -> None:
        async with self._turns.steady():
            self._queued_restart = None  # who asks from here on asks for another one
            self._refuse_when_ending()
            if self._wanted is None:
                raise DewyError("there is nothing to restart: no version of the application runs")
            began = time.monotonic()
            try:
                generation = await self._bring_up(self._wanted, "restart")
            except NotUp as not_up:
                self._tell_failed_restart(not_up)
                raise not_up.error from None
            self._emit(
                events.APPLICATION_RESTARTED,
                seconds=round(time.monotonic() - began, 3), version=generation.launch.version, generation=generation.number,
                reason=str(facts().get("cause", "a request")),
            )  # fmt: skip

    def _tell_failed_restart(self, not_up: NotUp) -> None:
        if self._current:
            output = "\n".join(not_up.failure.output)
            version = self._current.launch.version
            self._emit(events.RESTART_FAILED, error=str(not_up.error), version=version, output=output)
        else:
            self._revival.begin(not_up.failure)  # nothing serves on: what died before is tried again

    async def _bring_back(self) -> None:
        """Starts what is wanted. The caller has the turn. Raises as :meth:`_bring_up`."""
        if self._wanted and not self._current:
            await self._bring_up(self._wanted, "crash")

    async def _bring_up(self, launch: Launch, reason: str, *, gives_way: bool = False) -> Generation:
        """Starts a generation, waits until it is ready, and has it take over. The caller has the turn.

        Raises:
            NotUp: It is not ready, and gone again.
            DewyError: dewy is shutting down.
        """
        self._refuse_when_ending()
        self._number += 1
        generation = self._spawn(launch, reason, self._means)
        if gives_way:
            self._candidate = generation
        self._hand_over(await self._until_ready(generation))
        return generation

    def _make_way(self) -> None:
        """What has died is due, and goes before what is tried in its place."""
        if self._candidate:
            self._candidate.kill()

    async def _until_ready(self, generation: Generation) -> Generation:
        """Waits until it is. Raises NotUp when it is not, and gone again; DewyError when dewy is shutting down."""
        try:
            verdict = await generation.until_ready()
        except asyncio.CancelledError:  # it is given up for something else
            await generation.discard()
            raise
        self._refuse_when_ending()
        if isinstance(verdict, NotReady):
            raise await self._give_up(generation, verdict)
        self._emit(
            events.GENERATION_READY,
            generation=generation.number, pid=generation.pid, version=generation.launch.version, how=verdict.how,
            seconds=round(generation.uptime, 3),
        )  # fmt: skip
        return generation

    def _spawn(self, launch: Launch, reason: str, means: Means) -> Generation:
        must_say = self._speaks_notify if launch.says_ready is None else launch.says_ready
        try:
            generation = Generation(self._number, launch, means, must_say=must_say)
        except (StartError, HostError) as error:
            self._tell_not_ready(None, launch, str(error))
            raise NotUp(error, Failure(str(error), self._number, launch.version, launch.release)) from error
        self._take_care_of(generation)
        self._emit(
            events.GENERATION_STARTED,
            generation=self._number, pid=generation.pid, version=launch.version, reason=reason,
        )  # fmt: skip
        return generation

    def _take_care_of(self, generation: Generation) -> None:
        self._alive = (*self._alive, generation)
        generation.when_it_says_ready(self._it_speaks)
        generation.ended.add_done_callback(lambda ended: self._has_ended(generation, ended.result()))
        generation.life.add_done_callback(lambda _: self._forget(generation))

    async def _give_up(self, generation: Generation, verdict: NotReady) -> NotUp:
        """Ends a generation that did not become ready; returns what to raise."""
        launch, uptime = generation.launch, generation.uptime
        await generation.discard()
        self._refuse_when_ending()
        self._tell_not_ready(generation, launch, verdict.why)
        output, how = generation.output, verdict.why.removeprefix("it ended with ")
        error = StartError(f"{launch.version} is not ready: {verdict.why}", verdict.hint, output=output, code=verdict.code)
        return NotUp(error, generation.failure(how, verdict.code, round(uptime, 3), output))

    def _tell_not_ready(self, generation: Generation | None, launch: Launch, why: str) -> None:
        pid = generation.pid if generation else None
        self._emit(events.GENERATION_FAILED, generation=self._number, error=why, pid=pid, version=launch.version)

    def _hand_over(self, generation: Generation) -> None:
        """A generation that is ready takes over; only now the one before is asked to finish."""
        before, self._current, self._candidate = self._current, generation, None
        # a version that was ready without a word is not asked for one when it has to come back
        self._wanted = replace(generation.launch, says_ready=generation.says_ready)
        self._revival.serves(generation)
        if before:
            before.finish(self._settings.stop_timeout)

    def _refuse_when_ending(self) -> None:
        if self._ending:
            raise DewyError("dewy is shutting down: nothing is started any more")

    # ------------------------------------------------------------------------------------------ what generations tell

    def _it_speaks(self, generation: Generation) -> None:
        if generation is self._current:
            self._wanted = replace(generation.launch, says_ready=True)
        if not self._speaks_notify:
            self._speaks_notify = True
            if self._learned:
                self._learned()

    def _has_ended(self, generation: Generation, ending: Ending) -> None:
        """A leader has ended; if it is the one that serves, nobody has asked it to."""
        if generation is not self._current:
            return
        self._current = None
        if not self._ending:
            failure = generation.failure(describe_exit(ending.code), ending.code, ending.uptime, ending.output)
            self._revival.begin(failure, served=True)

    def _forget(self, generation: Generation) -> None:
        self._candidate = None if generation is self._candidate else self._candidate
        self._alive = tuple(other for other in self._alive if other is not generation)

    # ------------------------------------------------------------------------------------------------------ the end

    async def _stop(self) -> None:
        self._revival.end()
        grace = self._settings.stop_timeout
        for generation in self._alive:
            generation.finish(grace)
        await asyncio.gather(*(generation.until_gone(grace) for generation in self._alive))
        for close in (self._means.relay.close, self._means.ledger.close):
            await asyncio.to_thread(close, _CLOSE_LIMIT)


_CLOSE_LIMIT = 1.0
"""Seconds at the end for output that nobody takes and for a disk that does not answer."""
