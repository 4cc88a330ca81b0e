"""The way to one server: a channel that is made when it is needed and left when it has failed; a deadline on every call."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from dewy import __version__
from dewy.errors import RegistryError
from dewy_registry_grpc.answer import Metadata
from dewy_registry_grpc.faults import fault_of
from dewy_registry_grpc.sdk import grpc
from dewy_registry_grpc.target import Target
from dewy_registry_grpc.trust import Stamp, read_certificates, stamp_of

__all__ = ["DEADLINE", "Connection"]

DEADLINE = 20.0
"""Seconds that one call may take, connecting included."""

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.primary_user_agent", f"dewy/{__version__}"),
    # A new channel connects at once, whatever the one before it is waiting for.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 1 << 20),
)
_WORN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
    }
)
"""What a channel is left for: it may be at fault. gRPC would go on connecting by itself, in the background; so dewy
connects when it polls, and as seldom as its own back-off wants."""


@dataclass(slots=True)
class _Line:
    """One channel.

    Attributes:
        channel: gRPC's.
        stamp: Of the certificates that it was made with.
        proven: Whether the server has answered on it.
    """

    channel: grpc.Channel
    stamp: Stamp
    proven: bool = False


class Connection:
    """Calls one server, one call after the other, also when several threads ask.

    Args:
        target: Which server.
        environ: The environment: it may say whom to believe.
        deadline: Seconds that one call may take.
    """

    def __init__(self, target: Target, environ: Mapping[str, str], deadline: float = DEADLINE) -> None:
        self.target = target
        self._environ = environ
        self._deadline = deadline
        self._lock = threading.Lock()
        self._line: _Line | None = None

    def call(self, method: str, request: bytes, doing: str) -> tuple[bytes, Metadata]:
        """Asks the server.

        A connection that has worked and is found to be gone is made anew, once: the server was started again, say, or a
        firewall has forgotten it. It may be that the server has seen the request by then.

        Args:
            method: Its full name.
            request: The message, encoded.
            doing: What for, in an error's text: "asking … for the newest version".

        Returns:
            The answer, encoded, and its metadata.

        Raises:
            RegistryError: There is no answer, or it is a refusal; says why.
        """
        try:
            with self._lock:
                return self._call(method, request)
        except grpc.RpcError as error:
            fault = fault_of(error, self.target)
            raise RegistryError(f"{doing} failed: {fault.reason}", fault.hint) from error

    def _call(self, method: str, request: bytes) -> tuple[bytes, Metadata]:
        line = self._current_line()
        again = line.proven
        try:
            return self._call_on(line, method, request)
        except grpc.RpcError as error:
            if again and error.code() is grpc.StatusCode.UNAVAILABLE:
                return self._call_on(self._current_line(), method, request)
            raise

    def _call_on(self, line: _Line, method: str, request: bytes) -> tuple[bytes, Metadata]:
        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = line.channel.unary_unary(method)
        try:
            answer, call = ask.with_call(request, timeout=self._deadline)
        except grpc.RpcError as error:
            if error.code() in _WORN:
                self._leave()
            raise
        line.proven = True
        return answer, [*(call.initial_metadata() or ()), *(call.trailing_metadata() or ())]

    def _current_line(self) -> _Line:
        """The channel, made if there is none; also when certificates were renewed. Raises RegistryError."""
        tls = self.target.tls
        stamp = stamp_of(tls, self._environ) if tls else ()
        if self._line and self._line.stamp != stamp:
            self._leave()
        if self._line is None:
            self._line = _Line(self._new_channel(), stamp)
        return self._line

    def _new_channel(self) -> grpc.Channel:
        """A channel, which connects at its first call."""
        tls = self.target.tls
        options = [*_OPTIONS, *_keep_alive(self._deadline)]
        if tls is None:
            return grpc.insecure_channel(self.target.address, options)
        known = read_certificates(tls, self._environ)
        credentials = grpc.ssl_channel_credentials(known.roots, known.key, known.chain)
        return grpc.secure_channel(self.target.address, credentials, options)

    def _leave(self) -> None:
        if self._line:
            self._line.channel.close()
            self._line = None


def _keep_alive(deadline: float) -> tuple[tuple[str, int], ...]:
    """How a peer that is gone without a word is found while a call waits, early enough for a second try.

    Between calls there are no pings: the polls keep the connection alive, and servers hang up on clients that ping then.
    """
    milliseconds = int(deadline * 1000)
    return (
        ("grpc.keepalive_time_ms", milliseconds // 2),
        ("grpc.keepalive_timeout_ms", milliseconds // 4),
        ("grpc.http2.ping_timeout_ms", milliseconds // 4),  # a minute by default, whatever stands above
        ("grpc.keepalive_permit_without_calls", 0),
    )
