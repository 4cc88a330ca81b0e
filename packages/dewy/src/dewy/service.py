"""One running dewy: the main thread, which owns sockets, processes and signals and never waits, beside the deployer's.

``dewy server`` and ``dewy assets`` are the same service, with and without a supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from dewy import __version__, events
from dewy.control.handler import RequestHandler
from dewy.control.server import listening
from dewy.deployer import Deployer
from dewy.errors import as_dewy_error, from_os_error
from dewy.fetch import Progress
from dewy.host import host_name
from dewy.journal import Journal, JournalRecorder, is_recorded
from dewy.lock import RootLock
from dewy.log import Log, LogFormat
from dewy.operators.overview import DewyFacts
from dewy.progress import ProgressLine
from dewy.redaction import Redactor
from dewy.scope import within
from dewy.settings import Settings
from dewy.state import State
from dewy.stream import EventStream, LoggingBridge
from dewy.supervised import SupervisedApplication, launch_of
from dewy.supervisor import (
    Address,
    Launch,
    Orphans,
    Sockets,
    Supervisor,
    SupervisorBridge,
    SupervisorSettings,
    bind,
    parse_ports,
)
from dewy.supervisor.generation import Means
from dewy.supervisor.inheritance import GenerationRecord
from dewy.supervisor.sockets import adopt
from dewy.systemd import subscribe_systemd, watchdog
from dewy.types import FieldValue, Level
from dewy.upgrade.handover import Handover
from dewy.upgrade.replace import HELD_SIGNALS, Replacement
from dewy.wiring import Wiring

__all__ = ["serve"]

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
_OTHER_SIGNALS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_FLUSH = 5.0
"""Seconds at the end for events that are not delivered yet (R53)."""
_ANSWER = 0.2
"""Seconds for the answer to whoever has asked for another dewy to reach them: the connection does not survive."""
_JOIN_MARGIN = 10.0
"""Seconds that the deployer has to end beyond the stop time-out; it is left behind then, and ends with the process."""


def serve(settings: Settings, level: Level, form: LogFormat, handover: Handover | None = None) -> int:
    """Runs until a signal asks dewy to stop; returns the exit status.

    Args:
        settings: What the user asked for.
        level: The least level that is logged.
        form: Of the log.
        handover: What the dewy before has left in this process.

    Raises:
        UsageError: The settings do not fit what is installed, or do not go together.
        DewyError: The root directory or a socket cannot be had.
    """
    _settle_process()
    addresses = parse_ports(settings.ports)
    redactor = Redactor(settings.environ)
    stream = EventStream(redactor)
    wiring = Wiring.of(settings, redactor, stream.emit)
    if handover and handover.probe:
        return 0  # so far all is well, and the rest is the other dewy's
    with _locked(settings, handover) as lock, _told(settings, stream, wiring, level, form) as progress:
        _prepare_logging(stream, level)
        with _sockets(settings, addresses, stream, handover) as sockets:
            asyncio.run(_Service(settings, wiring, stream, sockets, lock).run(progress, handover))
            _be_patient()
    return 0


def _sockets(settings: Settings, addresses: Sequence[Address], stream: EventStream, handover: Handover | None) -> Sockets:
    """What the application listens on: as it was left, or bound, after those were stopped who may still have it."""
    if handover and handover.supervisor:
        return adopt(addresses, handover.supervisor.listeners)
    if settings.command == "assets":
        return bind((), stream.emit, settings.root)
    orphans = Orphans(settings.root, stream.emit)
    sockets = orphans.make_way(lambda: bind(addresses, stream.emit, settings.root), settings.stop_timeout)
    # what they still answer they may answer to its end, while others are served already
    threading.Thread(target=orphans.end, args=(settings.stop_timeout,), name="orphans", daemon=True).start()
    return sockets


def _be_patient() -> None:
    """Who asks once more now would only keep people from being told: the rest has a bound."""
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _settle_process() -> None:
    """Makes up for what whoever started dewy may have left behind."""
    for number in _OTHER_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # until the loop is there: none of them may end dewy (R84)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, nobody learns how a child has ended


@contextlib.contextmanager
def _locked(settings: Settings, handover: Handover | None) -> Iterator[RootLock]:
    lock = RootLock(settings.root)
    if handover:
        lock.adopt(handover.lock)
    else:
        lock.acquire()
    try:
        yield lock
    finally:
        lock.release()


@contextlib.contextmanager
def _told(settings: Settings, stream: EventStream, wiring: Wiring, level: Level, form: LogFormat) -> Iterator[Progress]:
    """Has the log, systemd, notifiers and observers told of what happens, to the last event; yields the progress."""
    terminal = sys.stderr.isatty()
    log = Log(sys.stderr, level, form, colour=terminal and "NO_COLOR" not in settings.environ)
    stream.subscribe("log", log, log.wants)
    stream.subscribe("journal", JournalRecorder(Journal(settings.state_directory), stream.emit), is_recorded)
    subscribe_systemd(stream, settings.environ, settings.stop_timeout + _JOIN_MARGIN + _FLUSH)
    wiring.subscribe(stream)
    try:
        yield ProgressLine(log.progress) if terminal else _nobody_looks
    finally:
        wiring.runtime.context.close()
        stream.close(_FLUSH)


def _nobody_looks(_name: str, _size: int, _total: int | None) -> None:
    """The progress of a download where there is no terminal."""


def _prepare_logging(stream: EventStream, level: Level) -> None:
    """Libraries and plugins speak through Python's logging; less than their warnings only with ``--log-level debug``.

    Their own debug lines are never taken: they quote requests with all headers, where secrets are.
    """
    logging.basicConfig(
        handlers=[LoggingBridge(stream)], level=logging.INFO if level == "debug" else logging.WARNING, force=True
    )
    logging.captureWarnings(capture=True)


class _Service:
    """The main thread's part."""

    def __init__(self, settings: Settings, wiring: Wiring, stream: EventStream, sockets: Sockets, lock: RootLock) -> None:
        self._settings, self._wiring, self._stream, self._sockets = settings, wiring, stream, sockets
        self._lock, self._emit = lock, stream.emit
        self._waker = wiring.runtime.waker
        self._asked = asyncio.Event()
        self._began = datetime.now(UTC)
        self._reason = ""
        self._thread: threading.Thread | None = None
        self._upgrading: asyncio.Task[None] | None = None

    async def run(self, progress: Progress, handover: Handover | None) -> None:
        """Keeps both threads at work until dewy is asked to stop."""
        state = self._wiring.load_state()
        supervisor = self._supervisor(speaks_notify=state.speaks_notify) if self._settings.command == "server" else None
        application = None
        if supervisor:
            if handover and handover.supervisor:
                supervisor.adopt(handover.supervisor, self._launch_of)
            bridge = SupervisorBridge(supervisor, asyncio.get_running_loop())
            application = SupervisedApplication(self._settings, bridge, self._waker, self._sockets.bound)
        deployer = self._wiring.deployer(application, state, progress)
        replacement = Replacement(
            self._settings, self._lock, self._stream, deployer, supervisor, lambda: self._start(deployer)
        )
        self._handle_signals(supervisor, replacement)
        self._tell_begin(state, handover)
        async with contextlib.AsyncExitStack() as stack:
            await self._listen(stack, deployer, supervisor, replacement)
            self._start(deployer)
            # a deployer that has ended by itself is as bad as a main thread that hangs
            with watchdog(self._settings.environ, self._is_alive):
                await self._asked.wait()
                self._tell_stop(deployer, await self._stop(supervisor))

    def _start(self, deployer: Deployer) -> None:
        self._thread = threading.Thread(target=deployer.run, name="deployer", daemon=True)
        self._thread.start()

    def _is_alive(self) -> bool:
        return self._asked.is_set() or self._upgrading is not None or (self._thread is not None and self._thread.is_alive())

    def _launch_of(self, record: GenerationRecord) -> Launch:
        return launch_of(self._settings, record.version, record.release, says_ready=record.said_ready)

    def _tell_begin(self, state: State, handover: Handover | None) -> None:
        version = state.current.version if state.current else ""
        facts: dict[str, FieldValue] = {
            "dewy_version": __version__, "application": self._settings.root.name, "registry": self._wiring.registry_url,
            "command": self._settings.command, "pid": os.getpid(), "host": host_name(), "version": version,
            "runs": version or "nothing yet",
        }  # fmt: skip
        if handover:
            self._emit(events.DEWY_UPGRADED, previous=handover.dewy_version, **facts)
        else:
            self._emit(events.DEWY_STARTED, **facts)

    async def _listen(
        self,
        stack: contextlib.AsyncExitStack,
        deployer: Deployer,
        supervisor: Supervisor | None,
        replacement: Replacement,
    ) -> None:
        """Takes the commands of operators. Where that cannot be, deployments go on without them."""

        async def upgrade() -> None:
            await replacement.probe()
            self._upgrade_soon(replacement)

        handler = RequestHandler(self._settings, deployer, supervisor, lambda: self._facts(deployer), upgrade)
        try:
            await stack.enter_async_context(listening(self._settings.root, handler))
        except OSError as error:
            self._emit(events.CONTROL_FAILED, error=str(from_os_error(error, "making the control socket")))

    # ------------------------------------------------------------------------------------------- becoming another one

    def _upgrade_soon(self, replacement: Replacement, *, probe: bool = False) -> None:
        if self._upgrading is None and not self._asked.is_set():
            self._upgrading = asyncio.get_running_loop().create_task(self._upgrade(replacement, probe=probe))

    async def _upgrade(self, replacement: Replacement, *, probe: bool) -> None:
        try:
            if probe:
                await replacement.probe()
            else:
                await asyncio.sleep(_ANSWER)
            await replacement.run()
        except Exception as error:  # whatever it is, this dewy goes on
            self._emit(events.UPGRADE_FAILED, error=str(as_dewy_error(error, "replacing dewy")))
        finally:
            self._upgrading = None

    def _facts(self, deployer: Deployer) -> DewyFacts:
        return DewyFacts(
            version=__version__,
            pid=os.getpid(),
            since=self._began,
            command=self._settings.command,
            registry=self._wiring.registry_url,
            activity=deployer.activity,
        )

    def _supervisor(self, *, speaks_notify: bool) -> Supervisor:
        settings = self._settings
        times = SupervisorSettings(
            ready=settings.ready,
            start_grace=settings.start_grace,
            start_timeout=settings.start_timeout,
            stop_timeout=settings.stop_timeout,
        )
        return Supervisor(Means.open(settings.root, self._sockets, self._emit, times), speaks_notify=speaks_notify)

    def _handle_signals(self, supervisor: Supervisor | None, replacement: Replacement) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._ask_to_stop, number)
        if supervisor:
            loop.add_signal_handler(signal.SIGUSR1, self._restart, supervisor)
        loop.add_signal_handler(signal.SIGUSR2, self._replace, replacement)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)  # which the dewy before has held back for this one

    def _restart(self, supervisor: Supervisor) -> None:
        with within(cause="SIGUSR1"):
            supervisor.request_restart()

    def _replace(self, replacement: Replacement) -> None:
        with within(cause="SIGUSR2"):
            self._upgrade_soon(replacement, probe=True)

    def _ask_to_stop(self, number: signal.Signals) -> None:
        if not self._asked.is_set():
            self._emit(events.DEWY_STOPPING, reason=number.name)
            self._reason = number.name
            self._asked.set()

    async def _stop(self, supervisor: Supervisor | None) -> float:
        """Lets the application and the deployer finish side by side, each with a bound; the seconds that it took."""
        began = time.monotonic()
        self._waker.stop()
        limit = self._settings.stop_timeout + _JOIN_MARGIN
        joined = asyncio.to_thread(self._thread.join, limit) if self._thread else asyncio.sleep(0)
        await asyncio.gather(*([supervisor.stop()] if supervisor else []), joined)
        return round(time.monotonic() - began, 3)

    def _tell_stop(self, deployer: Deployer, seconds: float) -> None:
        current, application = deployer.pipeline.state.current, self._settings.root.name
        version = current.version if current else "nothing"
        keeps = f"{application} {version} does not run any more"
        if self._settings.command == "assets":
            keeps = f"{application} stays at {version}, and nothing new is deployed until dewy runs again"
        self._emit(
            events.DEWY_STOPPED, reason=self._reason, keeps=keeps, application=application, version=version, seconds=seconds
        )
