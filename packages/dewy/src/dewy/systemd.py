"""Telling systemd how dewy is: sd_notify(3), the datagram protocol of ``Type=notify`` services.

What is said: ``READY=1`` when dewy is up, ``STOPPING=1`` with the time that this may take, ``RELOADING=1`` while the
application is restarted on request or dewy itself is replaced, a ``STATUS=`` line for people whenever it changes, and
``WATCHDOG=1`` where the unit asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping

from dewy import events
from dewy.statusline import StatusLine
from dewy.stream import EventStream
from dewy.types import Event, Level

__all__ = ["SystemdNotifier", "reloading", "subscribe_systemd", "watchdog", "watchdog_interval"]

_PATIENCE = 5.0
"""Seconds that a thread which may wait gives a service manager whose queue is full."""
_MARGIN = 5.0
"""Seconds for what ends a process beyond the limits that dewy sets itself."""
_PINGS = 3
"""Signs of life in the time after which systemd acts: one that comes late, or is lost, is no reason to."""


class SystemdNotifier:
    """Sends lines to the service manager that started dewy; does nothing when there is none. Never raises.

    A socket for each message: nothing stays open that a re-executed dewy or a child could inherit, and a service manager
    that was restarted meanwhile is found again.

    Args:
        environ: The environment dewy was started with: ``NOTIFY_SOCKET`` is a path, or ``@`` and an abstract name.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path

    @property
    def listens(self) -> bool:
        """Whether there is a service manager that listens."""
        return self._address.startswith(("\0", "/"))

    def __call__(self, *lines: str, patience: float = 0.0) -> bool:
        """Sends lines such as ``READY=1`` in one message.

        Args:
            lines: Each without a line break; 4096 bytes in all, or systemd takes none of them.
            patience: Seconds to wait where its queue is full; without, this never blocks.

        Returns:
            Whether the service manager has them.
        """
        if not self.listens:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(patience)
                channel.connect(self._address)
                channel.send("\n".join(lines).encode())
        except OSError:
            return False  # it is being restarted, or too busy: dewy serves on, whatever systemd knows
        return True


def subscribe_systemd(stream: EventStream, environ: Mapping[str, str], stop_limit: float) -> None:
    """Has the service manager told of what happens, if there is one.

    Args:
        stream: Where events are said.
        environ: The environment dewy was started with.
        stop_limit: Seconds that dewy takes to stop at most, its application included.
    """
    notify = SystemdNotifier(environ)
    if notify.listens:
        stream.subscribe("systemd", _Teller(notify, stop_limit), _is_told)


@contextlib.contextmanager
def reloading(environ: Mapping[str, str]) -> Iterator[None]:
    """Says that this process becomes another dewy in the block, which is to re-execute it. Never blocks.

    The new dewy says ``READY=1`` when it is up. A block that comes to an end means that there is no new one: the old one
    says ``READY=1`` again, and the service manager stops waiting.
    """
    notify = SystemdNotifier(environ)
    notify(*_reloading_now(), "STATUS=dewy replaces itself; the application runs on")
    try:
        yield
    finally:
        notify("READY=1", "STATUS=dewy could not replace itself; it goes on as it was")


def _reloading_now() -> tuple[str, str]:
    # the time is what Type=notify-reload tells this reload from an older one by
    return "RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def _is_told(name: str, _level: Level) -> bool:
    return name in StatusLine.EVENTS


class _Teller:
    """Tells systemd what events say. In a thread of its own, in the order in which they happened."""

    def __init__(self, notify: SystemdNotifier, stop_limit: float) -> None:
        self._notify, self._stop_limit = notify, stop_limit
        self._line = StatusLine()
        self._told = ""
        self._up = False
        self._restarting = False

    def __call__(self, event: Event) -> None:
        self._line.take(event)
        status = str(self._line)
        lines = [*self._states(event), *([f"STATUS={status}"] if status != self._told else [])]
        if lines and self._notify(*lines, patience=_PATIENCE):
            self._told = status

    def _states(self, event: Event) -> tuple[str, ...]:
        """What the service manager acts on."""
        match event.name:
            case events.DEWY_READY.name:
                self._up = True
                return ("READY=1",)
            case events.DEWY_STOPPING.name:
                self._up = False
                # an application that drains for longer than TimeoutStopSec= is not cut off: dewy keeps the limit itself
                return ("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round((self._stop_limit + _MARGIN) * 1e6)}")
        return self._restart_states()

    def _restart_states(self) -> tuple[str, ...]:
        """A restart counts once dewy is up: before and after that systemd waits for something else."""
        before, self._restarting = self._restarting, self._up and self._line.restarting
        if self._restarting == before or not self._up:
            return ()
        return _reloading_now() if self._restarting else ("READY=1",)


def watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """Seconds after which systemd takes a silent dewy for dead; None where it does not watch this process."""
    try:
        seconds = int(environ.get("WATCHDOG_USEC", "0")) / 1e6
        watched = int(environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return seconds if seconds > 0 and watched == os.getpid() else None


@contextlib.contextmanager
def watchdog(environ: Mapping[str, str], is_alive: Callable[[], bool]) -> Iterator[None]:
    """Shows systemd that dewy lives while the block runs; to be entered in the running loop of the main thread.

    A main thread that hangs shows nothing by itself. Where nobody watches, nothing is done and nothing wakes up.

    Args:
        environ: The environment dewy was started with.
        is_alive: Whether the rest of dewy lives. Must not block. Once it does not, systemd is left to restart dewy.
    """
    interval = watchdog_interval(environ)
    notify = SystemdNotifier(environ)
    if interval is None or not notify.listens:
        yield
        return
    _explain_an_abort()
    pings = _Pings(notify, interval / _PINGS, is_alive)
    pings.go_on()
    try:
        yield
    finally:
        pings.stop()


def _explain_an_abort() -> None:
    """Has the log told where every thread was when the watchdog aborts dewy: names of files and functions, no values."""
    if not faulthandler.is_enabled():
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # no standard error, or none with a descriptor
            faulthandler.enable()


class _Pings:
    """A chain of timers in the running loop."""

    def __init__(self, notify: SystemdNotifier, interval: float, is_alive: Callable[[], bool]) -> None:
        self._notify, self._interval, self._is_alive = notify, interval, is_alive
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.TimerHandle | None = None

    def go_on(self) -> None:
        if self._is_alive():
            self._notify("WATCHDOG=1")
            self._next = self._loop.call_later(self._interval, self.go_on)
        else:
            self._next = None
            logging.getLogger(__name__).error("the thread that deploys has ended: systemd's watchdog will restart dewy")
            self._notify("STATUS=the thread that deploys has ended: the watchdog will restart dewy")

    def stop(self) -> None:
        if self._next:
            self._next.cancel()
