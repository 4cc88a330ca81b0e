"""Backend URLs: from what the user wrote to typed parts, and back without its secrets.

``scheme://[user[:password]@]host[:port]/path?option=value``. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from dewy.durations import parse_duration
from dewy.errors import UsageError
from dewy.types import Option

__all__ = ["HIDDEN", "BackendURL", "parse_url", "redact_url", "scheme_of"]

HIDDEN = "***"
"""What stands in place of a secret."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})

OptionValue = str | bool | int | float


@dataclass(frozen=True, slots=True)
class BackendURL:
    """A parsed backend URL. ``str`` and ``repr`` show it without its secrets; ``raw`` is what the user wrote.

    Attributes:
        scheme: Lower case.
        host: Without brackets; empty when there is none.
        port: None when the URL has none.
        path: Percent-decoded, with its leading slash; empty when there is none.
        username: Percent-decoded, or empty.
        password: Percent-decoded, or empty.
        query: The raw query, for backends whose query belongs to the resource.
        raw: What was written. Never show it.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    username: str
    password: str = field(repr=False)
    query: str = field(repr=False)
    raw: str = field(repr=False)
    _options: Mapping[str, OptionValue | None] = field(default_factory=dict, repr=False)
    _redacted: str = field(default="", repr=False)
    _secrets: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return self._redacted

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values in it that must never be shown."""
        return self._secrets

    def text(self, option: str) -> str | None:
        """The value of a ``text`` or ``url`` option; None when not set. KeyError for one that is not declared."""
        value = self._options[option]
        return None if value is None else str(value)

    def flag(self, option: str) -> bool:
        """The value of a ``flag`` option; false when not set."""
        return bool(self._options[option])

    def integer(self, option: str) -> int | None:
        """The value of an ``integer`` option; None when not set."""
        value = self._options[option]
        return None if value is None else int(value)

    def seconds(self, option: str) -> float | None:
        """The value of a ``seconds`` option; None when not set."""
        value = self._options[option]
        return None if value is None else float(value)


def scheme_of(url: str) -> str:
    """The scheme of a URL, lower case. Raises UsageError when it has none."""
    scheme, separator, _ = url.partition("://")
    if not separator or not _SCHEME.match(scheme.lower()):
        raise UsageError(f"{redact_url(url)!r} is not a URL", "It takes the form scheme://…, as in file:///srv/releases")
    return scheme.lower()


def parse_url(url: str, options: Iterable[Option] | None = (), *, kind: str = "backend") -> BackendURL:
    """Reads a backend URL by the options its backend declares.

    Args:
        url: What the user wrote.
        options: The backend's options; None when the query belongs to the resource and is not looked at.
        kind: What the URL is for, in error texts: ``registry``, ``cache``, …

    Raises:
        UsageError: It is no URL, or has an option that is unknown, given twice or ill-typed. Names it and the known ones.
    """
    scheme = scheme_of(url)
    declared = None if options is None else {option.name: option for option in options}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"the {kind} URL {redact_url(url, options)} cannot be read: {error}") from None
    values: dict[str, OptionValue | None] = {}
    if declared is not None:
        where = f"the {kind} URL {redact_url(url, declared.values())}"
        values = {name: _default(option) for name, option in declared.items()}
        values |= _given(parts.query, declared, f"{scheme}:// {kind} URL", where)
    return BackendURL(
        scheme=scheme,
        host=unquote(parts.hostname or ""),
        port=port,
        path=unquote(parts.path),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        query=parts.query,
        raw=url,
        _options=values,
        _redacted=redact_url(url, options),
        _secrets=tuple(_secrets(parts, declared)),
    )


def redact_url(url: str, options: Iterable[Option] | None = ()) -> str:
    """The URL without its password and without the values of its secret options.

    With ``options=None`` the query belongs to the resource and may be a signature: all of it is hidden.
    """
    head, separator, tail = url.partition("://")
    if not separator:
        return url
    tail, hash_sign, fragment = tail.partition("#")
    tail, question, query = tail.partition("?")
    authority, slash, path = tail.partition("/")
    userinfo, at, host = authority.rpartition("@")
    user, colon, _password = userinfo.partition(":")
    shown = f"{head}://{user}{colon}{HIDDEN if colon else ''}{at}{host}{slash}{path}"
    if not question:
        return shown + hash_sign + fragment
    if options is None:
        return f"{shown}?{HIDDEN}"
    secret = {option.name for option in options if option.secret}
    pairs = [_redact_pair(pair, secret) for pair in query.split("&")]
    return f"{shown}?{'&'.join(pairs)}{hash_sign}{fragment}"


def _redact_pair(pair: str, secret: set[str]) -> str:
    name, equals, _value = pair.partition("=")
    return f"{name}={HIDDEN}" if equals and unquote(name).lower() in secret else pair


def _secrets(parts: SplitResult, declared: Mapping[str, Option] | None) -> Iterator[str]:
    if parts.password:
        yield unquote(parts.password)
        yield parts.password
    for name, value in _pairs(parts.query):
        if value and (declared is None or (name in declared and declared[name].secret)):
            yield value


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    """The query's options. A plus sign stays one: people paste tokens and URLs."""
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        yield unquote(name).lower(), unquote(value)


def _given(query: str, declared: Mapping[str, Option], what: str, where: str) -> dict[str, OptionValue | None]:
    values: dict[str, OptionValue | None] = {}
    for name, text in _pairs(query):
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise UsageError(f"unknown option {name!r} in {where}", f"A {what} knows these options: {known}")
        if name in values:
            raise UsageError(f"option {name!r} stands twice in {where}")
        values[name] = _typed(declared[name], text, where)
    return values


def _default(option: Option) -> OptionValue | None:
    return None if option.default is None else _typed(option, option.default, f"the declaration of {option.name!r}")


def _typed(option: Option, text: str, where: str) -> OptionValue | None:
    shown = HIDDEN if option.secret else repr(text)

    def wrong(takes: str) -> UsageError:
        return UsageError(f"option {option.name!r} in {where} is {shown}", f"It takes {takes}")

    match option.kind:
        case "flag":
            if text.lower() in _TRUE:
                return True
            if text.lower() in _FALSE:
                return False
            raise wrong("true or false")
        case "integer":
            try:
                return int(text)
            except ValueError:
                raise wrong("a whole number") from None
        case "seconds":
            try:
                return parse_duration(text)
            except ValueError:
                raise wrong("a time such as 30, 30s, 5m or 1h") from None
        case "url":
            if not urlsplit(text).scheme or "://" not in text:
                raise wrong("a URL such as http://127.0.0.1:9000")
            return text
        case "text":
            return text or None
