"""Connections to one server, as redis-py makes them, with our bounds and our TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, Protocol, cast

from redis.backoff import NoBackoff
from redis.connection import Connection, UnixDomainSocketConnection
from redis.retry import Retry

from dewy_cache_redis.bounds import BoundedSocket, left
from dewy_cache_redis.faults import Fault, Unusable
from dewy_cache_redis.target import Account, Tls

__all__ = ["Link", "SocketLink", "TcpLink", "ask", "link_arguments"]

_CONNECT = 4.0
"""Seconds for each address of a host."""
_SILENCE = 5.0
"""Seconds without a byte after which a server is given up."""
_CHECK_AFTER = 20.0
"""Seconds of idleness after which a connection is tried out before it is trusted with a command."""
_READ_SIZE = 256 * 1024

_FILES = "Check that the file is there, that dewy may read it, and that it holds PEM"


class Link(Protocol):
    """What is used of redis-py's connections, which it has without types."""

    def connect(self) -> None:
        """Connects and logs in, unless it is connected."""

    def disconnect(self) -> None:
        """Closes it; it may be connected anew."""

    def on_connect(self) -> None:
        """Logs in and chooses the database."""

    def check_health(self) -> None:
        """Sends a PING and waits for the answer, if it was idle for long."""

    def send_command(self, *command: str | bytes | int, check_health: bool) -> None:
        """Sends a command."""

    def can_read(self, timeout: float) -> bool:
        """Waits up to so many seconds until something has come."""

    def read_response(self) -> Any:
        """The next answer; an error answer is raised."""


def ask(link: Link, *command: str | bytes | int) -> Any:
    """Sends one command and returns the answer."""
    link.send_command(*command, check_health=False)
    return link.read_response()


def link_arguments(account: Account) -> dict[str, Any]:
    """What all links are made with: who asks, and how long anything may take.

    RESP2 needs no handshake, so an ACL user needs no right to one. Nothing is tried twice here: what may be is known
    where the command is.
    """
    return {
        "username": account.username or None,
        "password": account.password or None,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": _CHECK_AFTER,
        "socket_timeout": _SILENCE,
        "socket_read_size": _READ_SIZE,
    }


class TcpLink(Connection):
    """A connection by TCP, safe or in the clear.

    Args:
        tls: How it is made safe; None for the clear.
        find: Says host and port before each connecting, where they change; None where they do not.
        arguments: As redis-py has them.
    """

    def __init__(
        self, *, tls: Tls | None = None, find: Callable[[], tuple[str, int]] | None = None, **arguments: Any
    ) -> None:
        self._tls, self._find = tls, find
        super().__init__(socket_keepalive=True, **arguments)  # type: ignore[no-untyped-call]

    @property
    def socket_connect_timeout(self) -> float:
        """Seconds for the next address: a host may have several, and the call has its deadline."""
        return left(_CONNECT)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, _value: float | None) -> None:
        """What redis-py sets does not count."""

    def _connect(self) -> BoundedSocket:
        if self._find:
            self.host, self.port = self._find()
        context = _context(self._tls) if self._tls else None
        plain = cast(socket.socket, super()._connect())  # type: ignore[no-untyped-call]
        if context is None:
            return BoundedSocket(plain)
        try:
            return BoundedSocket(_secure(plain, context, self.host))
        except BaseException:
            plain.close()
            raise


class SocketLink(UnixDomainSocketConnection):
    """A connection by a Unix socket."""

    @property
    def socket_connect_timeout(self) -> float:
        """Seconds for connecting."""
        return left(_CONNECT)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, _value: float | None) -> None:
        """What redis-py sets does not count."""

    def _connect(self) -> BoundedSocket:
        return BoundedSocket(super()._connect())  # type: ignore[no-untyped-call]


def _secure(plain: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Shakes hands. Raises Unusable when nobody shakes back: a server without TLS waits for the end of a command."""
    plain.settimeout(left(_SILENCE))
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except TimeoutError as error:
        hint = "Check that the port is the one for TLS; for a connection in the clear, write redis://"
        raise Unusable(Fault("no safe connection: the TLS handshake was not answered in time", hint)) from error


def _context(tls: Tls) -> ssl.SSLContext:
    """Certificates and host names are checked, always. Raises Unusable."""
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
    except OSError as error:
        raise Unusable(Fault(f"the file that ca names, {tls.ca}, cannot be used: {_why(error)}", _FILES)) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert:
        try:
            context.load_cert_chain(tls.cert, tls.key, password="")  # an encrypted key must not ask at the terminal
        except OSError as error:
            hint = f"{_FILES}; the key must be that of the certificate, and not encrypted"
            raise Unusable(Fault(f"the files that cert and key name cannot be used: {_why(error)}", hint)) from error
    return context


def _why(error: OSError) -> str:
    said = getattr(error, "reason", None) or error.strerror or type(error).__name__
    return str(said).replace("_", " ").lower()
