"""One request to one host, and where a redirect may lead: credentials stay with the host they are for. Pure."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from dewy.http.errors import HttpError
from dewy.urls import redact_url

__all__ = ["REDIRECTS", "Hop", "Origin", "first_hop", "redirected"]

Origin = tuple[str, str, int]
"""Scheme, host, port: whom credentials are for."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_PORTS = {"http": 80, "https": 443}
_SENSITIVE = re.compile(r"authori[sz]ation|cookie|token|secret|passw|api-?key", re.IGNORECASE)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_ALLOWED = "/?%:@!$&'()*+,;=~[]"


@dataclass(frozen=True, slots=True)
class Hop:
    """One request to one host.

    Attributes:
        method: Upper case.
        url: Without user and fragment, percent-encoded.
        shown: The URL as texts may show it: also without its query.
        origin: Whom it goes to.
        headers: What any host may see.
        credentials: Header fields for this origin only.
        content: The body; None for none.
    """

    method: str
    url: str = field(repr=False)
    shown: str
    origin: Origin
    headers: Mapping[str, str] = field(repr=False)
    credentials: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """The host as texts name it: with its port where that is not the scheme's own."""
        return urlsplit(self.url).netloc

    @property
    def explicit_port(self) -> int | None:
        """The port; None for the scheme's own."""
        return urlsplit(self.url).port

    @property
    def target(self) -> str:
        """Path and query, as they stand in the request."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def identity(self) -> str:
        """Tells credentials apart without being one; empty when there are none."""
        if not self.credentials:
            return ""
        return hashlib.sha256(repr(sorted(self.credentials.items())).encode()).hexdigest()


def first_hop(
    method: str, url: str, headers: Mapping[str, str], credentials: Mapping[str, str], content: bytes | None = None
) -> Hop:
    """The request as the caller wants it.

    The URL's user and password become basic authentication, unless ``credentials`` have an ``Authorization``. Fields of
    ``headers`` whose names say that they are credentials are treated as such; a ``Host`` is passed over: the URL has it.

    Raises:
        HttpError: It is no http or https URL, or a header field cannot be sent.
    """
    parts = _split(url)
    secret = {name: value for name, value in headers.items() if _SENSITIVE.search(name)} | dict(credentials)
    if parts.username is not None and not any(name.lower() == "authorization" for name in secret):
        userinfo = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        secret["Authorization"] = f"Basic {b64encode(userinfo.encode()).decode()}"
    public = {name: value for name, value in headers.items() if name not in secret and name.lower() != "host"}
    for name, value in (public | secret).items():
        if not _NAME.match(name) or not _VALUE.match(value):
            raise HttpError(f"the header field {name!r} cannot be sent: its name or value has a character it must not have")
    return _hop(method, parts, public, secret, content)


def redirected(hop: Hop, status: int, location: str) -> Hop:
    """The request that a redirect asks for. Credentials are left behind when it leads to another origin.

    Raises:
        HttpError: It leads from https to http, to something else than either, or would repeat a request that changes
            something as another kind of request.
    """
    try:
        parts = _split(urljoin(hop.url, _as_utf8(location)))
    except (HttpError, ValueError):
        raise HttpError(f"{hop.shown} redirects to something that is no http or https URL", status=status) from None
    if hop.origin[0] == "https" and parts.scheme == "http":
        raise HttpError(
            f"{hop.shown} redirects from https to plain http on {parts.hostname}: refused",
            "What comes over http can be changed by anyone on the way",
            status=status,
        )
    method = hop.method
    if method not in {"GET", "HEAD"} and status not in {307, 308}:
        if status != 303:
            raise HttpError(f"{hop.shown} redirects a {method} request ({status})", "Use the new URL", status=status)
        method = "GET"
    content = hop.content if method == hop.method else None
    new = _hop(method, parts, hop.headers, hop.credentials, content)
    return new if new.origin == hop.origin else replace(new, credentials={})


def _as_utf8(location: str) -> str:
    """Header fields are read as Latin-1, but what is not ASCII in a URL is UTF-8 nearly always."""
    try:
        return location.encode("latin-1").decode()
    except UnicodeError:
        return location


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise HttpError(f"{_shown(url)!r} is not an http or https URL", sent=False)
    return parts


def _hop(
    method: str, parts: SplitResult, headers: Mapping[str, str], credentials: Mapping[str, str], content: bytes | None
) -> Hop:
    host = _ascii(parts.hostname or "")
    port = parts.port or _PORTS[parts.scheme]
    origin = (parts.scheme, host, port)
    bracketed = f"[{host}]" if ":" in host else host
    authority = bracketed if port == _PORTS[parts.scheme] else f"{bracketed}:{port}"
    query = f"?{quote(parts.query, safe=_ALLOWED)}" if parts.query else ""
    url = f"{parts.scheme}://{authority}{quote(parts.path, safe=_ALLOWED) or '/'}{query}"
    return Hop(method, url, _shown(url), origin, headers, credentials, content)


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise HttpError(f"{host!r} cannot be a host's name", sent=False) from None


def _shown(url: str) -> str:
    """Neither user nor query nor fragment: a token may be in any of them."""
    head, separator, tail = url.partition("#")[0].partition("://")
    if not separator:
        return head.rpartition("@")[2].partition("?")[0]
    authority, slash, rest = tail.partition("/")
    return redact_url(f"{head}{separator}{authority.rpartition('@')[2]}{slash}{rest}", None)
