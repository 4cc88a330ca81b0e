"""Where the store is and as whom it is asked, from a URL and the environment. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dewy.errors import UsageError

if TYPE_CHECKING:
    from dewy.urls import BackendURL

__all__ = ["Account", "Target", "Tls", "prefix_of"]

_PORT, _SENTINEL_PORT = 6379, 26379
_PREFIX = re.compile(r"[!-~]{1,64}\Z")
_PATTERN = re.compile(r"[*?\[\]\\]")
_DB = re.compile(r"[0-9]{1,9}\Z")
_HOST = re.compile(r"[A-Za-z0-9._-]+\Z|[0-9a-fA-F:.]+(?:%[A-Za-z0-9._-]+)?\Z")
_FORMS = {
    "redis": "The form is redis://[USER:PASSWORD@]HOST:PORT/DB, as in redis://cache.example.com:6379/0",
    "rediss": "The form is rediss://[USER:PASSWORD@]HOST:PORT/DB, as in rediss://cache.example.com:6379/0",
    "redis+unix": "The form is redis+unix:///PATH?db=DB, with three slashes, as in redis+unix:///run/redis/redis.sock",
    "redis+sentinel": "The form is redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB, as in redis+sentinel://a,b,c/mymaster/0",
    "rediss+sentinel": "The form is rediss+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB, as in rediss+sentinel://a,b,c/mymaster/0",
}


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks. An empty user name stands for the server's default user, an empty password for "no credentials"."""

    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Tls:
    """How a safe connection is made. Files of PEM, by path, read anew for each connection.

    Attributes:
        ca: The authorities that are believed; empty for the system's.
        cert: This host's own certificate, with what chains it to its authority; empty when the server asks for none.
        key: Its private key.
    """

    ca: str = ""
    cert: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One database of one server, or of the one that Sentinels name.

    Attributes:
        hosts: Host and port: of the server; with a service, of each Sentinel; none with a socket.
        socket: The path of a Unix socket; empty otherwise.
        service: The name by which the Sentinels know the server; empty without Sentinels.
        db: The database's number.
        account: For the server.
        sentinel_account: For the Sentinels.
        tls: None for a connection in the clear. With a service, it is for the Sentinels as well.
    """

    hosts: tuple[tuple[str, int], ...] = ()
    socket: str = ""
    service: str = ""
    db: int = 0
    account: Account = field(default_factory=Account)
    sentinel_account: Account = field(default_factory=Account)
    tls: Tls | None = None

    @classmethod
    def of(cls, url: BackendURL, environ: Mapping[str, str]) -> Target:
        """What a cache URL names. Raises UsageError."""
        service, db = _service_and_db(url)
        sentinel_account = Account(url.text("sentinel-username") or "", url.text("sentinel-password") or "")
        if not service and sentinel_account != Account():
            raise UsageError(f"{url} has credentials for Sentinels and no Sentinels", _FORMS["redis+sentinel"])
        if sentinel_account.username and not sentinel_account.password:
            raise UsageError(f"{url} has a sentinel-username without a sentinel-password", "Give both, or neither")
        return cls(
            hosts=_hosts(url),
            socket=url.path if url.scheme == "redis+unix" else "",
            service=service,
            db=db,
            account=_account(url, environ),
            sentinel_account=sentinel_account,
            tls=_tls(url),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return tuple(filter(None, (self.account.password, self.sentinel_account.password)))

    def __str__(self) -> str:
        if self.socket:
            return self.socket
        names = ", ".join(address_of(host, port) for host, port in self.hosts)
        return f"{self.service} of the Sentinels {names}" if self.service else names


def address_of(host: str, port: int) -> str:
    """Host and port, for people."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def prefix_of(url: BackendURL) -> str:
    """What the store's keys begin with. Raises UsageError."""
    prefix = url.text("prefix") or ""
    if not _PREFIX.match(prefix) or _PATTERN.search(prefix):
        raise UsageError(
            f"the prefix {prefix!r} in {url} cannot be used",
            r"It takes up to 64 letters, digits and signs of ASCII, but no space and none of * ? [ ] \ as in myfleet:",
        )
    return prefix


def _hosts(url: BackendURL) -> tuple[tuple[str, int], ...]:
    form = _FORMS[url.scheme]
    if url.scheme == "redis+unix":
        if url.host or not url.path.strip("/"):
            raise UsageError(f"{url} names no socket", form)
        return ()
    sentinels = url.scheme.endswith("+sentinel")
    if len(url.hosts) > 1 and not sentinels:
        raise UsageError(f"{url} names several hosts", f"For Sentinels: {_FORMS[f'{url.scheme}+sentinel']}")
    for host, port in url.hosts:
        if not _HOST.match(host):
            raise UsageError(f"{host!r} in {url} is not a host" if host else f"{url} lacks a host", form)
        if port == 0:
            raise UsageError(f"{url} has the port 0", form)
    default = _SENTINEL_PORT if sentinels else _PORT
    return tuple((host, port or default) for host, port in url.hosts)


def _service_and_db(url: BackendURL) -> tuple[str, int]:
    """The Sentinels' name for the server, if any, and the database: of the path, or of the option."""
    service, path = "", url.path.strip("/")
    if url.scheme == "redis+unix":
        path = ""
    elif url.scheme.endswith("+sentinel"):
        service, _, path = path.partition("/")
        if not service:
            raise UsageError(f"{url} does not say which service of the Sentinels it means", _FORMS[url.scheme])
    if path and not _DB.match(path):
        raise UsageError(f"{path!r} in {url} is not the number of a database", _FORMS[url.scheme])
    option = url.integer("db")
    if option is not None and (option < 0 or (path and int(path) != option)):
        raise UsageError(
            f"the option db={option} in {url} is {'no number of a database' if option < 0 else 'not that of its path'}",
            "Give the number of the database once, from 0 on",
        )
    return service, int(path) if path else option or 0


def _account(url: BackendURL, environ: Mapping[str, str]) -> Account:
    """Of the URL; what is missing there of the environment. A password without a user is the default user's."""
    if url.password:
        return Account(url.username, url.password)
    password = environ.get("REDIS_PASSWORD", "")
    username = url.username or environ.get("REDIS_USERNAME", "")
    if username and not password:
        where = f"{url} has a user name" if url.username else "REDIS_USERNAME is set"
        raise UsageError(
            f"{where}, and there is no password",
            "Set REDIS_PASSWORD; or, for the password of the default user, write a colon before it: redis://:PASSWORD@HOST",
        )
    return Account(username, password)


def _tls(url: BackendURL) -> Tls | None:
    tls = Tls(url.text("ca") or "", url.text("cert") or "", url.text("key") or "")
    if not url.scheme.startswith("rediss"):
        if tls != Tls():
            raise UsageError(
                f"{url} has certificates for TLS and is in the clear",
                "Write redis with two s, as in rediss://…, or leave out ca, cert and key",
            )
        return None
    if bool(tls.cert) != bool(tls.key):
        raise UsageError(f"{url} has only one of cert and key", "A certificate works with its private key: give both files")
    return tls
