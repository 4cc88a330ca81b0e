"""Which server, and how it is spoken to: what a ``grpc://HOST:PORT`` URL says. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dewy.errors import UsageError

if TYPE_CHECKING:
    from dewy.urls import BackendURL

__all__ = ["Target", "Tls"]

_FORM = "The form is grpc://HOST:PORT, as in grpc://releases.example.com:443"
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_.])?\Z")
_TLS_PORT = 443
_CHOSEN_THERE = {
    "pre-release": "Leave it out: have the server answer staging hosts with pre-releases, on another port, say",
    "artifact": "Leave it out: have the server answer with the URL of that artifact",
}


@dataclass(frozen=True, slots=True)
class Tls:
    """The files that TLS works with.

    Attributes:
        ca: The authorities that are believed; None for the system's.
        cert: This host's own certificate, with what chains it to its authority; None when the server asks for none.
        key: Its private key.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """One server. ``str`` shows it to people; it holds no secret.

    Attributes:
        host: A name or an address; an IPv6 address without brackets.
        port: Of TCP.
        tls: None for a connection in the clear.
    """

    host: str
    port: int
    tls: Tls | None

    @classmethod
    def of(cls, url: BackendURL) -> Target:
        """The server that a registry URL names. Raises UsageError."""
        _refuse_what_the_server_chooses(url)
        if url.username or url.password:
            raise UsageError(f"{url} has a user name in it", "A host proves who it is by a certificate: ?cert=FILE&key=FILE")
        if url.path.strip("/"):
            raise UsageError(f"{url} has a path", _FORM)
        if not _is_host(url.host):
            raise UsageError(f"{url.host!r} in {url} is not a host" if url.host else f"{url} names no host", _FORM)
        tls = _tls(url)
        if not (url.port or (url.port is None and tls)):
            raise UsageError(
                f"{url} names no port", "The form is grpc://HOST:PORT; only with TLS is the port 443 by default"
            )
        return cls(url.host, url.port or _TLS_PORT, tls)

    @property
    def address(self) -> str:
        """As gRPC takes it."""
        return f"dns:///{self._authority}"

    @property
    def _authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"grpc://{self._authority}"


def _refuse_what_the_server_chooses(url: BackendURL) -> None:
    for pair in url.query.split("&"):
        name = unquote(pair.partition("=")[0]).lower()
        if name in _CHOSEN_THERE:
            raise UsageError(f"{url} has the option {name!r}, but a gRPC registry decides that itself", _CHOSEN_THERE[name])


def _is_host(host: str) -> bool:
    if ":" not in host:
        return bool(_HOST.match(host))
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _tls(url: BackendURL) -> Tls | None:
    tls = Tls(url.text("ca"), url.text("cert"), url.text("key"))
    if url.flag("no-tls"):
        if tls != Tls():
            raise UsageError(f"{url} has certificates for TLS and no-tls=true", "Leave out no-tls, or ca, cert and key")
        return None
    if (tls.cert is None) != (tls.key is None):
        raise UsageError(f"{url} has only one of cert and key", "A certificate works with its private key: give both files")
    return tls
