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
from collections.abc import Iterator
from datetime import UTC, datetime

from dewy import __version__, events
from dewy.control.handler import RequestHandler
from dewy.control.server import listening
from dewy.deployer import Deployer
from dewy.errors import from_os_error
from dewy.fetch import Progress
from dewy.host import host_name
from dewy.journal import Journal, JournalRecorder, is_recorded
from dewy.lock import RootLock
from dewy.log import Log, LogFormat
from dewy.overview import DewyFacts
from dewy.progress import ProgressLine
from dewy.redaction import Redactor
from dewy.scope import within
from dewy.settings import Settings
from dewy.stream import EventStream, LoggingBridge
from dewy.supervised import SupervisedApplication
from dewy.supervisor import Sockets, Supervisor, SupervisorBridge, SupervisorSettings, bind, parse_ports, stop_orphans
from dewy.supervisor.generation import Means
from dewy.systemd import subscribe_systemd, watchdog
from dewy.types import Level
from dewy.wiring import Wiring

__all__ = ["serve"]

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
_OTHER_SIGNALS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_FLUSH = 5.0
"""Seconds at the end for events that are not delivered yet (R53)."""
_JOIN_MARGIN = 10.0
"""Seconds that the deployer has to end beyond the stop time-out; it is left behind then, and ends with the process."""


def serve(settings: Settings, level: Level, form: LogFormat) -> int:
    """Runs until a signal asks dewy to stop; returns the exit status.

    Raises:
        UsageError: The settings do not fit what is installed, or do not go together.
        DewyError: The root directory or a socket cannot be had.
    """
    _settle_process()
    addresses = parse_ports(settings.ports)
    redactor = Redactor(settings.environ)
    stream = EventStream(redactor)
    wiring = Wiring.of(settings, redactor, stream.emit)
    with _locked(settings), _told(settings, stream, wiring, level, form) as progress:
        _prepare_logging(stream, level)
        if settings.command == "server":
            stop_orphans(settings.root, stream.emit, settings.stop_timeout)
        with bind(addresses, stream.emit, settings.root) as sockets:
            asyncio.run(_Service(settings, wiring, stream, sockets).run(progress))
            _be_patient()
    return 0


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
def _locked(settings: Settings) -> Iterator[None]:
    lock = RootLock(settings.root)
    lock.acquire()
    try:
        yield
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

    def __init__(self, settings: Settings, wiring: Wiring, stream: EventStream, sockets: Sockets) -> None:
        self._settings, self._wiring, self._emit, self._sockets = settings, wiring, stream.emit, sockets
        self._waker = wiring.runtime.waker
        self._asked = asyncio.Event()
        self._began = datetime.now(UTC)
        self._reason = ""

    async def run(self, progress: Progress) -> None:
        """Keeps both threads at work until dewy is asked to stop."""
        state = self._wiring.load_state()
        supervisor = self._supervisor(speaks_notify=state.speaks_notify) if self._settings.command == "server" else None
        application = None
        if supervisor:
            bridge = SupervisorBridge(supervisor, asyncio.get_running_loop())
            application = SupervisedApplication(self._settings, bridge, self._waker, self._sockets.addresses)
        deployer = self._wiring.deployer(application, state, progress)
        self._handle_signals(supervisor)
        self._emit(
            events.DEWY_STARTED,
            dewy_version=__version__, application=self._settings.root.name, registry=self._wiring.registry_url,
            command=self._settings.command, pid=os.getpid(), host=host_name(),
            version=state.current.version if state.current else "",
            runs=state.current.version if state.current else "nothing yet",
        )  # fmt: skip
        async with contextlib.AsyncExitStack() as stack:
            await self._listen(stack, deployer, supervisor)
            thread = threading.Thread(target=deployer.run, name="deployer", daemon=True)
            thread.start()
            # a deployer that has ended by itself is as bad as a main thread that hangs
            with watchdog(self._settings.environ, lambda: thread.is_alive() or self._asked.is_set()):
                await self._asked.wait()
                self._tell_stop(deployer, await self._stop(supervisor, thread))

    async def _listen(self, stack: contextlib.AsyncExitStack, deployer: Deployer, supervisor: Supervisor | None) -> None:
        """Takes the commands of operators. Where that cannot be, deployments go on without them."""
        handler = RequestHandler(self._settings, deployer, supervisor, lambda: self._facts(deployer))
        try:
            await stack.enter_async_context(listening(self._settings.root, handler))
        except OSError as error:
            self._emit(events.CONTROL_FAILED, error=str(from_os_error(error, "making the control socket")))

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

    def _handle_signals(self, supervisor: Supervisor | None) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._ask_to_stop, number)
        if supervisor:
            loop.add_signal_handler(signal.SIGUSR1, self._restart, supervisor)

    def _restart(self, supervisor: Supervisor) -> None:
        with within(cause="SIGUSR1"):
            supervisor.request_restart()

    def _ask_to_stop(self, number: signal.Signals) -> None:
        if not self._asked.is_set():
            self._emit(events.DEWY_STOPPING, reason=number.name)
            self._reason = number.name
            self._asked.set()

    async def _stop(self, supervisor: Supervisor | None, thread: threading.Thread) -> float:
        """Lets the application and the deployer finish side by side, each with a bound; the seconds that it took."""
        began = time.monotonic()
        self._waker.stop()
        limit = self._settings.stop_timeout + _JOIN_MARGIN
        joined = asyncio.to_thread(thread.join, limit)
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
