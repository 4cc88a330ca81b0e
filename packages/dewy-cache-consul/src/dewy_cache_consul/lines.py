"""Connections under a deadline: every step on the network, the resolution of names included, ends with the call.

A time-out per read is not enough: an agent, or what answers in its place, that drips a byte a second of a header would hold
a call for a day.
"""

from __future__ import annotations

import contextlib
import io
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dewy_cache_consul.agent import Agent

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Deadline", "Line", "connect"]

_PIECE = 1 << 16
_SHORTEST = 0.001
"""Seconds. A time-out of zero would mean: do not wait at all."""
_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""Half a minute until a host that is gone without a word is noticed, while a watch waits for it."""


class Deadline:
    """The end of a call.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds; zero or less when it has passed."""
        return self._at - time.monotonic()

    def step(self) -> float:
        """Seconds that the next step may take. Raises TimeoutError when there are none."""
        left = self.left()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return max(left, _SHORTEST)


class Line:
    """A connection whose every step is under a deadline. Has what :mod:`http.client` needs of a socket.

    Args:
        sock: Connected.
        deadline: Of the call that uses it; set anew for the next one.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self.deadline = sock, deadline

    def sendall(self, data: bytes) -> None:
        """Sends all of it, in pieces: a peer that takes them slowly is bounded too.

        One that hangs up meanwhile is no error yet: an agent answers to a value that is too large before it was read, and
        whoever reads finds that answer, or the end.
        """
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            self._sock.settimeout(self.deadline.step())
            try:
                self._sock.sendall(view[start : start + _PIECE])
            except (BrokenPipeError, ConnectionResetError):
                return

    def makefile(self, mode: str) -> io.BufferedReader:
        """What comes, for reading; ``mode`` is ``rb``."""
        if mode != "rb":
            raise ValueError(mode)
        return io.BufferedReader(_Incoming(self._sock, self))

    def has_something(self) -> bool:
        """Whether there is something to read: between two calls that can only be the end, or a stranger's words."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Ends the connection."""
        self._sock.close()


class _Incoming(io.RawIOBase):
    def __init__(self, sock: socket.socket, line: Line) -> None:
        super().__init__()
        self._sock, self._line = sock, line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        self._sock.settimeout(self._line.deadline.step())
        return self._sock.recv_into(buffer)


def connect(agent: Agent, trusted: ssl.SSLContext | None, deadline: Deadline) -> Line:
    """A new connection to the agent.

    Args:
        agent: Which.
        trusted: For TLS; None for a connection in the clear.
        deadline: For all of it.

    Raises:
        OSError: There is none: TimeoutError, ssl.SSLError, socket.gaierror, …
    """
    with _closed_if_it_fails(_unix(agent.socket, deadline) if agent.socket else _tcp(agent, deadline)) as sock:
        if trusted is not None and agent.tls is not None:
            sock.settimeout(deadline.step())
            with _closed_if_it_fails(trusted.wrap_socket(sock, server_hostname=agent.tls.name or agent.host)) as secured:
                return Line(secured, deadline)
        return Line(sock, deadline)


@contextlib.contextmanager
def _closed_if_it_fails(sock: socket.socket) -> Iterator[socket.socket]:
    try:
        yield sock
    except BaseException:
        sock.close()
        raise


def _unix(path: str, deadline: Deadline) -> socket.socket:
    with _closed_if_it_fails(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as sock:
        sock.settimeout(deadline.step())
        sock.connect(path)
        return sock


def _tcp(agent: Agent, deadline: Deadline) -> socket.socket:
    """Tries the host's addresses in turn, each for its share of the time that is left."""
    addresses = _resolved(agent.host, agent.port, deadline)
    for position, address in enumerate(addresses):
        try:
            sock = socket.create_connection(address, deadline.step() / (len(addresses) - position))
        except OSError:
            if position == len(addresses) - 1:
                raise
        else:
            with _closed_if_it_fails(sock):
                _prepare(sock)
                return sock
    raise socket.gaierror(socket.EAI_NONAME, "the name has no address")


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        option = getattr(socket, name, None)  # not every system has each
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _resolved(host: str, port: int, deadline: Deadline) -> list[tuple[str, int]]:
    """The addresses of a host, in the resolver's order.

    Resolving cannot be interrupted, so it runs in a thread that is left to itself when it takes too long: it ends when the
    resolver gives up.
    """
    with contextlib.suppress(socket.gaierror):  # a name then, not an address
        return _addresses(host, port, socket.AI_NUMERICHOST)
    answer: queue.SimpleQueue[list[tuple[str, int]] | OSError | UnicodeError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            answer.put(_addresses(host, port, 0))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    threading.Thread(target=resolve, name=f"resolve {host}", daemon=True).start()
    try:
        found = answer.get(timeout=deadline.step())
    except queue.Empty:
        raise socket.gaierror(socket.EAI_AGAIN, "the resolver does not answer in time") from None
    if isinstance(found, UnicodeError):
        raise socket.gaierror(socket.EAI_NONAME, "it cannot be a host's name")
    if isinstance(found, OSError):
        raise found
    return found


def _addresses(host: str, port: int, flags: int) -> list[tuple[str, int]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys((str(address[0]), port) for *_, address in found))
