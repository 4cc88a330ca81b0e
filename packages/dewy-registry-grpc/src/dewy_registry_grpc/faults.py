"""What went wrong with a call, in words a person can act on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dewy_registry_grpc.sdk import grpc

if TYPE_CHECKING:
    from dewy_registry_grpc.target import Target

__all__ = ["Fault", "fault_of"]

_MOST_WORDS = 200
_AGAIN = "dewy tries again"
_WHERE = "Check the host and the port, and that the server runs"
_WHO = "The server knows hosts by their certificates: give this one's with ?cert=FILE&key=FILE"
_NOT_OURS = "Check that the port is that of a server with dewy's RegistryService, version for version"
_LAST_ERROR = re.compile(r".*last error: (?:[A-Z_]+: )?", re.DOTALL)
_ADDRESS = re.compile(r"ipv[46]:\S+: (?:Failed to connect to remote host: )?(?:connect: )?")
_NO_NAME = re.compile(r"(?:resolving|DNS resolution failed).*(?::|details: \"?)\s*([^:\]]+)", re.IGNORECASE)
_CUTS = re.compile(r" ?\b(?:error:[0-9a-f]{8}:SSL routines:OPENSSL_internal:|\{\S*grpc_status.*)")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a call failed.

    Attributes:
        reason: A phrase without a full stop.
        hint: What to do about it: a sentence, or empty.
    """

    reason: str
    hint: str = ""


_BY_CODE = {
    grpc.StatusCode.UNAUTHENTICATED: Fault("the server does not know this host", _WHO),
    grpc.StatusCode.PERMISSION_DENIED: Fault("the server refuses this host", "Have the server allow it, or check its log"),
    grpc.StatusCode.NOT_FOUND: Fault("the server has no release for this host", "Publish one there, for this platform too"),
    grpc.StatusCode.UNIMPLEMENTED: Fault("the server does not know the call", _NOT_OURS),
    grpc.StatusCode.RESOURCE_EXHAUSTED: Fault("the server has too much to do, or its answer is too large", _AGAIN),
    grpc.StatusCode.INVALID_ARGUMENT: Fault("the server does not take the request", _NOT_OURS),
    grpc.StatusCode.FAILED_PRECONDITION: Fault("the server is in no state to answer", "Check the server's log"),
    grpc.StatusCode.INTERNAL: Fault("the server failed", "Check the server's log"),
    grpc.StatusCode.UNKNOWN: Fault("the server failed", "Check the server's log"),
    grpc.StatusCode.CANCELLED: Fault("the call was cut off", _AGAIN),
    grpc.StatusCode.ABORTED: Fault("the server cut the call off", _AGAIN),
}
_OTHER_NAME = (
    "the server's certificate is for another name",
    "Write the name that stands in the certificate, or have the certificate made for this one",
)
_BY_HANDSHAKE: tuple[tuple[str, str, str], ...] = (
    ("WRONG_VERSION_NUMBER", "the server does not speak TLS", "Add no-tls=true to the registry URL, or correct the port"),
    ("Hostname Verification Check failed", *_OTHER_NAME),
    ("is not in peer certificate", *_OTHER_NAME),
    ("certificate has expired", "the server's certificate has expired", "Have it renewed"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the server's certificate is not signed by an authority that is believed here",
        "If the authority is your own, name the file with its certificate: ?ca=FILE",
    ),
    ("ALPN", "the server does not speak HTTP/2, as gRPC does", _NOT_OURS),
)
"""What gRPC and its TLS library say, and what it means. That the server wants another client certificate is not among it:
with TLS 1.3, the server hangs up after the handshake."""


def fault_of(error: grpc.RpcError, target: Target) -> Fault:
    """What a failed call means."""
    code, said = error.code(), _plain(error.details())
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Fault("no answer in time", _WHERE)
    if code is grpc.StatusCode.UNAVAILABLE:
        return _unavailable(said, target)
    fault = _BY_CODE.get(code)
    if fault is None:
        return Fault(_with(f"the server answered {code.name}", said))
    return Fault(_with(fault.reason, said), fault.hint)


def _unavailable(said: str, target: Target) -> Fault:
    if unknown := _NO_NAME.search(said):
        return Fault(
            f"the host's name cannot be resolved: {unknown[1]}", "Check the host in the registry URL, and the DNS here"
        )
    if "Failed parsing HTTP/2" in said:
        return Fault("what answers there does not speak HTTP/2, as gRPC does", _NOT_OURS)
    for sign, reason, hint in _BY_HANDSHAKE if target.tls else ():
        if sign in said:
            return Fault(f"no safe connection: {reason}", hint)
    return Fault(_with("no connection", _cause(said)), _where_to_look(target))


def _where_to_look(target: Target) -> str:
    if target.tls is None:
        return f"{_WHERE}; if it speaks TLS, take no-tls out of the registry URL"
    if target.tls.cert is None:
        return f"{_WHERE}; if it asks for a certificate of this host, give it with ?cert=FILE&key=FILE"
    return f"{_WHERE}, and that it believes the authority of this host's certificate"


def _cause(said: str) -> str:
    """What the system said, without the chain of gRPC's own wrappings."""
    return _CUTS.sub("", _ADDRESS.sub("", _LAST_ERROR.sub("", said)))


def _with(reason: str, said: str) -> str:
    return f"{reason}: {said[:_MOST_WORDS].rstrip('. ')}" if said else reason


def _plain(text: str | None) -> str:
    """A stranger's words, fit for one line of an error text."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text or "").split())[:2000].rstrip(". ")
