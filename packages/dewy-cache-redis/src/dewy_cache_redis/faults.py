"""What went wrong with Redis, in words a person can act on."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from redis import exceptions

__all__ = ["Fault", "Unusable", "fault_of", "is_lost", "is_read_only"]

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


class Unusable(exceptions.ConnectionError):
    """No connection can be made, for a reason that is known."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


_AGAIN = "dewy tries again"
_WHERE = "Check that the server runs, the host and port in the cache URL, and what stands between it and this host"
_NOT_REDIS = "Check that the port is that of a Redis or Valkey server; for one that speaks TLS, write rediss://"
_HUNG_UP = (
    "Check the host and port in the cache URL; a server with TLS needs rediss://, and some want a certificate of this host: "
    "?cert=FILE&key=FILE"
)
_RIGHTS = (
    "Give the user what the documentation of dewy-cache-redis lists: the keys and channels that begin with the prefix, "
    "and a few commands"
)
_OLD = "the server is a read-only replica"
_OTHER = Fault("the server said something that cannot be understood", _NOT_REDIS)
_BROKEN = Fault("the server hung up", f"dewy tries again; if it goes on: {_HUNG_UP[0].lower()}{_HUNG_UP[1:]}")
_CLUSTER = Fault(
    "the server is part of a Redis Cluster, which spreads keys over several servers",
    "Use a server of its own, or a master with replicas under Sentinels",
)
_NO_RIGHTS = Fault("the user may not do this", _RIGHTS)

_BY_CODE = {
    "READONLY": Fault(_OLD, "Name its master in the cache URL, or let Sentinels find it: redis+sentinel://…"),
    "OOM": Fault(
        "the server's memory is full (maxmemory)",
        "Give it more memory, or let it keep less: max-size and keep in the cache URL, a database of dewy's own",
    ),
    "MISCONF": Fault(
        "the server takes no writes because it cannot save to its disk", "Free space on the server's disk; see its log"
    ),
    "LOADING": Fault("the server has just started and still loads its data", _AGAIN),
    "MASTERDOWN": Fault("the server is a replica that has lost its master", "See to the master; dewy tries again"),
    "NOREPLICAS": Fault("the server takes no writes because it lacks replicas", "See to the replicas; dewy tries again"),
    "BUSY": Fault("the server is busy with somebody's script", _AGAIN),
    "NOPERM": _NO_RIGHTS,
    "WRONGTYPE": Fault(
        "another program keeps something of its own under dewy's key",
        "Give the cache a prefix or a database of its own: ?prefix=NAME:",
    ),
    "DENIED": Fault(
        "the server is in protected mode and answers to its own host only",
        "Set a password on the server and give it to dewy, or have the server listen on the right addresses",
    ),
    "MOVED": _CLUSTER,
    "ASK": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "CLUSTERDOWN": _CLUSTER,
}
"""The first word of an error answer. In a script's error it stands further on."""

_BY_CLASS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.AskError, "MOVED"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.ClusterCrossSlotError, "CROSSSLOT"),
)
"""Where redis-py has taken the first word away."""

_CODE = re.compile(rf"(?:^|-|: )({'|'.join(_BY_CODE)})\b")
_ARGUMENTS = re.compile(r",? with args beginning with.*", re.DOTALL)
"""What an unknown command was called with, which may be a password."""

_BY_WORDS: tuple[tuple[str, Fault], ...] = (
    ("user executing the script can't", _NO_RIGHTS),
    ("ACL failure in script", _NO_RIGHTS),
    (
        "DB index is out of range",
        Fault("the server has no database of that number", "Correct the number in the cache URL; most servers have 0 to 15"),
    ),
    (
        "SELECT is not allowed in cluster mode",
        Fault("the server is in cluster mode and has the database 0 only", "Leave the number out of the cache URL"),
    ),
    (
        "max number of clients reached",
        Fault(
            "the server has as many clients as it takes", "Raise its maxclients, or find out who holds so many connections"
        ),
    ),
    (
        "unknown command",
        Fault(
            "the server lacks a command that dewy needs", "It must be Redis 6 or Valkey, or newer, with no command renamed"
        ),
    ),
)
_BY_LOGIN: tuple[tuple[str, Fault], ...] = (
    (
        "Authentication required",
        Fault(
            "the server wants a password",
            "Set REDIS_PASSWORD, with REDIS_USERNAME for an ACL user, or write redis://USER:PASSWORD@HOST",
        ),
    ),
    (
        "without any password configured",
        Fault(
            "the server has no password, and one was given",
            "Leave it out of the cache URL and of REDIS_PASSWORD, or set one on the server",
        ),
    ),
)
_WRONG_LOGIN = Fault(
    "the server does not take the user name and password",
    "Correct them in the cache URL or in REDIS_USERNAME and REDIS_PASSWORD; without a user name it is the user default",
)

_BY_TLS: tuple[tuple[str, Fault], ...] = (
    (
        "Hostname mismatch|IP address mismatch|doesn't match",
        Fault(
            "the server's certificate is for another name",
            "Write the name that stands in the certificate, or have the certificate made for this one",
        ),
    ),
    ("certificate has expired", Fault("the server's certificate has expired", "Have it renewed")),
    (
        "CERTIFICATE_VERIFY_FAILED",
        Fault(
            "the server's certificate is not signed by an authority that is believed here",
            "If the authority is your own, name the file with its certificate: ?ca=FILE",
        ),
    ),
    (
        "CERTIFICATE_REQUIRED",
        Fault("the server asks for a certificate of this host", "Give it with ?cert=FILE&key=FILE"),
    ),
    (
        "ALERT_UNKNOWN_CA|ALERT_BAD_CERTIFICATE|ALERT_CERTIFICATE_",
        Fault("the server refuses this host's certificate", "Have it made by an authority that the server believes"),
    ),
    (
        "WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST",
        Fault("the server does not speak TLS there", "Correct the port, or write redis:// for a connection in the clear"),
    ),
    ("EOF", Fault("the server hung up", _HUNG_UP)),
)


def is_lost(error: Exception) -> bool:
    """Whether the connection broke, and a new one may do: no time-out, no refusal."""
    return type(error) is exceptions.ConnectionError


def is_read_only(error: Exception) -> bool:
    """Whether the server refused to write, being a replica: nothing was done."""
    return isinstance(error, exceptions.ResponseError) and _code_of(error) == "READONLY"


def fault_of(error: Exception) -> Fault:
    """What an exception of redis-py's, or of a socket, means."""
    if isinstance(error, Unusable):
        return error.fault
    for kinds, read in _BY_KIND:
        if isinstance(error, kinds):
            return read(error)
    return Fault(f"{_OTHER.reason} ({type(error).__name__})", _OTHER.hint)


def _code_of(error: Exception) -> str:
    for kind, code in _BY_CLASS:
        if isinstance(error, kind):
            return code
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _of_answer(error: Exception) -> Fault:
    code = _code_of(error)
    words = _plain(_ARGUMENTS.sub("", str(error)))
    if code:
        fault = _BY_CODE[code]
        return Fault(f"{fault.reason}: {words}", fault.hint) if fault is _NO_RIGHTS else fault
    for sign, fault in _BY_WORDS:
        if sign in words:
            return Fault(f"{fault.reason}: {words}", fault.hint) if fault is _NO_RIGHTS else fault
    return Fault(f"the server refused: {words}")


def _of_login(error: Exception) -> Fault:
    return next((fault for words, fault in _BY_LOGIN if words in str(error)), _WRONG_LOGIN)


def _of_silence(_error: Exception) -> Fault:
    return Fault("no answer in time", _WHERE)


def _of_network(error: Exception) -> Fault:
    for cause in _chain(error):
        if isinstance(cause, OSError):
            return _of_system(cause)
    for sign, fault in _BY_WORDS:
        if sign in str(error):
            return fault
    return _BROKEN


def _of_system(error: OSError) -> Fault:
    if isinstance(error, ssl.SSLError):
        return _of_tls(error)
    if isinstance(error, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
        return _BROKEN
    if isinstance(error, socket.gaierror):
        reason = f"the host's name cannot be resolved: {_plain(error.strerror)}"
        return Fault(reason, "Check the host in the cache URL, and the DNS here")
    if isinstance(error, FileNotFoundError):
        return Fault("there is no such socket", "Check the path in the cache URL, and that the server runs")
    if isinstance(error, PermissionError):
        hint = "Add the user that dewy runs as to the socket's group: see unixsocketperm in the server's configuration"
        return Fault("this user may not use the socket", hint)
    return Fault(f"no connection: {_plain(error.strerror or error)}", _WHERE)


def _of_tls(error: ssl.SSLError) -> Fault:
    said = f"{error.reason or ''} {error}"
    for sign, fault in _BY_TLS:
        if re.search(sign, said):
            return Fault(f"no safe connection: {fault.reason}", fault.hint)
    return Fault(f"no safe connection: {_plain(error.reason or error)}", _NOT_REDIS)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what caused it, outermost first."""
    for _ in range(10):  # bounded: exceptions may form a ring
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _plain(text: object) -> str:
    """A stranger's words, fit for one line of an error text."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    return words[:_MOST_WORDS].rstrip(". ")


_BY_KIND: tuple[tuple[tuple[type[Exception], ...], Callable[[Any], Fault]], ...] = (
    ((exceptions.AuthenticationError,), _of_login),
    ((exceptions.ResponseError, exceptions.BusyLoadingError), _of_answer),
    ((exceptions.TimeoutError, TimeoutError), _of_silence),
    ((exceptions.ConnectionError, OSError), _of_network),
    ((exceptions.InvalidResponse,), lambda _error: _OTHER),
)
"""The first that fits counts: some are children of those below."""
