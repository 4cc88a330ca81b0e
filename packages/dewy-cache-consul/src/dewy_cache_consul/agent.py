"""Which agent is asked, as whom and how: what the URL and Consul's own environment variables say. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dewy.errors import UsageError

if TYPE_CHECKING:
    from dewy.urls import BackendURL

__all__ = ["TOKEN", "Agent", "Tls", "prefix_of"]

_DEFAULT_PREFIX = "dewy"
_DEFAULT_HOST = "127.0.0.1"
_SECURE = "consul+https"
_PORT, _TLS_PORT = 8500, 8501
_WEB_PORTS = {"http": 80, "https": 443}
_PREFIX = re.compile(r"{part}(/{part})*\Z".format(part=r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"))
"""What is written in Consul as it is, so that an ACL rule can name it."""
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_.])?\Z")
TOKEN = re.compile(r"[\x21-\x7e]+\Z")
"""What an ACL token can be made of."""
_FORM = "The form is consul://HOST:PORT/PREFIX or consul+https://HOST:PORT/PREFIX; without a host CONSUL_HTTP_ADDR counts"
_ADDRESS_FORM = "It takes HOST:PORT, http://HOST:PORT, https://HOST:PORT or unix:///PATH"
_TRUE, _FALSE = frozenset({"1", "t", "true"}), frozenset({"0", "f", "false"})


@dataclass(frozen=True, slots=True)
class Tls:
    """The files that TLS works with; empty for none.

    Attributes:
        ca: The authorities that are believed, in place of the system's.
        folder: A directory of such.
        cert: This host's own certificate.
        key: Its private key.
        name: What the agent's certificate must be for, where that is not the host.
    """

    ca: str = ""
    folder: str = ""
    cert: str = ""
    key: str = field(default="", repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent, and as whom it is asked. ``str`` shows it to people; it holds no secret.

    Attributes:
        host: A name or an address; an IPv6 address without brackets.
        port: Of TCP.
        tls: None for a connection in the clear.
        socket: The path of a unix socket, in place of host and port; empty for none.
        base: What stands before ``/v1`` in every path; empty, or with a leading slash.
        token: The ACL token; empty for none, or one in a file.
        token_file: The file with the token, which may be renewed; empty for none.
        datacenter: Whose key-value store it is; empty for the agent's own.
        namespace: Of Consul Enterprise; empty for the default one.
    """

    host: str
    port: int
    tls: Tls | None = None
    socket: str = ""
    base: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    datacenter: str = ""
    namespace: str = ""

    @classmethod
    def of(cls, url: BackendURL, environ: Mapping[str, str]) -> Agent:
        """The agent that a cache URL leads to.

        Raises:
            UsageError: The URL or a variable of the environment cannot be used; names it.
        """
        _refuse_what_has_no_meaning(url)
        settings = {name: value.strip() for name, value in environ.items() if name.startswith(("CONSUL_", "SSL_CERT_"))}
        where = _named_by(url, settings) if url.host else _named_by_environment(url, settings)
        if not where.secure:
            _refuse_certificates(url)
        return cls(
            host=where.host,
            port=where.port,
            tls=_tls(url, settings) if where.secure else None,
            socket=where.socket,
            base=where.base,
            token=_token(url, settings),
            token_file="" if url.text("token") else settings.get("CONSUL_HTTP_TOKEN_FILE", ""),
            datacenter=url.text("dc") or "",
            namespace=url.text("ns") or settings.get("CONSUL_NAMESPACE", ""),
        )

    @property
    def authority(self) -> str:
        """Host and port, as a request names them."""
        if self.socket:
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"Consul at {self.socket or self.authority}"


def prefix_of(url: BackendURL) -> str:
    """What all keys of the cache begin with, with a slash at its end. Raises UsageError."""
    prefix = url.path.strip("/") or _DEFAULT_PREFIX
    if not _PREFIX.match(prefix):
        raise UsageError(
            f"the prefix {prefix!r} in {url} cannot be used",
            "It takes letters, digits, '_' and '-', single dots between those, and '/' between its parts",
        )
    return f"{prefix}/"


# ------------------------------------------------------------------------------------------------------------ addresses


@dataclass(frozen=True, slots=True)
class _Place:
    host: str
    port: int
    secure: bool = False
    socket: str = ""
    base: str = ""


def _named_by(url: BackendURL, settings: Mapping[str, str]) -> _Place:
    if not _is_host(url.host) or url.port == 0:
        raise UsageError(f"{url} has a host or a port that cannot be", _FORM)
    secure = url.scheme == _SECURE or _flag("CONSUL_HTTP_SSL", settings)
    return _Place(url.host, url.port or (_TLS_PORT if secure else _PORT), secure)


def _named_by_environment(url: BackendURL, settings: Mapping[str, str]) -> _Place:
    address = settings.get("CONSUL_HTTP_ADDR", "")
    scheme, separator, rest = address.partition("://")
    scheme = scheme.lower() if separator else ""
    if url.scheme == _SECURE and scheme in ("http", "unix"):
        raise UsageError(
            f"{url} wants TLS, and CONSUL_HTTP_ADDR names an address without it: {scheme}://",
            "Name the agent's https address there, or write consul:// in the URL",
        )
    if scheme == "unix":
        if not rest.startswith("/") or len(rest) < 2:
            raise _no_address(address)
        return _Place("", 0, socket=rest)
    secure = scheme == "https" or url.scheme == _SECURE or _flag("CONSUL_HTTP_SSL", settings)
    usual = _TLS_PORT if secure else _PORT
    if not address:
        return _Place(_DEFAULT_HOST, usual, secure)
    if separator and scheme not in _WEB_PORTS:
        raise _no_address(address)
    # As Consul's own tools: a web address without a port has the web's port.
    return _web_place(address, rest if separator else address, _WEB_PORTS.get(scheme, usual), secure)


def _web_place(address: str, rest: str, usual: int, secure: bool) -> _Place:
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port
    except ValueError:
        raise _no_address(address) from None
    host = parts.hostname or _DEFAULT_HOST
    if parts.username is not None or parts.query or parts.fragment or port == 0 or not _is_host(host):
        raise _no_address(address)
    if not re.fullmatch(r"[A-Za-z0-9._~/-]*", parts.path):
        raise _no_address(address)
    return _Place(host, port or usual, secure, base=parts.path.rstrip("/"))


def _no_address(address: str) -> UsageError:
    shown = f"***@{address.rpartition('@')[2]}" if "@" in address else address
    return UsageError(f"CONSUL_HTTP_ADDR is {shown!a}, which is not the address of an agent", _ADDRESS_FORM)


def _is_host(host: str) -> bool:
    if ":" not in host:
        return bool(_HOST.match(host))
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _refuse_what_has_no_meaning(url: BackendURL) -> None:
    if url.username or url.password:
        raise UsageError(f"{url} has a user name in it", "An ACL token goes into CONSUL_HTTP_TOKEN, or into ?token=")
    if len(url.hosts) > 1:
        raise UsageError(f"{url} names several hosts", "Name one agent, best the one on this host: it knows all servers")


# ------------------------------------------------------------------------------------------------- credentials and trust


def _token(url: BackendURL, settings: Mapping[str, str]) -> str:
    """The URL's; else the environment's, whose file counts more, as for Consul's own tools."""
    token, name = url.text("token") or "", "option 'token'"
    if not token and not settings.get("CONSUL_HTTP_TOKEN_FILE"):
        token, name = settings.get("CONSUL_HTTP_TOKEN", ""), "CONSUL_HTTP_TOKEN"
    if token and not TOKEN.match(token):
        raise UsageError(f"{name} has a character that cannot be in an ACL token", "A token is mostly a UUID")
    return token


def _tls(url: BackendURL, settings: Mapping[str, str]) -> Tls:
    if "CONSUL_HTTP_SSL_VERIFY" in settings and not _flag("CONSUL_HTTP_SSL_VERIFY", settings):
        raise UsageError(
            "CONSUL_HTTP_SSL_VERIFY is off, but dewy always checks the agent's certificate",
            "Unset it, and name the authority that issued the certificate in CONSUL_CACERT",
        )
    cert = url.text("cert") or settings.get("CONSUL_CLIENT_CERT", "")
    key = url.text("key") or settings.get("CONSUL_CLIENT_KEY", "")
    if bool(cert) != bool(key):
        raise UsageError(
            f"{url} leads to only one of a certificate and its key",
            "A certificate works with its private key: cert and key, or CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY",
        )
    ca, folder = url.text("ca") or settings.get("CONSUL_CACERT", ""), ""
    if not ca:
        folder = settings.get("CONSUL_CAPATH", "")
    if not (ca or folder):
        ca, folder = settings.get("SSL_CERT_FILE", ""), settings.get("SSL_CERT_DIR", "")
    return Tls(ca, folder, cert, key, settings.get("CONSUL_TLS_SERVER_NAME", ""))


def _refuse_certificates(url: BackendURL) -> None:
    if any(url.text(option) for option in ("ca", "cert", "key")):
        raise UsageError(f"{url} has certificates for TLS, but no TLS", f"Write {_SECURE}:// for a connection with TLS")


def _flag(name: str, settings: Mapping[str, str]) -> bool:
    """Whether a variable is set to a yes. Raises UsageError for what is neither yes nor no."""
    value = settings.get(name, "").lower()
    if value not in _TRUE | _FALSE | {""}:
        raise UsageError(f"{name} is {settings[name]!a}", "It takes true or false")
    return value in _TRUE
