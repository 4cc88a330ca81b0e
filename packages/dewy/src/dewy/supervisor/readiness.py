"""When a generation is ready: the messages of sd_notify(3), the socket they arrive on, and the verdict.

``auto``: the application says ``READY=1``, or it stays up for the start grace; once it has ever said so it must say so each
time. ``notify``: it must say so from the first time on. ``grace``: it need not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from dewy.durations import format_duration
from dewy.supervisor.settings import SupervisorSettings

__all__ = [
    "NotReady",
    "Notification",
    "NotifySocket",
    "Progress",
    "Ready",
    "Wait",
    "in_group",
    "judge",
    "parse_notification",
]

# --------------------------------------------------------------------------------------------------------- what is said

_LONGEST_STATUS = 256


@dataclass(frozen=True, slots=True)
class Notification:
    """What one datagram says, as far as dewy listens.

    Attributes:
        ready: The application is ready.
        stopping: It is about to end.
        status: What it does, for people; None when it does not say.
        extend: Seconds from now that it asks for; None when it does not.
    """

    ready: bool = False
    stopping: bool = False
    status: str | None = None
    extend: float | None = None


def parse_notification(datagram: bytes) -> Notification:
    """Reads ``NAME=VALUE`` lines; what is not known, not text or not a number is passed over."""
    lines = (line.partition("=") for line in datagram.decode(errors="replace").split("\n"))
    said = {name: value for name, equals, value in lines if equals}
    status = said.get("STATUS")
    return Notification(
        ready=said.get("READY") == "1",
        stopping=said.get("STOPPING") == "1",
        status=None if status is None else "".join(c for c in status if c.isprintable())[:_LONGEST_STATUS],
        extend=_microseconds(said.get("EXTEND_TIMEOUT_USEC", "")),
    )


def _microseconds(text: str) -> float | None:
    """Seconds; None for what is no whole number that fits into 64 bits."""
    return int(text) / 1e6 if text.isascii() and text.isdigit() and len(text) <= 19 else None


# ---------------------------------------------------------------------------------------------------------- the verdict


@dataclass(slots=True)
class Progress:
    """How far a generation has come. Times are monotonic.

    Attributes:
        began: When it was started.
        must_say: Whether the application is known to say when it is ready.
        said_ready: Whether it has said so.
        extended: Until when it has asked for patience; 0 for never.
    """

    began: float
    must_say: bool = False
    said_ready: bool = False
    extended: float = 0.0

    def hear(self, said: Notification, now: float) -> None:
        """Takes note of a message."""
        self.said_ready = self.said_ready or said.ready
        if said.extend is not None:
            self.extended = max(self.extended, now + said.extend)


@dataclass(frozen=True, slots=True)
class Ready:
    """It is ready.

    Attributes:
        how: In a few words, for people.
    """

    how: str


@dataclass(frozen=True, slots=True)
class NotReady:
    """It has failed to become ready.

    Attributes:
        why: A sentence that begins with "it", without its full stop.
        hint: What to do about it.
        code: The exit code, where it has ended.
    """

    why: str
    hint: str = ""
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be said yet.

    Attributes:
        until: When to look again if nothing happens before. Monotonic.
    """

    until: float


def judge(progress: Progress, settings: SupervisorSettings, now: float) -> Ready | NotReady | Wait:
    """Whether a generation that still runs is ready. Pure."""
    if progress.said_ready:
        return Ready("it said READY=1")
    # who asks for more time is going to say when it is ready
    must_say = settings.ready == "notify" or (settings.ready == "auto" and (progress.must_say or progress.extended > 0))
    if not must_say:
        until = progress.began + settings.start_grace
        return Ready(f"it has stayed up for {format_duration(settings.start_grace)}") if now >= until else Wait(until)
    until = max(progress.began + settings.start_timeout, progress.extended)
    until = min(until, progress.began + settings.start_bound)
    if now < until:
        return Wait(until)
    as_before = ", as earlier versions did" if progress.must_say and settings.ready == "auto" else ""
    return NotReady(
        f"it did not say READY=1 within {format_duration(until - progress.began)}{as_before}",
        f"If it {'no longer' if as_before else 'never'} does, run with --ready grace;"
        " if it needs more time, with a longer --start-timeout",
    )


# ----------------------------------------------------------------------------------------------------------- the socket

_LONGEST = 4096
"""Bytes of a datagram; a longer one is none of ours."""
_AT_ONCE = 32
"""Datagrams that are read before others get their turn: a flood does not hold the main thread."""
_CREDENTIALS = struct.Struct("3i")


class NotifySocket:
    """The datagram socket on which one generation speaks.

    It lives in the abstract namespace, so nothing is left on disk; anybody on this host may send to it, so the sender's
    user is looked at.

    Args:
        hear: Is called with each message.
        is_member: Whether a process belongs to the generation, for one that has become another user.
        adopted: Descriptor and address of one that another dewy has made in this process.
    """

    def __init__(
        self,
        hear: Callable[[Notification], None],
        is_member: Callable[[int], bool],
        adopted: tuple[int, str] | None = None,
    ) -> None:
        self._hear, self._is_member = hear, is_member
        self._loop = asyncio.get_running_loop()
        if adopted:
            descriptor, self.address = adopted
            os.set_inheritable(descriptor, False)
            self._socket = socket.socket(fileno=descriptor)
        else:
            self.address = f"@dewy-{secrets.token_hex(16)}"
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            if not adopted:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
                self._socket.bind(f"\0{self.address[1:]}")
            self._loop.add_reader(self._socket, self._read)
        except BaseException:
            self._socket.close()
            raise

    @property
    def descriptor(self) -> int:
        """Of the socket."""
        return self._socket.fileno()

    def close(self) -> None:
        """Ends the conversation."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _read(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                # room for the credentials alone: descriptors that somebody sends along are dropped by the kernel
                datagram, ancillary, flags, _ = self._socket.recvmsg(_LONGEST, socket.CMSG_LEN(_CREDENTIALS.size))
            except OSError:
                return  # nothing more
            if not flags & socket.MSG_TRUNC and self._is_ours(ancillary):
                self._hear(parse_notification(datagram))
            if self._socket.fileno() < 0:
                return  # closed by what was heard

    def _is_ours(self, ancillary: list[tuple[int, int, bytes]]) -> bool:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(data) == _CREDENTIALS.size:
                pid, user, _ = _CREDENTIALS.unpack(data)
                return user in (0, os.getuid()) or self._is_member(pid)
        return False


def in_group(pid: int, group: int) -> bool:
    """Whether a process belongs to a process group; False when it is gone."""
    with contextlib.suppress(OSError):
        return os.getpgid(pid) == group
    return False
