"""Connections under a deadline.

A time-out per read is not enough: a server that drips one byte a second of its header would hold a call for a day. So every
step on the network is also bounded by the deadline of the call that waits for it. Imported when the client is first used.
"""

from __future__ import annotations

import math
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore

__all__ = ["Deadline", "DeadlineBackend", "under"]

_PIECE = 1 << 14


class Deadline:
    """The end of a call.

    Args:
        seconds: From now.
        monotonic: The clock, in seconds.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self.seconds = seconds
        self._monotonic = monotonic
        self._at = monotonic() + seconds

    def left(self) -> float:
        """Seconds; zero or less when it has passed."""
        return self._at - self._monotonic()

    def lift(self) -> None:
        """From now on there is none."""
        self._at = math.inf


_current: ContextVar[Deadline | None] = ContextVar("_current", default=None)


@contextmanager
def under(deadline: Deadline) -> Iterator[None]:
    """Every step on the network that this thread takes inside is bounded by the deadline."""
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)


def _bounded(timeout: float | None, passed: type[Exception]) -> float | None:
    """The time that a step may take. Raises ``passed`` when there is none left."""
    deadline = _current.get()
    if deadline is None:
        return timeout
    left = deadline.left()
    if left <= 0:
        raise passed
    if timeout is None:
        return None if math.isinf(left) else left
    return min(timeout, left)


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose every step is under the deadline of the call that uses it."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _bounded(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], _bounded(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        limit = _bounded(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class DeadlineBackend(httpcore.SyncBackend):
    """Makes such connections, the resolution of names included, which knows no time-out of its own."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Tries the host's addresses in turn, each for its share of the time that is left."""
        limit = _bounded(timeout, httpcore.ConnectTimeout)
        addresses = _resolved(host, port, limit)
        for position, address in enumerate(addresses):
            limit = _bounded(timeout, httpcore.ConnectTimeout)
            share = None if limit is None else limit / (len(addresses) - position)
            try:
                stream = super().connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if position == len(addresses) - 1:
                    raise
            else:
                return _DeadlineStream(stream)
        raise httpcore.ConnectError("the name has no address")


def _resolved(host: str, port: int, timeout: float | None) -> list[str]:
    """The addresses of a host, in the resolver's order.

    Resolving cannot be interrupted, so it runs in a thread that is left to itself when it takes too long: it ends when the
    resolver gives up.
    """
    try:
        return _addresses(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # a name then, not an address
    answer: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            answer.put(_addresses(host, port, 0))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    threading.Thread(target=resolve, name=f"resolve {host}", daemon=True).start()
    try:
        found = answer.get(timeout=timeout)
    except queue.Empty:
        raise httpcore.ConnectTimeout("the name could not be resolved in time") from None
    if isinstance(found, list):
        return found
    try:
        raise found
    except (OSError, UnicodeError) as error:  # the pool drops an error's cause and keeps its context, which this sets
        raise httpcore.ConnectError("the name could not be resolved") from error


def _addresses(host: str, port: int, flags: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
