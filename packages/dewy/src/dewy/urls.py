"""Backend URLs: from what the user wrote to typed parts, and back without its secrets.

``scheme://[user[:password]@]host[:port]/path?option=value``. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, unquote, urlsplit

from dewy.durations import parse_duration
from dewy.errors import UsageError
from dewy.types import Option, OptionKind

__all__ = ["HIDDEN", "BackendURL", "parse_url", "redact_url", "scheme_of"]

HIDDEN = "***"
"""What stands in place of a secret."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")
_PORT = re.compile(r"[0-9]*\Z")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_HAS_SECRET = re.compile(r"://.*[@?]|:.*@", re.DOTALL)
"""A URL with a user or a query, or a password without a scheme. An address with an @ is no secret."""
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})

_SHORTEST_GUESSED = 8
"""Parts of a resource's own query that are shorter are rather a version or a name than a signature: no secrets."""

OptionValue = str | bool | int | float


@dataclass(frozen=True, slots=True)
class BackendURL:
    """A parsed backend URL. ``str`` and ``repr`` show it without its secrets; ``raw`` is what the user wrote.

    Attributes:
        scheme: Lower case.
        host: Lower case, without brackets; empty when there is none.
        port: None when the URL has none.
        path: Percent-decoded, with its leading slash; empty when there is none.
        username: Percent-decoded, or empty.
        password: Percent-decoded, or empty.
        query: The raw query, for backends whose query belongs to the resource.
        raw: What was written. Never show it.
        host_as_written: For the names that stand in its place and whose case matters.
        hosts: Host and port of each of several hosts, as in ``scheme://one:1,two:2/path``; else of the one there is.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    username: str = field(repr=False)
    password: str = field(repr=False)
    query: str = field(repr=False)
    raw: str = field(repr=False)
    host_as_written: str = field(default="", repr=False)
    hosts: tuple[tuple[str, int | None], ...] = ()
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


# ------------------------------------------------------------------------------------------------------------- reading


def scheme_of(url: str) -> str:
    """The scheme of a URL, lower case. Raises UsageError when it has none."""
    scheme, separator, _ = url.partition("://")
    if not separator or not _SCHEME.match(scheme.lower()):
        raise UsageError(
            f"{redact_url(url, None)!r} is not a URL", "It takes the form scheme://…, as in file:///srv/releases"
        )
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
    redacted = redact_url(url, None if declared is None else declared.values())
    where = f"the {kind} URL {redacted}"
    parts, hosts = _split(url, where)
    values: dict[str, OptionValue | None] = {}
    if declared is not None:
        if parts.fragment:
            raise UsageError(f"{where} has a # in it, which has no meaning there", "Write it as %23")
        values = {name: _default(option) for name, option in declared.items()}
        values |= _given(parts.query, declared, f"{scheme}:// {kind} URL", where)
    return BackendURL(
        scheme=scheme,
        host=_host(parts.netloc).lower(),
        port=hosts[0][1],
        path=unquote(parts.path),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        query=parts.query,
        raw=url,
        host_as_written=_host(parts.netloc),
        hosts=hosts,
        _options=values,
        _redacted=redacted,
        _secrets=tuple(dict.fromkeys(_secrets(parts, declared))),
    )


def _split(url: str, where: str) -> tuple[SplitResult, tuple[tuple[str, int | None], ...]]:
    """The URL's parts and its hosts. What is wrong with it is never quoted: it may be a piece of a password."""
    if _UNPRINTABLE.search(url):
        raise UsageError(f"{ascii(where)[1:-1]} has a control character or an undecodable one in it", "Write it as %XX")
    try:
        parts = urlsplit(url)
        hosts = tuple((_host(one).lower(), urlsplit(f"//{one}").port) for one in parts.netloc.rpartition("@")[2].split(","))
        if _userinfo(url.partition("://")[2])[0] is not None and "@" not in parts.netloc:
            raise ValueError  # a password that was not encoded
    except ValueError:
        raise UsageError(
            f"{where} has a host or a port that cannot be read",
            "A port is a number up to 65535. In a user name or a password, write / as %2F, @ as %40, ? as %3F and # as %23",
        ) from None
    return parts, hosts


def _host(netloc: str) -> str:
    host = netloc.rpartition("@")[2]
    return unquote(host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0])


# ------------------------------------------------------------------------------------------------------------ redaction


def redact_url(url: str, options: Iterable[Option] | None = ()) -> str:
    """The URL without its user's secrets: password, lone user name (it may be a token), values of secret options.

    What is not known to be harmless is hidden too: options that are not declared, and a fragment. With ``options=None``
    the query belongs to the resource and may be a signature: all of it is hidden. Never raises.
    """
    head, separator, tail = url.partition("://")
    if not separator:
        return _redact_scheme_less(url)
    userinfo, host = _userinfo(tail)
    rest, hash_sign, _fragment = host.partition("#")
    rest, question, query = rest.partition("?")
    user, colon, _password = (userinfo or "").partition(":")
    shown = "" if userinfo is None else f"{user}:{HIDDEN}@" if colon else f"{HIDDEN}@"
    shown_query = HIDDEN if options is None else _redact_query(query, {option.name: option for option in options})
    ending = f"#{HIDDEN}" if hash_sign else ""
    return f"{head}{separator}{shown}{rest}{question}{shown_query if question else ''}{ending}"


def _redact_scheme_less(text: str) -> str:
    userinfo, at, rest = text.rpartition("@")
    return f"{HIDDEN if userinfo else ''}{at}{rest.partition('?')[0]}"


def _userinfo(tail: str) -> tuple[str | None, str]:
    """What stands before the ``@`` of a URL without its scheme, or None, and the rest.

    A password in which ``/``, ``?`` or ``#`` is not encoded ends the host's part too early: what then looks like a port
    is none, or has no host, and there is an ``@`` further on. It is taken for a password.
    """
    authority = re.split(r"[/?#]", tail, maxsplit=1)[0]
    if "@" in authority:
        userinfo, _, host = authority.rpartition("@")
        return userinfo, host + tail[len(authority) :]
    host, colon, port = authority.rpartition(":")
    if "@" in tail and colon and not authority.endswith("]") and (not host or not _PORT.match(port)):
        userinfo, _, rest = tail.rpartition("@")
        return userinfo, rest
    return None, tail


def _redact_query(query: str, declared: Mapping[str, Option]) -> str:
    return "&".join(_redact_pair(pair, declared) for pair in query.split("&"))


def _redact_pair(pair: str, declared: Mapping[str, Option]) -> str:
    name, equals, value = pair.partition("=")
    option = declared.get(unquote(name).lower())
    if option is None or option.secret:
        return f"{name}={HIDDEN}" if equals else HIDDEN if pair else ""
    return f"{name}{equals}{_redact_value(value, unquote(value))}"


def _redact_value(shown: str, value: str) -> str:
    """An option's value, which may itself be a URL with a password, as an endpoint's."""
    if not _HAS_SECRET.search(value):
        return shown
    return "".join(letter if letter.isprintable() else quote(letter) for letter in redact_url(value, None))


def _secrets(parts: SplitResult, declared: Mapping[str, Option] | None) -> Iterator[str]:
    """Every value that must never be shown, as it stands in the URL and decoded."""
    if parts.password:
        yield unquote(parts.password)
        yield parts.password
    for name, value, written in _pairs(parts.query):
        if declared is None:
            hidden = len(value) >= _SHORTEST_GUESSED
        else:
            hidden = bool(value) and name in declared and declared[name].secret
            yield from _secrets_inside(value)
            yield from _secrets_inside(written)
        if hidden:
            yield value
            yield written


def _secrets_inside(value: str) -> Iterator[str]:
    userinfo = _userinfo(value.partition("://")[2])[0] if "://" in value else None
    password = (userinfo or "").partition(":")[2]
    if password:
        yield unquote(password)
        yield password


# -------------------------------------------------------------------------------------------------------------- options


def _pairs(query: str) -> Iterator[tuple[str, str, str]]:
    """The query's options: name, value, and the value as written. A plus sign stays one: people paste tokens and URLs."""
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        yield unquote(name).lower(), unquote(value), value


def _given(query: str, declared: Mapping[str, Option], what: str, where: str) -> dict[str, OptionValue | None]:
    values: dict[str, OptionValue | None] = {}
    for name, text, _ in _pairs(query):
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
    read, takes = _READERS[option.kind]
    try:
        return read(text)
    except ValueError:
        shown = HIDDEN if option.secret else repr(_redact_value(text, text))
        raise UsageError(f"option {option.name!r} in {where} is {shown}", f"It takes {takes}") from None


def _flag(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError
    return text.lower() in _TRUE


def _integer(text: str) -> int:
    if not _INTEGER.match(text):
        raise ValueError
    return int(text)


def _url(text: str) -> str:
    if "://" not in text or not urlsplit(text).scheme:
        raise ValueError
    return text


_READERS: Mapping[OptionKind, tuple[Callable[[str], OptionValue | None], str]] = {
    "text": (lambda text: text or None, "a text"),
    "flag": (_flag, "true or false"),
    "integer": (_integer, "a whole number"),
    "seconds": (parse_duration, "a time such as 30, 30s, 5m or 1h"),
    "url": (_url, "a URL such as http://127.0.0.1:9000"),
}
"""How a value of each kind is read (ValueError when it cannot be), and what it takes, for people."""
