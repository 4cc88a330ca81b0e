"""How long a call may take and how much it may bring, whatever the other side does.

redis-py bounds each wait for the next bytes, not their sum: a server that trickles would hold a caller for ever. Here a
call has one deadline, and every socket that its thread touches until then keeps to it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["BoundedSocket", "left", "within"]

_SHORTEST = 0.001
"""Seconds; 0 would mean "do not wait at all"."""
_LONGEST = 60.0
"""Seconds of a single wait where nobody has said how long."""
_MOST_BYTES = 64 * 1024 * 1024
"""That one call may receive: far more than any piece of an artifact or any list of keys that dewy makes."""


class _Call(threading.local):
    """What the call that this thread is in may still take."""

    deadline = float("inf")
    bytes_left = _MOST_BYTES


_CALL = _Call()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Bounds all that the block does on :class:`BoundedSocket`; within another such block, the shorter time counts."""
    before = _CALL.deadline
    if before == float("inf"):
        _CALL.bytes_left = _MOST_BYTES
    _CALL.deadline = min(before, time.monotonic() + seconds)
    try:
        yield
    finally:
        _CALL.deadline = before


def left(most: float) -> float:
    """The seconds that are left, at most so many. Raises TimeoutError when there are none."""
    seconds = min(most, _CALL.deadline - time.monotonic())
    if seconds <= 0:
        raise TimeoutError("timed out")
    return max(seconds, _SHORTEST)


class BoundedSocket:
    """A connected socket whose every wait also ends when the call's time does. What it does not have, the socket has.

    Args:
        connected: The socket, TLS and all.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._timeout = connected.gettimeout()

    def settimeout(self, seconds: float | None) -> None:
        """The longest single wait; None for as long as the call may take, 0 for none."""
        self._timeout = seconds
        self._socket.settimeout(seconds)

    def sendall(self, content: bytes) -> None:
        """Sends all of it."""
        self._limit()
        self._socket.sendall(content)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receives up to so many bytes; with flags, as hiredis does to peek."""
        self._limit()
        received = self._socket.recv(size, flags)
        self._count(len(received))
        return received

    def recv_into(self, buffer: bytearray | memoryview) -> int:
        """Receives into a buffer; how many bytes."""
        self._limit()
        received = self._socket.recv_into(buffer)
        self._count(received)
        return received

    def _limit(self) -> None:
        if self._timeout != 0:
            self._socket.settimeout(left(_LONGEST if self._timeout is None else self._timeout))

    def _count(self, received: int) -> None:
        _CALL.bytes_left -= received
        if _CALL.bytes_left < 0:
            raise OSError("the answer is far too large")

    def __getattr__(self, name: str) -> object:
        return getattr(self._socket, name)
