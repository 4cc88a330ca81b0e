"""The connection to a server, and its end at a deadline."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

__all__ = ["Watch", "connect"]


def connect(host: str, port: int, each: float, deadline: float) -> socket.socket:
    """A connection to the first address of a host that answers.

    Args:
        host: A name or an IP address. How long its look-up takes is the system's to say (``resolv.conf``).
        port: Of TCP.
        each: Seconds for one address: behind a name there may be several, of which some are dead.
        deadline: On the monotonic clock, for all of them.

    Raises:
        OSError: None of them answers; what the last one said.
    """
    refused: OSError = TimeoutError("timed out")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        seconds = min(each, deadline - time.monotonic())
        if seconds <= 0:
            break
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:  # the name has an IPv6 address, say, and the system no IPv6
            refused = error
            continue
        try:
            connection.settimeout(seconds)
            connection.connect(address)
        except OSError as error:
            connection.close()
            refused = error
        else:
            return connection
    raise refused


class Watch:
    """Cuts a connection at a deadline, whatever waits for it then.

    A time-out of the socket does not do that: each byte starts it anew, and a server that sends one a second would hold a
    message for hours.

    Args:
        connection: It stays the caller's, also when TLS has taken it over.
        deadline: On the monotonic clock.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._twin = connection.dup()  # TLS moves the descriptor into an object that nobody has before the handshake is over
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._cut)
        self._timer.daemon = True
        self.cut = False
        """Whether the deadline has passed."""

    def _cut(self) -> None:
        self.cut = True
        with contextlib.suppress(OSError):  # the server was first
            self._twin.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        try:
            self._timer.start()
        except BaseException:
            self._twin.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        self._timer.join()  # it may be at work: then the twin is still needed
        self._twin.close()
