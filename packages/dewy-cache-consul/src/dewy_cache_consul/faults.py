"""What went wrong with Consul, in words a person can act on. Pure."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["FILTERED", "STRANGER", "Fault", "fault_of", "refusal_of"]

_MOST_WORDS = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a call failed.

    Attributes:
        reason: A phrase without a full stop.
        hint: What to do about it: a sentence, or empty.
    """

    reason: str
    hint: str = ""


_WHERE = "Check that the agent runs, the host and port in the cache URL or in CONSUL_HTTP_ADDR, and what stands between"
_NOT_CONSUL = "Check that the port is the one of Consul's HTTP API, 8500 by default; for TLS, write consul+https://"
_RIGHTS = (
    "Give the token a policy with key_prefix and the cache's prefix, for writing: see the documentation of dewy-cache-consul"
)
_LOGIN = "Set CONSUL_HTTP_TOKEN, or CONSUL_HTTP_TOKEN_FILE, to a token that exists and has not expired"
STRANGER = Fault("what answers there is no Consul agent", _NOT_CONSUL)
"""For an answer that no agent gives."""
FILTERED = Fault("the ACL token may not read all keys there", _RIGHTS)
"""For a list that lacks some."""
_BROKEN = Fault("the connection ended before the answer was whole", "dewy tries again; if it goes on, see the agent's log")
_SILENT = Fault("no answer in time", _WHERE)
_REFUSED = Fault("connection refused", _WHERE)
_NO_SOCKET = Fault("there is no such socket", "Check the path in CONSUL_HTTP_ADDR, and that the agent runs")
_NOT_OUR_SOCKET = Fault("this user may not use the socket", "See unix_sockets in the agent's configuration")
_IN_THE_CLEAR = Fault("the agent speaks TLS there", "Write consul+https:// or set CONSUL_HTTP_SSL=true")

_NO_RIGHTS = Fault("the ACL token, or the lack of one, does not allow it", _RIGHTS)
"""Newer agents say which right it lacks on which key."""

_BY_WORDS: tuple[tuple[str, Fault], ...] = (
    ("HTTP request to an HTTPS server", _IN_THE_CLEAR),
    ("ACL not found", Fault("the agent does not know the ACL token", _LOGIN)),
    ("ermission denied", _NO_RIGHTS),
    (
        "No cluster leader",
        Fault("the cluster has no leader", "Most of its servers must run and reach each other; dewy tries again"),
    ),
    ("No path to datacenter", Fault("there is no way to that datacenter", "Correct the option dc in the cache URL")),
)
_BY_STATUS = {
    413: Fault(
        "the value is larger than the agent takes (kv_max_value_size)",
        "kv_max_value_size, under limits in the agent's configuration, must be at least 524288",
    ),
    429: Fault(
        "the agent has too many requests at once",
        "See limits in the agent's configuration: http_max_conns_per_client and request_limits",
    ),
}

_BY_TLS: tuple[tuple[str, Fault], ...] = (
    (
        "Hostname mismatch|IP address mismatch|doesn't match",
        Fault(
            "the agent's certificate is for another name",
            "Write the name that stands in the certificate, or set CONSUL_TLS_SERVER_NAME to it",
        ),
    ),
    ("certificate has expired", Fault("the agent's certificate has expired", "Have it renewed")),
    (
        "CERTIFICATE_VERIFY_FAILED",
        Fault(
            "the agent's certificate is not signed by an authority that is believed here",
            "If the authority is your own, name the file with its certificate: ?ca=FILE or CONSUL_CACERT",
        ),
    ),
    (
        "CERTIFICATE_REQUIRED|ALERT_BAD_CERTIFICATE|ALERT_UNKNOWN_CA|ALERT_CERTIFICATE_",
        Fault(
            "the agent wants a certificate of this host that it believes",
            "Give it with ?cert=FILE&key=FILE, or with CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY",
        ),
    ),
    (
        "WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST",
        Fault("the agent does not speak TLS there", "Correct the port, or write consul:// for a connection in the clear"),
    ),
)


def refusal_of(status: int, body: bytes) -> Fault:
    """What an answer means that is not the one hoped for.

    Args:
        status: Of HTTP.
        body: What the agent says about it.
    """
    words = _plain(body.decode("utf-8", "replace"))
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    for sign, fault in _BY_WORDS:
        if sign in words:
            return Fault(f"{fault.reason}: {words}", fault.hint) if fault is _NO_RIGHTS else fault
    if status in (401, 403):
        return Fault(f"the agent does not allow it: {words or 'no words'}", _RIGHTS)
    if status >= 500:
        return Fault(f"the agent failed with {status}: {words or 'no words'}", "See the agent's log; dewy tries again")
    if status == 400:
        return Fault(f"the agent did not take the request: {words or 'no words'}", _NOT_CONSUL)
    return Fault(f"{STRANGER.reason} (HTTP {status})", STRANGER.hint)


def fault_of(error: Exception) -> Fault:
    """What an exception of a socket's, of TLS or of :mod:`http.client` means."""
    return next((read(error) for kinds, read in _BY_KIND if isinstance(error, kinds)), STRANGER)


def _of_tls(error: ssl.SSLError) -> Fault:
    said = f"{error.reason or ''} {error}"
    for sign, fault in _BY_TLS:
        if re.search(sign, said):
            return Fault(f"no safe connection: {fault.reason}", fault.hint)
    return Fault(f"no safe connection: {_plain(error.reason or error)}", _NOT_CONSUL)


def _plain(text: object) -> str:
    """A stranger's words, fit for one line of an error text."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    return words[:_MOST_WORDS].rstrip(". ")


def _of_name(error: Any) -> Fault:
    reason = f"the host's name cannot be resolved: {_plain(error.strerror or error)}"
    return Fault(reason, "Check the host in the cache URL or in CONSUL_HTTP_ADDR, and the DNS here")


def _of_system(error: Any) -> Fault:
    return Fault(f"no connection: {_plain(error.strerror or error)}", _WHERE)


_BY_KIND: tuple[tuple[tuple[type[Exception], ...], Callable[[Any], Fault]], ...] = (
    ((TimeoutError,), lambda _error: _SILENT),
    ((ssl.SSLError,), _of_tls),
    ((ConnectionRefusedError,), lambda _error: _REFUSED),
    ((ConnectionError, http.client.IncompleteRead), lambda _error: _BROKEN),
    ((socket.gaierror,), _of_name),
    ((FileNotFoundError,), lambda _error: _NO_SOCKET),
    ((PermissionError,), lambda _error: _NOT_OUR_SOCKET),
    ((OSError,), _of_system),
)
"""The first that fits counts: some are children of those below."""
